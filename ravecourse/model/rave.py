"""RAVE: encoder, decoder, and the model that holds both with its filter bank and its latent statistics.

Notebook: 03.
"""

from functools import partial
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ravecourse.config import ModelConfig
from ravecourse.errors import RaveCourseError

from .controls import Controls
from .layers import Conv, NoiseSynth, activation, conv, dilated_unit, mod_sigmoid, upconv
from .pqmf import PQMF
from .source import Source, ramp_of, rms_of, scaled, swell
from .spectral_encoder import SpectralEncoder


def encoder_v1(config: ModelConfig) -> nn.Sequential:
    """Strided convolutions with batch normalisation; mean and scale come from separate halves of the features.

    [B, C * bands, T] -> [B, 2 * latent, T / ratios]. Source: RAVE (arXiv 2111.05011), section 3.2. Notebook: 03.
    """
    plain = partial(Conv, bias=config.bias, causal=config.causal)
    width = config.capacity
    layers: list[nn.Module] = [plain(config.channels * config.n_bands, width, 7)]
    for ratio in config.ratios:
        kernel = 2 * ratio + 1
        layers += [
            nn.BatchNorm1d(width),
            activation(),
            plain(width, 2 * width, kernel, stride=ratio, padding_left=_left(config, kernel)),
        ]
        width *= 2
    layers += [activation(), plain(width, 2 * config.latent_size, 5, groups=2)]
    return nn.Sequential(*layers)


def encoder_v2(config: ModelConfig) -> nn.Sequential:
    """Dilated residual units between strided convolutions, weight-normalised.

    [B, C * bands, T] -> [B, 2 * latent, T / ratios]. Source: the published v2 settings. Notebook: 03.
    """
    layer = partial(conv, bias=config.bias, causal=config.causal)
    unit = partial(dilated_unit, bias=config.bias, causal=config.causal)
    width = config.capacity
    layers: list[nn.Module] = [layer(config.channels * config.n_bands, width, 7)]
    for ratio, dilations in zip(config.ratios, config.dilations, strict=True):
        layers += [unit(width, dilation, kernel=1) for dilation in dilations]
        layers += [
            activation(),
            layer(width, 2 * width, 2 * ratio, stride=ratio, padding_left=_left(config, 2 * ratio)),
        ]
        width *= 2
    layers += [activation(), layer(width, 2 * config.latent_size, 3)]
    return nn.Sequential(*layers)


def _left(config: ModelConfig, kernel: int) -> int | None:
    """All the padding of a strided convolution at the left in causal models as published; else as `Conv` splits it."""
    return kernel - 1 if config.published_causal else None


def _looks_ahead(config: ModelConfig) -> bool:
    """Whether transposed convolutions are centred on their input."""
    return config.published_causal or not config.causal


