"""What nn~ reads from a TorchScript file: its methods, their channels and ratios, its attributes.

Notebook: 09.
"""

import json
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError

METADATA = "metadata.json"  # name of the extra file that this course writes into a .ts
TYPES = ("bool", "int", "float", "str", "tensor", "buffer")  # attribute types by their code
SMALLEST_BUFFER = 64  # samples; what nn~ is given where all ratios are smaller
DEFAULT_BUFFER = 4096
LARGEST_BUFFER = 1 << 20  # samples, the largest ratio of a method too
MOST_CHANNELS = 1024  # signals that one method may take or give
LONGEST_DELAY = 1 << 22  # samples; metadata that say more are wrong
LARGEST_METADATA = 1 << 20  # bytes


@dataclass(frozen=True)
class Method:
    """One way to call a model: so many signals in and out, each at the audio rate divided by a ratio.

    Source: acids-ircam/nn_tilde, versions 1.3 to 1.6. Notebook: 09.
    """

    name: str
    in_channels: int
    in_ratio: int
    out_channels: int
    out_ratio: int
    input_labels: tuple[str, ...]
    output_labels: tuple[str, ...]


@dataclass(frozen=True)
class Attribute:
    """A value that a player may get and set while the model runs; `types` names its parts.

    Source: acids-ircam/nn_tilde, versions 1.3 to 1.6. Notebook: 09.
    """

    name: str
    types: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded `.ts`: the module in evaluation mode, and what it says about itself.

    `violations` are found while reading; `contract.violations` finds the rest by running the model.
    Notebook: 09.
    """

    path: Path
    module: torch.jit.ScriptModule
    methods: dict[str, Method]
    attributes: dict[str, Attribute]
    metadata: dict[str, Any]
    violations: tuple[str, ...] = ()

    @property
    def smallest_buffer(self) -> int:
        """Samples of the smallest block: the largest ratio of all methods, and never below 64."""
        ratios = [ratio for m in self.methods.values() for ratio in (m.in_ratio, m.out_ratio)]
        return max([SMALLEST_BUFFER, *ratios])

    @property
    def sample_rate(self) -> int | None:
        """Hz, from the metadata or from what other exporters call it; None where the file does not say."""
        rate: Any = self.metadata.get("sample_rate")
        for name in ("sample_rate", "sampling_rate", "sr"):
            rate = rate or _number(_attribute(self.module, name))
        known = isinstance(rate, int | float) and not isinstance(rate, bool) and 1000 <= rate <= 768000
        return int(rate) if known else None

    def method(self, name: str = "forward") -> Method:
        """The method called `name`.

        Raises:
            RaveCourseError: there is none; the message lists those that there are.
        Notebook: 09.
        """
        if name not in self.methods:
            have = ", ".join(self.methods) or "none at all: nn~ cannot play this file"
            raise RaveCourseError(f"{self.path} has no method {name!r}. It has: {have}.")
        return self.methods[name]

    def delay_samples(self, method: str = "forward") -> int | None:
        """By how many samples the output of a method is late; None where the file does not say.

        Notebook: 09.
        """
        fields = {"forward": "delay_samples", "decode": "decode_delay_samples", "encode": "encode_delay_frames"}
        delay = self.metadata.get(fields.get(method, ""))
        if not isinstance(delay, int) or isinstance(delay, bool) or delay < 0:
            return None
        samples = delay * (self.methods["encode"].out_ratio if method == "encode" else 1)
        return samples if samples <= LONGEST_DELAY else None


def buffer_size(model: Model, asked: int = DEFAULT_BUFFER) -> int:
    """The buffer that nn~ uses when `asked` samples are asked for: a power of two, no smaller than the model
    allows.

    Raises:
        RaveCourseError: a negative number, or one above 2^20.
    Source: nn_tilde. Notebook: 09.
    """
    if not 0 <= asked <= LARGEST_BUFFER:
        raise RaveCourseError(
            f"A buffer of {asked} samples is not possible. Use a power of two from "
            f"{model.smallest_buffer} on, or 0 for the smallest."
        )
    asked = max(asked, model.smallest_buffer)
    return 1 << (asked - 1).bit_length()


def load(path: Path | str) -> Model:
    """Load a `.ts` as nn~ does and read what it says about its methods and attributes.

    A `.ts` file is a program: loading and playing it runs the code inside. Load files only from people you
    trust.

    Raises:
        RaveCourseError: the file is missing, a folder, damaged, or no TorchScript.
    Notebook: 09.
    """
    path = Path(path)
    metadata = read_metadata(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:  # whatever the unpickler or the compiler of another version finds
        reason = str(error).strip().splitlines()[0][:150] if str(error).strip() else type(error).__name__
        raise RaveCourseError(
            f"{path} is damaged, or was made by a newer PyTorch than {torch.__version__} ({reason}). Export it again."
        ) from error
    return describe(module, path, metadata)


def describe(module: torch.jit.ScriptModule, path: Path, metadata: dict[str, Any] | None = None) -> Model:
    """Read what a scripted module says about itself, whether it came from a file or was just made.

    Args:
        path: named in error messages.
        metadata: as `read_metadata` gives it.
    Notebook: 09.
    """
    violations: list[str] = []
    methods = {
        name: m
        for name in _method_names(module, violations)
        if (m := _read_method(module, name, violations)) is not None
    }
    attributes = {
        name: a
        for name in _attribute_names(module, violations)
        if (a := _read_attribute(module, name, violations)) is not None
    }
    if "forward" not in module._c._method_names():
        violations.append("There is no method `forward`, which every player falls back to.")
    if not methods:
        violations.append("There is no method with a `<method>_params` tensor, so there is nothing to play.")
    return Model(path, module, methods, attributes, metadata or {}, tuple(violations))


def read_metadata(path: Path | str) -> dict[str, Any]:
    """What the exporter of this course wrote into a `.ts`; {} for the files of others. Nothing in it is run.

    Raises:
        RaveCourseError: as `load`.
    Notebook: 09.
    """
    path = Path(path)
    if path.is_dir():
        raise RaveCourseError(f"{path} is a folder. Name the .ts file that `ravecourse export` wrote.")
    if not path.is_file():
        raise RaveCourseError(f"There is no file {path}. Check the name; `ravecourse export` writes a .ts.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            inside = [name for name in names if name.endswith(f"/extra/{METADATA}")]
            fits = bool(inside) and archive.getinfo(inside[0]).file_size <= LARGEST_METADATA
            text = archive.read(inside[0]).decode() if fits else "{}"
    except OSError as error:
        raise RaveCourseError(f"{path} cannot be read ({error.strerror or error}). Check its permissions.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, NotImplementedError, RuntimeError) as error:
        raise RaveCourseError(
            f"{path} is no TorchScript file, or a damaged one. Name a .ts that "
            "`ravecourse export` or RAVE wrote; if it is one, copy or export it again."
        ) from error
    if not any("/code/" in name for name in names):
        advice = (
            "it holds weights: run `ravecourse export` on it first"
            if any(name.endswith("data.pkl") for name in names)
            else "name a .ts that `ravecourse export` wrote"
        )
        raise RaveCourseError(f"{path} is no TorchScript file; {advice}.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or nested without end
        return {}
    return found if isinstance(found, dict) else {}


def quietly(call: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """Call something of the model: (result, "") or (None, its error on one line). Notebook: 09."""
    try:
        return call(*arguments), ""
    except Exception as error:  # the code in a .ts may raise anything
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return None, lines[-1][:160] if lines else type(error).__name__


def _method_names(module: torch.jit.ScriptModule, violations: list[str]) -> list[str]:
    have = module._c._method_names()
    with_params = [name for name in have if module._c.hasattr(f"{name}_params")]
    if "get_methods" not in have:
        return with_params
    names, error = quietly(module.get_methods)
    if error or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        violations.append(
            f"`get_methods` must return a list of names; it {f'raised: {error}' if error else 'does not'}."
        )
        return with_params
    for name in names:
        if name not in have:
            violations.append(f"`get_methods` names {name!r}, and there is no such method.")
    return [name for name in dict.fromkeys(names) if name in have]


def _read_method(module: torch.jit.ScriptModule, name: str, violations: list[str]) -> Method | None:
    params = _attribute(module, f"{name}_params")
    if not isinstance(params, Tensor) or params.shape != (4,):
        found = f"a tensor of the shape {list(params.shape)}" if isinstance(params, Tensor) else repr(params)
        violations.append(
            f"`{name}_params` must be a tensor of four numbers (channels in, ratio in, channels out, "
            f"ratio out); it is {found}."
        )
        return None
    values = params.tolist()
    limits = (MOST_CHANNELS, LARGEST_BUFFER) * 2
    if params.is_complex() or not all(1 <= v <= most and v == int(v) for v, most in zip(values, limits, strict=True)):
        violations.append(
            f"`{name}_params` is {values}: channels and ratios must be whole numbers from 1 on, channels up to "
            f"{MOST_CHANNELS} and ratios up to {LARGEST_BUFFER}."
        )
        return None
    if params.dtype not in (torch.int64, torch.int32, torch.float32, torch.float64):
        violations.append(f"`{name}_params` is of type {params.dtype}; players read int64.")
    ins, in_ratio, outs, out_ratio = map(int, values)
    for ratio in (in_ratio, out_ratio):
        if ratio & (ratio - 1):
            violations.append(f"`{name}` has a ratio of {ratio}; players need powers of two.")
    if any(ratio & (ratio - 1) for ratio in (in_ratio, out_ratio)):
        return None
    return Method(
        name,
        ins,
        in_ratio,
        outs,
        out_ratio,
        _labels(module, name, "input", ins, violations),
        _labels(module, name, "output", outs, violations),
    )


def _labels(module: torch.jit.ScriptModule, name: str, side: str, count: int, violations: list[str]) -> tuple[str, ...]:
    labels = _attribute(module, f"{name}_{side}_labels")
    if labels is None:
        return tuple(f"(signal) {side} {i + 1}" for i in range(count))
    if not isinstance(labels, list) or len(labels) != count or not all(isinstance(x, str) for x in labels):
        violations.append(f"`{name}_{side}_labels` must be a list of {count} texts; it is {labels!r}.")
        return tuple(f"(signal) {side} {i + 1}" for i in range(count))
    return tuple(labels)


def _attribute_names(module: torch.jit.ScriptModule, violations: list[str]) -> list[str]:
    if "get_attributes" not in module._c._method_names():
        return []
    names, error = quietly(module.get_attributes)
    if error or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        violations.append(
            f"`get_attributes` must return a list of names; it {f'raised: {error}' if error else 'does not'}."
        )
        return []
    return [name for name in dict.fromkeys(names) if name != "none"]


def _read_attribute(module: torch.jit.ScriptModule, name: str, violations: list[str]) -> Attribute | None:
    params = _attribute(module, f"{name}_params")
    codes = params.flatten().tolist() if isinstance(params, Tensor) else None
    if not codes or any(code not in range(len(TYPES)) for code in codes):
        violations.append(
            f"`{name}_params` must be a tensor of type codes (0 bool, 1 int, 2 float, 3 str, 4 tensor, "
            f"5 buffer); it is {codes if codes is not None else params!r}."
        )
        return None
    missing = [f"{verb}_{name}" for verb in ("get", "set") if f"{verb}_{name}" not in module._c._method_names()]
    if missing:
        violations.append(f"The attribute {name!r} has no method {' and no '.join(f'`{m}`' for m in missing)}.")
        return None
    return Attribute(name, tuple(TYPES[int(code)] for code in codes))


def _attribute(module: torch.jit.ScriptModule, name: str) -> Any:
    if not module._c.hasattr(name):
        return None
    return module._c.getattr(name)


def _number(value: Any) -> float | None:
    if isinstance(value, Tensor):
        value = value.item() if value.numel() == 1 else None
    return value if isinstance(value, int | float) and value > 0 else None
