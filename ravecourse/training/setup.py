"""Where a call of `train` starts from: device, configurations, and whether they fit the dataset.

Notebook: 04.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ravecourse.config import ModelConfig, TrainingConfig
from ravecourse.dataset import Augment, Dataset
from ravecourse.errors import RaveCourseError
from ravecourse.model import Checkpoint
from ravecourse.runtime import threads

from . import thread_choice
from .learner import Learner

# What may change when a run is resumed, the first only during phase one; everything else would make the first half one
# training and the second another.
CHANGEABLE = ("phase_one_steps", "phase_two_steps", "validation_every", "checkpoint_every")


def augmentation(config: TrainingConfig) -> Augment:
    """The changes to training crops that a configuration asks for. Notebook: 04."""
    return Augment(
        gain_probability=0.5 if config.gain_db else 0.0,
        gain_db=(-config.gain_db, 0.0),
        phase_probability=config.phase_probability,
        pitch_probability=0.5 if config.pitch_semitones else 0.0,
        pitch_semitones=(-config.pitch_semitones, config.pitch_semitones),
    )


def resume_settings(
    found: Checkpoint | None,
    model_config: ModelConfig | None,
    training_config: TrainingConfig | None,
    phase_two_now: bool,
    run_folder: Path,
) -> tuple[ModelConfig, TrainingConfig]:
    """The configurations that a call of `train` works with: the checkpoint's, or those of a new run.

    A run keeps its settings: only the lengths of the phases and how often to validate and to save may change.

    Raises:
        RaveCourseError: nothing to resume from, a checkpoint that cannot be trained on, another model, other settings.
    Notebook: 04.
    """
    if found is None:
        if phase_two_now:
            raise RaveCourseError(
                f"Phase two needs a model from phase one, and {run_folder} has no checkpoint. "
                "Train without --phase-two-now first."
            )
        if model_config is None or training_config is None:
            raise RaveCourseError(f"There is no checkpoint in {run_folder} to resume from. Choose a preset.")
        return model_config, training_config
    if found.training_config is None:
        origin = f" It was imported from {found.notes.imported_from}." if found.notes.imported_from else ""
        raise RaveCourseError(
            f"{run_folder} holds a model without the settings of its training, so its training cannot be resumed."
            f"{origin} Export it, or fine-tune it in another run folder: --from {run_folder}."
        )
    if model_config is not None and (differing := _differing(model_config, found.model_config)):
        raise RaveCourseError(
            f"{run_folder} holds another model ({differing}). Choose another run folder, or start over with --fresh."
        )
    changeable = CHANGEABLE if found.phase == 1 else CHANGEABLE[1:]  # phase one is over: its length is history
    if training_config is not None and (differing := _differing(training_config, found.training_config, changeable)):
        raise RaveCourseError(
            f"{run_folder} was trained with other settings ({differing}), which a run keeps to its end. "
            "Resume without them, choose another run folder, or start over with --fresh."
        )
    return found.model_config, training_config or found.training_config


def can_start_over(
    found: Checkpoint, dataset: Dataset, model_config: ModelConfig | None, training_config: TrainingConfig | None
) -> bool:
    """Whether a run folder holds a run without a single step, and other settings or recordings are given now.

    Nothing is lost then: a first try with a learning rate that was too high does not occupy its folder.
    Notebook: 04.
    """
    if found.step or found.training_config is None or model_config is None or training_config is None:
        return False
    return bool(
        _differing(model_config, found.model_config)
        or _differing(training_config, found.training_config, CHANGEABLE)
        or _other_recordings(found, dataset)
    )


def changed_plan(found: Checkpoint, config: TrainingConfig) -> str:
    """What to say where the phase at hand gets another length while its learning rate follows that length; "" otherwise.

    Notebook: 04.
    """
    name, phase = ("phase_one_steps", "one") if found.phase == 1 else ("phase_two_steps", "two")
    now = getattr(config, name)
    before = getattr(found.training_config, name) if found.training_config else now
    if not config.cosine_decay or before == now:
        return ""
    return (
        f"Phase {phase} has {now} steps now, not {before}: from here on the learning rate follows the new plan, so the "
        "model differs from one that was planned so from the start."
    )


def _differing(
    asked: ModelConfig | TrainingConfig, stored: ModelConfig | TrainingConfig, but: Sequence[str] = ()
) -> str:
    """ "beta 0.1, it has 0.01" and so on for each field that differs; "" if none does."""
    names = [field.name for field in dataclasses.fields(asked) if field.name not in but]
    return "; ".join(
        f"{name} {getattr(asked, name)} is asked for, it has {getattr(stored, name)}"
        for name in names
        if getattr(asked, name) != getattr(stored, name)
    )


def check_same_recordings(found: Checkpoint, dataset: Dataset, run_folder: Path) -> None:
    """Check that a run is resumed with the recordings that it began with.

    Raises:
        RaveCourseError: the dataset is another one; the message says how it differs.
    Notebook: 04.
    """
    if how := _other_recordings(found, dataset):
        raise RaveCourseError(
            f"{run_folder} was trained on the dataset {found.notes.dataset!r}, and {dataset.path} is another one: "
            f"{how}. Resume with the first dataset, choose another run folder, or start over with --fresh."
        )


def _other_recordings(found: Checkpoint, dataset: Dataset) -> str:
    """How the training recordings differ from those that a run began with; "" if they do not."""
    before, now = set(found.notes.recordings), {segment.name for segment in dataset.train}
    if before and before != now:
        changes = [
            f"{len(names)} {what}" for names, what in ((before - now, "missing"), (now - before, "new")) if names
        ]
        return f"{' and '.join(changes)} of its recordings"
    if found.notes.fingerprint and found.notes.fingerprint != dataset.fingerprint:
        return "recordings of the same names with other contents, or prepared with other settings"
    return ""


def phase_two_start(found: Checkpoint | None, config: TrainingConfig, now: bool) -> int:
    """The step at which phase two begins or began; `now` moves it to where the checkpoint stands.

    Notebook: 06.
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
    Notebook: 04.
    """
    if (store.sample_rate, store.channels) != (model_config.sample_rate, model_config.channels):
        raise RaveCourseError(
            f"The dataset has {store.channels} channels at {store.sample_rate} Hz, the model "
            f"{model_config.channels} at {model_config.sample_rate} Hz. Prepare the dataset again with --sample-rate "
            f"{model_config.sample_rate} --channels {model_config.channels}."
        )
    if config.crop_samples % model_config.hop_length:
        nearest = max(1, round(config.crop_samples / model_config.hop_length)) * model_config.hop_length
        raise RaveCourseError(
            f"crop_samples is {config.crop_samples}; the model needs a multiple of "
            f"{model_config.hop_length}, such as {nearest}."
        )


def rehearse(learner: Learner, audio: Tensor, known: int) -> tuple[int, tuple[float, float]]:
    """How many threads, and the pace; its steps of each phase show a lack of memory before hours of phase one.

    Args:
        audio: a batch `[B, C, T]` of the size that training will use.
        known: the number that this training computed with last, since others add up in another order; 0 if there is none.
    Returns:
        the number of threads to begin with, and the seconds of a step in phase one and in phase two.
    Raises:
        RaveCourseError: too little memory for a step of either phase.
    Notebook: 04.
    """
    try:
        if known:
            with threads(known):
                return known, learner.rehearse(audio)
        return thread_choice.choose_threads(learner, audio)
    except (RuntimeError, MemoryError) as error:
        text = str(error).lower()
        if not isinstance(error, MemoryError) and not any(
            sign in text for sign in ("out of memory", "can't allocate memory", "not enough memory")
        ):
            raise
        raise RaveCourseError(
            f"Training does not fit into the memory of {learner.device} with batch_size {learner.config.batch_size} and "
            f"crop_samples {learner.config.crop_samples}. Halve batch_size, or halve crop_samples."
        ) from error
    finally:
        if learner.device.type == "cuda":
            torch.cuda.empty_cache()
