"""Feedback on the exercises, a module for each chapter: `checks.chapter_03.reparameterise(your_function)`.

Notebook: 01.
"""

import importlib
import pkgutil
from types import ModuleType

from .feedback import Exercise


def __getattr__(name: str) -> ModuleType:
    """The chapters are loaded when they are asked for: they need the package, which takes seconds to load."""
    if name.startswith("chapter_"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def exercises() -> list[Exercise]:
    """All exercises of the course, chapter by chapter, in the order of their modules.

    Notebook: 01.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name.startswith("chapter_"))
    return [
        value
        for name in names
        for value in vars(importlib.import_module(f"{__name__}.{name}")).values()
        if isinstance(value, Exercise)
    ]
