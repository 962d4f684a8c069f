"""Sound files out: whole, or block by block, in a format that holds what is written.

Notebook: 01.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.files import replacing

FORMATS = {"AIF": "AIFF", "AIFC": "AIFF", "WAVE": "WAV", "OGA": "OGG", "SND": "AU"}  # by suffix, where they differ
SAMPLE_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
LARGEST = {"WAV": 2**32 - 2**16, "AIFF": 2**32 - 2**16, "AU": 2**32 - 2**16}  # bytes that the header can count


class Writer:
    """Takes blocks `[C, n]` for one sound file; see `writer`. Notebook: 01."""

    def __init__(self, path: Path, file: soundfile.SoundFile, largest: int | None) -> None:
        self.samples = 0
        self._path, self._file, self._largest = path, file, largest

    def write(self, block: Tensor) -> None:
        """Append `[C, n]`, float32.

        Raises:
            RaveCourseError: samples that are not numbers, or more than the format can count.
        Notebook: 01.
        """
        if not torch.isfinite(block).all():
            raise RaveCourseError(
                f"{self._path} was not written: the audio holds samples that are not numbers (NaN or infinite)."
            )
        self.samples += block.shape[1]
        size = self.samples * self._file.channels * SAMPLE_BYTES.get(self._file.subtype, 1)
        if self._largest is not None and size > self._largest:
            raise RaveCourseError(
                f"{self._path} would pass 4 GiB, more than a {self._file.format} file can hold. "
                "Use a name that ends in .rf64 or .w64, or write it in parts."
            )
        self._file.write(block.detach().cpu().float().T.numpy())


@contextmanager
def writer(
    path: Path | str, sample_rate: int, channels: int, subtype: str = "PCM_24", samples: int | None = None
) -> Iterator[Writer]:
    """Open a sound file for writing block by block: flat memory, and nothing is left where the block fails.

    Args:
        path: ending in .wav, .flac, .ogg, .mp3, .aiff or another name that libsndfile writes; it chooses the format.
        sample_rate: in Hz.
        channels: 1 to 1024.
        subtype: how samples are stored, as `soundfile` names it (`PCM_16`, `PCM_24`, `FLOAT`); a format that lacks a
            PCM subtype uses its own.
        samples: how many will come, if that is known: a WAV of more than 4 GiB is then written as RF64.

    Raises:
        RaveCourseError: a format that cannot be written or cannot hold the values, a full disk.

    Notebook: 01.
    """
    path = Path(path)
    suffix = path.suffix[1:].upper()
    container = FORMATS.get(suffix, suffix)
    if container not in soundfile.available_formats() or container == "RAW":
        raise RaveCourseError(
            f"{path} ends in '{path.suffix}', which cannot be written. Use .wav, .flac, .ogg, .mp3 or .aiff."
        )
    if not soundfile.check_format(container, subtype):
        if subtype in ("FLOAT", "DOUBLE"):
            raise RaveCourseError(
                f"{path} cannot hold these values: {container} clips at full scale, and they go beyond it. Use .wav."
            )
        subtype = soundfile.default_subtype(container)
    if (
        container == "WAV"
        and samples is not None
        and samples * channels * SAMPLE_BYTES.get(subtype, 1) > LARGEST["WAV"]
    ):
        container = "RF64"
    with replacing(path) as temporary:
        try:
            with soundfile.SoundFile(str(temporary), "w", sample_rate, channels, subtype, format=container) as file:
                yield Writer(path, file, LARGEST.get(container))
        except (soundfile.LibsndfileError, ValueError, TypeError) as error:
            if shutil.disk_usage(path.parent).free < 2**20:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise RaveCourseError(
                f"{path} could not be written as {container} {subtype} at {sample_rate} Hz with {channels} channels "
                f"({error}). Use .wav."
            ) from error


def write(path: Path | str, audio: Tensor, sample_rate: int, subtype: str = "PCM_24") -> None:
    """Write a sound file; its name chooses the format. Integer formats clip what is above full scale.

    Args:
        path, sample_rate, subtype: as for `writer`.
        audio: `[C, T]`.

    Raises:
        RaveCourseError: wrong shape, samples that are not numbers, a format that cannot be written or cannot hold
            the values, a full disk.

    Notebook: 01.
    """
    if audio.ndim != 2 or audio.shape[0] > 1024:
        raise RaveCourseError(f"Audio to write must be [channels, samples], not {list(audio.shape)}.")
    with writer(path, sample_rate, audio.shape[0], subtype, audio.shape[1]) as file:
        file.write(audio)
