"""Render recordings to train on and to judge by: sampled instruments, and the kit's own.

    python -m benchmarks.material FOLDER [--seed 1] [--minutes 6] [--instruments cello drums]

Writes FOLDER/cello/cello_000.wav and so on: 48 kHz, mono, 24 bit, 30 s each, peaks at -3 dBFS. The sampled instruments are those
of FluidR3 (MIT licence), played by FluidSynth: `apt install fluidsynth fluid-soundfont-gm`. Another place for the sounds:
SOUNDFONT=file.sf2. What is there already is kept, so that a second run takes no time.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import soundfile

from ravecourse.errors import RaveCourseError
from ravecourse.files import replacing, write_json
from ravecourse.synth import INSTRUMENTS as SYNTHS
from ravecourse.synth import render_folder

from .score import VOICES, compose

SAMPLED = (*VOICES, "piano", "drums", "mixture")
SAMPLE_RATE = 48000
FILE_SECONDS = 30.0
PEAK_DB = -3.0
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
VERSION = 1  # raise it when the same seed begins to sound different


def soundfont() -> Path:
    """Where the sounds are.

    Raises: RaveCourseError: FluidSynth or its sounds are not installed.
    """
    path = Path(os.environ.get("SOUNDFONT", SOUNDFONT))
    missing = [
        what for what, there in (("fluidsynth", shutil.which("fluidsynth")), (path, path.is_file())) if not there
    ]
    if missing:
        raise RaveCourseError(
            f"Sampled instruments need {missing[0]}, which is not here. Install Debian's packages fluidsynth and "
            "fluid-soundfont-gm, or set SOUNDFONT to a .sf2 file."
        )
    return path


def render(instrument: str, seconds: float, seed: int, index: int = 0) -> np.ndarray:
    """Play phrases on a sampled instrument: float32 [seconds * 48000], peak at -3 dBFS.

    Args:
        instrument: one of `SAMPLED`.
        seconds: above 0.
        seed: 0 or more; the same seed gives the same sound, another seed other music.
        index: which recording of that seed.

    Raises:
        RaveCourseError: no FluidSynth, an unknown instrument, a negative seed.
    """
    if instrument not in SAMPLED:
        raise RaveCourseError(f"There is no instrument {instrument!r}. Choose from {', '.join((*SAMPLED, *SYNTHS))}.")
    if seed < 0:
        raise RaveCourseError(f"The seed is {seed}. Choose 0 or a positive whole number.")
    rng = np.random.default_rng([seed, index, zlib.crc32(instrument.encode())])
    sounds, score = soundfont(), compose(instrument, seconds, rng)
    with tempfile.TemporaryDirectory() as folder:
        notes, sound = Path(folder) / "notes.mid", Path(folder) / "sound.wav"
        notes.write_bytes(score.file(seconds))
        command = ["fluidsynth", "-ni", "-q", "-C", "no", "-R", "yes", "-g", "0.5", "-r", str(SAMPLE_RATE)]
        command += ["-o", "synth.reverb.room-size=0.4", "-o", "synth.reverb.level=0.5"]
        command += ["-o", "synth.dynamic-sample-loading=1", "-T", "wav", "-O", "float", "-F", str(sound)]
        done = subprocess.run([*command, str(sounds), str(notes)], capture_output=True, text=True)
        if done.returncode or not sound.is_file():
            raise RaveCourseError(f"fluidsynth could not play {instrument}: {done.stderr.strip()[-300:]}")
        stereo, _ = soundfile.read(sound, dtype="float32")  # [T, 2]
    out = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    mono = stereo.mean(1)[: len(out)]
    out[: len(mono)] = mono
    return out * np.float32(10 ** (PEAK_DB / 20) / max(float(np.abs(out).max()), 1e-9))


def render_material(folder: Path, instruments: list[str], minutes: float, seed: int) -> list[Path]:
    """Render `minutes` of each instrument into FOLDER/INSTRUMENT, and return those folders.

    Args:
        folder: made where it is missing.
        instruments: some of `SAMPLED` and of the kit's own.
        minutes: of each, above 0.
        seed: as for `render`.

    Raises:
        RaveCourseError: as `render`, or the folder cannot be written.
    """
    for instrument in instruments:
        if instrument in SYNTHS:
            render_folder(folder, [instrument], minutes, seed)
            continue
        place = folder / instrument
        count = max(1, math.ceil(minutes * 60 / FILE_SECONDS - 1e-9))
        names = [f"{instrument}_{index:03d}.wav" for index in range(count)]
        made = {"version": VERSION, "instrument": instrument, "minutes": minutes, "seed": seed, "files": names}
        note = place / "material.json"
        earlier = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else None
        if earlier != made:
            for name in (earlier or {}).get("files", []):
                (place / name).unlink(missing_ok=True)
            note.unlink(missing_ok=True)
        for index, name in enumerate(names):
            if earlier == made and (place / name).is_file():
                continue
            seconds = min(FILE_SECONDS, minutes * 60 - index * FILE_SECONDS)
            with replacing(place / name) as temporary:
                soundfile.write(temporary, render(instrument, seconds, seed, index), SAMPLE_RATE, subtype="PCM_24")
        write_json(note, made)
    return [folder / instrument for instrument in instruments]


def main(arguments: list[str]) -> int:
    """Parse the command line and render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=6.0, help="of each instrument (default: %(default)s)")
    parser.add_argument("--instruments", nargs="+", default=[*SAMPLED, *SYNTHS], metavar="NAME", help="(default: all)")
    options = parser.parse_args(arguments)
    try:
        for place in render_material(options.folder, options.instruments, options.minutes, options.seed):
            print(f"{place}: {options.minutes:g} minutes", flush=True)
    except RaveCourseError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
