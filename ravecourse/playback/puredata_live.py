"""Pure Data in real time: how long each block of nn~ takes, which come too late, and whether Pd itself keeps time.

Notebook: 08.
"""

import contextlib
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError

from .pd_text import Sheet
from .puredata import RATE, Patch, play

SMOOTHING = 0.1  # nn~'s load is 0.9 of what it was, and 0.1 of the latest block's
WATCH = 10.0  # milliseconds between two looks at Pd's clock
PATIENCE = 40_000  # milliseconds until it begins though nn~ has not said that it is ready
UNASKED = 8000  # the same, for an nn~ that is not asked


@dataclass(frozen=True, eq=False)
class Live:
    """What a run in real time showed.

    Attributes:
        buffer: samples of a block.
        blocks: how many nn~ computed; None where nn~ does not say (other builds of it).
        late: of those, how many came too late and were silence; None as above.
        times: seconds that single blocks took, [blocks], as many as could be separated.
        behind: by how many milliseconds Pd was behind the clock, every 10 ms, [looks].
        processor: seconds of processor time, with everything that Pd does.
        seconds: how long it played.
    Notebook: 08.
    """

    buffer: int
    blocks: int | None
    late: int | None
    times: Tensor
    behind: Tensor
    processor: float
    seconds: float

    @property
    def lasts(self) -> float:
        """Seconds that a block of sound lasts: the time that there is to compute one."""
        return self.buffer / RATE


class _Watched(Patch):
    """A patch that begins when nn~ is ready, asks it how it is again and again, and looks at the clock."""

    every: float = 5.0
    ask: str = "nn"  # who is asked: nn~, or nobody
    _info: ClassVar[tuple[str, ...]] = ("print INFO", "s nn-info")

    @property
    def begins_at(self) -> str:
        return "render-now"

    def _subpatches(self) -> dict[str, Sheet]:
        return {**super()._subpatches(), "ready": self._ready(), "watch": self._watch()}

    def _ready(self) -> Sheet:
        """Ask nn~ every 100 ms until it states its latency, or wait so long; then pass the names of the files on."""
        sheet = Sheet()
        names, order = sheet.add("obj r render"), sheet.add("obj t b b a")
        kept = sheet.add("obj list append")  # the names, until it begins
        waiting = sheet.add(f"obj delay {PATIENCE if self.ask == 'nn' else UNASKED}")
        asking = sheet.add("obj metro 100")
        once, done, closed = sheet.add("obj spigot 1"), sheet.add("obj t a b b"), sheet.add("msg 0")
        said, later = sheet.add("obj route latency"), sheet.add("obj delay 0")
        begin, stop = sheet.add("obj s render-now"), sheet.add("msg stop")
        sheet.chain(names, order, asking, sheet.add(f"obj s {self.ask}"))
        sheet.connect((order, 1, waiting, 0), (order, 2, kept, 1))
        sheet.chain(waiting, kept, once, done, begin)
        sheet.chain(sheet.add("obj r nn-info"), said, sheet.add("obj t b"), later, kept)
        sheet.connect((done, 1, stop, 0), (stop, 0, asking, 0), (done, 2, closed, 0), (closed, 0, once, 1))
        return sheet

    def _watch(self) -> Sheet:
        """From the start on, print by how much Pd's clock is behind the machine's, and ask nn~."""
        sheet = Sheet()
        go, order = sheet.add("obj r go"), sheet.add("obj t b b b b")
        look, both = sheet.add(f"obj metro {WATCH:g}"), sheet.add("obj t b b")
        logical, real = sheet.add("obj timer"), sheet.add("obj realtime")
        difference = sheet.add("obj -")
        asking = sheet.add(f"obj metro {self.every:g}")
        sheet.chain(go, order, look, both)
        sheet.chain(real, difference, sheet.add("obj print BEHIND"))
        sheet.chain(asking, sheet.add(f"obj s {self.ask}"))
        sheet.connect((order, 1, asking, 0), (order, 2, real, 0), (order, 3, logical, 0))
        sheet.connect((both, 0, real, 1), (both, 1, logical, 1), (logical, 0, difference, 1))
        return sheet


@contextlib.contextmanager
def busy(programs: int) -> Iterator[None]:
    """Keep the machine busy with so many programs that compute without end.

    Notebook: 08.
    """
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(programs)]
    try:
        yield
    finally:
        for program in running:
            program.kill()
            program.wait()


def live(
    arguments: str,
    audio: Tensor,
    folder: Path,
    externals: Path,
    *,
    buffer: int,
    outs: int = 1,
    programs: int = 0,
    ask: bool = True,
) -> Live:
    """Play `audio` [ins, T] through nn~ in a Pd that runs in real time (it makes no sound), and watch it.

    Args:
        arguments: of nn~ without the buffer: model and method.
        folder: where the model is; files are written there.
        externals: the folder with nn~.
        buffer: samples; 0 computes in Pd's own thread.
        outs: signals that nn~ gives.
        programs: that keep the machine busy meanwhile, besides Pd.
        ask: nn~ is asked how it is; False for builds of it that do not understand.
    Raises:
        RaveCourseError: Pd did not play it.
    Notebook: 08.
    """
    patch = _Watched(f"{arguments} {buffer}", len(audio), outs)
    patch.ask = "nn" if ask else "nobody"
    patch.every = max(1.0, 500 * max(buffer, 256) / RATE)  # twice a block
    seconds = audio.shape[-1] / RATE
    with busy(programs):
        before = processor()
        ran = play(patch, audio, folder, externals, batch=False, seconds=seconds + 90)
        spent = processor() - before
    if ran.audio is None or ran.errors:
        raise RaveCourseError(f"Pd did not play this: {(ran.errors or ran.console.splitlines() or ['no word'])[-1]}")
    counts = [int(float(words[0])) for words in ran.info("blocks")]
    loads = [float(words[0]) for words in ran.info("load")]
    late = [int(float(words[0])) for words in ran.info("late")]
    used = int(float(ran.info("buffer")[-1][0])) if ran.info("buffer") else max(buffer, 1)
    behind = [float(line.split()[1]) for line in ran.console.splitlines() if line.startswith("BEHIND: ")]
    return Live(
        used,
        counts[-1] if counts else None,
        max(late) if late else None,
        _singles(counts, loads) * used / RATE,
        torch.tensor(behind),
        spent,
        seconds,
    )


def _singles(counts: list[int], loads: list[float]) -> Tensor:
    """The share of each block, from the smoothed load, wherever just one block came between two looks."""
    pairs = zip(counts, counts[1:], loads, loads[1:], strict=False)
    shares = [(now - (1 - SMOOTHING) * then) / SMOOTHING for old, new, then, now in pairs if new == old + 1]
    return torch.tensor(shares).clamp(min=0)


def processor() -> float:
    """Seconds of processor time that ended child processes have used. Notebook: 08."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