class DecoderV1(nn.Module):
    """A trunk of transposed convolutions and residual stacks, then a waveform with a loudness, plus noise.

    Source: RAVE (arXiv 2111.05011), section 3.2. Notebook: 03.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        layer = partial(conv, bias=config.bias, causal=config.causal)
        unit = partial(dilated_unit, bias=config.bias, causal=config.causal)
        width = config.capacity * 2 ** len(config.ratios)
        bands = config.channels * config.n_bands
        layers: list[nn.Module] = [layer(config.latents, width, 7)]
        for ratio in config.ratios:
            layers += [
                activation(),
                upconv(width, width // 2, ratio, bias=config.bias, lookahead=_looks_ahead(config)),
            ]
            width //= 2
            layers += [unit(width, dilation, kernel=3) for dilation in (1, 3, 5)]
        self.trunk = nn.Sequential(*layers)
        self.wave = layer(width, bands, 7)
        self.loudness = layer(width, 1, 3)
        kernels = (3,) * len(config.noise_strides)
        left = 1 if not config.causal else 2 if config.published_causal else 0
        self.noise = (
            NoiseSynth(
                width,
                bands,
                config.noise_bands,
                config.noise_strides,
                config.noise_capacity,
                kernels,
                (left,) * len(config.noise_strides),
                bias=config.bias,
            )
            if config.noise_bands
            else None
        )

    def forward(
        self,
        z: Tensor,
        noise_level: Tensor | None,
        generator: torch.Generator | None,
        swell: Tensor | None = None,
    ) -> Tensor:
        """[B, D, F] -> bands [B, C * bands, F * ratios].

        `noise_level` is 0 to 1, None leaves the noise out; `swell` [B, F * ratios] multiplies wave and noise.
        """
        x = self.trunk(z)
        bands = torch.tanh(self.wave(x)) * mod_sigmoid(self.loudness(x))
        if self.noise is not None and noise_level is not None:
            bands = bands + noise_level * self.noise(x, generator)
        return bands if swell is None else bands * swell[:, None]


class DecoderV2(nn.Module):
    """A trunk that mirrors the v2 encoder, then a waveform with an amplitude for each band, plus noise.

    Source: the published v2 settings. Notebook: 03.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        layer = partial(conv, bias=config.bias, causal=config.causal)
        unit = partial(dilated_unit, bias=config.bias, causal=config.causal)
        width = config.capacity * 2 ** len(config.ratios)
        bands = config.channels * config.n_bands
        layers: list[nn.Module] = [layer(config.latents, width, 3)]
        for ratio, dilations in zip(reversed(config.ratios), reversed(config.dilations), strict=True):
            layers += [
                activation(),
                upconv(width, width // 2, ratio, bias=config.bias, lookahead=_looks_ahead(config)),
            ]
            width //= 2
            layers += [unit(width, dilation, kernel=1) for dilation in dilations]
        self.trunk = nn.Sequential(*layers, activation())
        self.wave = layer(width, 2 * bands, 7)  # waveform and amplitude of each band
        self.noise = (
            NoiseSynth(
                width,
                bands,
                config.noise_bands,
                config.noise_strides,
                config.noise_capacity,
                tuple(2 * s for s in config.noise_strides),
                config.noise_strides,
                bias=config.bias,
            )
            if config.noise_bands
            else None
        )

    def forward(
        self,
        z: Tensor,
        noise_level: Tensor | None,
        generator: torch.Generator | None,
        swell: Tensor | None = None,
    ) -> Tensor:
        """As `DecoderV1.forward`; the sum is limited after the swell, so that attacks may stand above the loudness."""
        x = self.trunk(z)
        wave, amplitude = self.wave(x).chunk(2, dim=1)
        bands = wave * torch.sigmoid(amplitude)
        if self.noise is not None and noise_level is not None:
            bands = bands + noise_level * self.noise(x, generator)
        return torch.tanh(bands if swell is None else bands * swell[:, None])


class RAVE(nn.Module):
    """The whole model: audio to latent and back.

    Buffers beside the weights: `latent_mean` [D], `latent_pca` [D, D] (rows are principal directions of the means,
    the strongest first), `latent_std` [D] (standard deviation of the means along each), `latent_draw_std` [D] (of the
    latents that the decoder was trained on: means and the draws around them) and `fidelity` [D] (share of the variance
    that the first d + 1 directions explain), written at the end of phase one; `noise_level`, 0 until the noise
    synthesiser is switched on.

    Args:
        config: the model configuration.
        seed: of the first weights.
    Source: RAVE (arXiv 2111.05011). Notebook: 03.
    """

    latent_mean: Tensor
    latent_pca: Tensor
    latent_std: Tensor
    latent_draw_std: Tensor
    fidelity: Tensor
    noise_level: Tensor
    decoder: DecoderV1 | DecoderV2

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.pqmf = PQMF(config.n_bands, config.pqmf)
            self.encoder = encoder_v1(config) if config.architecture == "v1" else encoder_v2(config)
            self.decoder = DecoderV1(config) if config.architecture == "v1" else DecoderV2(config)
            self.source = Source(config) if config.harmonics else None
            self.spectral_encoder = SpectralEncoder(config) if config.mel_bands else None
        self.controls = Controls(config) if config.harmonics else None
        size = config.latent_size
        self.register_buffer("latent_mean", torch.zeros(size))
        self.register_buffer("latent_pca", torch.eye(size))
        self.register_buffer("latent_std", torch.ones(size))
        self.register_buffer("latent_draw_std", torch.ones(size))
        self.register_buffer("fidelity", torch.zeros(size))
        # The published v1 adds its noise in phase two only; in v2 it is part of the first phase.
        self.register_buffer("noise_level", torch.tensor(0.0 if config.architecture == "v1" else 1.0))

    @property
    def hop_length(self) -> int:
        """Samples per latent frame."""
        return self.config.hop_length

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.config.sample_rate

    @property
    def channels(self) -> int:
        """1 mono, 2 stereo."""
        return self.config.channels

    def split(self, audio: Tensor) -> Tensor:
        """Audio [B, C, T] to bands [B, C * n_bands, T / n_bands], channel by channel.

        Raises:
            RaveCourseError: other channels than the model's, or T is no multiple of the hop.
        Notebook: 02.
        """
        if audio.dim() != 3 or audio.shape[1] != self.channels or audio.shape[2] % self.hop_length:
            raise RaveCourseError(
                f"The model takes audio of the shape [batch, {self.channels}, a multiple of {self.hop_length}]; "
                f"this has {list(audio.shape)}. Mix the channels or cut the length."
            )
        bands = self.pqmf.analysis(audio.reshape(-1, 1, audio.shape[-1]))  # [B C, n_bands, T/n_bands]
        return bands.reshape(len(audio), -1, bands.shape[-1])

    def join(self, bands: Tensor) -> Tensor:
        """Bands [B, C * n_bands, F] to audio [B, C, F * n_bands]. Notebook: 02."""
        audio = self.pqmf.synthesis(bands.reshape(-1, self.config.n_bands, bands.shape[-1]))
        return audio.reshape(len(bands), self.channels, -1)

    @property
    def named(self) -> int:
        """Latent dimensions that have a name, before the learned ones: 2 (pitch, loudness) with a source, else 0."""
        return self.config.named

    def encode_learned(self, audio: Tensor, bands: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and the standard deviation of each learned latent, both [B, D, F].

        Args:
            audio: [B, C, T]; bands: what `split` makes of it.
        Notebook: 03.
        """
        heard = self.encoder(bands)
        if self.spectral_encoder is not None:
            heard = heard + self.spectral_encoder(audio)
        mean, scale = heard.chunk(2, dim=1)
        return mean, F.softplus(scale) + 1e-4

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Audio [B, C, T] to mean and standard deviation, both [B, named + D, T / hop_length].

        With a source, the first two dimensions are pitch (MIDI note number, held where there is none) and loudness
        (dB, 100 for an RMS of 1), whose standard deviation is 0.
        Raises:
            RaveCourseError: as `split`.
        Notebook: 03.
        """
        mean, std = self.encode_learned(audio, self.split(audio))
        if self.controls is None:
            return mean, std
        named = self.controls(audio)
        return torch.cat([named, mean], 1), torch.cat([torch.zeros_like(named), std], 1)

    def sample(self, mean: Tensor, std: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw a latent from the encoder's normal distribution, differentiably: mean + std * noise.

        Source: Kingma and Welling 2013, section 2.4. Notebook: 03.
        """
        device = generator.device if generator is not None else mean.device
        return mean + std * torch.randn(mean.shape, generator=generator, device=device).to(mean.device)

    def decode_bands(self, latents: Tensor, noise: bool = True, generator: torch.Generator | None = None) -> Tensor:
        """Latents [B, named + D, F] to the decoder's bands [B, C * n_bands, F * hop_length / n_bands].

        With a source, the loudness among the latents scales them: the decoder says how the sound is made up, not how
        loud it is, and need not learn to be silent.

        Args:
            noise: False leaves the noise synthesiser out, which makes the decoder deterministic.
            generator: source of the noise.
        Notebook: 03.
        """
        noise_level = self.noise_level if noise else None
        if self.source is None:
            return self.decoder(latents, noise_level, generator)
        rms = rms_of(latents[:, 1])
        ramp = ramp_of(self.hop_length // self.config.n_bands).to(rms)
        level = swell(rms, torch.zeros_like(rms[:, :1]), ramp)
        return self.decoder(scaled(latents.transpose(1, 2)).transpose(1, 2), noise_level, generator, level)

    def decode_both(
        self, latents: Tensor, noise: bool = True, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Latents to audio, as `decode` gives it, and the bands of the same audio, which cost less this way.

        Notebook: 04.
        """
        bands = self.decode_bands(latents, noise, generator)
        audio = self.join(bands)
        if self.source is None:
            return audio, bands
        sung = self.source(latents)
        return audio + sung, bands + self.split(sung)

    def decode(self, latents: Tensor, noise: bool = True, generator: torch.Generator | None = None) -> Tensor:
        """Latents [B, named + D, F] to audio [B, C, F * hop_length]; arguments as `decode_bands`. Notebook: 03."""
        audio = self.join(self.decode_bands(latents, noise, generator))
        return audio if self.source is None else audio + self.source(latents)

    def forward(self, audio: Tensor, noise: bool = True, generator: torch.Generator | None = None) -> Tensor:
        """Audio [B, C, T] through the latent means and back to [B, C, T]; raises as `split` does. Notebook: 03."""
        return self.decode(self.encode(audio)[0], noise, generator)

    def modules_of(self, part: str) -> list[nn.Module]:
        """All that is trained as "encoder", which makes learned latents, or as "decoder", which makes sound of latents.

        Notebook: 06.
        """
        both = (self.encoder, self.spectral_encoder) if part == "encoder" else (self.decoder, self.source)
        return [module for module in both if module is not None]

    def parameters_of(self, part: str) -> int:
        """Number of trained values of "encoder" or "decoder", see `modules_of`. Notebook: 03."""
        return sum(prod(p.shape) for module in self.modules_of(part) for p in module.parameters())
