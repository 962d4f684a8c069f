"""A prepared dataset on disk: one long file of samples and a list of what lies where in it."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError

VERSION = 1
SAMPLE = np.dtype("<f4")  # why float32: see `Dataset`


@dataclass(frozen=True)
class Segment:
    """A stretch of one recording in the store: `start` and `length` count samples of the store's sample rate.

    Notebook: 01.
    """

    name: str
    split: str  # "train" or "validation"
    start: int
    length: int
    offset: int  # where in the recording the stretch begins, in samples


class Dataset:
    """A dataset that `prepare` wrote, opened for reading; the samples stay on disk until they are asked for.

    Samples are float32, time-major. That is twice the size of 16 bits (0.7 GB for an hour of mono at 48 kHz),
    and buys three things: recordings above full scale are kept whole, quiet tails keep their own noise floor
    (the training loss compares logarithms and hears rounding noise at -98 dBFS), and a crop is a plain copy.

    Args:
        path: the folder that `prepare` wrote.

    Raises:
        RaveCourseError: the folder is missing, holds no prepared dataset, one of another version, or one that
            is damaged.

    Notebook: 01.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.description = read_description(self.path)
        self.sample_rate: int = self.description["sample_rate"]
        self.channels: int = self.description["channels"]
        self.fingerprint: str = self.description.get("fingerprint", "")  # of the recordings and how they were prepared
        entries = [Segment(**entry) for entry in self.description["entries"]]
        self.train = [entry for entry in entries if entry.split == "train"]
        self.validation = [entry for entry in entries if entry.split == "validation"]
        samples = self.path / self.description["samples"]
        expected = sum(entry.length for entry in entries) * self.channels * SAMPLE.itemsize
        found = samples.stat().st_size if samples.is_file() else 0
        if found != expected:
            raise RaveCourseError(
                f"{samples} has {found} bytes in place of {expected}. "
                f"Remove {self.path} and run `ravecourse prepare` again."
            )
        self._samples = np.memmap(samples, SAMPLE, mode="r").reshape(-1, self.channels)  # [T, C]

    def __len__(self) -> int:
        return len(self._samples)

    def samples(self, start: int, length: int) -> np.ndarray:
        """Return samples as a view of the file, `[length, C]`: nothing is copied.

        Notebook: 01.
        """
        if not 0 <= start <= start + length <= len(self._samples):
            raise RaveCourseError(
                f"Samples {start} to {start + length} were asked of {self.path}, which has {len(self)}."
            )
        return self._samples[start : start + length]

    def read(self, start: int, length: int) -> Tensor:
        """Return a copy of the samples from `start` on, `[C, length]`, float32.

        Raises:
            RaveCourseError: the store does not reach so far.

        Notebook: 01.
        """
        return torch.from_numpy(np.array(self.samples(start, length).T, np.float32, order="C"))

    def held_out(self, index: int | None = None) -> Tensor:
        """Return the whole audio of one validation entry, `[C, T]`: sound that training never sees.

        Args:
            index: which of `.validation`; None for the longest.

        Raises:
            RaveCourseError: there are not so many validation entries.

        Notebook: 01.
        """
        if not self.validation or index is not None and not 0 <= index < len(self.validation):
            raise RaveCourseError(
                f"Held-out entry {index or 0} was asked of {self.path}, which has {len(self.validation)}: "
                "prepare with a validation share above 0."
            )
        longest = max(self.validation, key=lambda entry: entry.length)
        entry = longest if index is None else self.validation[index]
        return self.read(entry.start, entry.length)


def read_description(path: Path) -> dict[str, Any]:
    """Read and check `store.json`; raises RaveCourseError if it is missing, damaged or of another version.

    Notebook: 01.
    """
    again = "Run `ravecourse prepare FOLDER...` to make it."
    if not path.is_dir():
        raise RaveCourseError(f"There is no dataset folder {path}. {again}")
    try:
        description = json.loads((path / "store.json").read_text(encoding="utf-8"))
        version = description["version"]
    except FileNotFoundError:
        raise RaveCourseError(f"{path} holds no prepared dataset (no store.json). {again}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RaveCourseError(
            f"{path / 'store.json'} is damaged ({error}). Remove the folder and prepare again."
        ) from error
    if version != VERSION:
        raise RaveCourseError(f"{path} was prepared by another version (format {version}, this is {VERSION}). {again}")
    missing = {"sample_rate", "channels", "samples", "entries", "report"} - description.keys()
    if missing:
        raise RaveCourseError(
            f"{path / 'store.json'} is damaged (no {min(missing)}). Remove the folder and prepare again."
        )
    return description


def as_json(entries: list[Segment]) -> list[dict[str, Any]]:
    """Turn entries into what `store.json` keeps. Notebook: 01."""
    return [asdict(entry) for entry in entries]


@contextmanager
def only_one(target: Path) -> Iterator[None]:
    """Hold the target folder for one call, and clear away what killed calls and replaced datasets left.

    Notebook: 01.
    """
    new = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        lock = os.open(target / ".lock", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise RaveCourseError(f"Could not write to {target} ({error.strerror}). Choose another folder.") from error
    try:
        if not _locked(lock):
            raise RaveCourseError(
                f"Another `ravecourse prepare` is writing {target}. Wait for it, or choose another folder."
            )
        yield
    finally:
        if _locked(lock):
            _clear(target)
        os.close(lock)
        if new and not (target / "store.json").exists():
            (target / ".lock").unlink(missing_ok=True)
            if not any(target.iterdir()):
                target.rmdir()


def _locked(descriptor: int) -> bool:
    """Lock an open file against other processes, where the system can; the lock ends with the process."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass  # no such locks on Windows: two calls at once are not noticed
    except OSError as error:  # some file systems (Lustre, FUSE) have no such locks either
        return error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
    return True


def _clear(target: Path) -> None:
    try:
        current = read_description(target)["samples"]
    except (RaveCourseError, KeyError):
        current = ""
    for left in [
        *target.glob("samples-*.bin"),
        *target.glob(".samples-*.part.bin"),
        *target.glob(".store.*.part.json"),
    ]:
        if left.name != current:
            left.unlink(missing_ok=True)
