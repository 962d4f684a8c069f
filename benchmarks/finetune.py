"""Whether fine-tuning pays: a trained model goes on with a new sound for a while, a new one has three times as long.

    python -m benchmarks.finetune sounds/cello [--from base] [--minutes 10] [--times 3] [--out build/benchmarks/finetune]

Both train on the same recordings, on one thread, phase one alone, each by its own recipe planned to fill its time; time is
that of the processor, so other programs do not count. The table has the log-mel distance (1 is 20 dB a band, less is
better) on recordings that neither was trained on, and on which the base, too, is measured as it is.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ravecourse.config import ModelConfig, TrainingConfig, fine_tuning_preset, training_preset
from ravecourse.dataset import CropSampler, Dataset, prepare
from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE, checkpoint
from ravecourse.runtime import clock, threads
from ravecourse.training import Base, Learner, load_base, log_mel_distance, train

FOLDER = Path("build/benchmarks/finetune")
HELD_OUT_SECONDS = 30
PACED = 8  # steps that the plan is made from, after as many that are not counted


@dataclass(frozen=True)
class Row:
    """One training: how long, and how close it came."""

    name: str
    steps: int
    seconds: float  # of the processor
    log_mel: float

    def __str__(self) -> str:
        return f"{self.name:32}{self.steps:>7}{clock(self.seconds):>12}{self.log_mel:>9.3f}"


def dataset_for(sounds: Path, config: ModelConfig, out: Path) -> Dataset:
    """The dataset that `sounds` is, or that is prepared from it for models of this rate, a tenth of it held out."""
    if (sounds / "store.json").is_file():
        return Dataset(sounds)
    target = out / "dataset"
    prepare([sounds], target, sample_rate=config.sample_rate, channels=config.channels, progress=False)
    return Dataset(target)


def distance(model: RAVE, store: Dataset) -> float:
    """Log-mel distance on the held-out recordings, of latent means."""
    sound = store.held_out()[None, :, : HELD_OUT_SECONDS * store.sample_rate]
    sound = sound[..., : sound.shape[-1] // model.hop_length * model.hop_length]  # [1, C, T]
    with torch.no_grad():
        made = model.eval()(sound, generator=torch.Generator().manual_seed(0))
    return float(log_mel_distance(sound, made, store.sample_rate))


def planned(store: Dataset, model: ModelConfig, recipe: TrainingConfig, seconds: float) -> TrainingConfig:
    """The recipe with as many steps of phase one as fit into so many seconds of the processor, and none of phase two."""
    learner = Learner(model, recipe, torch.device("cpu"))
    audio = CropSampler(store, "train", recipe.crop_samples, recipe.batch_size).batch(0).audio
    began = 0.0
    for step in range(2 * PACED):
        if step == PACED:
            began = time.process_time()
        learner.step(audio, recipe.waveform_steps + step, 1 << 30)
    pace = (time.process_time() - began) / PACED
    steps = max(2, round(seconds / pace))
    ramp = min(recipe.beta_ramp_steps, steps // 4)
    return replace(recipe, phase_one_steps=steps, phase_two_steps=0, validation_every=steps, beta_ramp_steps=ramp)


def trained(
    name: str, store: Dataset, run: Path, model: ModelConfig, recipe: TrainingConfig, seconds: float, base: Base | None
) -> Row:
    """Train by the recipe for so many seconds of the processor, and measure."""
    settings = planned(store, model, recipe, seconds)
    began = time.process_time()
    result = train(store, run, model, settings, base=base, device="cpu", resume=False, tensorboard=False)
    spent = time.process_time() - began
    return Row(name, result.step, spent, distance(checkpoint.load_model(run), store))


def compare(sounds: Path, model: str, minutes: float, times: float, out: Path) -> list[Row]:
    """The base as it is, the base fine-tuned, and a new model of the same configuration, trained `times` as long."""
    base = load_base(model)
    config = base.checkpoint.model_config
    store = dataset_for(sounds, config, out)
    if not store.validation:
        raise RaveCourseError(f"{store.path} holds nothing out to measure on. Give two recordings or more.")
    own = base.checkpoint.training_config
    rows = [Row(f"{base.name}, as it is", 0, 0.0, distance(checkpoint.model_of(base.checkpoint), store))]
    for name, recipe, start, share in (
        (f"from {base.name}", fine_tuning_preset(config.preset, own), base, 1.0),
        ("from nothing", training_preset(config.preset), None, times),
    ):
        run = out / name.replace(" ", "_").replace("(", "").replace(")", "")
        rows.append(trained(name, store, run, config, recipe, 60 * minutes * share, start))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("sounds", type=Path, metavar="FOLDER", help="recordings, or a dataset")
    parser.add_argument("--from", dest="model", default="base", metavar="MODEL", help="(default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of fine-tuning (default: %(default)g)")
    parser.add_argument("--times", type=float, default=3.0, help="as long from nothing (default: %(default)g)")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        with threads(1):
            rows = compare(options.sounds, options.model, options.minutes, options.times, options.out)
    except RaveCourseError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{'':32}{'steps':>7}{'processor':>12}{'log-mel':>9}")
    for row in rows:
        print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
