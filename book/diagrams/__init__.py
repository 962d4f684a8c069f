"""The pictures of the course, drawn as SVG from the code's own numbers: python -m book.diagrams docs"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ravecourse.files import write_text

from .caches import caches
from .drawing import Sheet
from .journey import journey
from .packages import packages
from .player import player
from .stages import phase_one, phase_two

PICTURES: dict[str, Callable[[], Sheet]] = {
    "journey": journey,
    "phase_one": phase_one,
    "phase_two": phase_two,
    "caches": caches,
    "player": player,
    "packages": packages,
}

__all__ = ["PICTURES", "Sheet", "caches", "journey", "main", "packages", "phase_one", "phase_two", "player"]


def main(argv: Sequence[str] | None = None) -> int:
    """Write all pictures into the folder that is named; 0, or 2 without a name."""
    words = sys.argv[1:] if argv is None else list(argv)
    if len(words) != 1:
        print("usage: python -m book.diagrams FOLDER", file=sys.stderr)
        return 2
    for name, draw in PICTURES.items():
        write_text(Path(words[0]) / f"{name}.svg", draw().svg())
    return 0
