"""A singing voice: glottal pulses, breath noise and a vocal tract that moves between vowels."""

from functools import lru_cache

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.optimize import brentq

VOWELS: dict[str, tuple[float, ...]] = {
    "a": (730, 1090, 2440, 3400, 4500),
    "e": (430, 1950, 2550, 3450, 4500),
    "i": (280, 2250, 3000, 3550, 4500),
    "o": (470, 830, 2410, 3300, 4500),
    "u": (310, 800, 2240, 3300, 4500),
}
"""Formants in Hz of an adult male tract. Source: Peterson & Barney 1952 (a, i, u); Klatt 1980 (e, o, F4, F5)."""

VOICES: dict[str, tuple[float, float, int, int]] = {
    "bass": (0.94, 0.6, 38, 60),
    "tenor": (1.0, 0.6, 47, 67),
    "alto": (1.12, 0.25, 54, 73),
    "soprano": (1.18, 0.1, 60, 81),
}
"""Per voice: scale of the formants, pull towards the singer's formant, lowest and highest MIDI pitch.
Source: Peterson & Barney 1952 (women's formants are 1.1 to 1.2 times men's); Sundberg 1987, chapter 5."""

BANDWIDTHS = np.array([80.0, 90.0, 130.0, 220.0, 320.0])
FRAMES_PER_SECOND = 50


def formants(voice: str, vowel: str) -> np.ndarray:
    """The five formants in Hz, float64 [5], of a vowel ("a e i o u") sung by a voice (a key of `VOICES`).

    Source: Peterson & Barney 1952; Klatt 1980; Sundberg 1987 (F3 to F5 draw together near 2.9 kHz). Notebook: 01.
    """
    scale, pull, _, _ = VOICES[voice]
    values = np.array([scale, scale, scale, scale**0.5, scale**0.5]) * np.asarray(VOWELS[vowel], float)
    cluster = scale * np.array([2600.0, 2950.0, 3400.0])
    values[2:] += pull * (np.maximum(cluster, values[1] + 300) - values[2:])
    return np.maximum.accumulate(values + np.arange(5))


@lru_cache(maxsize=16)
def glottal_pulse(rd: float, points: int = 4096) -> np.ndarray:
    """One period of the derivative of the air flow through the glottis, float64 [points], mean 0, lowest value -1.

    Args:
        rd: shape, 0.4 (pressed, bright) to 2.6 (soft, almost a sine).
        points: samples in the period.

    Source: Fant, Liljencrants & Lin 1985 (the LF model); Fant 1995 (its one-parameter form). Notebook: 01.
    """
    ra, rk = (4.8 * rd - 1) / 100, (22.4 + 11.8 * rd) / 100
    rg = rk / (4 * (0.11 * rd / (0.5 + 1.2 * rk) - ra))
    rise = 1 / (2 * rg)  # time of the largest flow
    close = rise * (1 + rk)  # time of the closure, where the derivative is -1
    rest = 1 - close
    epsilon = brentq(lambda e: e * ra - 1 + np.exp(-e * rest), 1e-3 / ra, 2 / ra)
    turn = np.pi / rise

    def flow_left(alpha: float) -> float:
        scale = -1 / (np.exp(alpha * close) * np.sin(turn * close))
        opened = scale * (
            (np.exp(alpha * close) * (alpha * np.sin(turn * close) - turn * np.cos(turn * close)) + turn)
            / (alpha**2 + turn**2)
        )
        returned = -((1 - np.exp(-epsilon * rest)) / epsilon - rest * np.exp(-epsilon * rest)) / (epsilon * ra)
        return opened + returned

    alpha = brentq(flow_left, -40.0, 120.0)
    t = np.arange(points) / points
    scale = -1 / (np.exp(alpha * close) * np.sin(turn * close))
    opened = scale * np.exp(alpha * np.minimum(t, close)) * np.sin(turn * t)
    returned = -(np.exp(-epsilon * (t - close)) - np.exp(-epsilon * rest)) / (epsilon * ra)
    pulse = np.where(t < close, opened, returned)
    return pulse - pulse.mean()


