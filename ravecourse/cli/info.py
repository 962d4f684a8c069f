"""Say what a file or folder of the course holds: a dataset, a training, a checkpoint, a `.ts`, a sound.

Notebook: 00.
"""

import json
import stat
import zipfile
from pathlib import Path

import torch

from ravecourse.errors import RaveCourseError

PROGRAM_NOTICE = "A .ts file is a program, and playing it runs it: use files from people you trust."
NAMES = {
    "preset": "preset",
    "causal": "causal",
    "sample_rate": "sample rate (Hz)",
    "channels": "channels",
    "hop_length": "hop (samples)",
    "latent_size": "latents",
    "fidelity": "fidelity",
    "delay_samples": "delay (samples)",
    "delay_ms": "delay (ms)",
    "licence": "licence",
    "notes": "notes",
    "torch": "made with PyTorch",
    "ravecourse": "made with ravecourse",
    "made": "made",
}


def describe(path: Path | str) -> str:
    """Some lines about `path`.

    Raises:
        RaveCourseError: it is missing, damaged, or nothing that the course knows.
    Notebook: 00.
    """
    from ravecourse.audio import discover
    from ravecourse.model import checkpoint

    path = Path(path)
    kind = _kind(path)
    if kind == "something else":
        raise RaveCourseError(
            f"{path} is neither a file nor a folder. Name a run, a checkpoint, a dataset, a .ts or a sound file."
        )
    if kind == "nothing":
        raise RaveCourseError(
            f"There is nothing at {path}. Name a run folder, a checkpoint, a dataset, a .ts or a sound file."
        )
    if path.is_dir():
        if (path / "store.json").exists():
            return dataset(path)
        if (path / checkpoint.NAME).exists():
            return training(path)
        raise RaveCourseError(
            f"{path} is neither a dataset (no store.json) nor a run (no {checkpoint.NAME}). "
            "Name a folder that `ravecourse prepare` or `ravecourse train` wrote."
        )
    if path.suffix == ".ts" or _is_torchscript(path):
        return exported(path)
    if discover.is_sound(path):
        return sound(path)
    return training(path)


def dataset(path: Path) -> str:
    """What `prepare` took. Notebook: 01."""
    from ravecourse.dataset import Dataset, Report

    return f"{path}: dataset\n{Report.from_json(Dataset(path).description['report'])}"


def training(path: Path) -> str:
    """How far a training is, and what its model is. Notebook: 00."""
    from ravecourse.model import checkpoint, fidelity_table

    found = checkpoint.load(path)
    model, plan = found.model_config, found.training_config
    kind = f"{model.preset}{' causal' if model.causal else ''}"
    lines = [
        f"{path}: checkpoint of {kind!r}, {model.sample_rate} Hz, "
        f"{'mono' if model.channels == 1 else 'stereo'}, {model.latents} latents every {model.hop_length} "
        "samples"
    ]
    if plan:
        end = found.phase_two_start + plan.phase_two_steps
        lines.append(f"phase {found.phase}, step {found.step} of {end} (phase two from {found.phase_two_start})")
    fidelity = found.model["fidelity"]
    if bool(fidelity[-1] > 0):
        sizes = ", ".join(f"{percent} %: {size}" for percent, size in fidelity_table(fidelity).items())
        lines.append(f"latents that an export needs for a fidelity of {sizes}")
    else:
        lines.append("fidelity: known when phase one has ended")
    lines.append(f"SHA-256 of the model: {checkpoint.model_digest(found)}")
    if stretches := found.notes.stretches:
        lines.append("threads: " + ", ".join(f"{s.threads} from step {s.step}" for s in stretches))
    for name, value in found.notes.to_stored().items():
        if isinstance(value, str | int | float):
            lines.append(f"{name.replace('_', ' ')}: {round(value, 3) if isinstance(value, float) else value}")
    return "\n".join(lines)


def exported(path: Path) -> str:
    """What a `.ts` says about itself, and where it breaks the contract of nn~. Notebook:
    09."""
    from ravecourse.export import contract

    model = contract.load(path)
    rate = model.sample_rate
    lines = [f"{path}: TorchScript model" + (f", {rate} Hz" if rate else ", sample rate not stated")]
    for m in model.methods.values():
        lines.append(
            f"  method {m.name}: {m.in_channels} in at 1/{m.in_ratio}, {m.out_channels} out at "
            f"1/{m.out_ratio} of the sample rate"
        )
    for a in model.attributes.values():
        lines.append(f"  attribute {a.name}: {', '.join(a.types)}")
    if model.methods:
        lines.append(f"  smallest buffer: {model.smallest_buffer} samples")
    for name, value in model.metadata.items():
        if isinstance(value, str | int | float | bool):
            lines.append(f"  {NAMES.get(name, name.replace('_', ' '))}: {value}")
        elif name not in ("latent_std",):
            text = json.dumps(value)
            lines.append(f"  {name.replace('_', ' ')}: {text if len(text) < 200 else text[:200] + ' ...'}")
    made_with, here = model.metadata.get("torch"), torch.__version__.split("+")[0]
    if isinstance(made_with, str) and made_with != here:
        lines.append(f"  note: made with PyTorch {made_with}, this is {here}; an older player may not load it")
    found = contract.violations(model)
    lines += [f"  breaks the contract: {problem}" for problem in found] or ["  keeps the contract of nn~"]
    if not model.metadata:
        lines.append(PROGRAM_NOTICE)
    return "\n".join(lines)


def sound(path: Path) -> str:
    """How long a sound file is and of what kind. Notebook: 01."""
    from ravecourse import audio

    found = audio.info(path)
    return (
        f"{path}: {found.format}, {found.duration_seconds:.2f} s, {found.sample_rate} Hz, "
        f"{found.channels} channel{'s' if found.channels > 1 else ''}"
    )


def _kind(path: Path) -> str:
    """ "file", "folder", "something else" (a device, a pipe), or "nothing", also for a name that cannot be one."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # missing, a loop of links, too long, a zero byte in it
        return "nothing"
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "something else"


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
