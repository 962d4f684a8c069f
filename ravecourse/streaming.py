"""Turn a trained model into one that runs block by block, and account for every sample of delay.

Activations are kept as rows [B, frames, channels]: each convolution gathers its windows from the rows that it
remembers and the rows that come, and is one matrix product. Every layer knows by how many of its input samples the
stream runs behind the offline signal (`late`), which fixes what it remembers, what it adds to the delay, and which of
the first rows stand before the start, where the offline model has zeros.

So the output of any sequence of blocks (each a multiple of the hop) equals the offline output, later by
`delay_samples`, from the first sample on.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.blocks import Conv, NoiseSynth, Residual, UpConv
from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE, DecoderV1, DecoderV2
from ravecourse.pqmf import PQMF

PRECISIONS = ("float32", "bfloat16")
HALF_WEIGHTS = 1 << 16  # bfloat16 is for layers with so many weights or more,
HALF_ROWS = 32  # and so many rows a hop or fewer


class StreamConv(nn.Module):
    """A convolution over rows that remembers the rows it still needs.

    With `right` inputs of context after f * stride and an input that is `late` samples behind, output f is ready in
    the group of `stride` inputs that is (right + late) // stride groups later; the remainder of that division is the
    number of newest inputs in the window of an output, short of the end of its group.

    Args:
        weight: [outputs, inputs, taps]; bias: [outputs] or None.
        left, right: zeros that the offline convolution pads.
        late: samples that the input runs behind. The attribute `late_out` says the same of the output.

    Source: cached padding, arXiv 2204.07064, with exact alignment by this course. Notebook: 07.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, stride: int = 1, dilation: int = 1, left: int,
                 right: int, late: int) -> None:
        super().__init__()
        outputs, self.inputs, self.taps = weight.shape
        self.stride, self.dilation, self.late = stride, dilation, late
        self.late_out = (right + late) // stride
        memory = left + right - (right + late) % stride
        self.memory, self.skip = max(memory, 0), max(-memory, 0)
        self.few_rows = self.half = False
        self.register_buffer("weight", weight.permute(2, 1, 0).reshape(-1, outputs).contiguous())
        self.register_buffer("bias", torch.zeros(outputs) if bias is None else bias.clone())
        self.register_buffer("rows", torch.zeros(1, self.memory, self.inputs))
        self.pending = late  # rows still to come that stand before the start

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, inputs] -> [B, F / stride, outputs]."""
        batch, frames = x.size(0), x.size(1)
        if self.rows.size(0) != batch:
            self.rows = torch.zeros([batch, self.memory, self.inputs], dtype=x.dtype, device=x.device)
            self.pending = self.late
        if self.taps > 1 and self.pending > 0:
            before = min(self.pending, frames)
            x = torch.cat([torch.zeros_like(x[:, :before]), x[:, before:]], 1)
            self.pending -= before
        if self.memory > 0:
            x = torch.cat([self.rows, x], 1)
            self.rows = x[:, x.size(1) - self.memory :]
        elif self.skip > 0:
            x = x[:, self.skip :].contiguous()
        count = frames // self.stride
        if self.taps > 1 or self.stride > 1:
            x = x.contiguous()
            x = x.as_strided([batch, count, self.taps, self.inputs],
                             [x.size(1) * self.inputs, self.stride * self.inputs, self.dilation * self.inputs, 1],
                             x.storage_offset())
        x = x.reshape(batch * count, self.taps * self.inputs)
        if self.half:
            product = nn.functional.linear(x.to(torch.bfloat16), self.weight)
            return (product.float() + self.bias).view(batch, count, -1)
        if self.few_rows:
            return nn.functional.linear(x, self.weight, self.bias).view(batch, count, -1)
        return torch.addmm(self.bias, x, self.weight).view(batch, count, -1)


class StreamUpConv(nn.Module):
    """A transposed convolution of kernel 2 * stride: two neighbouring input rows give `stride` output rows.

    The tail that the offline form adds into the next frame is here the contribution of the remembered row.
    Source: this course. Notebook: 07.
    """

    def __init__(self, layer: UpConv, late: int) -> None:
        super().__init__()
        stride, weight = layer.stride[0], layer.weight.detach()  # [inputs, outputs, 2 * stride]
        head, tail = weight[..., :stride], weight[..., stride:]
        taps = torch.stack([tail, head], -1).permute(2, 1, 0, 3).flatten(0, 1)  # [stride * outputs, inputs, 2]
        bias = None if layer.bias is None else layer.bias.detach().repeat(stride)
        self.conv = StreamConv(taps, bias, left=1, right=0, late=late)
        self.stride, self.outputs = stride, weight.shape[1]
        self.late_out = late * stride + layer.crop

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, inputs] -> [B, F * stride, outputs]."""
        return self.conv(x).view(x.size(0), x.size(1) * self.stride, self.outputs)