def sing(
    frequency: np.ndarray,
    effort: np.ndarray,
    tract: np.ndarray,
    *,
    rng: np.random.Generator,
    sample_rate: int = 48000,
    breathiness: float = 0.3,
    breath: np.ndarray | None = None,
) -> np.ndarray:
    """A sung line with given pitch, loudness and vowels: float64 [T], not normalised.

    Args:
        frequency: [T] in Hz, 50 to 1200, vibrato and glides included.
        effort: [T], 0 (silent) to 1 (forte); also tightens the glottal pulse.
        tract: [F, 5] formants in Hz, `FRAMES_PER_SECOND` frames a second from sample 0 on, F >= T * 50 / rate + 1.
        rng: draws jitter, shimmer and breath noise.
        breathiness: 0 to 1.
        breath: [T], extra noise without voice (breathing in), or None.

    Source: Fant 1960 (source and filter); Klatt 1980 (cascade, aspiration by cycle); Klatt & Klatt 1990 (jitter,
    shimmer); Sundberg 1987 (F1 follows a pitch that rises above it). Notebook: 01.
    """
    length = len(frequency)
    source = _source(frequency, effort, rng, sample_rate, breathiness)
    if breath is not None:
        source += 0.5 * breath * rng.standard_normal(length)
    hop = sample_rate // FRAMES_PER_SECOND
    frames = -(-length // hop) + 1
    tract = np.array(tract[:frames], float)
    pitch = frequency[np.minimum(np.arange(frames) * hop, length - 1)]
    tract[:, 0] = np.maximum(tract[:, 0], 1.02 * pitch)
    tract[:, 1] = np.maximum(tract[:, 1], tract[:, 0] + 250)
    poles = vowel_poles(tract, sample_rate)  # [F, order + 1]
    return _moving_tract(source, poles, _loudness(poles, pitch, sample_rate) ** -0.6, hop, sample_rate)


def vowel_poles(tract: np.ndarray, sample_rate: int) -> np.ndarray:
    """Denominators [F, order + 1] of all-pole tracts with formants [F, 5], each of gain 1 at 0 Hz.

    Above the fifth formant a tube goes on resonating, about every 1000 Hz; those poles are fixed.

    Source: Klatt 1980, cascade branch; Fant 1960 (higher pole correction). Notebook: 01.
    """
    higher = np.arange(5700.0, 0.485 * sample_rate, 1050.0)
    hertz = np.concatenate([tract, np.broadcast_to(higher, (len(tract), len(higher)))], 1)  # [F, P]
    width = np.concatenate([BANDWIDTHS, 400 + 0.07 * (higher - 5000)])
    radius = np.exp(-np.pi * width / sample_rate)
    middle = -2 * radius * np.cos(2 * np.pi * hertz / sample_rate)  # [F, P]
    poly = np.zeros((len(tract), 2 * hertz.shape[1] + 1))
    poly[:, 0] = 1
    for k in range(hertz.shape[1]):
        gain = 1 + middle[:, k : k + 1] + radius[k] ** 2
        grown = poly.copy()
        grown[:, 1:] += middle[:, k : k + 1] * poly[:, :-1]
        grown[:, 2:] += radius[k] ** 2 * poly[:, :-2]
        poly = grown / gain
    return poly


def _loudness(poles: np.ndarray, pitch: np.ndarray, sample_rate: int) -> np.ndarray:
    """How loud each frame [F] would be for the same effort: a singer gives less where a harmonic meets a formant."""
    harmonic = np.arange(1, 17)
    turn = np.exp(-2j * np.pi * pitch[:, None] * harmonic / sample_rate)  # [F, 16]
    below = np.zeros(turn.shape, complex)
    for k in range(poles.shape[1] - 1, -1, -1):
        below = below * turn + poles[:, k : k + 1]
    return np.sqrt(np.sum((harmonic**-1.0 / np.abs(below)) ** 2, 1))


def _moving_tract(source: np.ndarray, poles: np.ndarray, gain: np.ndarray, hop: int, sample_rate: int) -> np.ndarray:
    """Filter through vowels that change: overlapping windows, each through its own tract, added up again."""
    frames, window = len(poles), np.hanning(2 * hop + 1)[:-1]
    padded = np.zeros((frames + 1) * hop)
    padded[hop : hop + len(source)] = source
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop] * (gain[:, None] * window)
    ring = int(0.07 * sample_rate)  # the narrowest formant has fallen by 120 dB
    size = next_fast_len(2 * hop + ring, real=True)
    pieces = irfft(rfft(pieces, size) / rfft(poles, size), size)
    overlap = -(-size // hop)
    out = np.zeros((frames + overlap, hop))
    pieces = np.pad(pieces, ((0, 0), (0, overlap * hop - size))).reshape(frames, overlap, hop)
    for k in range(overlap):
        out[k : k + frames] += pieces[:, k]
    return out.ravel()[hop : hop + len(source)]


def _source(
    frequency: np.ndarray, effort: np.ndarray, rng: np.random.Generator, sample_rate: int, breathiness: float
) -> np.ndarray:
    """Glottal pulses with jitter and shimmer, and noise that is let through while the glottis is open."""
    phase = np.cumsum(frequency) / sample_rate  # in cycles
    cycles = int(phase[-1]) + 3
    uneven = rng.standard_normal((cycles, 2))
    jitter = np.interp(phase, np.arange(cycles), 0.012 * uneven[:, 0])
    shimmer = np.interp(phase, np.arange(cycles), 1 + 0.05 * uneven[:, 1])
    phase = phase + jitter * 0.5
    place = (phase % 1.0) * 4096
    index = place.astype(np.int64)
    part = place - index
    level = np.clip(2 * np.log2(frequency / 55), 0, 10).astype(np.int64)
    offset = level * 4097 + index
    tense, soft = _tables(0.55, sample_rate), _tables(2.0, sample_rate)
    pressed = tense[offset] + part * (tense[offset + 1] - tense[offset])
    relaxed = soft[offset] + part * (soft[offset + 1] - soft[offset])
    mix = np.clip(effort, 0, 1) ** 0.8
    voiced = (mix * pressed + (1 - mix) * relaxed) * shimmer
    gate = 0.25 + 0.75 * np.clip(np.sin(2 * np.pi * (place / 4096 - 0.1)), 0, None)
    noise = np.diff(rng.standard_normal(len(phase) + 1)) * gate
    return effort * voiced + breathiness * 0.045 * effort**0.6 * noise


@lru_cache(maxsize=8)
def _tables(rd: float, sample_rate: int) -> np.ndarray:
    """The pulse, one copy per half octave above 55 Hz, each without the harmonics that would fold: [11 * 4097]."""
    spectrum = rfft(glottal_pulse(rd))
    rows = []
    for level in range(11):
        highest = 55 * 2 ** ((level + 1) / 2)
        kept = spectrum.copy()
        kept[int(0.48 * sample_rate / highest) :] = 0
        row = irfft(kept, 4096)
        rows.append(np.append(row, row[0]))
    return np.concatenate(rows)
