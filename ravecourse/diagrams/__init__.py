"""The pictures of the course, drawn as SVG from the code's own numbers: python -m ravecourse.diagrams docs

Notebook: 00.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ravecourse.diagrams.caches import caches
from ravecourse.diagrams.drawing import Sheet
from ravecourse.diagrams.journey import journey
from ravecourse.diagrams.player import player
from ravecourse.diagrams.stages import phase_one, phase_two
from ravecourse.files import write_text

PICTURES: dict[str, Callable[[], Sheet]] = {
    "journey": journey, "phase_one": phase_one, "phase_two": phase_two, "caches": caches, "player": player}

__all__ = ["PICTURES", "Sheet", "caches", "journey", "main", "phase_one", "phase_two", "player"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write all pictures into the folder that is named; 0, or 2 without a name. Source: this course. Notebook: 00."""
    words = sys.argv[1:] if argv is None else list(argv)
    if len(words) != 1:
        print("usage: python -m ravecourse.diagrams FOLDER", file=sys.stderr)
        return 2
    for name, draw in PICTURES.items():
        write_text(Path(words[0]) / f"{name}.svg", draw().svg())
    return 0
