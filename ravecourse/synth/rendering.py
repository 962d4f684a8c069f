"""From phrases to recordings: levels, rests, files."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from tqdm.auto import tqdm

from ravecourse.errors import RaveCourseError
from ravecourse.files import replacing, write_json

from .phrases import PHRASES, bars_phrase

INSTRUMENTS: tuple[str, ...] = ("strings", "bars", "voice")
LONGEST_SECONDS = 24 * 3600
FILE_SECONDS = 30.0
VERSION = 1  # raise it when the same seed begins to sound different
PEAK = 10 ** (-1.5 / 20)


def render(instrument: str, seconds: float, seed: int = 0, sample_rate: int = 48000) -> torch.Tensor:
    """Render phrases of an instrument with rests between them: float32 [1, seconds * sample_rate].

    Args:
        instrument: one of `INSTRUMENTS`.
        seconds: length, above 0.
        seed: 0 or more; the same seed gives the same bits, another seed other music.
        sample_rate: in Hz, 16000 to 192000. Another rate plays the same notes.

    Phrases lie near -20 dB (RMS where they sound), no peak is above -1.5 dB.

    Raises:
        RaveCourseError: an unknown instrument, a length or a sample rate that is not possible, a negative seed.

    Notebook: 01.
    """
    _check(instrument, seconds, seed, sample_rate)
    return _take(instrument, seconds, [seed], sample_rate)


def render_folder(
    folder: Path | str,
    instruments: Sequence[str] = INSTRUMENTS,
    minutes: float = 6.0,
    seed: int = 0,
    progress: bool = True,
    sample_rate: int = 48000,
) -> list[Path]:
    """Render `minutes` of each instrument into files of 30 s: FOLDER/strings/strings_000.wav and so on, PCM 24 bit.

    A file that an earlier call with the same arguments wrote is kept, so that a second run takes no time and an
    interrupted one resumes. Files of an earlier call with other arguments are removed; other files are left alone.

    Args:
        folder: made where it is missing.
        instruments: some of `INSTRUMENTS`.
        minutes: of each, above 0.
        seed, sample_rate: as for `render`.
        progress: whether to show a progress bar.

    Returns: the paths of all files, in order.

    Raises:
        RaveCourseError: as `render`, or the folder cannot be written.

    Notebook: 01.
    """
    for instrument in instruments:
        _check(instrument, minutes * 60, seed, sample_rate)
    paths: list[Path] = []
    plan: list[tuple[Path, str, float, int]] = []
    for instrument in dict.fromkeys(instruments):
        place = Path(folder) / instrument
        count = max(1, math.ceil(minutes * 60 / FILE_SECONDS - 1e-9))
        names = [f"{instrument}_{index:03d}.wav" for index in range(count)]
        made = {
            "synth": VERSION,
            "instrument": instrument,
            "minutes": minutes,
            "seed": seed,
            "sample_rate": sample_rate,
            "files": names,
            "licence": "CC0-1.0",
        }
        _forget_others(place, made)
        for index, name in enumerate(names):
            seconds = min(FILE_SECONDS, minutes * 60 - index * FILE_SECONDS)
            paths.append(place / name)
            if not _is_whole(place / name, seconds, sample_rate):
                plan.append((place / name, instrument, seconds, index))
    for path, instrument, seconds, index in tqdm(plan, "rendering", unit="file", disable=not progress or not plan):
        audio = _take(instrument, seconds, [seed, index], sample_rate)
        with replacing(path) as temporary:
            soundfile.write(temporary, audio[0].numpy(), sample_rate, subtype="PCM_24")
    return paths


def write_clips(folder: Path | str, seconds: float = 7.0) -> list[Path]:
    """Write the short examples of the course, FOLDER/{strings,bars,voice}.flac, 48 kHz, the bars wood and then metal.

    Args: folder: made where it is missing; seconds: of each, above 2.
    Raises: RaveCourseError: the folder cannot be written.
    Notebook: 01.
    """

    def wood_then_metal(length: float, score: np.random.Generator, noise: list[int], sample_rate: int) -> np.ndarray:
        kind = ("marimba", "vibraphone")[noise[-1] % 2]
        return bars_phrase(length, score, noise, sample_rate, kind)

    paths = []
    for instrument, seed, phrases in (("strings", 5, 2), ("bars", 1, 2), ("voice", 1, 1)):
        audio = _take(
            instrument,
            seconds,
            [seed],
            48000,
            longest=seconds / phrases,
            phrase=wood_then_metal if instrument == "bars" else None,
        )
        paths.append(Path(folder) / f"{instrument}.flac")
        with replacing(paths[-1]) as temporary:
            soundfile.write(temporary, audio[0].numpy(), 48000, subtype="PCM_16")
    return paths


def _take(
    instrument: str,
    seconds: float,
    seed: list[int],
    sample_rate: int,
    longest: float = 10.0,
    phrase: Callable[..., np.ndarray] | None = None,
) -> torch.Tensor:
    """Phrases one after the other until `seconds` are full. What is played depends on the seed, not on the rate."""
    phrase = phrase or PHRASES[instrument]
    out = np.zeros(int(round(seconds * sample_rate)))
    root, time, number = [*seed, INSTRUMENTS.index(instrument)], 0.15, 0
    while seconds - time > (1.5 if number else 0.0):
        score = np.random.default_rng([*root, number, 0])
        length = min(float(score.uniform(0.6, 1.0)) * longest, max(0.5, seconds - time - 0.8))
        sound = _level(phrase(length, score, [*root, 1, number], sample_rate), score.uniform(-23.5, -18.5), sample_rate)
        place = int(time * sample_rate)
        sound = sound[: max(0, len(out) - place)]
        fade = min(len(sound), int(0.05 * sample_rate))
        sound[len(sound) - fade :] *= np.linspace(1, 0, fade)
        out[place : place + len(sound)] += sound
        time += length + float(score.uniform(0.7, 1.7))
        number += 1
    peak = np.abs(out).max()
    out *= min(1.0, PEAK / peak) if peak > 0 else 1.0
    return torch.from_numpy(out.astype(np.float32))[None]  # [1, T]


def _level(sound: np.ndarray, target: float, sample_rate: int) -> np.ndarray:
    """Scale a phrase so that its blocks of 0.4 s that sound average `target` dB, and no peak passes the limit."""
    block = int(0.4 * sample_rate)
    power = np.square(sound[: max(1, len(sound) // block) * block]).reshape(-1, min(block, len(sound))).mean(1)
    power = power[power > 0.01 * power.max()]
    gain = 10 ** (target / 20) / math.sqrt(max(power.mean() if len(power) else 0.0, 1e-20))
    return sound * min(gain, PEAK / max(np.abs(sound).max(), 1e-12))


def _check(instrument: str, seconds: float, seed: int, sample_rate: int) -> None:
    if instrument not in INSTRUMENTS:
        raise RaveCourseError(f"There is no instrument {instrument!r}. Choose from {', '.join(INSTRUMENTS)}.")
    if not (math.isfinite(seconds) and seconds * sample_rate >= 1):
        raise RaveCourseError(f"A length of {seconds:g} s cannot be rendered. Ask for a length above 0.")
    if seconds > LONGEST_SECONDS:
        raise RaveCourseError(f"{seconds / 60:g} minutes are too long. Ask for {LONGEST_SECONDS // 60} at most.")
    if seed < 0:
        raise RaveCourseError(f"The seed is {seed}. Choose 0 or a positive whole number.")
    if not 16000 <= sample_rate <= 192000:
        raise RaveCourseError(f"A sample rate of {sample_rate} Hz cannot be rendered. Choose 16000 to 192000 Hz.")


def _is_whole(path: Path, seconds: float, sample_rate: int) -> bool:
    try:
        return soundfile.info(path).frames == int(round(seconds * sample_rate))
    except (OSError, soundfile.SoundFileError):
        return False


def _forget_others(place: Path, made: dict[str, Any]) -> None:
    """Remove what an earlier call with other arguments wrote here, then note what this one is about to write."""
    note = place / "synth.json"
    try:
        earlier = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = None
    if earlier == made:
        return
    for name in made["files"] + list(earlier.get("files", []) if isinstance(earlier, dict) else []):
        (place / Path(name).name).unlink(missing_ok=True)
    write_json(note, made)
