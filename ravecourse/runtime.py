"""What every part of the package asks of the machine: threads, devices, random seeds, and durations as text.

Notebook: 04.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ravecourse.errors import RaveCourseError

DEVICES = ("cpu", "cuda", "mps")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with `count` threads inside the block, and with as many as before after it.

    Notebook: 08.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes CUDA, else Apple's MPS, else the CPU.

    Raises:
        RaveCourseError: torch does not know it or it is not there.
    Notebook: 04.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type not in DEVICES:
            raise RuntimeError(f"{device.type} is no device to train on")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise RaveCourseError(
            f"The device {name!r} cannot be used ({str(error).splitlines()[0]}). Use auto, cpu, cuda or mps."
        ) from error
    return device


def mixed_seed(seed: int, step: int) -> int:
    """Make one seed of two numbers, so that neighbouring seeds and steps share nothing.

    Notebook: 01.
    """
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def clock(seconds: float | None) -> str:
    """Seconds as "3:20 min", "2:03:20 h" or "2 d 7 h"; "?" for None. Notebook: 04."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole >= 86400:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d} h" if hours else f"{minutes}:{whole % 60:02d} min"
