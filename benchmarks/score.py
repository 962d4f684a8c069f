"""What sampled instruments play: phrases of one voice, drums, chords, and all together, as a standard MIDI file.

One tick is a millisecond. Everything is drawn from a generator, so that another seed gives other music.
"""

import struct
from typing import NamedTuple

import numpy as np

from ravecourse.synth.melody import Key, Note, draw_key, melody

BEND_SEMITONES = 2.0  # the range of the pitch wheel
DRUMS = 9  # the channel of the drum kits
KITS = (0, 8, 16, 24, 25, 32, 40)  # standard, room, power, electronic, 808, jazz, brushes
KICK, SNARE, HAT, OPEN_HAT, RIDE, CRASH, CLAP, COWBELL = 36, 38, 42, 46, 51, 49, 39, 56
TOMS = (41, 43, 45, 47, 48, 50)


class Voice(NamedTuple):
    """An instrument that plays one note at a time: General MIDI program, range in MIDI numbers, how much slower
    than others it speaks, widest vibrato in semitones."""

    program: int
    low: int
    high: int
    pace: float
    vibrato: float


VOICES: dict[str, Voice] = {
    "cello": Voice(42, 36, 76, 1.2, 0.25),
    "flute": Voice(73, 60, 93, 1.0, 0.2),
    "clarinet": Voice(71, 50, 89, 1.0, 0.06),
    "choir": Voice(52, 48, 79, 1.5, 0.3),
    "violin": Voice(40, 55, 93, 1.0, 0.3),
    "trumpet": Voice(56, 54, 82, 1.1, 0.12),
}
CHORDS = {"piano": (0, 1, 2), "accompaniment": (0, 4, 25, 26, 16)}  # programs that chords are played on
BASSES = (32, 33, 34, 35)


