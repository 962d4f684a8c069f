"""From a file to raw blocks of samples: libsndfile where it can, ffmpeg for everything else."""

import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ravecourse.errors import RaveCourseError

from .discover import FORMATS_TEXT
from .headers import Repaired, Spliced, repair

RATES = (1000, 768000)  # Hz; a header that says another rate is damaged
LONGEST_SECONDS = 1e7  # four months; a header that says more does not know the length


class UnreadableSound(RaveCourseError):
    """One sound file that cannot be used; `reason` is the middle of the message, for a list of such files.

    Notebook: 01.
    """

    def __init__(self, path: Path, reason: str, advice: str) -> None:
        super().__init__(f"{path} {reason}. {advice}")
        self.reason = reason


class BrokenOff(UnreadableSound):
    """A sound file that is damaged part of the way through; the blocks before that point are good.

    Notebook: 01.
    """


@dataclass(frozen=True)
class Decoder:
    """An opened sound file: what its header says, and an iterator over blocks `[n, channels]` of float32 samples.

    `notice` says what a person should know about the file, as the middle of a sentence; "" for nothing.

    Notebook: 01.
    """

    sample_rate: int
    channels: int
    format: str
    frames: int | None  # None: not known before the end
    blocks: Iterator[np.ndarray]
    notice: str = ""


@contextmanager
def decoder(path: Path, block_seconds: float = 10.0) -> Iterator[Decoder]:
    """Open a sound file of any length for reading in blocks.

    Raises:
        UnreadableSound: the file is missing, empty, damaged or no sound; blocks raise BrokenOff where it is
            damaged later.

    Notebook: 01.
    """
    if not path.is_file():
        raise UnreadableSound(path, "is not there", "Check the name of the file.")
    try:
        if path.stat().st_size == 0:
            raise UnreadableSound(path, "is empty (0 bytes)", "Copy or record it again.")
        mended = repair(path)
        sound = _open(path, mended)
    except OSError as error:
        raise UnreadableSound(path, f"cannot be opened ({error.strerror})", "Check its permissions.") from error
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        with _ffmpeg(path, block_seconds, str(error)) as opened:
            yield opened
        return
    with sound:
        rate = sound.samplerate
        if not RATES[0] <= rate <= RATES[1]:
            raise UnreadableSound(
                path,
                f"states a sample rate of {rate} Hz, so its header is damaged",
                f"Rates from {RATES[0]} to {RATES[1]} Hz are read. Export it again from the program that made it.",
            )
        known = mended is None and sound.frames <= LONGEST_SECONDS * rate
        yield Decoder(
            rate,
            sound.channels,
            sound.format,
            sound.frames if known else None,
            _soundfile_blocks(path, sound, max(1, int(block_seconds * rate)), known),
            mended.notice if mended else "",
        )


def _open(path: Path, mended: Repaired | None) -> "_Forwards":
    if mended is not None:
        return _Forwards(Spliced(path, mended.start, mended.skip))
    # As bytes: a name need not be text, and soundfile refuses such a string.
    return _Forwards(os.open(path, os.O_RDONLY) if path.suffix.lower() == ".raw" else os.fsencode(path))


class _Forwards(soundfile.SoundFile):
    """A sound file that is read from start to end.

    soundfile seeks to where it is after every read. In an MP3 that makes a seam: frames lean on those before.
    """

    def seekable(self) -> bool:
        return False


def _soundfile_blocks(path: Path, sound: soundfile.SoundFile, size: int, known: bool) -> Iterator[np.ndarray]:
    """Read in steps of a hundredth of a block, since a step in which libsndfile finds damage is lost."""
    done, damaged, ended = 0, None, False
    while not (damaged or ended):
        steps: list[np.ndarray] = []
        while sum(map(len, steps)) < size and not (damaged or ended):
            try:
                steps.append(sound.read(max(1, size // 100), dtype="float32", always_2d=True))  # [n, C]
                ended = len(steps[-1]) == 0
            except soundfile.LibsndfileError as error:
                damaged = error
        block = np.concatenate(steps) if steps else np.zeros((0, sound.channels), np.float32)
        done += len(block)
        if len(block):
            yield block
    exact = known and sound.format in ("FLAC", "WAV", "WAVEX", "AIFF")  # an MP3's header has an estimate
    if damaged or (exact and done < sound.frames):
        raise _broken_off(path, done / sound.samplerate) from damaged


def _broken_off(path: Path, seconds: float) -> BrokenOff:
    return BrokenOff(path, f"is damaged after {seconds:.2f} s", "Copy it again, or cut off what is damaged.")


@contextmanager
def _ffmpeg(path: Path, block_seconds: float, refusal: str) -> Iterator[Decoder]:
    """Decode with ffmpeg, which writes an AU stream: a short header with rate and channels, then float32
    samples.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        reason = refusal.rsplit(": ", 1)[-1].rstrip(".")
        raise UnreadableSound(
            path,
            f"is damaged, no sound, or of a kind that only ffmpeg reads ({reason})",
            f"Install ffmpeg or convert it to WAV. {FORMATS_TEXT}",
        )
    command = [
        program,
        "-nostdin",
        "-v",
        "error",
        "-protocol_whitelist",
        "file,pipe",
        "-i",
        f"file:{path.resolve()}",
        "-map",
        "0:a:0",
        "-map_metadata",
        "-1",
        "-c:a",
        "pcm_f32be",
        "-f",
        "au",
        "-",
    ]
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints)
        except OSError as error:
            raise RaveCourseError(f"ffmpeg at {program} cannot be run ({error.strerror}). Install it again.") from error
        output = process.stdout
        assert output is not None  # it is a pipe
        try:
            magic, offset, _, _, sample_rate, channels = struct.unpack(">4s5I", output.read(24).ljust(24, b"\0"))
            if magic != b".snd" or not 1 <= channels <= 1024 or not RATES[0] <= sample_rate <= RATES[1]:
                process.wait()
                complaints.seek(0)
                lines = complaints.read().decode(errors="replace").strip().splitlines() or [refusal]
                raise UnreadableSound(
                    path,
                    f"is damaged or no sound (ffmpeg says: {lines[-1].rsplit(': ', 1)[-1]})",
                    FORMATS_TEXT,
                )
            output.read(offset - 24)
            size = max(1, int(block_seconds * sample_rate)) * channels * 4
            yield Decoder(
                sample_rate,
                channels,
                "ffmpeg",
                None,
                _ffmpeg_blocks(path, process, size, channels, sample_rate),
            )
        finally:
            process.kill()
            output.close()
            process.wait()


def _ffmpeg_blocks(
    path: Path, process: subprocess.Popen[bytes], size: int, channels: int, sample_rate: int
) -> Iterator[np.ndarray]:
    done = 0
    assert process.stdout is not None  # it is a pipe
    while data := process.stdout.read(size):
        whole = len(data) // (4 * channels) * channels
        block = np.frombuffer(data, ">f4", whole).astype(np.float32).reshape(-1, channels)  # [n, C]
        done += len(block)
        yield block
    if process.wait() != 0:
        raise _broken_off(path, done / sample_rate)
