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

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError

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
        times: seconds that single blocks took, [blocks], as many as could be told apart.
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

    def _player(self) -> str:
        text = super()._player()
        objects = text.count("#X obj") + text.count("#X msg")
        return text + f"#X obj 300 10 s nn-info;\n#X connect 1 {self.outs} {objects} 0;\n"

    def text(self, samples: int) -> str:
        """As `Patch.text`, for a sound of `samples` samples."""
        begins = super().text(samples).replace(" r render;", " r render-now;")
        return (
            begins
            + f"""#N canvas 0 0 500 500 ready 0;
#X obj 10 10 r render;
#X obj 10 40 t b b a;
#X obj 200 40 r nn-info;
#X obj 200 70 route latency;
#X obj 200 100 t b b;
#X obj 10 70 delay {PATIENCE if self.ask == "nn" else UNASKED};
#X obj 10 160 list append;
#X obj 100 100 metro 100;
#X obj 100 130 s {self.ask};
#X obj 10 190 spigot 1;
#X obj 10 220 t a b b;
#X msg 200 220 0;
#X obj 10 250 s render-now;
#X obj 300 220 bang;
#X msg 100 70 stop;
#X obj 200 130 delay 0;
#X connect 0 0 1 0;
#X connect 1 0 7 0;
#X connect 1 1 5 0;
#X connect 1 2 6 1;
#X connect 2 0 3 0;
#X connect 3 0 4 0;
#X connect 4 0 15 0;
#X connect 15 0 6 0;
#X connect 5 0 6 0;
#X connect 6 0 9 0;
#X connect 9 0 10 0;
#X connect 7 0 8 0;
#X connect 10 0 12 0;
#X connect 10 1 14 0;
#X connect 10 2 11 0;
#X connect 11 0 9 1;
#X connect 14 0 7 0;
#X restore 400 500 pd ready;
#N canvas 0 0 500 500 watch 0;
#X obj 10 10 r go;
#X obj 10 40 t b b b b;
#X obj 10 100 metro {WATCH:g};
#X obj 10 130 t b b;
#X obj 120 160 timer;
#X obj 10 160 realtime;
#X obj 10 190 -;
#X obj 10 220 print BEHIND;
#X obj 250 100 metro {self.every:g};
#X obj 250 130 s {self.ask};
#X connect 0 0 1 0;
#X connect 1 0 2 0;
#X connect 1 1 8 0;
#X connect 1 2 5 0;
#X connect 1 3 4 0;
#X connect 2 0 3 0;
#X connect 3 0 5 1;
#X connect 3 1 4 1;
#X connect 4 0 6 1;
#X connect 5 0 6 0;
#X connect 6 0 7 0;
#X connect 8 0 9 0;
#X restore 500 500 pd watch;
"""
        )


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
