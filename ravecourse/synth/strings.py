"""Plucked strings: a digital waveguide, evaluated note by note in the frequency domain."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import brentq
from scipy.signal import lfilter

DISPERSION_STAGES = 4


class StringLoop(NamedTuple):
    """One trip of a wave along the string and back, as the recursive filter that Karplus and Strong found.

    The string is y = x + L y with L(z) = gain * z^-delay * loss(z) * dispersion(z)^4 * tuning(z), where
    loss(z) = (1 - p) / (1 - p z^-1) takes more from high partials, and dispersion and tuning are first-order
    all-passes (c + z^-1) / (1 + c z^-1): stiffness, and the fraction of a sample that a whole delay cannot give.

    Source: Karplus & Strong 1983; Jaffe & Smith 1983, sections 2 and 3. Notebook: 01.
    """

    delay: int
    gain: float
    loss: float
    dispersion: float
    tuning: float


def string_loop(
    frequency: float, decay_seconds: float, high_decay_seconds: float, stiffness: float, sample_rate: int = 48000
) -> StringLoop:
    """Design the loop of a string that sounds at `frequency`.

    Args:
        frequency: fundamental in Hz, 30 to sample_rate / 20.
        decay_seconds: time for the fundamental to fall by 60 dB.
        high_decay_seconds: the same at 5 kHz, shorter than `decay_seconds`.
        stiffness: B in f_k = k f sqrt(1 + B k^2), 0 (ideal string) to about 3e-4.
        sample_rate: in Hz.

    Source: Jaffe & Smith 1983 (loss and tuning); Rauhala & Valimaki 2006 (dispersion). Notebook: 01.
    """
    omega = 2 * np.pi * frequency / sample_rate
    reference = max(5000.0, 3 * frequency)
    low = 10 ** (-3 / (frequency * decay_seconds))
    high = 10 ** (-3 / (frequency * min(high_decay_seconds, 0.9 * decay_seconds)))
    loss = _loss_coefficient(high / low, 2 * np.pi * reference / sample_rate)
    gain = low / _magnitude_one_pole(loss, omega)

    # Stiffness: the k-th partial needs a shorter trip than the first by `wanted` samples.
    k = max(2, int(min(25, 0.22 * sample_rate / frequency)))
    stretched = k * np.sqrt((1 + stiffness * k * k) / (1 + stiffness))
    wanted = (sample_rate / frequency) * (k / stretched - 1)

    def error(c: float) -> float:
        at_k = DISPERSION_STAGES * _allpass_delay(c, stretched * omega) + _one_pole_delay(loss, stretched * omega)
        at_1 = DISPERSION_STAGES * _allpass_delay(c, omega) + _one_pole_delay(loss, omega)
        return at_k - at_1 - wanted

    room = 0.4 * sample_rate / frequency / DISPERSION_STAGES  # the all-passes may hold 40 % of the trip
    lowest = max(-0.9, (1 - room) / (1 + room))
    dispersion = (
        brentq(error, lowest, 0.6) if error(lowest) < 0 < error(0.6) else (lowest if error(lowest) >= 0 else 0.0)
    )

    left = (
        sample_rate / frequency - _one_pole_delay(loss, omega) - DISPERSION_STAGES * _allpass_delay(dispersion, omega)
    )
    delay = int(np.floor(left - 0.5))  # leaves 0.5 to 1.5 samples to the tuning all-pass, where it is flat
    rest = left - delay
    tuning = np.sin((1 - rest) * omega / 2) / np.sin((1 + rest) * omega / 2)
    return StringLoop(delay, gain, loss, dispersion, float(tuning))


def pluck(
    frequency: float,
    seconds: float,
    *,
    rng: np.random.Generator,
    sample_rate: int = 48000,
    velocity: float = 0.7,
    position: float = 0.18,
    hardness: float = 0.5,
    decay_seconds: float = 4.0,
    high_decay_seconds: float = 0.4,
    stiffness: float = 5e-5,
    noise: float = 0.15,
    courses: tuple[tuple[float, float, float], ...] = ((0.0, 1.0, 1.0),),
) -> np.ndarray:
    """One plucked note, before the body of the instrument: float64 [seconds * sample_rate], peak `velocity`^1.3.

    Args:
        frequency: fundamental in Hz.
        seconds: length of the note; the string rings on until the end, which is not faded.
        rng: draws the noise of the attack.
        velocity: 0 to 1; louder is also brighter.
        position: where it is plucked, as a part of the string (0.5 silences the even partials).
        hardness: 0 (flesh) to 1 (plectrum).
        decay_seconds, high_decay_seconds, stiffness: see `string_loop`.
        noise: amount of scrape in the attack, 0 to 1.
        courses: (cents, weight, decay factor) of strings, or of planes of one string, that sound together.

    The recursion is a ratio of polynomials in z^-1. It is evaluated on a circle a little outside the unit circle,
    where its response has decayed within the transform, and transformed back: the same samples as the recursion.

    Source: Karplus & Strong 1983; Jaffe & Smith 1983 (pick position, dynamics); Weinreich 1977 (two decays).
    Notebook: 01.
    """
    length = int(round(seconds * sample_rate))
    z, growth = _circle(next_fast_len(length + sample_rate // 8, real=True))
    bins, size = len(z), len(growth)

    excitation = _finger(velocity, hardness, sample_rate)
    spectrum = rfft(excitation / growth[: len(excitation)], size)
    trip = position * sample_rate / frequency
    whole, part = int(trip), trip - int(trip)
    spectrum *= 1 - _power(whole, size, bins) * ((1 - part) + part * z)
    spectrum /= 1 - np.exp(-2 * np.pi * 0.7 * frequency / sample_rate) * z  # force on the bridge: about 1/k

    total = np.zeros(bins, complex)
    for cents, weight, factor in courses:
        loop = string_loop(
            frequency * 2 ** (cents / 1200), decay_seconds * factor, high_decay_seconds * factor, stiffness, sample_rate
        )
        total += weight * _closed_loop(loop, z, size)
    note = irfft(spectrum * total, size)[:length] * growth[:length]
    note /= max(np.abs(note).max(), 1e-12)
    if noise:
        scrape = _scrape(length, hardness, sample_rate, rng)
        note[: len(scrape)] += noise * (0.1 + 0.5 * velocity) * (0.35 + 0.65 * hardness) * scrape
    return note * (velocity**1.3 / max(np.abs(note).max(), 1e-12))


def _closed_loop(loop: StringLoop, z: np.ndarray, size: int) -> np.ndarray:
    """1 / (1 - L) at the points whose z^-1 are given."""
    dispersion = (loop.dispersion + z) / (1 + loop.dispersion * z)
    dispersion *= dispersion
    dispersion *= dispersion
    trip = _power(loop.delay, size, len(z)) * dispersion * (loop.tuning + z)
    below = (1 - loop.loss * z) * (1 + loop.tuning * z)
    return below / (below - loop.gain * (1 - loop.loss) * trip)


def _finger(velocity: float, hardness: float, sample_rate: int) -> np.ndarray:
    """The push of a finger or plectrum: a smooth pulse of area 1, shorter when harder and louder."""
    width = 1e-3 * (0.1 + 0.75 * (1 - hardness) ** 1.5 * (1.25 - velocity) + 0.25 * (1 - velocity))
    n = np.arange(int(0.02 * sample_rate))
    pulse = np.where(n < width * sample_rate, np.sin(np.pi * (n + 0.5) / (width * sample_rate)) ** 2, 0.0)
    return pulse / pulse.sum()


def _scrape(length: int, hardness: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of the finger or plectrum as it leaves the string, peak 1; brighter when hard."""
    n = np.arange(min(length, int(0.03 * sample_rate)))
    burst = rng.standard_normal(len(n)) * np.exp(-n / ((0.002 + 0.003 * (1 - hardness)) * sample_rate))
    burst *= np.minimum(1, n / (0.0003 * sample_rate)) * np.linspace(1, 0, len(n))
    burst = lfilter([1 - 0.5 * (1 - hardness), 0.2 - 0.5 * hardness], [1], burst)
    return burst / max(np.abs(burst).max(), 1e-12)


