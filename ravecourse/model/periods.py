"""After how many samples a sound repeats itself: the normalised autocorrelation, its peaks, and where exactly one stands.

Notebook: 05.
"""

import torch
from torch import Tensor, nn


def power_spectrum(windows: Tensor, n_fft: int) -> Tensor:
    """Squared magnitudes of windows [N, W]: [N, n_fft / 2 + 1]. Notebook: 05."""
    spectrum = torch.fft.rfft(windows, n_fft)
    return (spectrum * spectrum.conj()).real


def likeness(windows: Tensor, power: Tensor, lags: Tensor, n_fft: int) -> Tensor:
    """How alike the two stretches of a window are that lie a lag apart: 1 where one repeats the other exactly.

    Args:
        windows: [N, W], with a mean of 0.
        power: their `power_spectrum`.
        lags: [N, L], in samples.
        n_fft: W and the longest lag together, or more, so that no lag wraps around.
    Returns:
        [N, L], -1 to 1.
    Source: McLeod and Wyvill, A smarter way to find pitch, ICMC 2005, section 4. Notebook: 05.
    """
    products = torch.fft.irfft(power, n_fft).gather(1, lags)  # [N, L]: sum of x(t) x(t + lag)
    energy = nn.functional.pad(windows.square().cumsum(1), [1, 0])  # [N, W + 1], up to each sample
    both = energy.gather(1, windows.size(1) - lags) + energy[:, -1:] - energy.gather(1, lags)  # of both stretches
    return 2.0 * products / both.clamp(min=1e-9)


def evened_likeness(power: Tensor, treble: Tensor, taper: Tensor, n_fft: int) -> Tensor:
    """As `likeness`, of the sound with less treble, and with the differences between its partials reduced by a quarter in dB.

    So one strong partial, a formant of a voice, does not pass for the whole sound, and its period is not taken for that of
    the note; and noise, whose spectrum is made of many differences, is less like itself. Where exactly the peaks stand,
    `likeness` says better.

    Args:
        power: `power_spectrum` of the windows.
        treble: [n_fft / 2 + 1], a factor for the magnitude at each frequency.
        taper: [longest + 2], the share of a window that two stretches so far apart have in common.
        n_fft: W + longest + 2 or more.
    Returns:
        [N, longest + 2], for the lags 0, where it is 1, to longest + 1.
    Source: Tolonen and Karjalainen, A computationally efficient multipitch analysis model, 2000, section III. Notebook: 05.
    """
    size = power.sqrt() * treble
    products = torch.fft.irfft(size * size.sqrt(), n_fft)[:, : taper.size(0)]
    return products / (products[:, :1].clamp(min=1e-9) * taper)


def peaks(alike: Tensor) -> Tensor:
    """The height of each peak of a likeness, 0 elsewhere.

    Args:
        alike: [N, longest + 2], for the lags 0 to longest + 1.
    Returns:
        [N, longest], for the lags 1 to longest.
    Notebook: 05.
    """
    inner = alike[:, 1:-1]
    peak = (inner > alike[:, :-2]) & (inner >= alike[:, 2:])
    peak = peak & ((inner < 0).cumsum(1) > 0)  # after it has been unlike once: the peak at lag 0 is no period
    return torch.where(peak, inner, 0.0)


def exact_period(alike: Tensor, lags: Tensor) -> Tensor:
    """The period in samples at the top of a parabola through the highest of neighbouring lags and those beside it.

    Args:
        alike, lags: [N, L], a likeness at lags that follow one another; the first and the last are not the highest.
    Returns:
        [N], float64.
    Notebook: 05.
    """
    top = alike[:, 1:-1].argmax(1, keepdim=True)
    before, at, after = alike.gather(1, torch.cat([top, top + 1, top + 2], 1)).unbind(1)
    bend = before - 2.0 * at + after
    shift = torch.where(bend < 0, 0.5 * (before - after) / bend, 0.0).clamp(-0.5, 0.5)
    return lags.gather(1, top + 1)[:, 0] + shift.double()
