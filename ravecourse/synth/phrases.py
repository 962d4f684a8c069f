"""Phrases: a melody, an instrument to play it, and the hand that plays it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.signal import oaconvolve

from .bars import BARS, strike
from .melody import Key, Note, draw_key, hertz, melody
from .space import through
from .strings import pluck
from .voice import FRAMES_PER_SECOND, VOICES, VOWELS, formants, sing

TAIL_SECONDS = 1.2  # for the last note and the room to fall silent


class Plucked(NamedTuple):
    """A plucked instrument: range in MIDI numbers, touch, decay times in s at 200 Hz, stiffness, courses, body.

    Notebook: 01.
    """

    low: int
    high: int
    hardness: float
    decay: float
    high_decay: float
    stiffness: float
    courses: tuple[tuple[float, float, float], ...]
    body: str


PLUCKED: dict[str, Plucked] = {
    "nylon": Plucked(40, 79, 0.25, 3.2, 0.22, 2e-5, ((0, 0.7, 0.6), (0.6, 0.3, 1.3)), "guitar"),
    "steel": Plucked(40, 84, 0.85, 6.0, 0.8, 6e-5, ((0, 0.7, 0.7), (-0.8, 0.3, 1.3)), "guitar"),
    "twelve": Plucked(43, 80, 0.9, 5.0, 0.7, 5e-5, ((0, 0.6, 1.0), (1204, 0.4, 0.7)), "guitar"),
    "harp": Plucked(36, 91, 0.35, 6.5, 0.45, 3e-5, ((0, 1.0, 1.0),), "harp"),
    "mandolin": Plucked(55, 90, 0.95, 2.6, 0.5, 8e-5, ((-3, 0.5, 1.0), (4, 0.5, 0.9)), "small"),
    "bass": Plucked(28, 55, 0.4, 5.0, 0.3, 1.2e-4, ((0, 1.0, 1.0),), "bass"),
}
"""The plucked instruments. Decays and stiffness are of the order that Fletcher & Rossing, chapter 9, report."""


def strings_phrase(seconds: float, score: np.random.Generator, seed: list[int], sample_rate: int) -> np.ndarray:
    """A phrase on a plucked instrument: float64 [(seconds + tail) * sample_rate].

    Args: seconds: of music; score: draws what is played; seed: of the noise in it; sample_rate: in Hz.
    Notebook: 01.
    """
    kind = PLUCKED[str(score.choice(list(PLUCKED)))]
    key, beat = draw_key(score, kind.low), float(score.uniform(0.42, 0.85))
    style = str(score.choice(["line", "line", "bass line", "arpeggio", "strum", "muted"]))
    place, muted = float(score.uniform(0.08, 0.42)), style == "muted"
    notes = melody(score, key, kind.low, kind.high, seconds, beat)
    if style == "bass line" and kind.high - kind.low > 30:
        notes = melody(score, key, kind.low + 19, kind.high, seconds, beat)
        notes += [
            n._replace(velocity=0.8 * n.velocity)
            for n in melody(score, key, kind.low, kind.low + 14, seconds, 2 * beat, 0.0)
        ]
    elif style in ("arpeggio", "strum"):
        notes = _chords(score, key, kind.low, kind.high, seconds, beat, style == "strum")
    out = np.zeros(int((seconds + TAIL_SECONDS) * sample_rate))
    for number, note in enumerate(notes):
        frequency = hertz(note.pitch)
        longer = (200 / frequency) ** 0.4 * (0.12 if muted else 1.0)
        ring = note.duration * (0.7 if muted else 1.0 + 0.4 * (style == "arpeggio"))
        ring = min(ring, max(0.1, seconds + 0.3 - note.start))
        release = 0.09 if muted else 0.22
        sound = pluck(
            frequency,
            ring + 1.3 * release,
            rng=np.random.default_rng([*seed, number]),
            sample_rate=sample_rate,
            velocity=note.velocity,
            position=place,
            hardness=kind.hardness,
            decay_seconds=kind.decay * longer,
            high_decay_seconds=kind.high_decay * longer**0.5,
            stiffness=kind.stiffness * (frequency / 200) ** 0.5,
            noise=0.3,
            courses=kind.courses,
        )
        _add(out, sound, note.start, ring, release, sample_rate)
    return through(out, kind.body, sample_rate, wet=float(score.uniform(0.04, 0.14)))


def bars_phrase(
    seconds: float, score: np.random.Generator, seed: list[int], sample_rate: int, kind: str | None = None
) -> np.ndarray:
    """A phrase on bars, bells or plates of wood or metal: float64 [(seconds + tail) * sample_rate].

    Args: as `strings_phrase`; kind: a key of `BARS`, drawn where None.
    Notebook: 01.
    """
    drawn = str(score.choice(list(BARS), p=[0.24, 0.16, 0.1, 0.18, 0.12, 0.12, 0.08]))
    kind = kind or drawn
    bar = BARS[kind]
    key, beat = draw_key(score, bar.low), float(score.uniform(0.4, 0.8))
    wood = bar.loss > 2.5
    style = str(score.choice(["line", "line", "line", "arpeggio", "strum", "roll"]))
    hardness = float(score.uniform(0.15, 0.95))
    notes = melody(score, key, bar.low, bar.high, seconds, beat)
    if style in ("arpeggio", "strum"):
        notes = _chords(score, key, bar.low, bar.high, seconds, beat, style == "strum")
    elif style == "roll" and wood:
        notes = [n for n in _rolls(notes) if n.start < seconds]
    tremolo = float(score.uniform(3.5, 7)) if kind == "vibraphone" and score.random() < 0.5 else 0.0
    out = np.zeros(int((seconds + TAIL_SECONDS) * sample_rate))
    for number, note in enumerate(notes):
        ring = 2.0 if wood else note.duration * 1.3 + 0.3
        release = 0.35 if kind in ("bell", "plate") else 0.2
        ring = min(ring, 6.9 / bar.loss + 0.1, max(0.1, seconds + 0.3 - note.start))
        sound = strike(
            kind,
            hertz(note.pitch),
            ring + 1.3 * release,
            rng=np.random.default_rng([*seed, number]),
            sample_rate=sample_rate,
            velocity=note.velocity,
            hardness=hardness,
            position=float(score.uniform(0.35, 0.5)),
            tremolo_hz=tremolo,
        )
        _add(out, sound, note.start, ring, release, sample_rate)
    return through(out, "none", sample_rate, wet=float(score.uniform(0.05, 0.16)))


def voice_phrase(seconds: float, score: np.random.Generator, seed: list[int], sample_rate: int) -> np.ndarray:
    """A sung phrase, vowels only, with breaths where it rests: float64 [(seconds + tail) * sample_rate].

    Args: as `strings_phrase`.
    Source: Sundberg 1987 (vibrato of 5 to 6.5 Hz and half a semitone, late onset); this course. Notebook: 01.
    """
    voice = str(score.choice(list(VOICES)))
    _, _, low, high = VOICES[voice]
    lead = min(0.45, 0.3 * seconds)  # a breath first
    key, beat = draw_key(score, low), float(score.uniform(0.5, 0.95))
    notes = melody(score, key, low, high, max(seconds - lead, 1.0), beat, rest_chance=0.45)
    notes = [n._replace(start=n.start + lead) for n in notes if n.start + lead < max(0.5, seconds - 0.25)]
    length = int((seconds + TAIL_SECONDS) * sample_rate)
    t = np.arange(length) / sample_rate
    frequency = _sung_pitch(notes, t, score, np.random.default_rng([*seed, 0]), sample_rate)
    effort, breath = _sung_effort(notes, t, seconds, sample_rate)
    tract = _sung_vowels(notes, voice, score, int(np.ceil(length / (sample_rate // FRAMES_PER_SECOND))) + 2)
    sound = sing(
        frequency,
        effort,
        tract,
        rng=np.random.default_rng([*seed, 1]),
        sample_rate=sample_rate,
        breathiness=float(score.uniform(0.25, 0.9)),
        breath=breath,
    )
    return through(sound, "none", sample_rate, wet=float(score.uniform(0.05, 0.18)), air=3.0)


PHRASES: dict[str, Callable[[float, np.random.Generator, list[int], int], np.ndarray]] = {
    "strings": strings_phrase,
    "bars": bars_phrase,
    "voice": voice_phrase,
}


def _chords(
    rng: np.random.Generator, key: Key, low: int, high: int, seconds: float, beat: float, strummed: bool
) -> list[Note]:
    """A progression of triads, struck together in a fast sweep or one note after the other."""
    notes: list[Note] = []
    time, root, size = 0.0, int(rng.choice([0, 0, 2, 4])), len(key.scale)
    octave = 12 * int(rng.integers(max(1, (high - low - 24) // 12 + 1)))
    while not notes or time < seconds - beat:
        degrees = [root, root + 2, root + 4, root + size, root + size + 2][: int(rng.integers(3, 6))]
        pitches = [p for p in (key.pitch(d) + octave for d in degrees) if low <= p <= high] or [key.pitch(0)]
        loud, lasts = float(rng.uniform(0.35, 0.95)), beat * float(rng.choice([1, 2, 2, 4]))
        order = pitches[::-1] if rng.random() < 0.3 else pitches
        gap = float(rng.uniform(0.008, 0.03)) if strummed else beat / 2
        for k, pitch in enumerate(order if strummed else order + order[-2:0:-1]):
            velocity = float(np.clip(loud + 0.07 * rng.standard_normal(), 0.15, 1))
            notes.append(Note(time + k * gap, lasts if strummed else 2 * beat, pitch, velocity))
        time += lasts if strummed else max(1, len(order) * 2 - 2) * gap
        time += beat if rng.random() < 0.2 else 0.0
        root = int((root + rng.choice([3, 4, -2, 1, 5])) % size)
    return [n for n in notes if n.start < max(0.2, seconds - 0.3)]


def _rolls(notes: list[Note]) -> list[Note]:
    """Long notes become tremolos that swell."""
    out: list[Note] = []
    for note in notes:
        count = max(1, round(note.duration / 0.075)) if note.duration > 0.6 else 1
        for k in range(count):
            swell = 1 if count == 1 else 0.55 + 0.4 * np.sin(np.pi * (k + 1) / (count + 1))
            out.append(note._replace(start=note.start + k * note.duration / count, velocity=note.velocity * swell))
    return out


def _add(out: np.ndarray, sound: np.ndarray, start: float, ring: float, release: float, sample_rate: int) -> None:
    """Damp a note after `ring` seconds and add it where it begins."""
    held = int(ring * sample_rate)
    if held < len(sound):
        after = np.arange(len(sound) - held)
        sound[held:] *= np.exp(-6.9 * after / (release * sample_rate)) * np.linspace(1, 0, len(after))
    place = int(start * sample_rate)
    part = sound[: max(0, len(out) - place)]
    fade = min(len(part), int(0.02 * sample_rate))
    if len(part) < len(sound) and fade:
        part[-fade:] *= np.linspace(1, 0, fade)
    out[place : place + len(part)] += part


def _smooth(curve: np.ndarray, seconds: float, sample_rate: int) -> np.ndarray:
    """Average with a Hann window."""
    width = max(3, int(seconds * sample_rate) | 1)
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(curve, width // 2, mode="edge")
    return oaconvolve(padded, window / window.sum(), mode="valid")


def _sung_pitch(
    notes: list[Note], t: np.ndarray, score: np.random.Generator, noise: np.random.Generator, sample_rate: int
) -> np.ndarray:
    """Glides between notes, a scoop into some, vibrato that sets in late, and slow drift; in Hz."""
    starts = np.array([n.start for n in notes])
    which = np.clip(np.searchsorted(starts, t, "right") - 1, 0, len(notes) - 1)
    pitch = np.array([n.pitch for n in notes], float)[which]
    since = t - starts[which]
    scoop = score.uniform(-1.2, 0.1, len(notes)).clip(None, 0) * (score.random(len(notes)) < 0.4)
    pitch += scoop[which] * np.exp(-np.clip(since, 0, None) / 0.07)
    pitch = _smooth(pitch, score.uniform(0.09, 0.2), sample_rate)
    rate, extent, delay = score.uniform(4.9, 6.4), score.uniform(0.2, 0.75), score.uniform(0.15, 0.45)
    depth = np.clip((since - delay) / 0.35, 0, 1) * (np.array([n.duration for n in notes])[which] > delay + 0.15)
    points = int(t[-1] * 4) + 2
    wander = np.interp(t * 4, np.arange(points), noise.standard_normal(points))
    vibrato = np.sin(2 * np.pi * np.cumsum(rate * (1 + 0.04 * wander)) / sample_rate)
    pitch += extent * _smooth(depth, 0.12, sample_rate) * vibrato + 0.05 * _smooth(wander, 0.3, sample_rate)
    return 440 * 2 ** ((pitch - 69) / 12)


def _sung_effort(notes: list[Note], t: np.ndarray, seconds: float, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Loudness of the voice, with a swell in each note and silence in the rests, and the breaths before phrases."""
    effort, breath = np.zeros(len(t)), np.zeros(len(t))
    silent_since = -1.0
    for index, note in enumerate(notes):
        end = min(note.start + note.duration, seconds)
        if index + 1 < len(notes):
            end = min(end, notes[index + 1].start)
        begin, stop = int(note.start * sample_rate), int(end * sample_rate)
        inside = np.linspace(0, np.pi, max(1, stop - begin))
        effort[begin:stop] = note.velocity * (0.85 + 0.3 * np.sin(inside[: stop - begin]))
        if note.start - silent_since > 0.2:
            air = slice(max(0, begin - int(0.42 * sample_rate)), max(0, begin - int(0.08 * sample_rate)))
            breath[air] = 0.035 * np.sin(np.linspace(0, np.pi, len(breath[air]))) ** 2
        else:
            dip = slice(max(0, begin - int(0.03 * sample_rate)), begin + int(0.02 * sample_rate))
            effort[dip] *= 0.6
        silent_since = end
    return np.clip(_smooth(effort, 0.11, sample_rate), 0, 1), breath


def _sung_vowels(notes: list[Note], voice: str, score: np.random.Generator, frames: int) -> np.ndarray:
    """Formants [frames, 5] that glide from vowel to vowel, also within long notes."""
    times, targets = [0.0], [str(score.choice(list(VOWELS)))]
    for note in notes:
        if score.random() < 0.7:
            targets.append(str(score.choice(list(VOWELS))))
            times.append(note.start)
        if note.duration > 1.0 and score.random() < 0.6:
            targets.append(str(score.choice(list(VOWELS))))
            times.append(note.start + 0.5 * note.duration)
    now = np.arange(frames) / FRAMES_PER_SECOND
    table = np.log(np.stack([formants(voice, vowel) for vowel in targets]))
    track = table[np.searchsorted(times, now, "right") - 1]  # [frames, 5]
    width = int(FRAMES_PER_SECOND * score.uniform(0.1, 0.3)) | 1
    window = np.hanning(width + 2)[1:-1] / np.hanning(width + 2)[1:-1].sum()
    padded = np.pad(track, ((width // 2, width // 2), (0, 0)), mode="edge")
    return np.exp(np.stack([np.convolve(padded[:, k], window, "valid") for k in range(5)], 1))
