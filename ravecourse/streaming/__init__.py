"""A trained model played block by block, equal to the offline model from the first sample on."""

from .layers import Delay, StreamConv, StreamResidual, StreamUpConv
from .model import PRECISIONS, StreamingRAVE

__all__ = ["PRECISIONS", "Delay", "StreamConv", "StreamResidual", "StreamUpConv", "StreamingRAVE"]
