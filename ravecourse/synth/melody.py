"""Melodies: scales, motifs that return changed, rests, and a rise and fall of loudness."""

from typing import NamedTuple

import numpy as np

SCALES: tuple[tuple[int, ...], ...] = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
    (0, 2, 3, 5, 7, 8, 11),
    (0, 1, 3, 5, 7, 8, 10),
    (0, 2, 4, 7, 9),
    (0, 3, 5, 7, 10),
)
RHYTHMS: tuple[tuple[float, ...], ...] = (
    (1, 1, 2),
    (1, 0.5, 0.5, 2),
    (0.5, 0.5, 0.5, 0.5, 1),
    (1.5, 0.5, 1, 1),
    (0.75, 0.25, 1),
    (1 / 3, 1 / 3, 1 / 3, 1),
    (0.25, 0.25, 0.5, 1),
    (2, 1, 1),
    (0.5, 1, 0.5, 1),
    (3, 1),
    (0.5, 0.25, 0.25, 0.5, 0.5, 1),
)


class Note(NamedTuple):
    """A note: `start` and `duration` in seconds, `pitch` in MIDI numbers, `velocity` 0 to 1. Notebook: 01."""

    start: float
    duration: float
    pitch: int
    velocity: float


class Key(NamedTuple):
    """A tonic (MIDI number) and a scale (semitones above it); `pitch(degree)` climbs it through the octaves.

    Notebook: 01.
    """

    tonic: int
    scale: tuple[int, ...]

    def pitch(self, degree: int) -> int:
        """The MIDI number of a scale degree, 0 the tonic, 7 (or 5) its octave, negative below."""
        return self.tonic + 12 * (degree // len(self.scale)) + self.scale[degree % len(self.scale)]


def hertz(pitch: float) -> float:
    """Frequency in Hz of a MIDI number; 69 is 440 Hz. Source: equal temperament. Notebook: 01."""
    return 440.0 * 2 ** ((pitch - 69) / 12)


def draw_key(rng: np.random.Generator, low: int) -> Key:
    """A random key whose tonic lies within the octave above `low`. Notebook: 01."""
    return Key(low + int(rng.integers(12)), SCALES[rng.integers(len(SCALES))])


def melody(
    rng: np.random.Generator, key: Key, low: int, high: int, seconds: float, beat: float, rest_chance: float = 0.25
) -> list[Note]:
    """A line of about `seconds` within MIDI `low` ... `high`, in motifs that come back moved, mirrored or as they were.

    Args:
        rng: draws everything.
        key: scale and tonic.
        low, high: range; the line keeps to a window of about an octave and a half in it.
        seconds: wished length; the line ends with a long note near it.
        beat: seconds a beat.
        rest_chance: how often a rest of a beat follows a motif, 0 to 1.

    Notebook: 01.
    """
    degrees = [d for d in range(-40, 60) if low <= key.pitch(d) <= high]
    width = min(len(degrees), len(key.scale) * 3 // 2 + 1)
    start = int(rng.integers(len(degrees) - width + 1))
    bottom, top = degrees[start], degrees[start + width - 1]
    motifs = [_motif(rng) for _ in range(2)]
    place, time, shade = int(rng.integers(bottom, top + 1)), 0.0, rng.uniform(0.35, 0.75)
    notes: list[Note] = []
    while not notes or time < seconds - beat:
        steps, rhythm = motifs[int(rng.random() < 0.35)]
        mirror = -1 if rng.random() < 0.25 else 1
        for index, (step, beats) in enumerate(zip(steps, rhythm, strict=True)):
            place = _reflect(place + mirror * step, bottom, top)
            arch = 0.25 * np.sin(np.pi * min(1.0, time / seconds))
            accent = 0.1 if index == 0 else 0.0
            velocity = float(np.clip(shade + arch + accent + 0.07 * rng.standard_normal(), 0.15, 1.0))
            late = 0.006 * rng.standard_normal()
            notes.append(Note(max(0.0, time + late), beats * beat, key.pitch(place), velocity))
            time += beats * beat
        place = _reflect(place + int(rng.integers(-3, 4)), bottom, top)
        if rng.random() < rest_chance:
            time += beat * float(rng.choice([0.5, 1.0, 2.0]))
            shade = rng.uniform(0.3, 0.8)
    notes = [n for n in notes if n.start < max(0.2, seconds - 0.5 * beat)]
    last = notes[-1]
    notes[-1] = last._replace(duration=max(last.duration, 2 * beat), velocity=0.9 * last.velocity)
    return notes


def _motif(rng: np.random.Generator) -> tuple[list[int], tuple[float, ...]]:
    rhythm = RHYTHMS[rng.integers(len(RHYTHMS))]
    steps = rng.choice(
        [-4, -3, -2, -1, 0, 1, 2, 3, 4, 7],
        size=len(rhythm),
        p=[0.04, 0.06, 0.13, 0.23, 0.06, 0.23, 0.13, 0.06, 0.04, 0.02],
    )
    return [int(s) for s in steps], rhythm


def _reflect(place: int, bottom: int, top: int) -> int:
    if place > top:
        place = 2 * top - place
    if place < bottom:
        place = 2 * bottom - place
    return min(max(place, bottom), top)
