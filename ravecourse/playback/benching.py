"""Tables of how fast models run on this machine. Notebook: 09."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from ravecourse.config import PRESETS, preset
from ravecourse.errors import RaveCourseError
from ravecourse.export import ExportedRAVE, Model, describe, load
from ravecourse.model import RAVE

from .player import MARGIN, Measurement, measure, measure_buffers

HEADER = f"{'method':12}{'buffer':>8}{'lasts':>11}{'median':>11}{'p99':>11}{'real time':>12}"


def run(what: Sequence[str], seconds: float) -> None:
    """Print a table for each `.ts` file or preset (its causal form too); all presets where none is named.

    Args:
        what: names of files or presets.
        seconds: of timing for each line, above 0.
    Raises:
        RaveCourseError: no such file or preset.
    Source: this course. Notebook: 09.
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
    """Print each method at 1, 2 and 4 hops a block. Source: this course. Notebook: 09."""
    print(f"\n{title}, {model.sample_rate} Hz\n{HEADER}")
    for method in model.methods:
        for hops in (1, 2, 4):
            print(line(measure(model, method, hops * model.smallest_buffer, seconds)), flush=True)


def of_file(model: Model, seconds: float) -> None:
    """Print each method of a file, from the smallest buffer to the first safe one. Source: this course.
    Notebook: 09."""
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
    """One line of the table. Source: this course. Notebook: 09."""
    return (
        f"{m.method:12}{m.buffer:>8}{m.deadline_ms:>8.2f} ms{m.median_ms:>8.2f} ms{m.p99_ms:>8.2f} ms"
        f"{m.real_time_factor:>10.1f} x"
    )


def untrained(name: str, causal: bool | None = None) -> Model:
    """A preset with its first random weights, ready to be played; it runs as fast as a trained one. Source: this
    course. Notebook: 09."""
    model = RAVE(preset(name, causal=causal)).eval()
    model.noise_level.fill_(1.0)
    return playable(model, name)


def playable(model: RAVE, name: str = "model") -> Model:
    """A model as a player sees its export, without a file: it is compiled, and not proven. Source: this course.
    Notebook: 09."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(ExportedRAVE(model).eval())
    return describe(scripted, Path(name), {"sample_rate": model.sample_rate})
