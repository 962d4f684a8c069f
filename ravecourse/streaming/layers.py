"""The layers of a streaming model: each works on rows [B, frames, channels] and remembers what it needs of the past.

Every layer knows the `delay` of its input: by how many samples the stream runs behind the offline signal. That fixes
what the layer remembers, what it adds to the delay, and which of the first rows stand before the start, where the
offline model has zeros. `reset()` returns a layer to silence.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.model import PQMF, UpConv


class StreamConv(nn.Module):
    """A convolution over rows that remembers the rows it still needs.

    With `right` inputs of context after f * stride and an input that is `delay` samples behind, output f is ready in
    the group of `stride` inputs that is (right + delay) // stride groups later; the remainder of that division is the
    number of newest inputs in the window of an output, short of the end of its group.

    Its state is `rows`, the inputs that are still needed, and `pending`, how many rows before the start are to come.

    Args:
        weight: [outputs, inputs, taps]; bias: [outputs] or None.
        left, right: zeros that the offline convolution pads.
        delay: samples that the input runs behind. The attribute `delay_out` says the same of the output.

    Source: cached padding, arXiv 2204.07064. Notebook: 07.
    """

    weight: Tensor  # [taps * inputs, outputs], or the other way round where `few_rows` or `in_bfloat16`
    bias: Tensor
    rows: Tensor

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        dilation: int = 1,
        left: int,
        right: int,
        delay: int,
    ) -> None:
        super().__init__()
        outputs, self.inputs, self.taps = weight.shape
        self.stride, self.dilation, self.delay = stride, dilation, delay
        self.delay_out = (right + delay) // stride
        memory = left + right - (right + delay) % stride
        self.memory, self.skip = max(memory, 0), max(-memory, 0)
        self.few_rows = self.in_bfloat16 = False
        self.register_buffer("weight", weight.permute(2, 1, 0).reshape(-1, outputs).contiguous())
        self.register_buffer("bias", torch.zeros(outputs) if bias is None else bias.clone())
        self.register_buffer("rows", torch.zeros(1, self.memory, self.inputs))
        self.pending = delay  # rows still to come that stand before the start

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.rows = torch.zeros_like(self.rows)
        self.pending = self.delay

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, inputs] -> [B, F / stride, outputs]."""
        batch, frames = x.size(0), x.size(1)
        if self.rows.size(0) != batch:
            self.rows = torch.zeros([batch, self.memory, self.inputs], dtype=x.dtype, device=x.device)
            self.pending = self.delay
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
            x = x.as_strided(
                [batch, count, self.taps, self.inputs],
                [x.size(1) * self.inputs, self.stride * self.inputs, self.dilation * self.inputs, 1],
                x.storage_offset(),
            )
        x = x.reshape(batch * count, self.taps * self.inputs)
        if self.in_bfloat16:
            x = x.to(torch.bfloat16)
            # Weights first: measured up to 1.3 times as fast as rows first.
            if x.size(0) == 1:
                product = torch.mv(self.weight, x[0])[None]
            else:
                product = torch.mm(self.weight, x.t()).t().contiguous()
            return (product.float() + self.bias).view(batch, count, -1)
        if self.few_rows:
            return nn.functional.linear(x, self.weight, self.bias).view(batch, count, -1)
        return torch.addmm(self.bias, x, self.weight).view(batch, count, -1)


class StreamUpConv(nn.Module):
    """A transposed convolution of kernel 2 * stride: two neighbouring input rows give `stride` output rows.

    The tail that the offline form adds into the next frame is here the contribution of the remembered row.
    Notebook: 07.
    """

    def __init__(self, layer: UpConv, delay: int) -> None:
        super().__init__()
        stride, weight = layer.stride[0], layer.weight.detach()  # [inputs, outputs, 2 * stride]
        head, tail = weight[..., :stride], weight[..., stride:]
        taps = torch.stack([tail, head], -1).permute(2, 1, 0, 3).flatten(0, 1)  # [stride * outputs, inputs, 2]
        bias = None if layer.bias is None else layer.bias.detach().repeat(stride)
        self.conv = StreamConv(taps, bias, left=1, right=0, delay=delay)
        self.stride, self.outputs = stride, weight.shape[1]
        self.delay_out = delay * stride + layer.crop

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.conv.reset()

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, inputs] -> [B, F * stride, outputs]."""
        return self.conv(x).view(x.size(0), x.size(1) * self.stride, self.outputs)


class Delay(nn.Module):
    """Hold rows back by `length` frames, so that a branch meets one that is later. Notebook: 07."""

    rows: Tensor

    def __init__(self, length: int, channels: int) -> None:
        super().__init__()
        self.length = length
        self.register_buffer("rows", torch.zeros(1, length, channels))

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.rows = torch.zeros_like(self.rows)

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] -> the same shape, `length` frames later."""
        if self.length == 0:
            return x
        if self.rows.size(0) != x.size(0):
            self.rows = torch.zeros([x.size(0), self.length, x.size(2)], dtype=x.dtype, device=x.device)
        x = torch.cat([self.rows, x], 1)
        self.rows = x[:, x.size(1) - self.length :]
        return x[:, : x.size(1) - self.length]


