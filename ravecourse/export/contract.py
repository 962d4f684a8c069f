"""Run a loaded model as a player would, and say as sentences where it breaks the agreement with nn~.

Notebook: 09.
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor

from .torchscript import Attribute, Method, Model, buffer_size, load, quietly, read_metadata

__all__ = ["Attribute", "Method", "Model", "buffer_size", "load", "violations", "read_metadata"]

SOUNDS = ("silence", "full-scale noise", "silence after noise")
EXTREMES: dict[str, tuple[Any, ...]] = {
    "bool": (True, False),
    "int": (0, 1, -1, 2**31, -(2**31), 2**62),
    "float": (0.0, 1.0, -1.0, 1e-30, 1e30, -1e30, math.inf, -math.inf, math.nan),
    "str": ("", "x" * 1000),
}


def violations(model: Model) -> list[str]:
    """Contract violations, one sentence each; empty if there are none.

    Each method is called with batches of 1 and 4 on silence, on full-scale noise and on silence again; each
    attribute is read, set to what it was, and set to extreme values. Copies are run, so the model's memory is
    not touched.

    Notebook: 09.
    """
    found = list(model.violations)
    for method in model.methods.values():
        for batch in (1, 4):
            wrong = _run(copy.deepcopy(model.module), method, batch, model.smallest_buffer)
            if wrong:
                found.append(wrong)
                break
    for attribute in model.attributes.values():
        found += _try(model, attribute)
    return found


def _run(
    module: torch.jit.ScriptModule,
    method: Method,
    batch: int,
    buffer: int,
    sounds: tuple[str, ...] = SOUNDS,
    rounds: int = 3,
) -> str:
    """The first thing that is wrong when a method plays, or ""."""
    generator = torch.Generator().manual_seed(0)
    call = getattr(module, method.name)
    for sound in sounds:
        for size in (buffer, 2 * buffer) * rounds:
            x = torch.zeros(batch, method.in_channels, size // method.in_ratio)
            if sound == "full-scale noise":
                x = torch.rand(x.shape, generator=generator) * 2 - 1
            with torch.inference_mode():
                y, error = quietly(call, x)
            where = f"`{method.name}` on {sound}, batch {batch}, a block of {size} samples,"
            if error:
                return f"{where} raised: {error}"
            expected = (batch, method.out_channels, size // method.out_ratio)
            if not isinstance(y, Tensor):
                return f"{where} returned a {type(y).__name__} in place of one tensor."
            if y.dtype != torch.float32:
                return f"{where} returned {y.dtype} in place of float32."
            if tuple(y.shape) != expected:
                return f"{where} returned the shape {list(y.shape)} in place of {list(expected)}."
            if not torch.isfinite(y).all():
                return f"{where} returned numbers that are not finite."
    return ""


def _try(model: Model, attribute: Attribute) -> list[str]:
    """What is wrong with one attribute; setters run outside inference mode, after calls inside it, as in
    nn~."""
    name, found = attribute.name, []
    module = copy.deepcopy(model.module)
    for method in list(model.methods.values())[:1]:
        _run(module, method, 1, model.smallest_buffer)
    get, set_ = getattr(module, f"get_{name}"), getattr(module, f"set_{name}")
    if "bool" in attribute.types:
        found.append(f"The attribute {name!r} is a bool, which older players cannot set from Pd; make it an int.")
    value, error = quietly(get)
    if error:
        return [*found, f"`get_{name}` raised: {error}"]
    if not isinstance(value, list | tuple):
        return [
            *found,
            f"`get_{name}` returned a bare {type(value).__name__}; players need a list or a tuple.",
        ]
    if len(value) != len(attribute.types):
        return [
            *found,
            f"`get_{name}` returned {len(value)} values; `{name}_params` says {len(attribute.types)}.",
        ]
    wrong = _set(name, set_, list(value))
    if wrong:
        return [*found, wrong]
    if any(kind not in EXTREMES for kind in attribute.types):
        return found  # tensors and buffers: there is no value that is extreme for all of them
    for turn in range(max(len(EXTREMES[kind]) for kind in attribute.types)):
        extreme = [EXTREMES[kind][turn % len(EXTREMES[kind])] for kind in attribute.types]
        wrong = _set(name, set_, extreme)
        now, error = quietly(get)
        if wrong or error:
            return [*found, wrong or f"`get_{name}` raised after {extreme} was set: {error}"]
        if any(isinstance(v, float) and not math.isfinite(v) for v in now):
            return [*found, f"`set_{name}` took {extreme} as it is; it must clamp to a sensible range."]
        for method in model.methods.values():
            wrong = _run(module, method, 1, model.smallest_buffer, SOUNDS[1:2], rounds=1)
            if wrong:
                return [*found, f"After {name!r} was set to {extreme}: {wrong}"]
    return found


def _set(name: str, setter: Any, values: list[Any]) -> str:
    answer, error = quietly(setter, *values)
    if error:
        return f"`set_{name}` raised for {values}, which ends Pd in older versions: {error}"
    if isinstance(answer, bool) or answer != 0:
        return f"`set_{name}` returned {answer!r} for {values}; players need 0."
    return ""
