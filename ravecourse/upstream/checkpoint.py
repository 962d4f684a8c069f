"""Read checkpoints that the original RAVE (acids-ircam, 2.x) wrote, of its `v1` and `v2` families, into our model.

Sizes come from the shapes of the weights. What shapes do not say (causal or not, dilations, sample rate) comes
from the settings that the original's training leaves beside its checkpoints, `config.gin`.

The imported network computes what the original computes, with one difference: the original's filter bank answers
`n_bands` samples late (its causal form delays the bands by 16 frames more), ours with no offset.

Notebook: 10.
"""

import re
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ravecourse.config import ModelConfig
from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE, checkpoint

from .gin import Settings
from .weights import ENCODER, NOT_NEEDED, fill

# What a key in the file says about settings that this kit has no counterpart for.
NOT_UNDERSTOOD = {
    r"^encoder\.rvq": "a discrete (quantised) latent",
    r"\.alpha$": "snake activations",
    r"\.(mean|std|learn|num_update)_[xy]$": "adaptive instance normalisation (adain)",
    r"\.(gru|gru_state)\b|weight_[ih]h_l\d": "a recurrent layer",
    r"spectrogram|mel_scale": "a spectrogram at its input",
}
V1_DILATIONS = [[1, 1], [3, 1], [5, 1]]
V2_DILATIONS = (1, 3, 9)


@dataclass(frozen=True)
class Imported:
    """An imported model, and what the person should know about it.

    Notebook: 10.
    """

    model: RAVE
    steps: int  # that the original trained
    notes: tuple[str, ...]


def import_checkpoint(
    path: Path | str,
    target: Path | str,
    *,
    causal: bool | None = None,
    sample_rate: int | None = None,
    averaged: bool = False,
) -> Imported:
    """Read the original's run and write it as a run folder of this kit, ready to be exported or rendered.

    Args:
        path, causal, sample_rate, averaged: as in `read`.
        target: the folder to write `checkpoint.pt` into.
    Raises:
        RaveCourseError: as `read`, or `target` cannot be written.
    Notebook: 10.
    """
    imported = read(path, causal=causal, sample_rate=sample_rate, averaged=averaged)
    phase = 2 if float(imported.model.noise_level) > 0 else 1
    checkpoint.save(
        Path(target) / checkpoint.NAME,
        checkpoint.Checkpoint(
            model_config=imported.model.config,
            model=imported.model.state_dict(),
            step=imported.steps,
            phase=phase,
            notes=checkpoint.Notes(imported_from=Path(path).name, about=imported.notes),
        ),
    )
    return imported


def read(
    path: Path | str, *, causal: bool | None = None, sample_rate: int | None = None, averaged: bool = False
) -> Imported:
    """Read a checkpoint of the original into our model, in evaluation mode.

    The file can hold nothing that runs: anything but tensors and plain values is refused.

    Args:
        path: a `.ckpt` file, or a run folder (its newest `.ckpt` is taken); `config.gin` is looked for beside it
            and in the folders above, up to three.
        causal, sample_rate: say what `config.gin` would say, where there is none; they overrule it.
        averaged: take the moving average of the weights that a training with `--ema` keeps.
    Raises:
        RaveCourseError: no such file, damaged, not of the original, or of settings that this kit does not know:
            the message names them.
    Notebook: 10.
    """
    file = _newest(Path(path))
    content = _load(file)
    state = _state(content, file, averaged)
    settings = Settings.beside(file)
    notes: list[str] = []
    config = _configuration(state, settings, causal, sample_rate, notes, file)
    model = RAVE(config)
    fill(model, state, file)
    if not bool(model.fidelity.any()):
        notes.append("It has no latent statistics yet: its latents come in no order.")
    return Imported(model.eval(), int(content.get("global_step", 0)), tuple(notes))


def _newest(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.rglob("*.ckpt"), key=lambda file: file.stat().st_mtime)
        if not found:
            raise RaveCourseError(f"There is no .ckpt file in {path}. Give a run folder of the original RAVE.")
        return found[-1]
    if not path.is_file():
        raise RaveCourseError(f"There is no file {path}. Give a run folder of the original RAVE, or its .ckpt.")
    return path


