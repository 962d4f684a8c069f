"""Sound files in: float32 `[channels, samples]`, full scale 1.0; resampling and mixing.

Notebook: 01.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError

from .decode import UnreadableSound, decoder

QUALITY = "VHQ"  # flat to 0.95 of the band, aliases below -140 dB


@dataclass(frozen=True)
class AudioInfo:
    """What a sound file holds: `format` is libsndfile's name for it, or `ffmpeg`.

    `notice` says what a person should know about the file, as the middle of a sentence; "" for nothing.

    Notebook: 01.
    """

    duration_seconds: float
    sample_rate: int
    channels: int
    format: str
    notice: str = ""


def info(path: Path | str) -> AudioInfo:
    """Say how long a sound file is and of what kind.

    The header says so. Where it does not (formats that ffmpeg reads, a stream of unknown length, a file that was not
    closed), the file is decoded to its end, without keeping the sound.

    Raises:
        UnreadableSound: the file is missing, empty, damaged or no sound.

    Notebook: 01.
    """
    with decoder(Path(path)) as sound:
        frames = sum(map(len, sound.blocks)) if sound.frames is None else sound.frames
        return AudioInfo(frames / sound.sample_rate, sound.sample_rate, sound.channels, sound.format, sound.notice)


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

    Notebook: 01.
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
            audio = to_channels(torch.from_numpy(block.T), narrow)
            if rate != sound.sample_rate:
                audio = _to_tensor(resampler.resample_chunk(np.ascontiguousarray(audio.T.numpy())))
            if audio.shape[1]:
                yield to_channels(audio, count)
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

    Notebook: 01.
    """
    with decoder(Path(path)) as sound:
        rate, count = sample_rate or sound.sample_rate, channels or sound.channels
    pieces = list(blocks(path, rate, count))
    return (torch.cat(pieces, dim=1) if pieces else torch.zeros(count, 0)).contiguous(), rate


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

    Notebook: 01.
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
