"""Things to move in a notebook: each is a picture and a sound that follow its controls.

Where nobody is there to move them (a test, a PDF, a page on GitHub) each shows a still picture and players instead;
`live` tells by which rule. Notebook: 05.
"""

from ravecourse.widgets.abx import ABX
from ravecourse.widgets.base import live
from ravecourse.widgets.blocks import BlockViewer
from ravecourse.widgets.curves import LiveCurves
from ravecourse.widgets.explorer import LatentExplorer
from ravecourse.widgets.traces import TraceScrubber

__all__ = ["ABX", "BlockViewer", "LatentExplorer", "LiveCurves", "TraceScrubber", "live"]