class Score:
    """Events of a MIDI file, in any order; times in seconds."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, bytes]] = []  # ms, order within it, message

    def program(self, time: float, channel: int, number: int) -> None:
        """Choose the instrument of a channel, and put its wheels and pedals back."""
        for control, value in ((1, 0), (11, 127), (64, 0)):
            self.control(time, channel, control, value)
        self.bend(time, channel, 0.0)
        self._add(time, 1, bytes([0xC0 | channel, number]))

    def note(self, time: float, seconds: float, channel: int, pitch: int, loud: float) -> None:
        """A note; loud: 0 to 1. It ends where the next of its pitch begins, if that is earlier."""
        velocity = int(np.clip(round(24 + 103 * loud), 1, 127))
        self._add(time, 2, bytes([0x90 | channel, pitch, velocity]))
        self._add(time + max(seconds, 0.02), 0, bytes([0x80 | channel, pitch, 0]))

    def control(self, time: float, channel: int, number: int, value: float) -> None:
        """A controller, 0 to 127: 1 modulation, 11 expression, 64 the pedal, 91 the room."""
        self._add(time, 1, bytes([0xB0 | channel, number, int(np.clip(round(value), 0, 127))]))

    def bend(self, time: float, channel: int, semitones: float) -> None:
        """Move the pitch of a channel, by at most `BEND_SEMITONES` up or down."""
        value = int(np.clip(round(8192 * (1 + semitones / BEND_SEMITONES)), 0, 16383))
        self._add(time, 1, bytes([0xE0 | channel, value & 127, value >> 7]))

    def file(self, seconds: float) -> bytes:
        """A standard MIDI file of this length."""
        track, now = bytearray(b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big")), 0
        for time, _, message in sorted(self.events):
            track += _variable(time - now) + message
            now = time
        track += _variable(max(0, round(1000 * seconds) - now)) + b"\xff\x2f\x00"
        head = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, 1000)  # 1000 ticks a beat, a beat a second
        return head + struct.pack(">4sI", b"MTrk", len(track)) + bytes(track)

    def _add(self, time: float, order: int, message: bytes) -> None:
        self.events.append((max(0, round(1000 * time)), order, message))


def _variable(number: int) -> bytes:
    """A whole number as MIDI files hold it: seven bits a byte, the highest bit set but in the last."""
    parts = [number & 127]
    while number := number >> 7:
        parts.append(128 | number & 127)
    return bytes(reversed(parts))


def compose(instrument: str, seconds: float, rng: np.random.Generator) -> Score:
    """Phrases of an instrument (a name of `VOICES`, "piano", "drums" or "mixture") with rests between them."""
    score, time = Score(), 0.2
    longest = 14.0 if instrument in ("drums", "mixture") else 10.0
    while seconds - time > 2.0 or not score.events:
        length = min(float(rng.uniform(0.5, 1.0)) * longest, max(0.8, seconds - time - 1.0))
        if instrument in VOICES:
            solo(score, rng, time, length, VOICES[instrument])
        else:
            beat = float(rng.uniform(0.4, 0.8)) if instrument == "drums" else float(rng.uniform(0.42, 0.75))
            bars = harmony(rng, length, beat)
            if instrument in ("drums", "mixture"):
                drums(score, rng, time, length, beat)
            if instrument in ("piano", "mixture"):
                chords(score, rng, time, length, beat, bars, "piano" if instrument == "piano" else "accompaniment")
            if instrument == "mixture":
                bass(score, rng, time, length, beat, bars)
        time += length + float(rng.uniform(0.7, 1.6))
    return score


def solo(score: Score, rng: np.random.Generator, begin: float, seconds: float, voice: Voice) -> None:
    """One phrase of one voice: slow and sung, moving, detached or short; with swells, vibrato and scoops in some."""
    style = str(rng.choice(["sung", "sung", "moving", "detached", "short"]))
    slow, fast, held = {
        "sung": (0.6, 1.1, 1.0),
        "moving": (0.4, 0.6, 0.97),
        "detached": (0.4, 0.7, 0.75),
        "short": (0.35, 0.55, 0.4),
    }[style]
    beat = voice.pace * float(rng.uniform(slow, fast))
    notes = melody(rng, draw_key(rng, voice.low), voice.low, voice.high, seconds, beat, rest_chance=0.3)
    ends = [note.start for note in notes[1:]] + [seconds]
    score.program(begin, 0, voice.program)
    score.control(begin, 0, 91, float(rng.uniform(0, 60)))
    swells, wavers, scoops = rng.random() < 0.7, rng.random() < 0.5, rng.random() < 0.2
    rate, extent = float(rng.uniform(4.8, 6.2)), voice.vibrato * float(rng.uniform(0.3, 1))
    top = float(rng.uniform(85, 127))
    for note, end in zip(notes, ends, strict=True):
        lasts = held * max(0.05, min(note.duration, end - note.start, seconds - note.start))
        score.note(begin + note.start, lasts, 0, note.pitch, note.velocity)
        _express(score, rng, begin, note._replace(duration=lasts), top if swells else 0.0)
        t = np.arange(0, lasts, 0.01)
        wheel = np.zeros(len(t))
        if wavers and style != "short":
            delay = float(rng.uniform(0.1, 0.3))
            wheel += extent * np.clip((t - delay) / 0.3, 0, 1) * np.sin(2 * np.pi * rate * t)
        if scoops and lasts > 0.3:
            wheel -= float(rng.uniform(0.2, 0.7)) * np.exp(-t / 0.06)
        for when, semitones in zip(t, wheel, strict=True):
            if wheel.any():
                score.bend(begin + note.start + when, 0, float(semitones))
        if wheel.any():
            score.bend(begin + note.start + lasts, 0, 0.0)


def _express(score: Score, rng: np.random.Generator, begin: float, note: Note, top: float) -> None:
    """A swell, a rise or a fall in a note that is long enough for it; top: of the controller, 0 for none."""
    shape, depth = int(rng.integers(4)), float(rng.uniform(0.25, 0.6))
    if not top or note.duration < 0.4:
        return
    x = np.linspace(0, 1, max(2, int(note.duration / 0.02)))
    dip = (1 - np.sin(np.pi * x), 1 - x, x, np.zeros(len(x)))[shape]
    for place, value in zip(x, top * (1 - depth * dip), strict=True):
        score.control(begin + note.start + place * note.duration, 0, 11, float(value))


class Bar(NamedTuple):
    """Four beats on one chord: start in seconds, key, degree of the root."""

    start: float
    key: Key
    degree: int


def harmony(rng: np.random.Generator, seconds: float, beat: float) -> list[Bar]:
    """A progression of four chords that comes back, for `seconds`."""
    key = draw_key(rng, 48)
    loop = [0, *(int(d) for d in rng.choice([0, 1, 3, 4, 5], size=3))]
    return [Bar(4 * beat * k, key, loop[k % 4]) for k in range(max(1, int(np.ceil(seconds / (4 * beat)))))]


def chords(
    score: Score, rng: np.random.Generator, begin: float, seconds: float, beat: float, bars: list[Bar], role: str
) -> None:
    """Chords in blocks, broken, off the beat or rolled through the octaves, some with the pedal down."""
    style = str(rng.choice(["block", "broken", "off beat", "rolled"]))
    octave, loud = 12 * int(rng.choice([-1, 0, 0, 1])), float(rng.uniform(0.3, 0.85))
    channel, pedal = 1, style != "off beat" and rng.random() < 0.6
    score.program(begin, channel, int(rng.choice(CHORDS[role])))
    size = int(rng.integers(3, 5))
    for bar in bars:
        turn = int(rng.integers(3))  # inversion
        pitches = [bar.key.pitch(bar.degree + 2 * k) + octave + 12 * (k < turn) for k in range(size)]
        if role == "piano" and rng.random() < 0.7:
            pitches.append(bar.key.pitch(bar.degree) + octave - 12)
        pitches.sort()
        swell = float(np.clip(loud + 0.15 * rng.standard_normal(), 0.1, 1))
        hits = {
            "block": [(b, pitches, 0.95 * length) for b, length in _rhythm(rng)],
            "broken": [(b / 2, [pitches[(b * 2) % len(pitches)]], 0.9) for b in range(8)],
            "off beat": [(b + 0.5, pitches, 0.3) for b in range(4)],
            "rolled": [(b / 4, [(pitches + pitches[-2:0:-1])[b % (2 * len(pitches) - 2)]], 1.0) for b in range(16)],
        }[style]
        if pedal:
            score.control(begin + bar.start, channel, 64, 0)
            score.control(begin + bar.start + 0.05, channel, 64, 127)
        for place, struck, beats in hits:
            time = bar.start + place * beat
            for number, pitch in enumerate(struck):
                late = time + 0.008 * number + 0.004 * float(rng.standard_normal())
                if late < seconds - 0.1:
                    hand = float(np.clip(swell + 0.06 * rng.standard_normal(), 0.05, 1))
                    score.note(begin + late, min(beats * beat, seconds - late), channel, pitch, hand)
    score.control(begin + seconds, channel, 64, 0)


def _rhythm(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Beats of a bar at which chords are struck, and how long each lasts."""
    places = [(0.0, 2.0, 4.0), (0.0, 4.0), (0.0, 1.5, 3.0, 4.0), (0.0, 1.0, 2.0, 3.0, 4.0)][int(rng.integers(4))]
    return [(a, b - a) for a, b in zip(places, places[1:], strict=False)]


