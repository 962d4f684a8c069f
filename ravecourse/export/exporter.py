"""Write a trained model as a TorchScript file that nn~ plays, and verify it before handing it over.

Notebook: 09.
"""

import contextlib
import datetime
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ravecourse import __version__
from ravecourse.errors import RaveCourseError
from ravecourse.files import check_not_input, replacing
from ravecourse.model import RAVE, checkpoint, latent
from ravecourse.streaming import StreamingRAVE

from .torchscript import Model, describe
from .verify import Delays, reference, verify_file

METADATA = "metadata.json"  # name of the extra file inside the .ts


class ExportedRAVE(StreamingRAVE):
    """A streaming model with what nn~ asks of a file: methods, their channels and ratios, labels, attributes.

    Attributes that nn~ can set, both numbers from 0 (none) over 1 (as trained) to 4: `noise`, the level of the noise
    synthesiser (only where the model has one; 1 at first), and `variation`, how far the unused latents wander (only
    where some are unused; 0 at first).

    Args:
        model, latent_size, precision: as in `StreamingRAVE`.
    Source: the interface of acids-ircam/nn_tilde, versions 1.3 to 1.6. Notebook: 09.
    """

    methods: list[str]
    attributes: list[str]

    def __init__(self, model: RAVE, latent_size: int | None = None, precision: str = "float32") -> None:
        super().__init__(model, latent_size, precision)
        sides = ["left", "right"] if self.channels == 2 else [str(c + 1) for c in range(self.channels)]
        audio = [f"audio {side}" for side in sides] if self.channels > 1 else ["audio"]
        shares = torch.diff(model.fidelity, prepend=torch.zeros(1))
        learned = self.latent_size - self.named
        latents = ["pitch (MIDI note)", "loudness (dB, 100 is full scale)"][: self.named] + [
            f"latent {d + 1} ({100 * float(shares[d]):.0f} % of variance)" for d in range(learned)
        ]
        shapes = {
            "encode": (self.channels, 1, self.latent_size, self.hop_length),
            "decode": (self.latent_size, self.hop_length, self.channels, 1),
            "forward": (self.channels, 1, self.channels, 1),
        }
        labels = {"encode": (audio, latents), "decode": (latents, audio), "forward": (audio, audio)}
        for method, shape in shapes.items():
            self.register_buffer(f"{method}_params", torch.tensor(shape))
            setattr(self, f"{method}_input_labels", [f"(signal) {label}" for label in labels[method][0]])
            setattr(self, f"{method}_output_labels", [f"(signal) {label}" for label in labels[method][1]])
        self.methods = list(shapes)
        self.attributes = ["noise"] * self.heads.noisy + ["variation"] * (learned < len(model.latent_mean))
        self.register_buffer("noise_params", torch.tensor([2]))  # type code 2: float
        self.register_buffer("variation_params", torch.tensor([2]))

    @torch.jit.export
    def get_methods(self) -> list[str]:
        """Names of the methods that nn~ may call."""
        return self.methods

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        """Names of the attributes that nn~ may get and set."""
        return self.attributes

    @torch.jit.export
    def get_noise(self) -> list[float]:
        """Level of the noise synthesiser."""
        return [float(self.heads.noise_scale.item())]

    @torch.jit.export
    def set_noise(self, level: float) -> int:
        """Set the level of the noise synthesiser; clamped, since an error in a setter ends Pd in older versions."""
        self.heads.noise_scale.fill_(_clamped(level))
        return 0

    @torch.jit.export
    def get_variation(self) -> list[float]:
        """Level of the random values in the unused latents."""
        return [float(self.latent_noise_scale.item())]

    @torch.jit.export
    def set_variation(self, level: float) -> int:
        """Set the level of the random values in the unused latents; clamped."""
        self.latent_noise_scale.fill_(_clamped(level))
        return 0


def _clamped(level: float) -> float:
    if not level >= 0.0:  # negative or not a number
        return 0.0
    return min(level, 4.0)


