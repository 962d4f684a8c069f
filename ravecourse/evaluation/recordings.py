"""The recordings that a model is evaluated on: from files, folders, or the held-out part of a dataset.

Notebook: 10.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ravecourse import audio
from ravecourse.dataset import Dataset
from ravecourse.errors import RaveCourseError

STORE = "store.json"  # what makes a folder a dataset


def gather(sources: Sequence[Path], sample_rate: int, channels: int, seconds: float = 60.0) -> tuple[Tensor, list[str]]:
    """The sound of recordings, one after the other, at a model's sample rate and with its channels.

    Of recordings that are longer together, each gives an equal share from its middle; what short ones do not need goes
    to the longer ones.

    Args:
        sources: files, folders with everything below them, or datasets, of which the held-out part is taken.
        sample_rate: Hz.
        channels: 1 or 2.
        seconds: of sound in all, at most; 0.5 or more.
    Returns:
        `[C, T]`, and the names of the recordings.
    Raises:
        RaveCourseError: nothing there, a file that cannot be read, or less than half a second of sound.
    Notebook: 10.
    """
    if not 0.5 <= seconds < math.inf:
        raise RaveCourseError(f"{seconds:g} s cannot be evaluated; give a number of seconds of 0.5 or more.")
    sounds: list[tuple[str, Tensor]] = []
    for source in sources:
        if (source / STORE).is_file():
            sounds += _held_out(source, sample_rate, channels)
        else:
            sounds += [(path.name, audio.read(path, sample_rate, channels)[0]) for path in audio.find(source)]
    shares = share_out([sound.shape[1] for _, sound in sounds], round(seconds * sample_rate))
    pieces = []
    for (_, sound), share in zip(sounds, shares, strict=True):
        start = (sound.shape[1] - share) // 2
        pieces.append(sound[:, start : start + share])
    tape = torch.cat(pieces, 1)
    if tape.shape[1] < sample_rate // 2:
        raise RaveCourseError(
            f"There are {tape.shape[1] / sample_rate:.2f} s of sound in {', '.join(map(str, sources))}; half a second is "
            "the least that can be evaluated. Give longer recordings."
        )
    return tape, [name for name, _ in sounds]


def share_out(lengths: Sequence[int], most: int) -> list[int]:
    """How much to take of each of some lengths so that it is `most` in all: equal shares, or all of what is shorter.

    Notebook: 10.
    """
    shares = [0] * len(lengths)
    left = min(most, sum(lengths))
    for count, index in zip(
        range(len(lengths), 0, -1), sorted(range(len(lengths)), key=lambda i: lengths[i]), strict=True
    ):
        shares[index] = min(lengths[index], left // count)
        left -= shares[index]
    return shares


def _held_out(path: Path, sample_rate: int, channels: int) -> list[tuple[str, Tensor]]:
    store = Dataset(path)
    if not store.validation:
        raise RaveCourseError(f"{path} holds nothing out. Prepare it with --validation 0.1, or give other recordings.")
    return [
        (
            entry.name,
            audio.to_channels(
                audio.resample(store.read(entry.start, entry.length), store.sample_rate, sample_rate), channels
            ),
        )
        for entry in store.validation
    ]