def _load(file: Path) -> dict[str, Any]:
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                broken = archive.testzip()  # torch does not compare the checksums
            if broken:
                raise ValueError(f"checksum of {broken}")
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in zipfile, zlib, pickle or torch, each in its way
        text = str(error)
        unsafe = re.search(r"GLOBAL ([\w.]+)", text)
        if unsafe:
            raise RaveCourseError(
                f"{file} holds a program part ({unsafe[1]}) beside its weights and was not "
                "opened. Checkpoints of the original RAVE hold none; do not trust it."
            ) from error
        reason = text.splitlines()[0][:80] if text else type(error).__name__
        raise RaveCourseError(
            f"{file} cannot be read as a checkpoint: it is damaged or something else ({reason}). Copy it again."
        ) from error
    if not isinstance(content, dict):
        raise RaveCourseError(f"{file} is no checkpoint of the original RAVE: it holds a {type(content).__name__}.")
    return content


def _state(content: dict[str, Any], file: Path, averaged: bool) -> dict[str, Tensor]:
    """The weights by name, verified to be tensors and of a kind that we understand."""
    state = content.get("state_dict")
    if not isinstance(state, dict) or not any(str(name).startswith(ENCODER) for name in state):
        raise RaveCourseError(
            f"{file} is no checkpoint of the original RAVE: its weights are not there. "
            "Give the .ckpt that its training wrote, not an export."
        )
    if averaged:
        callbacks = content.get("callbacks")
        average = callbacks.get("EMA") if isinstance(callbacks, dict) else None
        if not average:
            raise RaveCourseError(f"{file} keeps no moving average of its weights. Import it without `averaged`.")
        state = {**state, **average}
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise RaveCourseError(
                f"In {file}, {name} is a {type(value).__name__}, not a tensor. It was not written by the original RAVE."
            )
        for pattern, what in NOT_UNDERSTOOD.items():
            if not NOT_NEEDED.search(name) and re.search(pattern, name):
                raise RaveCourseError(
                    f"{file} is a model with {what}, which this kit does not have ({name}). "
                    "It imports the original's v1 and v2 settings."
                )
    if "pqmf.h" not in state:
        raise RaveCourseError(f"{file} is a model without a filter bank (pqmf), which this kit does not have.")
    return state


