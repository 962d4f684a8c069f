"""nn~ in a real Pd: processor time, late blocks while the machine is busy, the smallest buffer without one.

    python -m benchmarks.pd [MODEL.ts ...] [--other FILE] [--seconds 5] [--programs N]

Without names: the course's `tiny` model of strings and an untrained `low_latency`. `--other` is an nn~ of somebody else
(nn~.pd_linux), measured beside the course's on the same models; NN_TILDE_DIR=checkout builds the well-known one for it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from ravecourse.export import load
from ravecourse.playback import RATE, Live, Patch, live, patch_assets, play, processor, smallest_safe_buffer, symbol

BUFFERS = (0, 512, 1024, 2048, 4096, 8192)
BEHIND = 20.0  # milliseconds: what Pd has in reserve at its usual settings


def processor_time(model: Path, buffer: int, folder: Path, nn: Path, seconds: float) -> float:
    """Seconds of processor time for a second of sound, starting and loading not counted: the slope of two lengths."""
    spent = []
    for length in (2.0, 2.0 + seconds):
        before = processor()
        ran = play(Patch(f"{symbol(model)} forward {buffer}"), noise(length), folder, nn, seconds=300)
        spent.append(processor() - before)
        if ran.audio is None or ran.errors:
            raise RuntimeError(f"Pd did not play {model}: {ran.console[-300:]}")
    return (spent[1] - spent[0]) / seconds


def noise(seconds: float) -> torch.Tensor:
    """[1, T]"""
    return 0.2 * torch.randn(1, int(RATE * seconds), generator=torch.Generator().manual_seed(0))


def failed(run: Live) -> bool:
    """Whether a block came late, or Pd was behind its clock by more than its reserve."""
    return bool(run.late) or bool((run.behind > BEHIND).any())


def row(name: str, model: Path, buffer: int, folder: Path, nn: Path, options: argparse.Namespace) -> bool:
    """Measure and print one line of the table; whether nothing came late, on the quiet and on the busy machine."""
    spent = processor_time(model, buffer, folder, nn, options.seconds)
    runs = [
        live(
            f"{symbol(model)} forward",
            noise(options.seconds),
            folder,
            nn,
            buffer=buffer,
            programs=programs,
            ask=name == "course",
        )
        for programs in (0, options.programs)
    ]
    cells = []
    for run in runs:
        late = "not told" if run.late is None else f"{run.late} of {run.blocks}"
        cells.append(f"{late:>14}{float(run.behind.max()):>9.0f} ms")
    times = runs[0].times
    median = f"{1000 * float(times.median()):.2f} ms" if len(times) else ""
    print(
        f"{name:10}{model.stem:14}{buffer:>7}{1000 * buffer / RATE:>9.1f} ms{spent:>10.3f} s{median:>11}"
        + "".join(cells),
        flush=True,
    )
    return not any(failed(run) for run in runs)


def upstream() -> Path | None:
    """The well-known nn~, built from the checkout that NN_TILDE_DIR names."""
    if not os.environ.get("NN_TILDE_DIR"):
        return None
    ran = subprocess.run(
        ["bash", "pd_setup/build_nn.sh"], env={**os.environ, "NN": "upstream"}, capture_output=True, text=True
    )
    if ran.returncode:
        print(f"The nn~ in {os.environ['NN_TILDE_DIR']} could not be built: {ran.stderr.strip()[-300:]}")
        return None
    return Path(ran.stdout.splitlines()[-1])


def main(arguments: list[str]) -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL.ts")
    parser.add_argument("--other", type=Path, help="another nn~.pd_linux (or .pd_darwin) to measure beside")
    parser.add_argument("--seconds", type=float, default=5.0, help="of sound for each measurement")
    parser.add_argument("--programs", type=int, default=2 * (os.cpu_count() or 1), help="that keep the machine busy")
    options = parser.parse_args(arguments)
    builds = {"course": patch_assets.external()}
    other = options.other or upstream()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if other is not None:
            builds["other"] = folder / "other"
            builds["other"].mkdir()
            shutil.copy(other, builds["other"] / other.name)
        models = [path.resolve() for path in options.models]
        if not models:
            made = {path.name: path.resolve() for path in patch_assets.materials(Path("build/patches"))}
            models = [made["strings.ts"], made["low_latency.ts"]]
        print(
            f"{'':10}{'':14}{'':>7}{'':>12}{'processor':>12}{'a block':>11}{'quiet: late':>14}{'behind':>12}"
            f"{f'busy ({options.programs}): late':>14}{'behind':>12}"
        )
        for model in models:
            for who, nn in builds.items():
                held = []
                for buffer in BUFFERS:
                    held.append(row(who, model, buffer, folder, nn, options))
                safe = next((b for b, good in zip(BUFFERS, held, strict=True) if good), None)
                print(f"{who}: smallest buffer of {model.stem} without a late block, busy machine included: {safe}")
            safe = smallest_safe_buffer(load(model))
            print(f"(Python alone, on the machine as it is: {safe} samples are computed within 80 % of their time)")
    print(
        "processor: seconds for a second of sound. behind: the most that Pd was behind the clock, which it makes up "
        f"for up to its reserve, usually {BEHIND:g} ms. A buffer of 0 computes inside Pd's thread."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
