"""What a note sounds through: the body of the instrument and a small room, as one short impulse response."""

from functools import lru_cache
from math import gcd

import numpy as np
from scipy.signal import butter, fftconvolve, oaconvolve, resample_poly, sosfilt

from .bars import decaying_modes

BODIES: dict[str, tuple[float, float, int]] = {
    "guitar": (98.0, 0.55, 28),
    "small": (260.0, 0.5, 22),
    "harp": (140.0, 0.35, 24),
    "bass": (62.0, 0.5, 24),
    "none": (0.0, 0.0, 0),
}
"""Per body: lowest resonance in Hz, strength against the direct sound, number of resonances."""


def through(dry: np.ndarray, body: str, sample_rate: int, wet: float = 0.12, air: float = 0.0) -> np.ndarray:
    """Play a dry phrase through a body and a room: float64, as long as `dry`, with nothing below 30 Hz.

    Args: dry: [T]; body: a key of `BODIES`; sample_rate: in Hz; wet: level of the room, 0 to 1; air: dB above 4 kHz.
    Source: Fletcher & Rossing, chapter 9 (guitar bodies); Moorer 1979 (a room as decaying noise). Notebook: 01.
    """
    sound = oaconvolve(dry, _response(body, round(wet, 3), sample_rate))[: len(dry)]
    if air:
        sound += (10 ** (air / 20) - 1) * sosfilt(butter(1, 4000, "highpass", fs=sample_rate, output="sos"), sound)
    return sosfilt(butter(2, 30, "highpass", fs=sample_rate, output="sos"), sound)


@lru_cache(maxsize=24)
def _response(body: str, wet: float, sample_rate: int) -> np.ndarray:
    length = int(0.12 * sample_rate)
    lowest, strength, count = BODIES[body]
    box = np.zeros(length)
    box[0] = 1
    if count:
        rng = np.random.default_rng(sum(map(ord, body)))  # the same box every time
        hertz = lowest * np.cumprod(np.r_[1.0, 1.05 + 0.9 / np.arange(1.6, count + 0.6)])[:count]
        hertz *= 1 + 0.04 * rng.standard_normal(count)
        hertz = hertz[hertz < 7000]
        quality = 18 + 14 * rng.random(len(hertz))
        poles = (-np.pi * hertz / quality + 2j * np.pi * hertz) / sample_rate
        gains = (0.5 + rng.random(len(hertz))) * rng.choice([-1, 1], len(hertz)) * hertz / quality
        box += strength * 2 * np.pi / sample_rate * decaying_modes(poles, -1j * gains, length)
    box[-length // 8 :] *= np.linspace(1, 0, len(box[-length // 8 :]))
    return fftconvolve(box, _room(wet, sample_rate))


def _room(wet: float, sample_rate: int) -> np.ndarray:
    """Direct sound, six early reflections and a tail that loses its highs first (60 dB in 0.55 s, then cut)."""
    rng = np.random.default_rng(1977)
    t = np.arange(24000) / 48000  # the noise is drawn at one rate: the same room at every rate
    dull = sosfilt(butter(1, 2500, fs=48000, output="sos"), rng.standard_normal(len(t)))
    bright = rng.standard_normal(len(t)) * np.exp(-6.9 * t / 0.25)
    tail = (dull * np.exp(-6.9 * t / 0.55) + 0.25 * bright) * np.clip((t - 0.012) / 0.03, 0, 1)
    tail *= np.clip((t[-1] - t) / 0.1, 0, 1)
    tail *= wet * 1.6 / np.sqrt(np.sum(tail**2))
    if sample_rate != 48000:
        common = gcd(sample_rate, 48000)
        tail = resample_poly(tail, sample_rate // common, 48000 // common) * (48000 / sample_rate)
    for delay, gain in zip((0.0071, 0.0113, 0.0152, 0.0197, 0.0251, 0.0312), (7, -5, 5, -4, 4, 3), strict=True):
        tail[int(delay * sample_rate)] += wet * gain / 12
    tail[0] += 1
    return tail