def _configuration(
    state: dict[str, Tensor],
    settings: Settings,
    causal: bool | None,
    sample_rate: int | None,
    notes: list[str],
    file: Path,
) -> ModelConfig:
    """The configuration that follows from shapes and settings."""
    layers = sorted(int(m[1]) for m in (re.match(re.escape(ENCODER) + r"(\d+)\.weight(?:_v)?$", n) for n in state) if m)
    convs = {i: _weight(state, f"{ENCODER}{i}") for i in layers}
    convs = {i: weight for i, weight in convs.items() if weight.dim() == 3}
    index, weights = list(convs), list(convs.values())
    if len(index) < 3:
        raise RaveCourseError(f"The encoder in {file} has {len(index)} convolutions; v1 and v2 have 3 or more.")
    v1 = f"{ENCODER}1.running_mean" in state
    ratios = tuple((w.shape[-1] - v1) // 2 for w in weights[1:-1])
    n_bands, latent = len(state["pqmf.hk"]), len(state["latent_pca"])
    channels = weights[0].shape[1] // n_bands
    decoder_in = _weight(state, "decoder.net.0").shape[1]
    if len(weights[-1]) != 2 * latent or decoder_in != latent:
        raise RaveCourseError(
            f"{file} is a model whose encoder gives {len(weights[-1])} and whose decoder takes {decoder_in} values "
            f"for {latent} latents: a wasserstein, spherical or other latent that is not variational. "
            "This kit imports variational models (v1, v2)."
        )
    dilations: tuple[tuple[int, ...], ...] = ()
    if v1:
        stack = settings.one("ResidualStack.dilations_list", V1_DILATIONS)
        if stack != V1_DILATIONS:
            raise RaveCourseError(f"{file} has residual stacks dilated by {stack}; this kit has {V1_DILATIONS}.")
    else:
        units = [after - before - 2 for before, after in zip(index[:-2], index[1:-1], strict=True)]
        dilations = _dilations(settings, units, notes, file)
    if sample_rate is None:
        sample_rate = settings.one("RAVE.sampling_rate", None)
        if sample_rate is None:
            sample_rate = 44100
            notes.append("No config.gin says its sample rate; taken as 44100 Hz, the original's default.")
    causal = _causal(state, settings, file) if causal is None else causal
    return ModelConfig(
        preset="v1" if v1 else "v2",
        architecture="v1" if v1 else "v2",
        ratios=ratios,
        capacity=len(weights[0]),
        latent_size=latent,
        sample_rate=int(sample_rate),
        channels=channels,
        n_bands=n_bands,
        pqmf="kaiser",
        causal=causal,
        published_causal=causal,
        dilations=dilations,
        **_noise(state, settings, channels * n_bands, v1, notes, file),
    )


def _weight(state: dict[str, Tensor], layer: str) -> Tensor:
    for name in (f"{layer}.weight_v", f"{layer}.weight"):
        if name in state:
            return state[name]
    raise RaveCourseError(f"The checkpoint has no {layer}.weight: it is no v1 or v2 model of the original RAVE.")


def _dilations(settings: Settings, units: list[int], notes: list[str], file: Path) -> tuple[tuple[int, ...], ...]:
    said = {str(settings.one(f"{part}.dilations", None)) for part in ("EncoderV2", "GeneratorV2")}
    if len(said) > 1:
        raise RaveCourseError(
            f"The settings of {file} dilate its encoder and its decoder differently "
            f"({' and '.join(sorted(said))}); this kit has one list for both."
        )
    found = settings.one("EncoderV2.dilations", None)
    if found is None:
        if max(units) > len(V2_DILATIONS):
            raise RaveCourseError(
                f"{file} has {max(units)} dilated units in a stage, and no config.gin beside it says "
                "by how much. Put the config.gin of its run beside it."
            )
        notes.append("No config.gin says its dilations; taken as 1, 3, 9, the original's default.")
        return tuple(V2_DILATIONS[:count] for count in units)
    stages = found if isinstance(found[0], list) else [found] * len(units)
    if [len(stage) for stage in stages] != units:
        raise RaveCourseError(
            f"The config.gin beside {file} lists the dilations {found}, but its weights have "
            f"{units} dilated units: it belongs to another run."
        )
    return tuple(tuple(stage) for stage in stages)


def _causal(state: dict[str, Tensor], settings: Settings, file: Path) -> bool:
    modes = set(settings.all("get_padding.mode"))
    if len(modes) == 1:
        return modes == {"causal"}
    if modes:
        raise RaveCourseError(
            f"The settings of {file} pad in several ways ({', '.join(sorted(modes))}); "
            "this kit has all causal or all centred."
        )
    left, right = (int(v) for v in state.get("receptive_field", torch.zeros(2)))
    if left > 0:  # measured by the original during its training
        return right == 0
    raise RaveCourseError(
        f"Nothing says whether {file} is causal. Put the config.gin of its run beside it, "
        "or say it yourself (causal=True or causal=False)."
    )


def _noise(
    state: dict[str, Tensor], settings: Settings, bands: int, v1: bool, notes: list[str], file: Path
) -> dict[str, Any]:
    """The noise synthesiser's part of the configuration; empty where there is none, or none that sounds."""
    layer = "decoder.synth.branches.2" if v1 else "decoder.noise_module"
    weights = [state[f"{layer}.net.{2 * i}.weight"] for i in range(16) if f"{layer}.net.{2 * i}.weight" in state]
    if not weights:
        return {}
    frame = int(state[f"{layer}.target_size"])
    if v1:  # strides cannot be seen in the shapes
        root = round(frame ** (1 / len(weights)))
        strides = tuple(settings.one("NoiseGenerator.ratios", [root] * len(weights)))
    else:
        strides = tuple(w.shape[-1] // 2 for w in weights)
    filters = len(weights[-1]) // bands
    if prod(strides) != frame:
        raise RaveCourseError(f"The noise synthesiser of {file} makes frames of {frame} by strides of {strides}.")
    if 2 * (filters - 1) > frame:
        notes.append(
            f"Its noise synthesiser was left out: filters of {2 * (filters - 1)} taps do not fit its frames "
            f"of {frame}, and in the original it is practically silent."
        )
        return {}
    return {"noise_bands": filters, "noise_strides": strides, "noise_capacity": len(weights[0])}
