"""Delay, speed and quality of the presets for playing live: prints a table, asserts nothing.

    python -m benchmarks.latency [runs/one runs/two ...] [--train 0] [--seconds 1]

Without names: `tiny`, `tiny` causal and `low_latency` with random weights. Run folders are shown with the distance that
they reached on held-out sound; compare only runs that were trained on one dataset for as long. `--train N` makes such
runs in build/benchmarks/latency: the three presets, N steps of the first phase each, on the bundled instruments.
"""

import argparse
import sys
from pathlib import Path

from ravecourse.config import ModelConfig, preset, training_preset
from ravecourse.dataset import Dataset, prepare
from ravecourse.evaluation import preset_table
from ravecourse.model import checkpoint
from ravecourse.synth import INSTRUMENTS, render_folder
from ravecourse.training import train

FOLDER = Path("build/benchmarks/latency")
SHOWN = {"tiny": preset("tiny"), "tiny_causal": preset("tiny", causal=True), "low_latency": preset("low_latency")}


def trained(steps: int) -> list[Path]:
    """Run folders of the presets, each trained for `steps` of the first phase on a minute of each instrument."""
    sounds, dataset = FOLDER / "sounds", FOLDER / "dataset"
    if not dataset.exists():
        render_folder(sounds, INSTRUMENTS, 1)
        prepare([sounds], dataset, progress=False)
    runs = []
    for name, config in SHOWN.items():
        settings = training_preset(
            config.preset, phase_one_steps=steps, phase_two_steps=0, validation_every=steps, beta_ramp_steps=steps // 2
        )
        runs.append(FOLDER / f"{name}_{steps}")
        train(Dataset(dataset), runs[-1], config, settings, device="cpu", tensorboard=False)
    return runs


def line(config: ModelConfig, seconds: float, quality: str) -> str:
    """One row of the table."""
    row = preset_table.row(config, seconds)
    speed = row.speed
    return (
        f"{row.name + (' causal' if row.causal else ''):19}{row.hop_length:>5}{row.delay_ms:>9.2f} ms"
        f"{row.delay_ms + speed.deadline_ms:>10.2f} ms{speed.real_time_factor:>9.1f} x{speed.median_ms:>8.3f} ms"
        f"{speed.p99_ms:>8.3f} ms{speed.deadline_ms:>9.2f} ms{row.parameters / 1e6:>9.2f} M  {quality}"
    )


def main(arguments: list[str]) -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run folders or checkpoints")
    parser.add_argument("--train", type=int, default=0, metavar="N", help="train the three presets for N steps first")
    parser.add_argument("--seconds", type=float, default=1.0, help="of timing for each line")
    options = parser.parse_args(arguments)
    runs = options.runs + (trained(options.train) if options.train else [])
    print(
        f"{'preset':19}{'hop':>5}{'delay':>12}{'with a hop':>13}{'real time':>11}{'median':>11}{'p99':>11}"
        f"{'deadline':>12}{'parameters':>11}  quality"
    )
    for config in SHOWN.values() if not runs else ():
        print(line(config, options.seconds, "not trained"), flush=True)
    for run in runs:
        found = checkpoint.load(run)
        history = found.notes.validations
        quality = f"{history[-1].log_mel:.3f} after {found.step} steps" if history else "no validation yet"
        print(line(found.model_config, options.seconds, quality), flush=True)
    print(
        "delay: the model's, filter bank included. with a hop: and the player's buffer of one hop. quality: log-mel "
        "distance on held-out sound (1 is 20 dB a band), less is better."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
