"""Random crops of a prepared dataset, the same for the same seed and step."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.runtime import mixed_seed

from .augment import Augment
from .store import Dataset, Segment

FADE_IN_SECONDS = 0.0005  # short: a recording may begin with the attack itself
FADE_OUT_SECONDS = 0.005


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops `audio` `[B, C, T]`, and for each the recordings it comes from and where in them.

    Notebook: 01.
    """

    audio: Tensor
    sources: list[str]


class CropSampler:
    """Crops of a dataset's training or validation sound; `batch(step)` depends on seed and step alone.

    The recordings of a split lie one after the other on an endless tape, the last followed by the first
    again. A crop may begin at any sample with the same probability, so every sample is heard equally often,
    tails and short files too, and a crop may run from one recording into the next. There the first fades out
    over 5 ms and the next in over 0.5 ms, so that the joint does not click.

    Training crops are random and augmented. Validation crops are neither: they follow one another from the
    start of the tape on, and after `len(crops)` batches every sample was there.

    Args:
        store: the dataset.
        split: `train` or `validation`.
        n_samples: length of a crop.
        batch_size: crops in a batch.
        seed: any whole number from 0.
        augment: changes to training crops; None for none.

    Raises:
        RaveCourseError: the split is empty or has another name, or a number is out of range.

    Notebook: 01.
    """

    def __init__(
        self,
        store: Dataset,
        split: str,
        n_samples: int,
        batch_size: int,
        seed: int = 0,
        augment: Augment | None = None,
    ) -> None:
        if split not in ("train", "validation"):
            raise RaveCourseError(f"There is no split '{split}'. Use train or validation.")
        if n_samples < 1 or batch_size < 1 or seed < 0:
            raise RaveCourseError(
                f"Crops of {n_samples} samples, {batch_size} in a batch, seed {seed}: "
                "the first two must be 1 or more, the seed 0 or more."
            )
        self.store, self.split, self.n_samples, self.batch_size, self.seed = (
            store,
            split,
            n_samples,
            batch_size,
            seed,
        )
        self.augment = augment if augment is not None and split == "train" else Augment.none()
        self._entries: list[Segment] = store.train if split == "train" else store.validation
        if not self._entries:
            raise RaveCourseError(f"{store.path} has no {split} sound. Prepare it with another validation share.")
        self._begins = [0, *accumulate(entry.length for entry in self._entries)]  # on the tape
        self._fade_in = _ramp(FADE_IN_SECONDS, store.sample_rate)
        self._fade_out = _ramp(FADE_OUT_SECONDS, store.sample_rate)[::-1]

    def __len__(self) -> int:
        """Batches until every sample was there once, on average where crops are random."""
        return -(-self._begins[-1] // (self.n_samples * self.batch_size))

    def batch(self, step: int) -> Batch:
        """Return the batch of one step; `step` is any whole number from 0.

        Notebook: 01.
        """
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, step))
        total = self._begins[-1]
        audio = torch.empty(self.batch_size, self.store.channels, self.n_samples)  # [B, C, T]
        sources = []
        for i in range(self.batch_size):
            change = self.augment.draw(generator, self.store.sample_rate)
            if self.split == "train":
                start = int(torch.randint(total, (1,), generator=generator))
            else:
                start = (step * self.batch_size + i) * self.n_samples % total
            stretch, source = self.tape(start, change.reads(self.n_samples))
            audio[i] = change.apply(stretch, self.n_samples)
            sources.append(source)
        return Batch(audio, sources)

    def tape(self, start: int, length: int) -> tuple[Tensor, str]:
        """Read the tape from any sample on: audio `[C, length]`, and the recordings with the time in each.

        Notebook: 01.
        """
        audio = np.empty((self.store.channels, length), np.float32)
        names, done = [], 0
        position = start % self._begins[-1]
        while done < length:
            index = bisect_right(self._begins, position) - 1
            entry, here = self._entries[index], position - self._begins[index]
            count = min(length - done, entry.length - here)
            piece = audio[:, done : done + count]  # [C, count], filled in place
            piece[:] = self.store.samples(entry.start + here, count).T
            self._fade(piece, here, entry.length)
            names.append(f"{entry.name} at {(entry.offset + here) / self.store.sample_rate:.2f} s")
            done += count
            position = (position + count) % self._begins[-1]
        if len(names) > 8:
            names[8:] = [f"{len(names) - 8} more"]
        return torch.from_numpy(audio), " + ".join(names)

    def _fade(self, piece: np.ndarray, here: int, length: int) -> None:
        """Fade in place what is near the ends of a recording of `length`; the piece begins `here`."""
        end = here + piece.shape[1]
        if here < len(self._fade_in):
            ramp = self._fade_in[here:end]
            piece[:, : len(ramp)] *= ramp
        out = length - len(self._fade_out)  # where the fade-out begins; below 0 in a very short recording
        if end > out:
            ramp = self._fade_out[max(here - out, 0) : end - out]
            piece[:, piece.shape[1] - len(ramp) :] *= ramp


def _ramp(seconds: float, sample_rate: int) -> np.ndarray:
    count = max(1, round(seconds * sample_rate))
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)).astype(np.float32)
