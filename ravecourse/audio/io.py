"""Sound files in and out: float32 `[channels, samples]`, full scale 1.0."""

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.files import replacing

from .decode import UnreadableSound, decoder
from .discover import find
from .loudness import loudness_lufs, match_loudness, peak_db, rms_db

__all__ = [
    "AudioInfo",
    "blocks",
    "find",
    "info",
    "loudness_lufs",
    "match_loudness",
    "peak_db",
    "read",
    "resample",
    "rms_db",
    "to_channels",
    "write",
]

QUALITY = "VHQ"  # flat to 0.95 of the band, aliases below -140 dB


@dataclass(frozen=True)
class AudioInfo:
    """What a sound file holds: `format` is libsndfile's name for it, or `ffmpeg`.

    Source: this course. Notebook: 01.
    """

    duration_seconds: float
    sample_rate: int
    channels: int
    format: str


def info(path: Path | str) -> AudioInfo:
    """Say how long a sound file is and of what kind.

    The header tells, except for the formats that ffmpeg reads: those are decoded to the end, without keeping
    the sound.

    Raises:
        UnreadableSound: the file is missing, empty, damaged or no sound.

    Source: this course. Notebook: 01.
    """
    with decoder(Path(path)) as sound:
        frames = sum(map(len, sound.blocks)) if sound.frames is None else sound.frames
        return AudioInfo(frames / sound.sample_rate, sound.sample_rate, sound.channels, sound.format)


def blocks(
    path: Path | str, sample_rate: int | None = None, channels: int | None = None, block_seconds: float = 10.0
) -> Iterator[Tensor]:
    """Read a sound file of any length in blocks `[C, n]` of about `block_seconds`: flat memory, no seams.

    Put together, the blocks are the same samples as `read` gives.

    Args:
        path: the file.
        sample_rate: in Hz; None keeps the file's.
        channels: 1, 2 or more; None keeps the file's.
        block_seconds: length of a block, above 0.

    Raises:
        UnreadableSound: the file is missing, empty, damaged, no sound, or holds samples that are not numbers.
        BrokenOff: the file is damaged part of the way through; the blocks before are good.

    Source: this course. Notebook: 01.
    """
    path = Path(path)
    with decoder(path, block_seconds) as sound:
        rate, count = sample_rate or sound.sample_rate, channels or sound.channels
        narrow = min(count, sound.channels)  # fewer channels are mixed before resampling, more made after
        resampler = soxr.ResampleStream(sound.sample_rate, rate, narrow, dtype="float32", quality=QUALITY)
        done = 0
        for block in sound.blocks:  # [n, C of the file]
            if not np.isfinite(block).all():
                raise UnreadableSound(
                    path,
                    f"holds samples that are not numbers (after {done / sound.sample_rate:.0f} s)",
                    "Export it again from the program that made it.",
                )
            done += len(block)
            block = to_channels(torch.from_numpy(block.T), narrow)
            if rate != sound.sample_rate:
                block = _to_tensor(resampler.resample_chunk(np.ascontiguousarray(block.T.numpy())))
            if block.shape[1]:
                yield to_channels(block, count)
        if done and rate != sound.sample_rate:
            yield to_channels(_to_tensor(resampler.resample_chunk(np.zeros((0, narrow), np.float32), last=True)), count)


def read(path: Path | str, sample_rate: int | None = None, channels: int | None = None) -> tuple[Tensor, int]:
    """Read a whole sound file.

    Args:
        path: the file.
        sample_rate: in Hz; None keeps the file's.
        channels: 1, 2 or more; None keeps the file's.

    Returns:
        audio `[C, T]` and its sample rate. Samples above full scale are kept as they are.

    Raises:
        UnreadableSound: the file is missing, empty, damaged, no sound, or holds samples that are not numbers.

    Source: this course. Notebook: 01.
    """
    with decoder(Path(path)) as sound:
        rate, count = sample_rate or sound.sample_rate, channels or sound.channels
    pieces = list(blocks(path, rate, count))
    return (torch.cat(pieces, dim=1) if pieces else torch.zeros(count, 0)).contiguous(), rate


