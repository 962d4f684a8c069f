"""The packages and what each imports from, read from the code: the picture of docs/architecture.md."""

import ast
from pathlib import Path

from .drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, Sheet

ROOT = Path(__file__).resolve().parents[2]
ROWS = (  # in the order of the signal
    (("errors", "files", "config", "runtime", "bundled"), GREY, "settings, files, seeds"),
    (("audio", "synth", "dataset"), BLUE, "from recordings to training crops"),
    (("model", "training"), ORANGE, "the model, and how it learns"),
    (("streaming", "export", "playback"), GREEN, "from trained model to instrument"),
    (("evaluation", "upstream", "course", "cli"), PURPLE, "evaluate, import, teach, run"),
)
LEFT, TOP, STEP = 24, 24, 96
BOX_WIDTH, BOX_HEIGHT, GAP = 116, 56, 14


def uses(package: str) -> set[str]:
    """The parts of ravecourse that the modules of a package import."""
    place = ROOT / "ravecourse" / package
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                words = node.module.split(".")
                if words[0] == "ravecourse":
                    found |= {words[1]} if len(words) > 1 else {alias.name for alias in node.names}
    return found - {package, "__version__"}


def packages() -> Sheet:
    """One row for each stage of the signal, top to bottom; under each package, how many of those above it uses."""
    sheet = Sheet("The packages of ravecourse, in the order of the signal; imports lead upwards only", 520)
    for number, (names, colour, what) in enumerate(ROWS):
        y = TOP + number * STEP
        for place, name in enumerate(names):
            x = LEFT + place * (BOX_WIDTH + GAP)
            used = len(uses(name))
            below = "uses no other" if not used else f"uses {used} above"
            sheet.box(x, y, BOX_WIDTH, BOX_HEIGHT, name, [below], colour, size=16)
        sheet.text(936, y + BOX_HEIGHT / 2 + 5, what, 14, colour, "end", room=260)
        if number:
            sheet.arrow((LEFT + 40, y - 4), (LEFT + 40, y - STEP + BOX_HEIGHT + 6))
    sheet.text(
        LEFT,
        506,
        "An arrow means: imports from the rows above. No package imports from one below it.",
        14,
        GREY,
        "start",
    )
    return sheet
