"""Frozen records of settings: the types of their fields, and their JSON.

Notebook: 03.
"""

import dataclasses
import math
from collections.abc import Hashable
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from ravecourse.errors import RaveCourseError

WIDEST = 1 << 14  # channels of a layer; the widest preset has 1536


@cache
def _kinds(cls: Hashable) -> dict[str, Any]:
    return get_type_hints(cls)


def check_types(config: Any) -> None:
    """Refuse a value of another type than its field, and numbers that are not finite: files hold anything.

    Raises:
        RaveCourseError: the field and its value.
    Notebook: 03.
    """
    for name, kind in _kinds(config.__class__).items():
        value = getattr(config, name)
        if not _is_a(value, kind):
            words = {int: "a whole number", float: "a finite number", bool: "True or False", str: "text"}
            wanted = words.get(kind, f"of the form {kind}")
            raise RaveCourseError(f"{name} is {str(value)[:60]!r}; it must be {wanted}.")


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if not isinstance(value, tuple):
            return False
        if inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(_is_a, value, inner))
        return all(_is_a(each, inner[0]) for each in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def from_values(cls: type, values: Any) -> Any:
    """A record from what JSON gave: lists become tuples.

    Raises:
        RaveCourseError: a field is unknown, missing, or of another type (the file is of another version).
    Notebook: 03.
    """
    if not isinstance(values, dict):
        raise RaveCourseError(f"A stored {cls.__name__} is not a table of settings.")
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise RaveCourseError(
            f"A stored {cls.__name__} has fields that this version does not know: "
            f"{', '.join(unknown)}. It was written by another version of ravecourse."
        )
    try:
        return cls(**{name: _tuples(value) for name, value in values.items()})
    except TypeError as error:
        raise RaveCourseError(
            f"A stored {cls.__name__} is incomplete ({error}). It was written by another version of ravecourse."
        ) from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
