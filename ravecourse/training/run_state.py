"""Between a training and its run folder: what is saved, restored and removed.

Notebook: 04.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ravecourse.config import ModelConfig, TrainingConfig
from ravecourse.errors import RaveCourseError
from ravecourse.model import Checkpoint, checkpoint

from .learner import Learner
from .table import LOSSES_NAME

PHASE_ONE_NAME = "phase_one.pt"  # the checkpoint from which phase two began


def restore_model(learner: Learner, found: Checkpoint, run_folder: Path) -> None:
    """Give the learner's model the weights of a checkpoint; noise that is heard in it stays to be heard.

    Raises:
        RaveCourseError: they do not fit.
    Notebook: 04.
    """
    with _fitting(run_folder):
        learner.model.load_state_dict(found.model)
    learner.noise = learner.noise or float(learner.model.noise_level) > 0


def restore_training(learner: Learner, found: Checkpoint, run_folder: Path) -> None:
    """Enter the checkpoint's phase, and take over its discriminator and the state of both optimisers, where it has them.

    Raises:
        RaveCourseError: they do not fit.
    Notebook: 04.
    """
    if found.phase == 2:
        learner.enter_phase_two()
    with _fitting(run_folder):
        if found.discriminator:
            learner.discriminator.load_state_dict(found.discriminator)
        for optimiser, state in (
            (learner.optimiser, found.generator_optimiser),
            (learner.discriminator_optimiser, found.discriminator_optimiser),
        ):
            if state:
                optimiser.load_state_dict(state)
                for parameter, moments in optimiser.state.items():
                    if any(moments[name].shape != parameter.shape for name in ("exp_avg", "exp_avg_sq")):
                        raise ValueError("moments of another shape than their weights")


def snapshot(
    learner: Learner,
    model_config: ModelConfig,
    config: TrainingConfig,
    step: int,
    phase_two_start: int,
    notes: checkpoint.Notes,
) -> Checkpoint:
    """Everything that resuming needs, as it is now. Notebook: 04."""
    return Checkpoint(
        model_config,
        learner.model.state_dict(),
        config,
        step,
        learner.phase,
        phase_two_start,
        learner.discriminator.state_dict(),
        learner.optimiser.state_dict(),
        learner.discriminator_optimiser.state_dict(),
        notes,
    )


def clear(run_folder: Path) -> None:
    """Remove what an earlier run left beside its checkpoint.

    Raises:
        RaveCourseError: the files cannot be removed.
    Notebook: 04.
    """
    try:
        for name in (PHASE_ONE_NAME, LOSSES_NAME):
            (run_folder / name).unlink(missing_ok=True)
        for events in (run_folder / "tensorboard").glob("events.out.tfevents.*"):
            events.unlink()
    except OSError as error:
        raise RaveCourseError(
            f"{run_folder} holds an earlier run that cannot be replaced ({error.strerror}). Choose another run folder."
        ) from error


@contextmanager
def _fitting(run_folder: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise RaveCourseError(
            f"The checkpoint in {run_folder} cannot be resumed: its weights or optimisers do not fit its settings "
            f"({lines[min(1, len(lines) - 1)][:120]}). Start over with --fresh, or choose another run folder."
        ) from error
