"""From folders of recordings to one prepared dataset, and from that to batches of training crops."""

from . import augment
from .augment import Augment
from .crops import Batch, CropSampler
from .preparation import prepare
from .report import Report, SplitReport
from .store import Dataset, Segment

__all__ = ["Augment", "Batch", "CropSampler", "Segment", "Report", "SplitReport", "Dataset", "augment", "prepare"]
