"""Turn a trained model into one that runs block by block, and account for every sample of delay.

Activations are kept as rows [B, frames, channels]: each convolution gathers its windows from the rows that it
remembers and the rows that come, and is one matrix product (see `layers`). The output of any sequence of
blocks, each a multiple of the hop, equals the offline output, later by `delay_samples`, from the first sample on.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE, Conv, DecoderV1, DecoderV2, NoiseSynth, Residual, UpConv

from .layers import (
    Delay,
    StreamActivation,
    StreamAnalysis,
    StreamConv,
    StreamNothing,
    StreamResidual,
    StreamSequence,
    StreamSynthesis,
    StreamUpConv,
)

PRECISIONS = ("float32", "bfloat16")
HALF_WEIGHTS = 1 << 16  # bfloat16 is for layers with so many weights or more,
HALF_ROWS = 32  # and so many rows a hop or fewer


class StreamNoise(nn.Module):
    """The noise synthesiser over rows; `fixed_noise` replaces the random draw by one fixed frame. Notebook: 07."""

    def __init__(self, synth: NoiseSynth, delay: int) -> None:
        super().__init__()
        self.net, delay_frames = _convert(synth.net, delay)
        self.delay_out = delay_frames * synth.frame
        self.bands, self.n_filter, self.frame = synth.bands, synth.n_filter, synth.frame
        self.register_buffer("transform", synth.transform.clone())
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("fixed", 2 * torch.rand(synth.bands, synth.frame, generator=generator) - 1)
        self.fixed_noise = False

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.net.reset()

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] -> filtered noise [B, F, bands]."""
        y = self.net(x)  # [B, frames, bands * n_filter]
        frames = y.size(1)
        amplitude = 2 * torch.sigmoid(y - 5) ** 2.3 + 1e-7
        response = torch.matmul(amplitude.view(-1, self.bands, self.n_filter), self.transform)
        if self.fixed_noise:
            noise = self.fixed.expand(response.size(0), self.bands, self.frame)
        else:
            noise = 2 * torch.rand([response.size(0), self.bands, self.frame], device=x.device) - 1
        filtered = torch.zeros_like(noise)
        for i in range(2 * self.n_filter - 3):
            shift = (i - (self.n_filter - 2)) % self.frame
            filtered[..., shift:] += response[..., i : i + 1] * noise[..., : self.frame - shift]
        return filtered.transpose(1, 2).reshape(x.size(0), frames * self.frame, self.bands)


