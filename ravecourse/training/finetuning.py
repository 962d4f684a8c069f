"""Fine-tuning: a training that begins with the weights of a trained model, on other recordings.

Steps are counted from 0, optimisers and discriminators are new, and so is the run folder. Its first checkpoint holds the
model's weights, so resuming needs the model no more.

Notebook: 10.
"""

from dataclasses import dataclass
from pathlib import Path

from ravecourse import bundled
from ravecourse.config import PARTS, ModelConfig, TrainingConfig, fine_tuning_preset
from ravecourse.errors import RaveCourseError
from ravecourse.model import Checkpoint, checkpoint

SHOWN = 12  # digits of a digest, for people


@dataclass(frozen=True)
class Base:
    """A trained model to begin with.

    Notebook: 10.
    """

    checkpoint: Checkpoint
    path: Path  # its checkpoint file
    name: str  # for people: "cello (from strings)"
    digest: str  # of configuration and weights

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:SHOWN]})"

    def replaces(self, found: Checkpoint) -> bool:
        """Whether `found` is a run without a single step that began otherwise: nothing is lost then. Notebook: 10."""
        return not found.step and found.notes.base_digest != self.digest


def load_base(model: Path | str) -> Base:
    """Load the model that a fine-tuning begins with.

    Args:
        model: the name of a bundled model ("strings"), a checkpoint, or a run folder, also one that `ravecourse import`
            wrote.
    Raises:
        RaveCourseError: there is none, it is damaged, or a run of the original RAVE that was not imported yet.
    Notebook: 10.
    """
    path = _find(model)
    found = checkpoint.load(path)
    checkpoint.model_of(found)  # its weights fit what it says of itself
    folder = path.is_dir() or path.name == checkpoint.NAME
    name = checkpoint.file_of(path).resolve().parent.name if folder else path.stem
    origin = found.notes.base or (f"the original's {found.notes.imported_from}" if found.notes.imported_from else "")
    return Base(
        found,
        checkpoint.file_of(path),
        f"{name} (from {origin})" if origin else name,
        checkpoint.model_digest(found),
    )


def _find(model: Path | str) -> Path:
    path = Path(model)
    if path.is_file() and path.suffix != ".ckpt" or (path / checkpoint.NAME).is_file():
        return path
    if path.suffix == ".ckpt" or any(path.rglob("*.ckpt")):
        raise RaveCourseError(
            f"{path} is a run of the original RAVE. Import it first, ravecourse import {path} RUN, and begin with that RUN."
        )
    if path.name != str(model) or path.suffix:
        return path
    try:
        return bundled.model(path.name)
    except RaveCourseError as error:
        raise RaveCourseError(f"There is no checkpoint at {path}. {error}") from error


def settings(
    base: Base | None,
    found: Checkpoint | None,
    model_config: ModelConfig | None,
    training_config: TrainingConfig | None,
    run_folder: Path,
) -> tuple[ModelConfig | None, TrainingConfig | None]:
    """The configurations of a run that begins with `base`, or of one that began so and is resumed.

    Args:
        base: None if none was named.
        found: the run folder's checkpoint, if there is one to resume from.
        model_config, training_config: those that were asked for; None leaves them to the model and to
            `fine_tuning_preset`.
        run_folder: of the run that is to be trained.
    Returns:
        the model's configuration and the training's; None where a resumed run has its own.
    Raises:
        RaveCourseError: the run began with another model or with none, the model is in this very folder, or another kind
            of model was asked for; parts were chosen and no model to begin with.
    Notebook: 10.
    """
    if base is None:
        if found is None and training_config is not None and training_config.trained_parts != PARTS:
            raise RaveCourseError(
                f"Only {' and '.join(training_config.trained_parts)} would be trained, and the rest of a new model stay "
                "noise. Name a trained model to begin with (--from), or train all parts."
            )
        return model_config, training_config
    if base.path.resolve() == (run_folder / checkpoint.NAME).resolve():
        raise RaveCourseError(
            f"{run_folder} is the folder of the model to begin with, and would lose it. Choose another run folder."
        )
    if found is not None:
        _check_same_base(base, found, run_folder)
        return model_config, training_config
    own = base.checkpoint.model_config
    if model_config is not None and model_config != own:
        raise RaveCourseError(
            f"{base.name} is a model of the preset {own.preset}{' (causal)' if own.causal else ''} with {own.channels} "
            f"channels at {own.sample_rate} Hz, and stays one. Leave out what asks for another, such as --preset."
        )
    return own, training_config or fine_tuning_preset(own.preset, base.checkpoint.training_config)


def _check_same_base(base: Base, found: Checkpoint, run_folder: Path) -> None:
    if found.notes.base_digest == base.digest:
        return
    began = (
        f"began with {found.notes.base} ({found.notes.base_digest[:SHOWN]}), not with {base}"
        if found.notes.base_digest
        else f"did not begin with {base}"
    )
    raise RaveCourseError(
        f"{run_folder} holds a run that {began}. Resume it without --from, choose another run folder, or start over "
        "with --fresh."
    )


def first_notes(base: Base | None) -> checkpoint.Notes:
    """The notes of a run before its first step: which model it begins with. Notebook: 10."""
    return checkpoint.Notes(base=base.name, base_digest=base.digest) if base else checkpoint.Notes()


def announcement(base: Base | None, config: TrainingConfig) -> str:
    """What to say at the first step of a fine-tuning; "" for other trainings. Notebook: 10."""
    if base is None:
        return ""
    kept = " and ".join(part for part in PARTS if part not in config.trained_parts)
    return f"Begins with the model {base}" + (f"; its {kept} stays as it is." if kept else ".")
