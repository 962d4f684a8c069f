"""The building blocks of encoder and decoder: padded convolutions, residual units, the noise synthesiser.

Every block maps [B, channels, frames] to the same layout and states its padding, so that `streaming` can derive from
it, and never repeats, what the block does.

Notebook: 03.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

SLOPE = 0.2  # of every LeakyReLU


class Conv(nn.Conv1d):
    """A convolution that pads its input with zeros, so that T inputs give T / stride outputs.

    Args:
        kernel: taps; dilation: distance between taps; stride: inputs per output.
        causal: output f needs no input after its own group of `stride` inputs, which ends at f * stride + stride - 1.
        padding_left: another split of the padding (the rest goes to the right).

    Output f reads the inputs from f * stride - left to f * stride + right.
    Notebook: 03.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        causal: bool = False,
        padding_left: int | None = None,
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, dilation=dilation, groups=groups, bias=bias)
        total = (kernel - 1) * dilation
        right = min(stride - 1, total) if causal else (total + 1) // 2
        self.left = total - right if padding_left is None else padding_left
        self.right = total - self.left

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, T] -> [B, outputs, T / stride]."""
        return super().forward(F.pad(x, (self.left, self.right)))


class UpConv(nn.ConvTranspose1d):
    """A transposed convolution: each input frame adds `kernel` samples to an output `stride` times as long.

    Args:
        stride: outputs per input; the kernel is 2 * stride.
        lookahead: True crops stride // 2 samples at both ends, so that the output is centred on the input and needs
            up to stride // 2 samples of the future; False crops at the right only, which is causal.

    Source: RAVE (arXiv 2111.05011), section 3.2. Notebook: 03.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, bias: bool = False, lookahead: bool = True) -> None:
        self.crop = stride // 2 if lookahead else 0
        super().__init__(inputs, outputs, 2 * stride, stride=stride, padding=self.crop, bias=bias)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # torch's has an output size beside it
        """[B, inputs, F] -> [B, outputs, F * stride]."""
        return super().forward(x)[..., : x.shape[-1] * self.stride[0]]


