"""Checkpoints: everything that resuming a training or exporting a model needs, in one file.

Notebook: 04.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ravecourse.config import ModelConfig, TrainingConfig
from ravecourse.errors import RaveCourseError
from ravecourse.files import replacing

from .rave import RAVE

FORMAT = 2  # goes up when an older program could not read the file any more
PLAIN_FORMAT = 1  # read for models without a source only: with one, the loudness did not scale the decoder's bands
KIND = "ravecourse checkpoint"
NAME = "checkpoint.pt"  # in a run folder


class Validation(NamedTuple):
    """The distances on held-out sound after a step. Notebook: 04."""

    step: int
    phase: int
    spectral: float
    log_mel: float


class Stretch(NamedTuple):
    """From a step on, a training computed with so many threads. Notebook: 04."""

    step: int
    threads: int


def with_threads(stretches: tuple[Stretch, ...], step: int, threads: int) -> tuple[Stretch, ...]:
    """The stretches of a training that computes with so many threads from `step` on. Notebook: 04."""
    if stretches and stretches[-1].threads == threads:
        return stretches
    return (*(stretch for stretch in stretches if stretch.step < step), Stretch(step, threads))


@dataclass(frozen=True)
class Notes:
    """How a model was made: for cards, exports, and for checking that a run is resumed with what it began with.

    Notebook: 04.
    """

    validations: tuple[Validation, ...] = ()
    seconds: float = 0.0  # of training
    stretches: tuple[Stretch, ...] = ()  # the threads that it computed with; empty where they are not known
    dataset: str = ""  # its folder's name
    recordings: tuple[str, ...] = ()  # that were trained on
    fingerprint: str = ""  # of the dataset
    imported_from: str = ""  # the original RAVE's file
    about: tuple[str, ...] = ()  # what the import had to assume
    base: str = ""  # the model that a fine-tuning began with
    base_digest: str = ""  # `model_digest` of it

    @property
    def threads(self) -> int:
        """That the training computed with last; 0 where it is not known. Notebook: 04."""
        return self.stretches[-1].threads if self.stretches else 0

    def to_stored(self) -> dict[str, Any]:
        """Plain values, as a checkpoint file holds them; what is not known is left out. Notebook: 04."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["validations"] = [list(validation) for validation in self.validations]
        values["stretches"] = [list(stretch) for stretch in self.stretches]
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items() if v}

    @classmethod
    def from_stored(cls, stored: dict[str, Any]) -> "Notes":
        """Read `to_stored` back, also from files of earlier versions; what this version does not know is ignored.

        Raises:
            ValueError, TypeError: a value is of another kind than it should be.
        Notebook: 04.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in stored.items() if name in known
        }
        values["validations"] = tuple(Validation(*row) for row in stored.get("validations", []))
        one = [[0, stored["threads"]]] if stored.get("threads") else []  # versions that kept one number
        values["stretches"] = tuple(Stretch(*row) for row in stored.get("stretches", one))
        notes = cls(**values)
        if not all(isinstance(number, int) and number >= 0 for row in notes.stretches for number in row):
            raise TypeError("numbers of threads that are no numbers")
        wrong = [field.name for field in fields(cls) if type(getattr(notes, field.name)) is not type(field.default)]
        if set(wrong) - {"seconds"} or not isinstance(notes.seconds, int | float):
            raise TypeError(f"{', '.join(wrong)} of another type")
        return notes


@dataclass
class Checkpoint:
    """What a checkpoint file holds; everything but the model and its configuration is needed to resume training.

    Notebook: 04.
    """

    model_config: ModelConfig
    model: dict[str, torch.Tensor]  # state_dict, latent statistics included
    training_config: TrainingConfig | None = None
    step: int = 0  # steps done
    phase: int = 1
    phase_two_start: int = 0  # the step at which phase two begins or began
    discriminator: dict[str, torch.Tensor] | None = None
    generator_optimiser: dict[str, Any] | None = None
    discriminator_optimiser: dict[str, Any] | None = None
    notes: Notes = Notes()


def save(path: Path | str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that `path` is at every moment either the old file or the new one, whole.

    Raises:
        RaveCourseError: the folder cannot be written or the disk is full; the old file is then still there.
    Notebook: 04.
    """
    training = checkpoint.training_config
    content = {
        "kind": KIND,
        "format": FORMAT,
        "torch": str(torch.__version__),
        "model_config": checkpoint.model_config.to_json(),
        "training_config": training.to_json() if training else None,
        **{
            name: getattr(checkpoint, name)
            for name in (
                "model",
                "step",
                "phase",
                "phase_two_start",
                "discriminator",
                "generator_optimiser",
                "discriminator_optimiser",
            )
        },
        "notes": checkpoint.notes.to_stored(),
    }
    content["digest"] = digest(content)
    with replacing(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch's writer reports a full disk so
            raise OSError(str(error).splitlines()[0]) from error


def load(path: Path | str) -> Checkpoint:
    """Read a checkpoint onto the CPU.

    Args:
        path: a checkpoint file, or a run folder that holds one.
    Raises:
        RaveCourseError: nothing there, not a checkpoint, damaged, or written by another version.
    Notebook: 04.
    """
    path = file_of(path)
    content = _read(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise RaveCourseError(
            f"{path} is not a ravecourse checkpoint, though torch can read it. Give a run folder or its {NAME}."
        )
    if content.get("format") not in (PLAIN_FORMAT, FORMAT):
        raise RaveCourseError(
            f"{path} is a checkpoint of format {content.get('format')}; this version reads "
            f"formats {PLAIN_FORMAT} and {FORMAT}. Use the version of ravecourse that wrote it, or train again."
        )
    if content.get("digest") != digest({name: value for name, value in content.items() if name != "digest"}):
        raise RaveCourseError(
            f"{path} is damaged: its contents are not what was saved. "
            "Go back to an earlier copy, such as phase_one.pt beside it."
        )
    try:
        training, model_config = content["training_config"], ModelConfig.from_json(content["model_config"])
        if content["format"] == PLAIN_FORMAT and model_config.harmonics:
            raise RaveCourseError(
                f"{path} was trained by a version in which the loudness did not scale what the decoder makes. Use the "
                "version of ravecourse that wrote it, or train again."
            )
        return Checkpoint(
            model_config=model_config,
            model=_tensors(content["model"]),
            training_config=TrainingConfig.from_json(training, content["model_config"]) if training else None,
            step=_count(content["step"]),
            phase=_count(content["phase"]),
            phase_two_start=_count(content["phase_two_start"]),
            discriminator=_tensors(content["discriminator"]) if content["discriminator"] else None,
            generator_optimiser=content["generator_optimiser"],
            discriminator_optimiser=content["discriminator_optimiser"],
            notes=Notes.from_stored(content["notes"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RaveCourseError(
            f"{path} lacks a part of a checkpoint, or holds something else in its place ({type(error).__name__}: "
            f"{error}). Go back to an earlier copy, such as phase_one.pt beside it."
        ) from error


def for_publication(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint with what playing and exporting need, and how it was made; the discriminators and the state of the
    optimisers, about two thirds of the file, stay behind.

    Training can be resumed from it, with new discriminators. Notes keep the names of the recordings: look at them first.
    Notebook: 10.
    """
    return replace(checkpoint, discriminator=None, generator_optimiser=None, discriminator_optimiser=None)


def load_model(path: Path | str) -> RAVE:
    """The model of a checkpoint file or run folder, in evaluation mode on the CPU.

    Raises:
        RaveCourseError: as `load`.
    Notebook: 04.
    """
    return model_of(load(path)).eval()


def model_of(checkpoint: Checkpoint) -> RAVE:
    """Build the model that a checkpoint describes and give it its weights.

    Raises:
        RaveCourseError: the weights do not belong to the configuration.
    Notebook: 04.
    """
    model = RAVE(checkpoint.model_config)
    try:
        model.load_state_dict(checkpoint.model)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise RaveCourseError(
            f"The checkpoint's weights do not fit the model that it describes ({first}). "
            "It was written by another version of ravecourse."
        ) from error
    return model


def model_digest(checkpoint: Checkpoint) -> str:
    """SHA-256 over a model's configuration and weights: the same before and after `for_publication`.

    Notebook: 10.
    """
    return digest([checkpoint.model_config.to_json(), checkpoint.model])


def digest(value: Any) -> str:
    """SHA-256 over everything that a checkpoint holds.

    The checksums of the archive do not cover its directory, and torch hands out whatever a damaged directory points to.
    Notebook: 04.
    """
    running = hashlib.sha256()

    def take(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            running.update(f"{part.dtype}{tuple(part.shape)}".encode())
            running.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(part, dict):
            for name, inner in part.items():
                running.update(repr(name).encode())
                take(inner)
        elif isinstance(part, list | tuple):
            running.update(str(len(part)).encode())
            for inner in part:
                take(inner)
        else:
            running.update(repr(part).encode())

    take(value)
    return running.hexdigest()


def _tensors(value: Any) -> dict[str, torch.Tensor]:
    if not isinstance(value, dict) or not value or not all(isinstance(t, torch.Tensor) for t in value.values()):
        raise TypeError("weights that are no tensors")
    broken = [name for name, t in value.items() if t.is_floating_point() and not bool(t.isfinite().all())]
    if broken:
        raise ValueError(f"{broken[0]} holds values that are not numbers")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} where a number of steps belongs")
    return value


def file_of(path: Path | str) -> Path:
    """The checkpoint file that a run folder holds, or that `path` is.

    Raises:
        RaveCourseError: there is none.
    Notebook: 04.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / NAME).is_file():
            raise RaveCourseError(f"There is no {NAME} in {path}. Give the folder that `ravecourse train` wrote.")
        return path / NAME
    if not path.is_file():
        raise RaveCourseError(f"There is no checkpoint at {path}. Give a run folder or its {NAME}.")
    return path


def _read(path: Path) -> Any:
    """Unpickle with tensors and plain values only. The archive's own checksums are compared first: torch
    skips them."""
    with open(path, "rb") as opened:
        archive = opened.read(4) == b"PK\x03\x04"
    if not archive:
        raise RaveCourseError(
            f"{path} is not a checkpoint, or its beginning is damaged. Give a run folder or its {NAME}."
        )
    try:
        with zipfile.ZipFile(path) as opened_archive:
            broken = opened_archive.testzip()
            scripted = any("/code/" in name for name in opened_archive.namelist())
        if scripted:
            raise RaveCourseError(
                f"{path} is an exported TorchScript model, not a checkpoint. "
                f"Give the run folder that it was exported from."
            )
        if broken:
            raise ValueError(f"checksum of {broken}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except RaveCourseError:
        raise
    except Exception as error:  # a damaged archive fails in zipfile, zlib, pickle or torch, each in its way
        what = json.dumps(str(error).splitlines()[0][:80]) if str(error) else type(error).__name__
        raise RaveCourseError(
            f"{path} cannot be read as a checkpoint: damaged, or something else ({what}). "
            "Go back to an earlier copy, such as phase_one.pt beside it."
        ) from error
