"""Models as `.ts` files for nn~: write one, verify it, read what any such file offers."""

from . import contract, torchscript
from .contract import problems
from .exporter import ExportedRAVE, export, export_model, precision_error, reference
from .torchscript import DEFAULT_BUFFER, Attribute, Method, Model, buffer_size, describe, load, read_metadata

__all__ = [
    "DEFAULT_BUFFER",
    "Attribute",
    "ExportedRAVE",
    "Method",
    "Model",
    "buffer_size",
    "contract",
    "describe",
    "export",
    "export_model",
    "load",
    "precision_error",
    "problems",
    "read_metadata",
    "reference",
    "torchscript",
]