class StreamHeads(nn.Module):
    """The decoder after its trunk: waveform, loudness or amplitude, and noise, all waiting for the latest.

    Notebook: 07.
    """

    def __init__(self, decoder: DecoderV1 | DecoderV2, noise_level: float, delay: int) -> None:
        super().__init__()
        self.shared_amplitude = isinstance(decoder, DecoderV1)
        self.wave, wave_delay = _convert(decoder.wave, delay)
        loudness_delay = noise_delay = wave_delay
        self.loudness: nn.Module = StreamNothing()
        self.noise: nn.Module = StreamNothing()
        self.noisy = decoder.noise is not None and noise_level > 0
        bands = decoder.wave.out_channels // (1 if self.shared_amplitude else 2)
        if self.shared_amplitude:
            self.loudness, loudness_delay = _convert(decoder.loudness, delay)
        if self.noisy:
            self.noise = StreamNoise(decoder.noise, delay)
            noise_delay = self.noise.delay_out
        self.delay_out = max(wave_delay, loudness_delay, noise_delay)
        self.wave_wait = Delay(self.delay_out - wave_delay, decoder.wave.out_channels)
        self.loudness_wait = Delay(self.delay_out - loudness_delay, 1)
        self.noise_wait = Delay(self.delay_out - noise_delay, bands)
        self.register_buffer("noise_scale", torch.ones(1))

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.wave.reset()
        self.loudness.reset()
        self.noise.reset()
        self.wave_wait.reset()
        self.loudness_wait.reset()
        self.noise_wait.reset()

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] -> bands [B, F, bands]."""
        wave = self.wave_wait(self.wave(x))
        if self.shared_amplitude:
            loudness = self.loudness_wait(self.loudness(x))
            bands = torch.tanh(wave) * (2 * torch.sigmoid(loudness) ** 2.3 + 1e-7)
        else:
            wave, amplitude = wave.chunk(2, 2)
            bands = wave * torch.sigmoid(amplitude)
        if self.noisy:
            bands = bands + self.noise_scale * self.noise_wait(self.noise(x))
        return bands if self.shared_amplitude else torch.tanh(bands)


def _convert(module: nn.Module, delay: int) -> tuple[nn.Module, int]:
    """The streaming form of an offline block whose input is `delay` behind, and the delay of its output."""
    if isinstance(module, nn.Sequential):
        layers = []
        for layer in module:
            # BatchNorm stands right after a convolution, into which its fixed scale and shift are folded.
            if isinstance(layer, nn.BatchNorm1d):
                _fold_batch_norm(layers[-1], layer)
                continue
            layer, delay = _convert(layer, delay)
            layers.append(layer)
        return StreamSequence(*layers), delay
    if isinstance(module, Conv):
        layer = StreamConv(
            _dense(module),
            None if module.bias is None else module.bias.detach(),
            stride=module.stride[0],
            dilation=module.dilation[0],
            left=module.left,
            right=module.right,
            delay=delay,
        )
        return layer, layer.delay_out
    if isinstance(module, UpConv):
        layer = StreamUpConv(module, delay)
        return layer, layer.delay_out
    if isinstance(module, Residual):
        branch, branch_delay = _convert(module.branch, delay)
        return StreamResidual(branch, branch_delay - delay, module.branch[1].in_channels), branch_delay
    if isinstance(module, nn.LeakyReLU):
        return StreamActivation(module.negative_slope), delay
    raise RaveCourseError(
        f"A layer of the type {type(module).__name__} has no streaming form; "
        "build the model from the blocks of ravecourse.blocks."
    )


def _dense(conv: Conv) -> Tensor:
    """The weight of a convolution with its groups written out: [outputs, inputs, taps]."""
    weight = conv.weight.detach()
    dense = torch.zeros(conv.out_channels, conv.in_channels, weight.shape[2])
    outputs, inputs = conv.out_channels // conv.groups, weight.shape[1]
    for g in range(conv.groups):
        rows = slice(g * outputs, (g + 1) * outputs)
        dense[rows, g * inputs : (g + 1) * inputs] = weight[rows]
    return dense


def _fold_batch_norm(conv: StreamConv, norm: nn.BatchNorm1d) -> None:
    scale = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    conv.weight.mul_(scale)
    conv.bias.sub_(norm.running_mean).mul_(scale).add_(norm.bias.detach())


class StreamingRAVE(nn.Module):
    """A trained model that runs block by block; TorchScript compiles it as it is.

    Latents are in the basis of the model's PCA, the strongest direction first, cut to `latent_size` values a frame;
    the decoder leaves the rest at their mean, or draws them from a normal distribution. Both random draws have a
    scale, a buffer of one value, where 1 is as in training and 0 none: `heads.noise_scale` (noise synthesiser, 1 at
    first) and `latent_noise_scale` (unused latents, 0 at first, since draws take the sound away from the recording).

    Args:
        model: the offline model; it is not changed.
        latent_size: latent values per frame, 1 to the model's.
        precision: "float32", or "bfloat16" for the weights of the wide layers: half the bytes to read for each block,
            at errors near 1 % of the signal. Faster only on processors with bfloat16 products.
    Attributes:
        delay_samples: samples by which `forward` is later than the offline model.
        encode_delay_frames, decode_delay_samples: the parts of it.
    Raises:
        RaveCourseError: latent_size out of range, or no such precision.
    Source: arXiv 2204.07064. Notebook: 07.
    """

    def __init__(self, model: RAVE, latent_size: int | None = None, precision: str = "float32") -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise RaveCourseError(f"There is no precision {precision!r}. Choose one of: {', '.join(PRECISIONS)}.")
        full = model.config.latent_size
        latent_size = full if latent_size is None else latent_size
        if not 1 <= latent_size <= full:
            raise RaveCourseError(f"latent_size is {latent_size}; this model has 1 to {full} latent dimensions.")
        self.channels, self.hop_length, self.latent_size = model.channels, model.hop_length, latent_size
        pca, mean = model.latent_pca.detach().clone(), model.latent_mean.detach().clone()

        self.analysis = StreamAnalysis(model.pqmf, model.channels)
        self.encoder, self.encode_delay_frames = _convert(model.encoder, self.analysis.delay_out)
        _keep_projected_mean(self.encoder[-1], pca[:latent_size], mean)
        self.trunk, delay = _convert(model.decoder.trunk, 0)
        self.heads = StreamHeads(model.decoder, float(model.noise_level), delay)
        self.synthesis = StreamSynthesis(model.pqmf, model.channels, self.heads.delay_out)
        _order_weights(self.encoder, model.hop_length // model.config.n_bands, precision)
        _order_weights(self.trunk, 1, precision)
        self.decode_delay_samples = self.synthesis.delay_out
        self.delay_samples = self.encode_delay_frames * self.hop_length + self.decode_delay_samples

        self.register_buffer("pca", pca)
        self.register_buffer("mean", mean)
        self.register_buffer("unused_std", model.latent_draw_std[latent_size:].clone())
        self.register_buffer("latent_noise_scale", torch.zeros(1))
        self.hold = self.encode_delay_frames  # latent frames still to come that stand before the start
        self.batch = 1

    @torch.jit.export
    def reset(self) -> None:
        """Return to silence, as if just made: what comes next owes nothing to what came before. Notebook: 07."""
        self.analysis.reset()
        self.encoder.reset()
        self.trunk.reset()
        self.heads.reset()
        self.synthesis.reset()
        self.hold = self.encode_delay_frames

    @torch.jit.export
    def encode(self, audio: Tensor) -> Tensor:
        """Audio [B, C, T], T a multiple of the hop, to latents [B, latent_size, T / hop_length]."""
        audio = torch.nan_to_num(audio, 0.0, 0.0, 0.0)  # one NaN would stay in the memory of the layers
        return self.encoder(self.analysis(audio)).transpose(1, 2)

    @torch.jit.export
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, latent_size, F] to audio [B, C, F * hop_length]."""
        rows = torch.nan_to_num(latents, 0.0, 0.0, 0.0).transpose(1, 2)
        full = torch.matmul(rows, self.pca[: self.latent_size]) + self.mean
        unused = self.pca.size(0) - self.latent_size
        if unused > 0:
            noise = torch.randn([rows.size(0), rows.size(1), unused], device=rows.device)
            noise = noise * self.unused_std * self.latent_noise_scale
            full = full + torch.matmul(noise, self.pca[self.latent_size :])
        return self.synthesis(self.heads(self.trunk(full)))

    def forward(self, audio: Tensor) -> Tensor:
        """Audio [B, C, T], T a multiple of the hop, to audio [B, C, T], `delay_samples` late."""
        if audio.size(0) != self.batch:
            self.batch, self.hold = audio.size(0), self.encode_delay_frames
        latents = self.encode(audio)
        if self.hold == 0:
            return self.decode(latents)
        before = min(self.hold, latents.size(2))
        self.hold -= before
        silence = torch.zeros([audio.size(0), self.channels, before * self.hop_length], device=audio.device)
        if before == latents.size(2):
            return silence
        return torch.cat([silence, self.decode(latents[:, :, before:])], 2)


