"""How fast models run on this machine: the time of blocks, the smallest safe buffer, and tables of both.

Notebook: 09.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ravecourse.config import PRESETS, preset
from ravecourse.errors import RaveCourseError
from ravecourse.export import DEFAULT_BUFFER, Model, load, playable
from ravecourse.model import RAVE
from ravecourse.runtime import threads

from .player import Player

MARGIN = 0.8  # share of the deadline that a safe buffer may take
LARGEST_BUFFER = 16384
WARM_UP_CALLS = 4
HEADER = f"{'method':12}{'buffer':>8}{'lasts':>11}{'median':>11}{'p99':>11}{'real time':>12}"


@dataclass(frozen=True)
class Measurement:
    """How long a method took for blocks of `buffer` samples on this machine, with one thread.

    Times are in milliseconds. `real_time_factor` is the time that the sound lasts over the time that
    computing it
    took: above 1 it keeps up on average; `p99_ms` below `deadline_ms` it keeps up in all but one block of a
    hundred.
    Notebook: 09.
    """

    method: str
    buffer: int
    blocks: int
    median_ms: float
    p99_ms: float
    deadline_ms: float
    real_time_factor: float

    def safe(self, margin: float = MARGIN) -> bool:
        """Whether all but one block of a hundred take less than `margin` of the deadline. Notebook: 09."""
        return self.p99_ms < margin * self.deadline_ms


def measure(
    model: Model, method: str = "forward", buffer: int = DEFAULT_BUFFER, seconds: float = 2.0, batch: int = 1
) -> Measurement:
    """Time a method block by block on quiet noise, on a copy, after warming up another copy.

    Args:
        method, buffer, batch: as for `Player`.
        seconds: of computing, above 0; at least 30 blocks are timed.
    Raises:
        RaveCourseError: no such method, or the model fails.
    Notebook: 09.
    """
    player = Player(model, method, buffer, batch)
    rate = model.sample_rate or 48000
    generator = torch.Generator().manual_seed(0)
    block = 0.1 * torch.randn(batch, player.method.in_channels, player.buffer, generator=generator)
    times: list[float] = []
    with threads(1), torch.random.fork_rng(devices=[]):
        for _ in range(WARM_UP_CALLS):  # the first calls compile: ten to fifty times slower than the rest
            player.process(block)
        player.reset()
        player.process(block)
        end = time.perf_counter() + seconds
        while len(times) < 30 or time.perf_counter() < end:
            start = time.perf_counter()
            player.process(block)
            times.append(time.perf_counter() - start)
    spent = torch.tensor(times, dtype=torch.float64) * 1000
    deadline = 1000 * player.buffer / rate
    return Measurement(
        method,
        player.buffer,
        len(times),
        float(spent.median()),
        float(spent.quantile(0.99)),
        deadline,
        deadline / float(spent.mean()),
    )


def measure_buffers(
    model: Model,
    method: str = "forward",
    margin: float = MARGIN,
    seconds: float = 1.0,
    largest: int = LARGEST_BUFFER,
) -> list[Measurement]:
    """Measure buffers from the smallest possible on, doubling, until one is safe or `largest` is passed.

    Raises:
        RaveCourseError: as `measure`.
    Notebook: 09.
    """
    found: list[Measurement] = []
    buffer = model.smallest_buffer
    while not found or (not found[-1].safe(margin) and buffer <= largest):
        found.append(measure(model, method, buffer, seconds))
        buffer *= 2
    return found


def smallest_safe_buffer(
    model: Model,
    method: str = "forward",
    margin: float = MARGIN,
    seconds: float = 1.0,
    largest: int = LARGEST_BUFFER,
) -> int | None:
    """The smallest power of two of samples that this machine computes in time, or None where none up to
    `largest` is.

    In time: all but one block of a hundred take less than `margin` of the time that the block lasts.

    Raises:
        RaveCourseError: as `measure`.
    Notebook: 09.
    """
    last = measure_buffers(model, method, margin, seconds, largest)[-1]
    return last.buffer if last.safe(margin) else None


def run(what: Sequence[str], seconds: float) -> None:
    """Print a table for each `.ts` file or preset (its causal form too); all presets where none is named.

    Args:
        what: names of files or presets.
        seconds: of timing for each line, above 0.
    Raises:
        RaveCourseError: no such file or preset.
    Notebook: 09.
    """
    if not seconds > 0:
        raise RaveCourseError(f"--seconds is {seconds:g}; give a number above 0.")
    unknown = [name for name in what if name not in PRESETS and not Path(name).suffix and not Path(name).exists()]
    if unknown:
        preset(unknown[0])  # raises, with the names that there are
    print(
        f"One thread of {torch.get_num_threads()}, PyTorch {torch.__version__.split('+')[0]}, "
        f"{torch.backends.cpu.get_cpu_capability()}. Real time above 1 keeps up."
    )
    for name in what or PRESETS:
        if name in PRESETS:
            for causal in sorted({preset(name).causal, True}):
                of_model(untrained(name, causal), f"{name}{' causal' if causal else ''} (random weights)", seconds)
        else:
            of_file(load(name), seconds)


def of_model(model: Model, title: str, seconds: float) -> None:
    """Print each method at 1, 2 and 4 hops a block. Notebook: 09."""
    print(f"\n{title}, {model.sample_rate} Hz\n{HEADER}")
    for method in model.methods:
        for hops in (1, 2, 4):
            print(line(measure(model, method, hops * model.smallest_buffer, seconds)), flush=True)


def of_file(model: Model, seconds: float) -> None:
    """Print each method of a file, from the smallest buffer to the first safe one.

    Raises:
        RaveCourseError: it has no method that can be played.
    Notebook: 09.
    """
    if not model.methods:
        raise RaveCourseError(f"{model.path} has no method that nn~ can play. `ravecourse info` says why.")
    print(f"\n{model.path}" + (f", {model.sample_rate} Hz" if model.sample_rate else ", taken as 48000 Hz"))
    if not model.metadata:
        print("A .ts file is a program, and this runs it: use files from people you trust.")
    print(HEADER)
    for method in model.methods:
        found = measure_buffers(model, method, seconds=seconds)
        print("\n".join(line(measurement) for measurement in found), flush=True)
        last = found[-1]
        if last.safe():
            print(
                f"{method}: the smallest safe buffer on this machine is {last.buffer} samples "
                f"({last.deadline_ms:.1f} ms): 99 of 100 blocks take less than {MARGIN:.0%} of it."
            )
        else:
            print(f"{method}: no buffer up to {last.buffer} samples is safe on this machine.")


def line(m: Measurement) -> str:
    """One line of the table. Notebook: 09."""
    return (
        f"{m.method:12}{m.buffer:>8}{m.deadline_ms:>8.2f} ms{m.median_ms:>8.2f} ms{m.p99_ms:>8.2f} ms"
        f"{m.real_time_factor:>10.1f} x"
    )


def untrained(name: str, causal: bool | None = None) -> Model:
    """A preset with its first random weights, ready to be played; it runs as fast as a trained one.

    Notebook: 09.
    """
    model = RAVE(preset(name, causal=causal)).eval()
    model.noise_level.fill_(1.0)
    return playable(model, name)
