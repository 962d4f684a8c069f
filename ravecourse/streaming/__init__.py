"""A trained model played block by block, equal to the offline model from the first sample on."""

from .convert import convert
from .heads import StreamNoise
from .layers import Delay, StreamConv, StreamResidual, StreamUpConv
from .model import PRECISIONS, StreamingRAVE
from .source import StreamControls, StreamSource

__all__ = [
    "PRECISIONS",
    "Delay",
    "StreamControls",
    "StreamConv",
    "StreamNoise",
    "StreamResidual",
    "StreamSource",
    "StreamUpConv",
    "StreamingRAVE",
    "convert",
]