class Residual(nn.Module):
    """x + branch(x), where the branch keeps the shape. Source: He et al. 2015. Notebook: 03."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return x + self.branch(x)


def activation() -> nn.LeakyReLU:
    """The activation before every convolution but the first. Source: RAVE (arXiv 2111.05011). Notebook: 03."""
    return nn.LeakyReLU(SLOPE)


def conv(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    bias: bool = False,
    causal: bool = False,
    padding_left: int | None = None,
) -> Conv:
    """A `Conv` with weight normalisation (Salimans and Kingma 2016). Notebook: 03."""
    return weight_norm(
        Conv(
            inputs,
            outputs,
            kernel,
            stride=stride,
            dilation=dilation,
            bias=bias,
            causal=causal,
            padding_left=padding_left,
        )
    )


def upconv(inputs: int, outputs: int, stride: int, *, bias: bool = False, lookahead: bool = True) -> UpConv:
    """An `UpConv` with weight normalisation (Salimans and Kingma 2016). Notebook: 03."""
    return weight_norm(UpConv(inputs, outputs, stride, bias=bias, lookahead=lookahead))


def dilated_unit(channels: int, dilation: int, *, kernel: int, bias: bool = False, causal: bool = False) -> Residual:
    """A residual unit: a convolution of three taps `dilation` apart, then one of `kernel` taps (1 or 3).

    Source: the published v2 (kernel 1) and v1 (kernel 3) settings. Notebook: 03.
    """
    return Residual(
        activation(),
        conv(channels, channels, 3, dilation=dilation, bias=bias, causal=causal),
        activation(),
        conv(channels, channels, kernel, bias=bias, causal=causal),
    )


def mod_sigmoid(x: Tensor) -> Tensor:
    """A sigmoid from 1e-7 to 2 with a slow rise, for amplitudes. Source: DDSP (arXiv 2001.04643), B.5. Notebook: 03."""
    return 2 * torch.sigmoid(x) ** 2.3 + 1e-7


def filter_frames(response: Tensor, noise: Tensor, first_lag: int) -> Tensor:
    """Filter each frame of `noise` by its own impulse response; what would ring past a frame's end is dropped.

    Negative lags of the response stand at the frame's end, as in published models.

    Args:
        response: [..., lags]; noise: [..., frame], with the same dimensions before.
        first_lag: of the response's first value, 0 or below.
    Returns:
        [..., frame].
    Source: the published models. Notebook: 03.
    """
    frame = noise.size(-1)
    filtered = torch.zeros_like(noise)
    for i in range(response.size(-1)):
        shift = (i + first_lag) % frame
        filtered[..., shift:] += response[..., i : i + 1] * noise[..., : frame - shift]
    return filtered


def frame_windows(sound: Tensor, window: int, hop_length: int, lookahead: int) -> Tensor:
    """The window of each frame, which ends `lookahead` samples after it; outside the sound there is silence.

    Args:
        sound: [B, C, T], T a multiple of the hop.
    Returns:
        [B, C, T / hop_length, window].
    Notebook: 03.
    """
    past = window - hop_length - lookahead
    sound = F.pad(sound, (past, lookahead))  # where `past` is below 0, the beginning is cut off
    return sound.unfold(2, window, hop_length)


class NoiseSynth(nn.Module):
    """White noise, filtered anew in every frame as the decoder asks: breath, bow, attack.

    A small network reduces the decoder's features by the product of `strides` to frames; each frame gives `n_filter`
    amplitudes for each sub-band, from which a linear-phase impulse response of 2 * n_filter - 3 taps is made.

    Args:
        inputs: channels of the features; bands: signals to make; n_filter: amplitudes for each, 2 or more.
        kernels: taps of each strided convolution. paddings_left: their zeros at the left.

    Source: RAVE (arXiv 2111.05011), section 3.2, after DDSP (arXiv 2001.04643), B.5. Notebook: 03.
    """

    transform: Tensor

    def __init__(
        self,
        inputs: int,
        bands: int,
        n_filter: int,
        strides: tuple[int, ...],
        capacity: int,
        kernels: tuple[int, ...],
        paddings_left: tuple[int, ...],
        *,
        bias: bool,
    ) -> None:
        super().__init__()
        widths = [inputs] + [capacity] * (len(strides) - 1) + [bands * n_filter]
        layers: list[nn.Module] = []
        for i, stride in enumerate(strides):
            layers += [activation()] * (i > 0)
            layers += [
                Conv(widths[i], widths[i + 1], kernels[i], stride=stride, bias=bias, padding_left=paddings_left[i])
            ]
        self.net = nn.Sequential(*layers)
        self.bands, self.n_filter, self.frame = bands, n_filter, math.prod(strides)
        self.first_lag = 2 - n_filter

        # The inverse real Fourier transform of a symmetric spectrum, times a Hann window, as one small matrix.
        size = 2 * (n_filter - 1)
        lags = torch.arange(-(n_filter - 2), n_filter - 1, dtype=torch.float64)
        bins = torch.arange(n_filter, dtype=torch.float64)
        weights = torch.full((n_filter, 1), 2.0, dtype=torch.float64)
        weights[0] = weights[-1] = 1.0
        transform = weights * torch.cos(2 * math.pi * bins[:, None] * lags / size) / size
        window = 0.5 + 0.5 * torch.cos(2 * math.pi * lags / size)
        self.register_buffer("transform", (transform * window).float(), persistent=False)  # [n_filter, lags]

    def amplitudes(self, x: Tensor) -> Tensor:
        """The filter of each frame and band: [B, inputs, T] -> [B, bands, T / frame, n_filter], 0 to 2."""
        y = mod_sigmoid(self.net(x) - 5)  # [B, bands * n_filter, T/frame]
        return y.reshape(len(y), self.bands, self.n_filter, -1).transpose(2, 3)

    def draw(self, amplitudes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Uniform white noise in -1 to 1 for `filter`: [B, bands, frames, frame]."""
        shape = (*amplitudes.shape[:3], self.frame)
        device = generator.device if generator is not None else amplitudes.device
        return (2 * torch.rand(shape, generator=generator, device=device) - 1).to(amplitudes.device)

    def filter(self, amplitudes: Tensor, noise: Tensor) -> Tensor:
        """Filter `noise` [B, bands, frames, frame] frame by frame, into [B, bands, frames * frame]."""
        response = amplitudes @ self.transform  # [B, bands, frames, lags]
        return filter_frames(response, noise, self.first_lag).flatten(2)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """[B, inputs, T] -> filtered noise [B, bands, T]; `generator` makes the draw repeatable."""
        amplitudes = self.amplitudes(x)
        return self.filter(amplitudes, self.draw(amplitudes, generator))
