"""Things to move in a notebook: each is a picture and a sound that follow its controls.

Where nobody is there to move them (a test, a PDF, a page on GitHub) each shows a still picture and players instead;
`live` says by which rule. Notebook: 05.
"""

from .abx import ABX
from .base import live
from .blocks import BlockViewer
from .curves import LiveCurves
from .explorer import LatentExplorer
from .traces import TraceScrubber
from .upload import OwnSound

__all__ = ["ABX", "BlockViewer", "LatentExplorer", "LiveCurves", "OwnSound", "TraceScrubber", "live"]
