"""From folders of recordings to one prepared dataset, and from that to batches of training crops."""

from . import augment
from .augment import Augment
from .crops import Batch, Crops
from .preparation import prepare
from .report import Report, SplitReport
from .store import Entry, Store

__all__ = ["Augment", "Batch", "Crops", "Entry", "Report", "SplitReport", "Store", "augment", "prepare"]