def _order_weights(layers: nn.Sequential, rows: int, precision: str) -> None:
    """Store the weights in the order, and at the precision, that is right for the rows of one hop.

    For one or two rows the product reads each weight once and waits for memory; [outputs, inputs] is then read up to
    one and a half times as fast as [inputs, outputs], which is the faster order for many rows. Reading is also what
    bfloat16 halves, so it is for the layers that are wide and have few rows.
    """
    for layer in layers:
        for conv in layer.modules():
            if isinstance(conv, StreamConv):
                rows //= conv.stride
                conv.few_rows = rows <= 2
                conv.half = precision == "bfloat16" and rows <= HALF_ROWS and conv.weight.numel() >= HALF_WEIGHTS
                if conv.few_rows or conv.half:
                    conv.weight = conv.weight.T.contiguous()
                if conv.half:
                    conv.weight = conv.weight.to(torch.bfloat16)
        if isinstance(layer, StreamUpConv):
            rows *= layer.stride


def _keep_projected_mean(last: StreamConv, pca: Tensor, mean: Tensor) -> None:
    """Fold the PCA into the encoder's last convolution and drop its outputs for the standard deviation."""
    last.weight = (last.weight[:, : len(mean)] @ pca.T).contiguous()
    last.bias = (last.bias[: len(mean)] - mean) @ pca.T