class StreamWindows(nn.Module):
    """`frame_windows` over blocks, late by its look-ahead; what is remembered is the sound of one window.

    Args:
        window, hop_length: in samples; a window shorter than the hop leaves out what comes before it in the hop.
        channels: of the sound.
    Notebook: 07.
    """

    past: Tensor

    def __init__(self, window: int, hop_length: int, channels: int) -> None:
        super().__init__()
        self.window, self.hop_length = window, hop_length
        self.keep, self.skip = max(window - hop_length, 0), max(hop_length - window, 0)
        self.register_buffer("past", torch.zeros(1, channels, self.keep))

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.past = torch.zeros_like(self.past)

    def forward(self, sound: Tensor) -> Tensor:
        """[B, C, T], T a multiple of the hop, to [B, C, T / hop, window]."""
        if self.past.size(0) != sound.size(0):
            self.past = torch.zeros([sound.size(0), sound.size(1), self.keep], dtype=sound.dtype, device=sound.device)
        sound = torch.cat([self.past, sound], 2)
        self.past = sound[..., sound.size(2) - self.keep :]
        return sound[..., self.skip :].unfold(2, self.window, self.hop_length)


class StreamActivation(nn.LeakyReLU):
    """LeakyReLU, which remembers nothing. Notebook: 07."""

    @torch.jit.export
    def reset(self) -> None:
        """There is nothing to forget. Notebook: 07."""


class StreamNothing(nn.Module):
    """Stands where a model has no layer. Notebook: 07."""

    @torch.jit.export
    def reset(self) -> None:
        """There is nothing to forget. Notebook: 07."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] -> the same."""
        return x


class StreamSequence(nn.Sequential):
    """Streaming layers, one after the other. Notebook: 07."""

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        for layer in self:
            layer.reset()

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] through each layer."""
        for layer in self:
            x = layer(x)
        return x


class StreamResidual(nn.Module):
    """x + branch(x), where x waits until the branch has caught up. Notebook: 07."""

    def __init__(self, branch: StreamSequence, wait: Delay) -> None:
        super().__init__()
        self.branch, self.skip = branch, wait

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.branch.reset()
        self.skip.reset()

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] -> the same shape."""
        return self.skip(x) + self.branch(x)


class StreamAnalysis(nn.Module):
    """The band split over blocks of samples. Notebook: 07."""

    signs: Tensor

    def __init__(self, pqmf: PQMF, channels: int) -> None:
        super().__init__()
        self.channels, self.n_bands = channels, pqmf.n_bands
        self.conv = StreamConv(pqmf.analysis_weight, None, left=pqmf.analysis_left, right=pqmf.analysis_right, delay=0)
        self.delay_out = self.conv.delay_out
        self.register_buffer("signs", _signs(pqmf.n_bands, self.delay_out))

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.conv.reset()

    def forward(self, audio: Tensor) -> Tensor:
        """[B, C, T] -> rows [B, T / n_bands, C * n_bands]."""
        batch, frames = audio.size(0), audio.size(2) // self.n_bands
        rows = self.conv(audio.reshape(batch * self.channels, frames, self.n_bands))
        rows = rows.view(-1, 2, self.n_bands) * self.signs
        rows = rows.view(batch, self.channels, frames, self.n_bands)
        return rows.transpose(1, 2).reshape(batch, frames, self.channels * self.n_bands)


class StreamSynthesis(nn.Module):
    """The bands joined, block by block. Notebook: 07."""

    signs: Tensor

    def __init__(self, pqmf: PQMF, channels: int, delay: int) -> None:
        super().__init__()
        self.channels, self.n_bands = channels, pqmf.n_bands
        self.conv = StreamConv(
            pqmf.synthesis_weight, None, left=pqmf.synthesis_left, right=pqmf.synthesis_right, delay=delay
        )
        self.delay_out = self.conv.delay_out * pqmf.n_bands
        self.register_buffer("signs", _signs(pqmf.n_bands, delay))

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.conv.reset()

    def forward(self, rows: Tensor) -> Tensor:
        """[B, F, C * n_bands] -> [B, C, F * n_bands]."""
        batch, frames = rows.size(0), rows.size(1)
        rows = rows.view(batch, frames, self.channels, self.n_bands).transpose(1, 2)
        rows = rows.reshape(-1, 2, self.n_bands) * self.signs
        audio = self.conv(rows.view(batch * self.channels, frames, self.n_bands))
        return audio.view(batch, self.channels, frames * self.n_bands)


def _signs(n_bands: int, delay: int) -> Tensor:
    """The filter bank's signs for an even and an odd row of a stream that is `delay` frames behind: [2, n_bands]."""
    signs = torch.ones(2, n_bands)
    signs[delay % 2, 1::2] = -1
    return signs