def export_model(
    model: RAVE, target: Path, *, latent_size: int | None = None, precision: str = "float32", about: dict[str, Any]
) -> dict[str, Any]:
    """Script `model`, write it with its metadata, verify the file in a fresh process, and only then put it at `target`.

    Args:
        model: in evaluation mode.
        target: the `.ts` to write.
        latent_size: latents per frame that the instrument has, as in `StreamingRAVE`.
        precision: of the wide layers' weights, see `StreamingRAVE`. Below float32 the metadata give the measured
            error, and the verification allows for it.
        about: entries added to the metadata (training data, licence, ...); JSON values.
    Returns:
        the metadata as written.
    Raises:
        RaveCourseError: the file does not do what the model does, with what differed; nothing is left at `target`
            that was not there before.
    Notebook: 09.
    """
    exported = ExportedRAVE(model, latent_size, precision).eval()
    size, learned = exported.latent_size, exported.latent_size - exported.named
    metadata = {
        "format": 1,
        "ravecourse": __version__,
        "torch": torch.__version__.split("+")[0],
        "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "preset": model.config.preset,
        "causal": model.config.causal,
        "sample_rate": model.sample_rate,
        "channels": model.channels,
        "hop_length": model.hop_length,
        "latent_size": size,
        "named_latents": ["pitch", "loudness"][: exported.named],
        "fidelity": round(float(model.fidelity[learned - 1]), 4),
        "latent_std": [round(float(s), 4) for s in model.latent_std[:learned]],
        "delay_samples": exported.delay_samples,
        "delay_ms": round(1000 * exported.delay_samples / model.sample_rate, 2),
        "encode_delay_frames": exported.encode_delay_frames,
        "decode_delay_samples": exported.decode_delay_samples,
        "precision": precision,
        **about,
    }
    if precision != "float32":
        metadata["precision_error"] = round(precision_error(model, size, precision), 5)
    with _without_announcements():
        content = io.BytesIO()  # torch's own file writer ends the process where the disk is full
        torch.jit.save(torch.jit.script(exported), content, _extra_files={METADATA: json.dumps(metadata, indent=2)})
    delays = Delays(exported.encode_delay_frames, exported.decode_delay_samples, exported.delay_samples)
    with replacing(target) as temporary:
        temporary.write_bytes(content.getbuffer())
        verify_file(temporary, model, size, delays, float(metadata.get("precision_error", 0.0)))
    return metadata


def playable(model: RAVE, name: str = "model") -> Model:
    """A model as a player sees its export, without a file: it is compiled, and not verified. Notebook: 09."""
    with _without_announcements():
        scripted = torch.jit.script(ExportedRAVE(model).eval())
    return describe(scripted, Path(name), {"sample_rate": model.sample_rate})


@contextlib.contextmanager
def _without_announcements() -> Iterator[None]:
    """torch.jit announces its end with each call; nn~ loads nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def precision_error(model: RAVE, latent_size: int, precision: str) -> float:
    """How much the wide layers' precision changes the sound: RMS of the difference over RMS of the float32 stream.

    Measured on `reference`'s audio, without noise. Notebook: 09.
    """
    outputs = []
    for kind in ("float32", precision):
        stream = StreamingRAVE(model, latent_size, kind).eval()
        stream.heads.noise_scale.fill_(0), stream.latent_noise_scale.fill_(0)
        audio = reference(model, latent_size, [stream.delay_samples // model.hop_length + 30])["audio"]
        with torch.inference_mode():
            outputs.append(stream(audio)[..., stream.delay_samples :])
    return float((outputs[1] - outputs[0]).norm() / outputs[0].norm())


def export_torchscript(
    source: Path,
    target: Path,
    *,
    fidelity: float = 0.95,
    latent_size: int | None = None,
    precision: str = "float32",
    licence: str = "not stated",
    notes: str = "",
) -> Path:
    """Export a training run's model, with what is known of its making as metadata.

    Args:
        source: a run folder or a checkpoint.
        target: the `.ts` to write.
        fidelity: share of the latents' variance that the instrument keeps, above 0, up to 1; it sets the latent size.
        latent_size: the latent size itself, instead of `fidelity`.
        precision: of the wide layers' weights, see `export_model`.
        licence, notes: for whoever gets the file.
    Returns:
        `target`.
    Raises:
        RaveCourseError: no checkpoint, values out of range, or a file that fails its verification (see `export_model`).
    Notebook: 09.
    """
    check_not_input(target, checkpoint.file_of(source))
    found = checkpoint.load(source)
    model = checkpoint.model_of(found).eval()
    if latent_size is None:
        if not float(model.fidelity[-1]) > 0:
            raise RaveCourseError(
                f"{source} has no latent statistics yet, so a fidelity chooses nothing. "
                "Train until the first validation, or give a latent size."
            )
        latent_size = model.named + latent.size_for(model.fidelity, fidelity)
    notes_stored = found.notes.to_stored()
    training: dict[str, Any] = {
        "steps": found.step,
        "phase": found.phase,
        **{key: notes_stored[key] for key in ("dataset", "recordings", "seconds") if key in notes_stored},
    }
    export_model(
        model,
        Path(target),
        latent_size=latent_size,
        precision=precision,
        about={"training": training, "licence": licence, "notes": notes},
    )
    return Path(target)