def write(path: Path | str, audio: Tensor, sample_rate: int, subtype: str = "PCM_24") -> None:
    """Write a sound file; its name chooses the format. Integer formats clip what is above full scale.

    Args:
        path: the file, ending in .wav, .flac, .ogg, .mp3, .aiff or another name that libsndfile writes.
        audio: `[C, T]`.
        sample_rate: in Hz.
        subtype: how samples are stored, as `soundfile` names it (`PCM_16`, `PCM_24`, `FLOAT`); a format that
            does not have it (OGG, MP3) uses its own.

    Raises:
        RaveCourseError: wrong shape, samples that are not numbers, a format that cannot be written, a full
            disk.

    Source: this course. Notebook: 01.
    """
    path = Path(path)
    if audio.ndim != 2 or audio.shape[0] > 1024:
        raise RaveCourseError(f"Audio to write must be [channels, samples], not {list(audio.shape)}.")
    if not torch.isfinite(audio).all():
        raise RaveCourseError(
            f"{path} was not written: the audio holds samples that are not numbers (NaN or infinite)."
        )
    format = {"AIF": "AIFF", "AIFC": "AIFF", "WAVE": "WAV", "OGA": "OGG", "SND": "AU"}.get(
        path.suffix[1:].upper(), path.suffix[1:].upper()
    )
    if format not in soundfile.available_formats() or format == "RAW":
        raise RaveCourseError(
            f"{path} ends in '{path.suffix}', which cannot be written. Use .wav, .flac, .ogg, .mp3 or .aiff."
        )
    if not soundfile.check_format(format, subtype):
        subtype = soundfile.default_subtype(format)
    with replacing(path) as temporary:
        try:
            soundfile.write(str(temporary), audio.detach().cpu().float().T.numpy(), sample_rate, subtype, format=format)
        except (soundfile.LibsndfileError, ValueError) as error:
            if shutil.disk_usage(path.parent).free < 4 * audio.numel():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise RaveCourseError(
                f"{path} could not be written as {format} {subtype} at {sample_rate} Hz "
                f"with {audio.shape[0]} channels ({error}). Use .wav."
            ) from error


def resample(audio: Tensor, from_rate: float, to_rate: float) -> Tensor:
    """Change the sample rate: band-limited, without delay; `T * to_rate / from_rate` samples, rounded.

    Args:
        audio: `[C, T]`.
        from_rate: in Hz, above 0.
        to_rate: in Hz, above 0.

    Source: the SoX resampler library, through `soxr`. Notebook: 01.
    """
    if from_rate == to_rate or audio.shape[1] == 0:
        return audio
    samples = np.ascontiguousarray(audio.detach().cpu().float().T.numpy())
    return _to_tensor(soxr.resample(samples, from_rate, to_rate, quality=QUALITY))


def to_channels(audio: Tensor, channels: int) -> Tensor:
    """Mix to a number of channels, never louder than the loudest channel.

    Mono is the mean of all. Mono into more: each is the same. Stereo from more: odd ones left, even ones
    right, and what has no side in the middle: the third of three, and centre and bass of the usual order of
    six and eight.

    Args:
        audio: `[C, T]`.
        channels: the number wanted.

    Raises:
        RaveCourseError: it would mean inventing channels, or giving up some without a rule.

    Source: this course. Notebook: 01.
    """
    have = audio.shape[0]
    if have == channels:
        return audio
    if channels == 1:
        return audio.mean(dim=0, keepdim=True)
    if have == 1:
        return audio.expand(channels, -1)
    if channels != 2:
        raise RaveCourseError(f"No rule makes {channels} channels from {have}. Ask for 1 or 2.")
    middle = {3: [2], 5: [2], 6: [2, 3], 8: [2, 3]}.get(have, [])
    sides = [i for i in range(have) if i not in middle]
    return torch.stack([audio[sides[side::2] + middle].mean(dim=0) for side in (0, 1)])


def _to_tensor(samples: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples.T))  # [n, C] -> [C, n]
