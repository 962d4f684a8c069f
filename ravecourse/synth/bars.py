"""Struck bars, bells and plates: modal synthesis."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq


class Bar(NamedTuple):
    """A kind of struck object: its mode ratios and how it loses energy.

    Fields: `ratios` of the modes to the sounding pitch; `loss` and `loss_by_square`: a mode at f Hz decays as
    exp(-t (loss + loss_by_square f^2)); `beam`: whether the modes weigh by the shape of a free beam; `tube`:
    strength of a resonator below the bar, 0 for none; `split`: beating, relative distance between the two
    members of a mode; `knock`: how loud the thud of the strike is; `low`, `high`: MIDI pitch range.

    Source: Chaigne & Doutaut 1997 (losses); Fletcher & Rossing, chapters 2, 3, 19 and 21 (modes). Notebook: 01.
    """

    ratios: tuple[float, ...]
    loss: float
    loss_by_square: float
    beam: bool
    tube: float
    split: float
    knock: float
    low: int
    high: int


@lru_cache(maxsize=8)
def beam_roots(count: int) -> np.ndarray:
    """The first `count` positive roots of cosh(x) cos(x) = 1: wave numbers times length of a beam with free ends.

    Source: Fletcher & Rossing, section 2.15. Notebook: 01.
    """

    def equation(x: float) -> float:
        return np.cos(x) - 1 / np.cosh(x)

    return np.array([brentq(equation, (k + 0.5) * np.pi - 0.4, (k + 0.5) * np.pi + 0.4) for k in range(1, count + 1)])


def beam_ratios(count: int) -> tuple[float, ...]:
    """Frequencies of a uniform free beam over its lowest: 1, 2.757, 5.404, 8.933, ...

    Source: Fletcher & Rossing, section 2.15 (frequency goes with the square of the wave number). Notebook: 01.
    """
    return tuple((beam_roots(count) / beam_roots(count)[0]) ** 2)


def beam_shape(count: int, position: float) -> np.ndarray:
    """Displacement [count] of each mode of a free beam at `position` (0 one end, 1 the other); 2 at the ends.

    Source: Fletcher & Rossing, section 2.15, written so that large roots lose no digits. Notebook: 01.
    """
    x = beam_roots(count)
    below = np.sinh(x) - np.sin(x)
    missing = (np.cos(x) - np.sin(x) - np.exp(-x)) / below  # 1 - sigma, tiny for high modes
    u = x * position
    return np.cos(u) - (1 - missing) * np.sin(u) + 0.5 * missing * np.exp(u) + (1 - 0.5 * missing) * np.exp(-u)


def plate_ratios(count: int, aspect: float = 1.31) -> tuple[float, ...]:
    """Frequencies of a simply supported rectangular plate over its lowest: proportional to m^2 + (aspect n)^2.

    Source: Fletcher & Rossing, section 3.12. Notebook: 01.
    """
    m, n = np.meshgrid(np.arange(1, 9), np.arange(1, 9))
    values = np.sort((m**2 + (aspect * n) ** 2).ravel())[:count]
    return tuple(values / values[0])


BARS: dict[str, Bar] = {
    "marimba": Bar((1, 3.98, 9.62, 16.7, 24.9, 33.8), 3.0, 1.0e-5, True, 0.9, 0.0, 0.55, 45, 86),
    "xylophone": Bar((1, 3.0, 6.1, 10.2, 15.3, 21.0), 7.0, 3.0e-6, True, 0.5, 0.0, 0.8, 60, 100),
    "woodblock": Bar((1, 2.57, 4.18, 5.9, 7.7, 9.8, 12.1), 34.0, 6.0e-6, False, 0.0, 0.0, 1.0, 64, 96),
    "vibraphone": Bar((1, 4.0, 10.1, 18.3, 27.6), 0.9, 1.5e-7, True, 0.6, 0.0002, 0.22, 53, 89),
    "glockenspiel": Bar(beam_ratios(7), 1.1, 6.0e-8, True, 0.0, 0.0004, 0.3, 72, 103),
    "bell": Bar(
        (0.5, 1, 1.19, 1.5, 2, 2.51, 2.67, 3.01, 3.33, 4.17, 5.43, 6.79, 8.21),
        0.7,
        2.5e-7,
        False,
        0.0,
        0.0009,
        0.25,
        50,
        84,
    ),
    "plate": Bar(plate_ratios(22), 2.2, 4.0e-7, False, 0.0, 0.0012, 0.35, 43, 76),
}
"""The kinds of bars. The first three are wood, the others metal. Notebook: 01."""


def strike(
    kind: str,
    frequency: float,
    seconds: float,
    *,
    rng: np.random.Generator,
    sample_rate: int = 48000,
    velocity: float = 0.7,
    hardness: float = 0.5,
    position: float = 0.42,
    tremolo_hz: float = 0.0,
) -> np.ndarray:
    """One struck note: float64 [seconds * sample_rate], peak `velocity`^1.3, not faded at its end.

    Args:
        kind: a key of `BARS`.
        frequency: sounding pitch in Hz.
        seconds: length of the note.
        rng: draws the small differences between two strikes and the noise of contact.
        velocity: 0 to 1; louder is also brighter.
        hardness: of the mallet, 0 (yarn, 3 ms of contact) to 1 (brass, 0.15 ms).
        position: where it is struck along the bar, 0 to 1; 0.224 is a node of the first mode.
        tremolo_hz: turning lids above the tubes (vibraphone); 0 for none.

    Source: Fletcher & Rossing, chapter 19; Chaigne & Doutaut 1997; Adrien 1991 (modal synthesis). Notebook: 01.
    """
    bar = BARS[kind]
    length = int(round(seconds * sample_rate))
    ratios = np.asarray(bar.ratios, float)
    hertz = frequency * ratios
    weight = np.abs(beam_shape(len(ratios), position)) if bar.beam else 0.35 + rng.random(len(ratios))
    if not bar.beam:
        weight[1] = max(weight[1], 0.9)  # the pitch of a bell or plate must not vanish by chance
    keep = hertz < min(20000.0, 0.47 * sample_rate)
    hertz, weight = hertz[keep], weight[keep]

    contact = 1e-3 * 3.0 * (0.05**hardness) * (1.3 - 0.5 * velocity)  # seconds
    weight = weight * _contact_spectrum(hertz, contact) * (1 + 0.06 * rng.standard_normal(len(hertz)))
    rate = bar.loss + bar.loss_by_square * hertz**2  # 1/s
    poles = (-rate + 2j * np.pi * hertz) / sample_rate
    gains = -1j * weight  # every mode starts as a sine, from rest
    if bar.split:
        shift = 2j * np.pi * hertz * bar.split / sample_rate
        poles, gains = np.r_[poles - shift, poles + shift], np.r_[0.6 * gains, 0.4 * gains]
    note = decaying_modes(poles, gains, length)
    if bar.tube:
        note += _tube(bar.tube * weight[0], hertz[0], rate[0], length, sample_rate, tremolo_hz)

    n = np.arange(min(length, int(0.05 * sample_rate)))
    rise = max(1, int(0.5 * contact * sample_rate))
    note[:rise] *= np.sin(0.5 * np.pi * np.arange(rise)[:length] / rise) ** 2
    note *= velocity**1.3 / max(np.abs(note).max(), 1e-12)
    note[: len(n)] += bar.knock * velocity**1.3 * _thud(n, contact, hardness, velocity, sample_rate, rng)
    return note * (velocity**1.3 / max(np.abs(note).max(), 1e-12))


def decaying_modes(poles: np.ndarray, gains: np.ndarray, length: int) -> np.ndarray:
    """The sum over modes of Re(gain * exp(pole * n)), n = 0 ... length - 1, as one matrix product: float64 [length].

    Args: poles: complex [M], per sample; gains: complex [M]; length: in samples.
    Source: exp(p (256 a + b)) = exp(256 p a) exp(p b); this course. Notebook: 01.
    """
    blocks = -(-length // 256)
    slow = gains * np.exp(np.arange(blocks)[:, None] * 256 * poles)  # [blocks, M]
    fast = np.exp(poles[:, None] * np.arange(256))  # [M, 256]
    return (slow.real @ fast.real - slow.imag @ fast.imag).ravel()[:length]


def _contact_spectrum(hertz: np.ndarray, contact: float) -> np.ndarray:
    """Magnitude of the transform of a raised-cosine push `contact` seconds long, 1 at 0 Hz; gently beyond its zeros."""
    u = hertz * contact
    return 1 / (1 + (u / 0.9) ** 2) ** 1.25


def _tube(gain: float, hertz: float, rate: float, length: int, sample_rate: int, tremolo_hz: float) -> np.ndarray:
    """Air column tuned to the bar: swells within some periods while it takes the energy, then follows the bar."""
    build = rate + hertz / 6
    pole = 2j * np.pi * hertz / sample_rate
    air = decaying_modes(
        np.array([pole - rate / sample_rate, pole - build / sample_rate]), np.array([-1j * gain, 1j * gain]), length
    )
    if tremolo_hz:
        air *= 1 - 0.55 * (0.5 - 0.5 * np.cos(2 * np.pi * tremolo_hz * np.arange(length) / sample_rate))
    return air


def _thud(
    n: np.ndarray, contact: float, hardness: float, velocity: float, sample_rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Contact noise: a few milliseconds, as bright as the mallet is hard."""
    burst = rng.standard_normal(len(n)) * np.exp(-n / ((0.0012 + 0.6 * contact) * sample_rate))
    width = max(2, int(0.35 * contact * sample_rate))
    shape = np.hanning(width + 2)[1:-1]
    burst = np.convolve(burst, shape / shape.sum())[: len(n)]
    burst *= np.minimum(1, n / (0.0002 * sample_rate + 1)) * 0.5 * (1 + np.cos(np.pi * n / max(len(n), 1)))
    return (0.18 + 0.3 * hardness * velocity) * burst / max(np.abs(burst).max(), 1e-12)