@lru_cache(maxsize=48)
def _circle(size: int) -> tuple[np.ndarray, np.ndarray]:
    """z^-1 at the points of a circle of radius 10^(6 / size), and that radius to the powers 0 ... size - 1."""
    angle = 2 * np.pi * np.arange(size // 2 + 1) / size
    shrink = np.log(1e6) / size
    return np.exp(-shrink - 1j * angle), np.exp(shrink * np.arange(size))


def _power(n: int, size: int, bins: int) -> np.ndarray:
    """z^-n on the same circle."""
    angle = (2 * np.pi / size) * (np.arange(bins) * n % size)
    out = np.empty(bins, complex)
    np.cos(angle, out=out.real)
    np.sin(-angle, out=out.imag)
    out *= 1e6 ** (-n / size)
    return out


def _loss_coefficient(ratio: float, omega: float) -> float:
    """The p for which (1 - p) / (1 - p z^-1) has the magnitude `ratio` at `omega`."""
    square = min(ratio * ratio, 0.999999)
    half = (1 - square * np.cos(omega)) / (1 - square)
    return float(half - np.sqrt(half * half - 1))


def _magnitude_one_pole(p: float, omega: float) -> float:
    return float((1 - p) / np.abs(1 - p * np.exp(-1j * omega)))


def _one_pole_delay(p: float, omega: float) -> float:
    return float(np.arctan2(p * np.sin(omega), 1 - p * np.cos(omega)) / omega)


def _allpass_delay(c: float, omega: float) -> float:
    """Phase delay in samples of (c + z^-1) / (1 + c z^-1)."""
    return float(1 - 2 * np.arctan2(c * np.sin(omega), 1 + c * np.cos(omega)) / omega)
