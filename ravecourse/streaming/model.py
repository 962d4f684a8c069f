"""Turn a trained model into one that runs block by block, and account for every sample of delay.

Activations are kept as rows [B, frames, channels]: each convolution gathers its windows from the rows that it
remembers and the rows that come, and is one matrix product (see `layers`; `convert` makes them). The output of any sequence of
blocks, each a multiple of the hop, equals the offline output, later by `delay_samples`, from the first sample on.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE, source

from .convert import convert_sequence
from .heads import StreamHeads
from .layers import Delay, StreamAnalysis, StreamConv, StreamNothing, StreamSequence, StreamSynthesis, StreamUpConv
from .source import StreamControls, StreamNoSource, StreamSource, StreamSwell
from .spectral import StreamSpectralEncoder

PRECISIONS = ("float32", "bfloat16")
HALF_WEIGHTS = 1 << 16  # bfloat16 is for layers with so many weights or more,
HALF_ROWS = 32  # and so many rows a hop or fewer


class StreamingRAVE(nn.Module):
    """A trained model that runs block by block; TorchScript compiles it as it is.

    Where the model has a source, pitch and loudness are the first latents. The learned ones follow in the basis of the
    model's PCA, the strongest direction first, so many that there are `latent_size` values a frame; the decoder leaves
    the rest at their mean, or draws them from a normal distribution. Both random draws have a
    scale, a buffer of one value, where 1 is as in training and 0 none: `heads.noise_scale` (noise synthesiser, 1 at
    first) and `latent_noise_scale` (unused latents, 0 at first, since draws take the sound away from the recording).

    Args:
        model: the offline model; it is not changed.
        latent_size: latent values per frame, pitch and loudness included; one learned latent at least, None for all.
        precision: "float32", or "bfloat16" for the weights of the wide layers: half the bytes to read for each block,
            at errors near 1 % of the signal. Faster only on processors with bfloat16 products.
    Attributes:
        delay_samples: samples by which `forward` is later than the offline model.
        encode_delay_frames, decode_delay_samples: the parts of it.
    Raises:
        RaveCourseError: latent_size out of range, or no such precision.
    Source: arXiv 2204.07064. Notebook: 07.
    """

    pca: Tensor
    mean: Tensor
    unused_std: Tensor
    latent_noise_scale: Tensor

    def __init__(self, model: RAVE, latent_size: int | None = None, precision: str = "float32") -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise RaveCourseError(f"There is no precision {precision!r}. Choose one of: {', '.join(PRECISIONS)}.")
        full, named = model.config.latents, model.named
        latent_size = full if latent_size is None else latent_size
        if not named + 1 <= latent_size <= full:
            raise RaveCourseError(
                f"latent_size is {latent_size}; this model has {named + 1} to {full} latent dimensions"
                + (", pitch and loudness included." if named else ".")
            )
        self.named, learned = named, latent_size - named
        self.channels, self.hop_length, self.latent_size = model.channels, model.hop_length, latent_size
        pca, mean = model.latent_pca.detach().clone(), model.latent_mean.detach().clone()

        self.analysis = StreamAnalysis(model.pqmf, model.channels)
        self.encoder, waveform_delay = convert_sequence(model.encoder, self.analysis.delay_out)
        _keep_projected_mean(self.encoder, pca[:learned], mean)
        self.spectral: StreamSpectralEncoder | StreamNothing = StreamNothing()
        self.controls: StreamControls | StreamNothing = StreamNothing()
        spectral_delay = controls_delay = waveform_delay
        if model.spectral_encoder is not None:
            self.spectral = StreamSpectralEncoder(model.spectral_encoder)
            _keep_projected_mean(self.spectral.net, pca[:learned], torch.zeros_like(mean))
            spectral_delay = self.spectral.delay_out
            _order_weights(self.spectral.net, 1, precision)
        if model.controls is not None:
            self.controls = StreamControls(model.controls)
            controls_delay = self.controls.delay_out
        self.hears_spectrum = model.spectral_encoder is not None
        self.encode_delay_frames = max(waveform_delay, spectral_delay, controls_delay)
        self.waveform_wait = Delay(self.encode_delay_frames - waveform_delay, learned)
        self.spectral_wait = Delay(self.encode_delay_frames - spectral_delay, learned)
        self.controls_wait = Delay(self.encode_delay_frames - controls_delay, named)
        self.trunk, delay = convert_sequence(model.decoder.trunk, 0)
        self.heads = StreamHeads(model.decoder, float(model.noise_level), delay)
        self.synthesis = StreamSynthesis(model.pqmf, model.channels, self.heads.delay_out)
        _order_weights(self.encoder, model.hop_length // model.config.n_bands, precision)
        _order_weights(self.trunk, 1, precision)
        self.source: StreamSource | StreamNoSource = StreamNoSource()
        self.swell: StreamSwell | StreamNothing = StreamNothing()
        source_delay = self.synthesis.delay_out
        if model.source is not None:
            self.source = StreamSource(model.source)
            source_delay = self.source.delay_out
            self.swell = StreamSwell(model.hop_length // model.config.n_bands, self.heads.delay_out)
        self.decode_delay_samples = max(self.synthesis.delay_out, source_delay)
        self.bands_wait = Delay(self.decode_delay_samples - self.synthesis.delay_out, model.channels)
        self.source_wait = Delay(self.decode_delay_samples - source_delay, model.channels)
        self.delay_samples = self.encode_delay_frames * self.hop_length + self.decode_delay_samples

        self.register_buffer("pca", pca)
        self.register_buffer("mean", mean)
        self.register_buffer("unused_std", model.latent_draw_std[learned:].clone())
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
        self.spectral.reset()
        self.waveform_wait.reset()
        self.spectral_wait.reset()
        self.controls.reset()
        self.source.reset()
        self.swell.reset()
        self.controls_wait.reset()
        self.bands_wait.reset()
        self.source_wait.reset()
        self.hold = self.encode_delay_frames

    @torch.jit.export
    def encode(self, audio: Tensor) -> Tensor:
        """Audio [B, C, T], T a multiple of the hop, to latents [B, latent_size, T / hop_length]."""
        audio = torch.nan_to_num(audio, 0.0, 0.0, 0.0)  # one NaN would stay in the memory of the layers
        latents = self.waveform_wait(self.encoder(self.analysis(audio)))  # [B, F, learned]
        if self.hears_spectrum:
            latents = latents + self.spectral_wait(self.spectral(audio))
        if self.named > 0:
            latents = torch.cat([self.controls_wait(self.controls(audio)), latents], 2)
        return latents.transpose(1, 2)

    @torch.jit.export
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, latent_size, F] to audio [B, C, F * hop_length]."""
        rows = torch.nan_to_num(latents, 0.0, 0.0, 0.0).transpose(1, 2)
        learned = self.latent_size - self.named
        full = torch.matmul(rows[..., self.named :], self.pca[:learned]) + self.mean
        unused = self.pca.size(0) - learned
        if unused > 0:
            noise = torch.randn([rows.size(0), rows.size(1), unused], device=rows.device)
            noise = noise * self.unused_std * self.latent_noise_scale
            full = full + torch.matmul(noise, self.pca[learned:])
        if self.named == 0:
            return self.synthesis(self.heads(self.trunk(full)))
        full = torch.cat([rows[..., :2], full], 2)  # pitch, loudness, learned
        scaled, rms = source.scaled(full), source.rms_of(full[..., 1:2])
        made = self.synthesis(self.heads(self.trunk(scaled), self.swell(rms[..., 0]))).transpose(1, 2)
        sung = self.source(scaled, full[..., :1], rms).transpose(1, 2)
        return (self.bands_wait(made) + self.source_wait(sung)).transpose(1, 2)

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


def _order_weights(layers: StreamSequence, rows: int, precision: str) -> None:
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
                conv.in_bfloat16 = precision == "bfloat16" and rows <= HALF_ROWS and conv.weight.numel() >= HALF_WEIGHTS
                if conv.few_rows or conv.in_bfloat16:
                    conv.weight = conv.weight.T.contiguous()
                if conv.in_bfloat16:
                    conv.weight = conv.weight.to(torch.bfloat16)
        if isinstance(layer, StreamUpConv):
            rows *= layer.stride


def _keep_projected_mean(encoder: StreamSequence, pca: Tensor, mean: Tensor) -> None:
    """Fold the PCA into an encoder's last convolution and drop its outputs for the standard deviation."""
    last = encoder[-1]
    assert isinstance(last, StreamConv)  # every encoder ends so
    last.weight = (last.weight[:, : len(mean)] @ pca.T).contiguous()
    last.bias = (last.bias[: len(mean)] - mean) @ pca.T
