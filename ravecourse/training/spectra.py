"""Spectra and distances between them: short-time Fourier magnitudes, the multi-scale spectral distance, log-mel.

Notebook: 04.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from ravecourse.errors import RaveCourseError

FLOOR = 1e-7  # magnitudes below this count as this: keeps the logarithm and its slope finite
QUIET = 1e-3  # a whole batch below this level (-60 dB) is not blown up to full size
OVERLAP = 4  # hop = window / 4


@dataclass(frozen=True)
class Spectrum:
    """One signal's magnitudes at one scale, with what every comparison against it needs again.

    Notebook: 04.
    """

    magnitude: Tensor  # [N, frames, scale/2 + 1]
    logarithm: Tensor


class _Magnitudes(torch.autograd.Function):
    """`magnitudes` with its gradient written out: that is twice as fast as the automatic one, and training
    spends a third of its time here. Since four hops make a window, the frames are four shifted copies of the
    hops laid side by side; the gradient adds them back.
    """

    @staticmethod
    def forward(ctx: Any, signal: Tensor, scale: int) -> Tensor:
        hop = scale // OVERLAP
        padded = F.pad(signal, (scale // 2, scale // 2 + -signal.shape[-1] % hop))
        hops = padded.unflatten(-1, (-1, hop))  # [N, frames + 3, hop]
        frames = hops.shape[1] - OVERLAP + 1
        framed = torch.cat([hops[:, k : k + frames] for k in range(OVERLAP)], dim=-1)  # [N, frames, scale]
        window = torch.hann_window(scale, dtype=signal.dtype, device=signal.device)
        spectrum = torch.fft.rfft(framed.mul_(window))
        parts = torch.view_as_real(spectrum)
        magnitude = torch.addcmul(parts[..., 0].square().add_(FLOOR**2), parts[..., 1], parts[..., 1]).sqrt_()
        ctx.save_for_backward(spectrum, magnitude, window)
        ctx.length, ctx.hops = signal.shape[-1], hops.shape
        return magnitude

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        spectrum, magnitude, window = ctx.saved_tensors
        scale, hop = len(window), len(window) // OVERLAP
        slope = torch.view_as_real(spectrum) * (gradient / magnitude).unsqueeze(-1)
        slope[..., 1:-1, :] *= 0.5  # the inverse transform counts these bins twice
        framed = torch.fft.irfft(torch.view_as_complex(slope), scale, norm="forward").mul_(window)
        hops = framed.new_zeros(ctx.hops)
        frames = framed.shape[1]
        for k in range(OVERLAP):
            hops[:, k : k + frames] += framed[..., k * hop : (k + 1) * hop]
        return hops.flatten(1)[:, scale // 2 : scale // 2 + ctx.length], None


def magnitudes(signal: Tensor, scale: int) -> Tensor:
    """Short-time Fourier magnitudes with a Hann window of `scale` samples and a hop of a quarter of it.

    The signal is padded with zeros by half a window at both ends, so any length from one sample on will do.

    Args:
        signal: `[..., T]`; leading axes are flattened.
        scale: window length in samples, a multiple of 4.
    Returns:
        `[N, frames, scale/2 + 1]`, never below 1e-7.
    Source: the short-time Fourier transform, as `torch.stft` defines it with `center=True`. Notebook: 04.
    """
    return _Magnitudes.apply(signal.reshape(-1, signal.shape[-1]), scale)


def _compare(target: Spectrum, estimate: Spectrum, scale: int) -> Tensor:
    difference = (estimate.magnitude - target.magnitude).square().mean()
    quiet = QUIET**2 * 0.375 * scale  # mean square magnitude of noise at that level under a Hann window
    relative = difference / (target.magnitude.square().mean() + quiet)
    return relative + (estimate.logarithm - target.logarithm).abs().mean()


class SpectralDistance:
    """Multi-scale spectral distance: for each scale the relative squared error of the magnitudes, which weighs
    the loud partials, plus the mean absolute difference of their logarithms, which weighs the quiet ones;
    summed over the scales.

    Means are taken over the whole batch, so a silent example weighs nothing in the first part and does not
    divide by zero. The target's transforms carry no gradient; `spectra` computes them once where one target
    is compared often.

    Args:
        scales: window lengths in samples, each a multiple of 4.
    Raises:
        RaveCourseError: no scales, or one that is not a positive multiple of 4.
    Source: RAVE (arXiv 2111.05011), equation 4; DDSP (arXiv 2001.04643), section 4.2. Notebook: 04.
    """

    def __init__(self, scales: tuple[int, ...]) -> None:
        wrong = [n for n in scales if n < 4 or n % 4]
        if wrong or not scales:
            raise RaveCourseError(
                f"STFT scales {tuple(scales)} cannot be used: give at least one, each a "
                "positive multiple of 4, like 2048, 512, 128."
            )
        self.scales = tuple(scales)

    def spectra(self, signal: Tensor) -> list[Spectrum]:
        """Transform `signal` `[..., T]` at every scale. Source: see the class. Notebook: 04."""
        found = [magnitudes(signal, n) for n in self.scales]
        return [Spectrum(m, m.log()) for m in found]

    def __call__(self, target: Tensor | list[Spectrum], estimate: Tensor) -> Tensor:
        """The distance of `estimate` from `target`, 0 where equal.

        Args:
            target: `[..., T]`, or what `spectra` made of it.
            estimate: the same shape as the target; gradients flow into it.
        Returns:
            a scalar.
        Source: see the class. Notebook: 04.
        """
        if isinstance(target, Tensor):
            with torch.no_grad():
                target = self.spectra(target)
        pairs = zip(target, self.spectra(estimate), self.scales, strict=True)
        return torch.stack([_compare(t, e, n) for t, e, n in pairs]).sum()


def mel_filters(n_mels: int, n_fft: int, sample_rate: int) -> Tensor:
    """Triangular filters, evenly spaced on the mel scale from 0 Hz to half the sample rate, each with peak 1.

    Returns:
        `[n_fft/2 + 1, n_mels]`.
    Source: the mel scale of O'Shaughnessy (1987), 2595 log10(1 + f / 700), through `torchaudio`. Notebook: 04.
    """
    return melscale_fbanks(n_fft // 2 + 1, 0.0, sample_rate / 2, n_mels, sample_rate)


def log_mel_distance(target: Tensor, estimate: Tensor, sample_rate: int) -> Tensor:
    """The number that this course reports: mean absolute difference of log10 mel magnitudes (1 is 20 dB a
    band).

    80 mel bands, window 2048, hop 512, Hann, log10(. + 1e-5).

    Args:
        target, estimate: `[..., T]`, equal shapes.
        sample_rate: Hz.
    Returns:
        a scalar, 0 where equal.
    Notebook: 04.
    """
    filters = mel_filters(80, 2048, sample_rate).to(target)
    a, b = (torch.log10(magnitudes(x, 2048) @ filters + 1e-5) for x in (target, estimate))
    return (a - b).abs().mean()
