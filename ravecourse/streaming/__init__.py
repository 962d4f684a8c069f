"""A trained model played block by block, equal to the offline model from the first sample on."""

from .convert import convert
from .heads import StreamNoise
from .layers import Delay, StreamConv, StreamResidual, StreamUpConv
from .model import PRECISIONS, StreamingRAVE

__all__ = [
    "PRECISIONS",
    "Delay",
    "StreamConv",
    "StreamNoise",
    "StreamResidual",
    "StreamUpConv",
    "StreamingRAVE",
    "convert",
]
