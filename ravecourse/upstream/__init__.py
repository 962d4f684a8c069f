"""Checkpoints of the original RAVE, read into this kit's model."""

from .checkpoint import Imported, import_checkpoint, read

__all__ = ["Imported", "import_checkpoint", "read"]
