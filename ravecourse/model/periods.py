"""After how many samples a sound repeats itself: the normalised autocorrelation, its peaks, and where exactly one stands.

Notebook: 05.
"""

import torch
from torch import Tensor, nn


def power_spectrum(windows: Tensor, n_fft: int) -> Tensor:
    """Squared magnitudes of windows [N, W] without their mean: [N, n_fft / 2 + 1]. Notebook: 05."""
    spectrum = torch.fft.rfft(windows - windows.mean(1, keepdim=True), n_fft)
    return (spectrum * spectrum.conj()).real


def likeness(windows: Tensor, power: Tensor, longest: int, n_fft: int) -> Tensor:
    """How alike the two stretches of a window are that lie a lag apart: 1 where one repeats the other exactly.

    Args:
        windows: [N, W]; their mean is taken out.
        power: their `power_spectrum`.
        longest: period in samples that is looked for.
        n_fft: W + longest + 2 or more, so that no lag that is read wraps around.
    Returns:
        [N, longest + 2], -1 to 1, for the lags 0 to longest + 1.
    Source: McLeod and Wyvill, A smarter way to find pitch, ICMC 2005, section 4. Notebook: 05.
    """
    size = windows.size(1)
    x = windows - windows.mean(1, keepdim=True)
    products = torch.fft.irfft(power, n_fft)[:, : longest + 2]  # [N, lags]: sum of x(t) x(t + lag)
    energy = nn.functional.pad(x.square().cumsum(1), [1, 0])  # [N, W + 1]
    both = energy[:, size - longest - 1 :].flip(1) + energy[:, size:] - energy[:, : longest + 2]  # of both stretches
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


def peaks(alike: Tensor, shortest: int) -> Tensor:
    """The height of each peak of a likeness at a lag from `shortest` on, 0 elsewhere.

    Args:
        alike: [N, longest + 2].
    Returns:
        [N, longest], for the lags 1 to longest.
    Notebook: 05.
    """
    inner = alike[:, 1:-1]
    peak = (inner > alike[:, :-2]) & (inner >= alike[:, 2:])
    peak = peak & ((inner < 0).cumsum(1) > 0)  # after it has been unlike once: the peak at lag 0 is no period
    height = torch.where(peak, inner, torch.zeros_like(inner))
    height[:, : shortest - 1] = 0.0
    return height


def top_near(alike: Tensor, place: Tensor, reach: int = 8) -> Tensor:
    """Where `alike` is highest within `reach` lags of a place: [N, longest + 2] and [N, 1] to [N, 1]. Notebook: 05."""
    lags = place + 1 + torch.arange(-reach, reach + 1, device=place.device)
    lags = lags.clamp(1, alike.size(1) - 2)
    return lags.gather(1, alike.gather(1, lags).argmax(1, keepdim=True)) - 1


def exact_period(alike: Tensor, place: Tensor) -> Tensor:
    """The period in samples at the top of a parabola through a peak and its neighbours.

    Args:
        alike: [N, longest + 2]; place: [N, 1], where the peak stands in `peaks`, which is its lag minus 1.
    Returns:
        [N], float64.
    Notebook: 05.
    """
    before, at, after = alike.gather(1, torch.cat([place, place + 1, place + 2], 1)).unbind(1)
    bend = before - 2.0 * at + after
    shift = torch.where(bend < 0, 0.5 * (before - after) / bend, torch.zeros_like(bend)).clamp(-0.5, 0.5)
    return place[:, 0] + 1.0 + shift.double()