def bass(score: Score, rng: np.random.Generator, begin: float, seconds: float, beat: float, bars: list[Bar]) -> None:
    """Roots, fifths and octaves below the chords."""
    channel, busy = 2, float(rng.uniform(0.1, 0.6))
    score.program(begin, channel, int(rng.choice(BASSES)))
    for bar in bars:
        for half in range(8):
            time = bar.start + half * beat / 2
            if time >= seconds - 0.1 or (half % 4 and rng.random() > busy):
                continue
            step = 0 if half == 0 else int(rng.choice([0, 0, 4, len(bar.key.scale)]))
            pitch = bar.key.pitch(bar.degree + step) - 24
            pitch += 12 * (pitch < 28) - 12 * (pitch > 55)
            loud = float(rng.uniform(0.55, 0.9))
            score.note(begin + time, min(beat * (0.45 + (half % 4 == 0)), seconds - time), channel, pitch, loud)


def drums(score: Score, rng: np.random.Generator, begin: float, seconds: float, beat: float) -> None:
    """A pattern of sixteen steps that returns with changes, and a fill before each fifth bar."""
    score.program(begin, DRUMS, int(rng.choice(KITS)))
    every = int(rng.choice([1, 2, 2, 4]))  # steps between hats
    top, extra = int(rng.choice([HAT, HAT, RIDE])), int(rng.choice([CLAP, COWBELL, *TOMS]))
    kick = rng.random(16) < np.tile([0.9, 0.1, 0.3, 0.15], 4) * rng.uniform(0.6, 1.1)
    snare = rng.random(16) < np.tile([0.02, 0.05, 0.05, 0.05, 0.9, 0.05, 0.05, 0.15], 2)
    more = rng.random(16) < rng.uniform(0, 0.2)
    swing, loud = float(rng.choice([0, 0, 0.3])), float(rng.uniform(0.5, 0.95))
    for step in range(int(seconds / beat * 4) + 1):
        place, bar = step % 16, step // 16
        time = (step + swing * (step % 2)) * beat / 4
        if time >= seconds - 0.05:
            break
        fill = bar % 4 == 3 and place >= 12
        struck = {KICK: kick[place] and not fill, SNARE: snare[place] and not fill, extra: more[place]}
        struck[OPEN_HAT if rng.random() < 0.05 else top] = place % every == 0
        struck[CRASH] = bar % 4 == 0 and place == 0 and rng.random() < 0.5
        if fill:
            struck[int(rng.choice([SNARE, *TOMS]))] = rng.random() < 0.8
        for pitch, hit in struck.items():
            if hit:
                accent = loud * (1.0 if place % 4 == 0 else 0.75) + 0.07 * float(rng.standard_normal())
                late = max(0.0, time + 0.004 * float(rng.standard_normal()))
                score.note(begin + late, 0.1, DRUMS, pitch, float(np.clip(accent, 0.05, 1)))