class Delay(nn.Module):
    """Hold rows back by `length` frames, so that a branch meets one that is later. Notebook: 07."""

    def __init__(self, length: int, channels: int) -> None:
        super().__init__()
        self.length = length
        self.register_buffer("rows", torch.zeros(1, length, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] -> the same shape, `length` frames later."""
        if self.length == 0:
            return x
        if self.rows.size(0) != x.size(0):
            self.rows = torch.zeros([x.size(0), self.length, x.size(2)], dtype=x.dtype, device=x.device)
        x = torch.cat([self.rows, x], 1)
        self.rows = x[:, x.size(1) - self.length :]
        return x[:, : x.size(1) - self.length]


class StreamResidual(nn.Module):
    """x + branch(x), where x waits until the branch has caught up. Notebook: 07."""

    def __init__(self, branch: nn.Module, wait: int, channels: int) -> None:
        super().__init__()
        self.branch, self.skip = branch, Delay(wait, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] -> the same shape."""
        return self.skip(x) + self.branch(x)


class StreamNoise(nn.Module):
    """The noise synthesiser over rows; `fixed_noise` replaces the random draw by one fixed frame. Notebook: 07."""

    def __init__(self, synth: NoiseSynth, late: int) -> None:
        super().__init__()
        self.net, late_frames = _convert(synth.net, late)
        self.late_out = late_frames * synth.frame
        self.bands, self.n_filter, self.frame = synth.bands, synth.n_filter, synth.frame
        self.register_buffer("transform", synth.transform.clone())
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("fixed", 2 * torch.rand(synth.bands, synth.frame, generator=generator) - 1)
        self.fixed_noise = False

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

    def __init__(self, decoder: DecoderV1 | DecoderV2, noise_level: float, late: int) -> None:
        super().__init__()
        self.shared_amplitude = isinstance(decoder, DecoderV1)
        self.wave, wave_late = _convert(decoder.wave, late)
        loudness_late = noise_late = wave_late
        self.loudness: nn.Module = nn.Identity()
        self.noise: nn.Module = nn.Identity()
        self.noisy = decoder.noise is not None and noise_level > 0
        bands = decoder.wave.out_channels // (1 if self.shared_amplitude else 2)
        if self.shared_amplitude:
            self.loudness, loudness_late = _convert(decoder.loudness, late)
        if self.noisy:
            self.noise = StreamNoise(decoder.noise, late)
            noise_late = self.noise.late_out
        self.late_out = max(wave_late, loudness_late, noise_late)
        self.wave_wait = Delay(self.late_out - wave_late, decoder.wave.out_channels)
        self.loudness_wait = Delay(self.late_out - loudness_late, 1)
        self.noise_wait = Delay(self.late_out - noise_late, bands)
        self.register_buffer("noise_scale", torch.ones(1))

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


class StreamAnalysis(nn.Module):
    """The band split over blocks of samples. Notebook: 07."""

    def __init__(self, pqmf: PQMF, channels: int) -> None:
        super().__init__()
        self.channels, self.n_bands = channels, pqmf.n_bands
        self.conv = StreamConv(pqmf.analysis_weight, None, left=pqmf.analysis_left, right=pqmf.analysis_right, late=0)
        self.late_out = self.conv.late_out
        self.register_buffer("signs", _signs(pqmf.n_bands, self.late_out))

    def forward(self, audio: Tensor) -> Tensor:
        """[B, C, T] -> rows [B, T / n_bands, C * n_bands]."""
        batch, frames = audio.size(0), audio.size(2) // self.n_bands
        rows = self.conv(audio.reshape(batch * self.channels, frames, self.n_bands))
        rows = rows.view(-1, 2, self.n_bands) * self.signs
        rows = rows.view(batch, self.channels, frames, self.n_bands)
        return rows.transpose(1, 2).reshape(batch, frames, self.channels * self.n_bands)


class StreamSynthesis(nn.Module):
    """The bands joined, block by block. Notebook: 07."""

    def __init__(self, pqmf: PQMF, channels: int, late: int) -> None:
        super().__init__()
        self.channels, self.n_bands = channels, pqmf.n_bands
        self.conv = StreamConv(pqmf.synthesis_weight, None, left=pqmf.synthesis_left, right=pqmf.synthesis_right,
                               late=late)
        self.late_out = self.conv.late_out * pqmf.n_bands
        self.register_buffer("signs", _signs(pqmf.n_bands, late))

    def forward(self, rows: Tensor) -> Tensor:
        """[B, F, C * n_bands] -> [B, C, F * n_bands]."""
        batch, frames = rows.size(0), rows.size(1)
        rows = rows.view(batch, frames, self.channels, self.n_bands).transpose(1, 2)
        rows = rows.reshape(-1, 2, self.n_bands) * self.signs
        audio = self.conv(rows.view(batch * self.channels, frames, self.n_bands))
        return audio.view(batch, self.channels, frames * self.n_bands)


def _signs(n_bands: int, late: int) -> Tensor:
    """The filter bank's signs for an even and an odd row of a stream that is `late` frames behind: [2, n_bands]."""
    signs = torch.ones(2, n_bands)
    signs[late % 2, 1::2] = -1
    return signs


def _convert(module: nn.Module, late: int) -> tuple[nn.Module, int]:
    """The streaming form of an offline block whose input is `late` behind, and by how much its output is."""
    if isinstance(module, nn.Sequential):
        layers = []
        for layer in module:
            # BatchNorm stands right after a convolution, into which its fixed scale and shift are folded.
            if isinstance(layer, nn.BatchNorm1d):
                _fold_batch_norm(layers[-1], layer)
                continue
            layer, late = _convert(layer, late)
            layers.append(layer)
        return nn.Sequential(*layers), late
    if isinstance(module, Conv):
        layer = StreamConv(_dense(module), None if module.bias is None else module.bias.detach(),
                           stride=module.stride[0], dilation=module.dilation[0], left=module.left,
                           right=module.right, late=late)
        return layer, layer.late_out
    if isinstance(module, UpConv):
        layer = StreamUpConv(module, late)
        return layer, layer.late_out
    if isinstance(module, Residual):
        branch, branch_late = _convert(module.branch, late)
        return StreamResidual(branch, branch_late - late, module.branch[1].in_channels), branch_late
    if isinstance(module, nn.LeakyReLU):
        return nn.LeakyReLU(module.negative_slope), late
    raise RaveCourseError(f"A layer of the type {type(module).__name__} has no streaming form; "
                          "build the model from the blocks of ravecourse.blocks.")


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
    the decoder fills the rest with normal noise, as wide as the draws that it was trained on. Both random draws have
    a scale, a buffer of one value: `heads.noise_scale` (noise synthesiser) and `latent_noise_scale` (unused latents),
    1 as trained, 0 for none.

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
    Source: arXiv 2204.07064; exact alignment and row form by this course. Notebook: 07.
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
        self.encoder, self.encode_delay_frames = _convert(model.encoder, self.analysis.late_out)
        _keep_projected_mean(self.encoder[-1], pca[:latent_size], mean)
        self.trunk, late = _convert(model.decoder.trunk, 0)
        self.heads = StreamHeads(model.decoder, float(model.noise_level), late)
        self.synthesis = StreamSynthesis(model.pqmf, model.channels, self.heads.late_out)
        _order_weights(self.encoder, model.hop_length // model.config.n_bands, precision)
        _order_weights(self.trunk, 1, precision)
        self.decode_delay_samples = self.synthesis.late_out
        self.delay_samples = self.encode_delay_frames * self.hop_length + self.decode_delay_samples

        self.register_buffer("pca", pca)
        self.register_buffer("mean", mean)
        self.register_buffer("unused_std", model.latent_draw_std[latent_size:].clone())
        self.register_buffer("latent_noise_scale", torch.ones(1))
        self.hold = self.encode_delay_frames  # latent frames still to come that stand before the start
        self.batch = 1

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
