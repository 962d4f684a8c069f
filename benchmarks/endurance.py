"""Does a stream get slower or bigger with time? Plays minutes of sound and draws time per block and memory.

    python -m benchmarks.endurance [tiny] [--minutes 10] [--out build/benchmarks]

Blocks of one hop are streamed back to back, so an hour of sound takes a part of an hour.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import theilslopes

from ravecourse.config import PRESETS
from ravecourse.course import COLOURS, save
from ravecourse.export import Model
from ravecourse.playback import Player, untrained
from ravecourse.runtime import threads

STRETCHES = 200  # points of the plot
SETTLED = 0.1  # share at the start that warms up and does not count


@dataclass(frozen=True)
class Course:
    """What was seen in each stretch of the stream, all `[stretches]`.

    Args:
        minutes: of sound played when the stretch ended.
        median_ms, p99_ms: of a block.
        memory_mb: resident memory of the process.
    """

    minutes: np.ndarray
    median_ms: np.ndarray
    p99_ms: np.ndarray
    memory_mb: np.ndarray

    def drift(self) -> float:
        """Change of the time of a block from the warm-up to the end, as a share of it: a line through the medians, the
        one that moments when the machine was busy pull least (Theil and Sen)."""
        settled = slice(int(SETTLED * len(self.minutes)), None)
        minutes, median = self.minutes[settled], self.median_ms[settled]
        slope = theilslopes(median, minutes)[0]  # ms a minute
        return float(slope * (minutes[-1] - minutes[0]) / np.median(median))

    def growth_mb(self) -> float:
        """Memory at the end less memory after the warm-up."""
        return float(self.memory_mb[-1] - self.memory_mb[int(SETTLED * len(self.minutes))])


def resident_mb() -> float:
    """Memory that this process holds now, in MB; where the system does not tell, the most that it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    import resource

    return pages * resource.getpagesize() / 1e6


def play(model: Model, minutes: float, stretches: int = STRETCHES) -> Course:
    """Stream `minutes` of soft noise through `forward`, one hop at a time, with one thread."""
    player = Player(model, "forward", model.smallest_buffer)
    rate = model.sample_rate or 48000
    blocks = max(int(minutes * 60 * rate / player.buffer), 2 * stretches)
    generator = torch.Generator().manual_seed(0)
    sound = 0.1 * torch.randn(16, 1, player.method.in_channels, player.buffer, generator=generator)
    edges = np.linspace(0, blocks, stretches + 1).astype(int)
    course = Course(edges[1:] * player.buffer / rate / 60, *(np.empty(stretches) for _ in range(3)))
    times = np.empty(np.diff(edges).max())
    with threads(1), torch.random.fork_rng(devices=[]):
        for block in list(sound) * 4:  # the first calls compile
            player.process(block)
        for stretch, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            for i in range(last - first):
                start = time.perf_counter()
                player.process(sound[i % len(sound)])
                times[i] = time.perf_counter() - start
            spent = 1000 * times[: last - first]
            course.median_ms[stretch], course.p99_ms[stretch] = np.median(spent), np.quantile(spent, 0.99)
            course.memory_mb[stretch] = resident_mb()
    return course


def drawn(course: Course, title: str, deadline_ms: float) -> Figure:
    """Time of a block and memory over the sound played."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(course.minutes, course.p99_ms, color=COLOURS[1], label="99th percentile", linewidth=0.8)
    above.plot(course.minutes, course.median_ms, color=COLOURS[0], label="median")
    above.axhline(deadline_ms, color="black", linestyle=":", label="deadline")
    above.set(ylabel="time of a block (ms)", ylim=(0, None), title=title)
    above.legend(loc="upper right", ncols=3)
    below.plot(course.minutes, course.memory_mb, color=COLOURS[2])
    below.set(ylabel="memory (MB)", xlabel="sound played (minutes)", ylim=(0, 1.3 * course.memory_mb.max()))
    return figure


def main(arguments: list[str]) -> None:
    """Parse the command line, play, draw, and print what the plot shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "name", nargs="?", default="tiny", choices=list(PRESETS), metavar="PRESET", help="(default: %(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of sound (default: %(default)g)")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), metavar="FOLDER")
    options = parser.parse_args(arguments)
    model = untrained(options.name)
    course = play(model, options.minutes)
    deadline = 1000 * model.smallest_buffer / (model.sample_rate or 48000)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "endurance.png"
    title = f"{options.name}, {course.minutes[-1]:g} minutes in blocks of {model.smallest_buffer} samples"
    save(drawn(course, title, deadline), target)
    print(
        f"{title}: median {np.median(course.median_ms):.3f} ms a block (deadline {deadline:.2f} ms), "
        f"{100 * course.drift():+.1f} % from start to end; memory {course.memory_mb[-1]:.0f} MB, "
        f"{course.growth_mb():+.1f} MB since the first tenth. Drawn in {target}."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
