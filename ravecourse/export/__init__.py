"""Models as `.ts` files for nn~: write one, verify it, read what any such file offers."""

from . import contract, torchscript
from .contract import violations
from .exporter import ExportedRAVE, export_model, export_torchscript, playable, precision_error
from .torchscript import DEFAULT_BUFFER, Attribute, Method, Model, buffer_size, describe, load, read_metadata
from .verify import Delays, reference, verify_file

__all__ = [
    "DEFAULT_BUFFER",
    "Attribute",
    "ExportedRAVE",
    "Method",
    "Model",
    "buffer_size",
    "contract",
    "describe",
    "export_torchscript",
    "export_model",
    "load",
    "playable",
    "precision_error",
    "read_metadata",
    "Delays",
    "reference",
    "verify_file",
    "violations",
    "torchscript",
]
