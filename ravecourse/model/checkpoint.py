"""Checkpoints: everything that a training needs to go on, or an export needs to begin, in one file.

Notebook: 04.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from ravecourse.config import ModelConfig, TrainingConfig
from ravecourse.errors import RaveCourseError
from ravecourse.files import replacing

from .rave import RAVE

FORMAT = 1  # goes up when an older program could not read the file any more
KIND = "ravecourse checkpoint"
NAME = "checkpoint.pt"  # in a run folder


@dataclass
class Checkpoint:
    """What a checkpoint file holds; all but the model and its configuration is there for going on with a
    training.

    Source: this course. Notebook: 04.
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
    notes: dict[str, Any] = field(default_factory=dict)  # plain values: seconds trained, validations, dataset


def save(path: Path | str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that `path` is at every moment either the old file or the new one, whole.

    Raises:
        RaveCourseError: the folder cannot be written or the disk is full; the old file is then still there.
    Source: this course. Notebook: 04.
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
                "notes",
            )
        },
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
    Source: this course. Notebook: 04.
    """
    path = _file(path)
    content = _read(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise RaveCourseError(
            f"{path} is not a ravecourse checkpoint, though torch can read it. Give a run folder or its {NAME}."
        )
    if content.get("format") != FORMAT:
        raise RaveCourseError(
            f"{path} is a checkpoint of format {content.get('format')}; this version reads "
            f"format {FORMAT}. Use the version of ravecourse that wrote it, or train again."
        )
    if content.get("digest") != digest({name: value for name, value in content.items() if name != "digest"}):
        raise RaveCourseError(
            f"{path} is damaged: its contents are not what was saved. "
            "Go back to an earlier copy, such as phase_one.pt beside it."
        )
    training = content["training_config"]
    names = (
        "model",
        "step",
        "phase",
        "phase_two_start",
        "discriminator",
        "generator_optimiser",
        "discriminator_optimiser",
        "notes",
    )
    return Checkpoint(
        model_config=ModelConfig.from_json(content["model_config"]),
        training_config=TrainingConfig.from_json(training) if training else None,
        **{name: content[name] for name in names},
    )


def for_publication(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint with what playing and exporting need, and how it was made; the critics and the state of the
    optimisers, about two thirds of the file, stay behind.

    Training can go on from it, with new critics. Notes keep the names of the recordings: look at them first.
    Source: this course. Notebook: 10.
    """
    return replace(checkpoint, discriminator=None, generator_optimiser=None, discriminator_optimiser=None)


def load_model(path: Path | str) -> RAVE:
    """The model of a checkpoint file or run folder, in evaluation mode on the CPU.

    Raises:
        RaveCourseError: as `load`.
    Source: this course. Notebook: 04.
    """
    return model_of(load(path)).eval()


def model_of(checkpoint: Checkpoint) -> RAVE:
    """Build the model that a checkpoint describes and give it its weights.

    Raises:
        RaveCourseError: the weights do not belong to the configuration.
    Source: this course. Notebook: 04.
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


def digest(value: Any) -> str:
    """SHA-256 over everything that a checkpoint holds.

    The checksums of the archive do not cover its directory, and torch hands out whatever a damaged directory points to.
    Source: this course. Notebook: 04.
    """
    running = hashlib.sha256()

    def take(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            running.update(f"{part.dtype}{tuple(part.shape)}".encode())
            running.update(part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
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


def _file(path: Path | str) -> Path:
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
