"""Where a call of `train` starts from: device, configurations, and whether they fit the dataset.

Notebook: 04.
"""

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from ravecourse.config import ModelConfig, TrainingConfig
from ravecourse.dataset import Augment, Dataset
from ravecourse.errors import RaveCourseError
from ravecourse.model import Checkpoint
from ravecourse.runtime import threads

from .learner import Learner

WORTH = 0.85  # several threads are taken where a step takes this share of its time on one, or less


def augmentation(config: TrainingConfig) -> Augment:
    """The changes to training crops that a configuration asks for. Source: this course. Notebook: 04."""
    return Augment(
        gain_probability=0.5 if config.gain_db else 0.0,
        gain_db=(-config.gain_db, 0.0),
        phase_probability=config.phase_probability,
        pitch_probability=0.5 if config.pitch_semitones else 0.0,
        pitch_semitones=(-config.pitch_semitones, config.pitch_semitones),
    )


def settle(
    found: Checkpoint | None,
    model_config: ModelConfig | None,
    training_config: TrainingConfig | None,
    phase_two_now: bool,
    run_folder: Path,
) -> tuple[ModelConfig, TrainingConfig]:
    """Which configurations hold: those asked for, as far as the checkpoint allows, else the checkpoint's.

    Raises:
        RaveCourseError: nothing to go on from, or a model of another shape.
    Source: this course. Notebook: 04.
    """
    if found is None:
        if phase_two_now:
            raise RaveCourseError(
                f"Phase two needs a model from phase one, and {run_folder} has no checkpoint. "
                "Train without --phase-two-now first."
            )
        if model_config is None or training_config is None:
            raise RaveCourseError(f"There is no checkpoint in {run_folder} to go on from. Choose a preset.")
        return model_config, training_config
    if model_config is not None and model_config != found.model_config:
        differing = [
            f.name
            for f in dataclasses.fields(ModelConfig)
            if getattr(model_config, f.name) != getattr(found.model_config, f.name)
        ]
        raise RaveCourseError(
            f"{run_folder} holds a model of another shape ({', '.join(differing)} differ). "
            "Choose another run folder, or begin anew without resuming."
        )
    return found.model_config, training_config or found.training_config


def phase_two_start(found: Checkpoint | None, config: TrainingConfig, now: bool) -> int:
    """The step at which phase two begins or began; `now` moves it to where the checkpoint stands.

    Source: this course. Notebook: 06.
    """
    if found is None:
        return config.phase_one_steps
    if found.phase == 2:
        return found.phase_two_start
    return found.step if now else max(config.phase_one_steps, found.step)


def check_fit(store: Dataset, model_config: ModelConfig, config: TrainingConfig) -> None:
    """Check that dataset, model and crops go together.

    Raises:
        RaveCourseError: another sample rate, other channels, or crops that are no multiple of the hop.
    Source: this course. Notebook: 04.
    """
    if (store.sample_rate, store.channels) != (model_config.sample_rate, model_config.channels):
        raise RaveCourseError(
            f"The dataset has {store.channels} channels at {store.sample_rate} Hz, the model "
            f"{model_config.channels} at {model_config.sample_rate} Hz. Prepare the dataset again."
        )
    if config.crop_samples % model_config.hop_length:
        nearest = max(1, round(config.crop_samples / model_config.hop_length)) * model_config.hop_length
        raise RaveCourseError(
            f"crop_samples is {config.crop_samples}; the model needs a multiple of "
            f"{model_config.hop_length}, such as {nearest}."
        )


def choose_threads(learner: Learner, audio: Tensor) -> tuple[int, tuple[float, float]]:
    """Try a step of each phase on one thread and on all, and take one where more are not clearly faster.

    Where other programs use the processor, threads wait for each other, and a short step then takes many times longer.

    Args:
        audio: a batch `[B, C, T]` of the size that training will use.
    Returns:
        the number of threads, and the seconds of a step in phase one and in phase two.
    Source: this course. Notebook: 04.
    """
    everything = torch.get_num_threads()
    pace = learner.rehearse(audio)
    if everything == 1 or learner.device.type != "cpu":
        return everything, pace
    with threads(1):
        alone = learner.rehearse(audio)
    if sum(pace) > WORTH * sum(alone):
        pace = learner.rehearse(audio)  # again, since the first time is longer for whoever comes first
    return (everything, pace) if sum(pace) < WORTH * sum(alone) else (1, alone)
