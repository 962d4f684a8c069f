"""The picture of the journey in the README, drawn as SVG: python -m ravecourse.diagrams docs/journey.svg

Notebook: 00.
"""

import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ravecourse.config import preset
from ravecourse.files import write_text

WIDTH, HEIGHT = 960, 380
BOX_WIDTH, BOX_HEIGHT = 156, 84
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#555555"  # Okabe and Ito; Tol
LEFT, STEP = 24, 189  # of the first box, and from one to the next


def journey(name: str = "tiny") -> str:
    """From a folder of sounds to a playing instrument, and what is inside the model, with the numbers of a preset.

    Raises:
        RaveCourseError: no such preset.
    Source: this course. Notebook: 00.
    """
    config = preset(name)
    rate = config.sample_rate / config.hop_length
    steps = [
        ("your sounds", "a folder, any format", GREY),
        ("prepare", "one dataset", BLUE),
        ("train", "two phases", ORANGE),
        ("export", "model.ts, proven", GREEN),
        ("play", "nn~ in Pure Data", PURPLE),
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'role="img" aria-labelledby="title">',
        '<title id="title">From a folder of sounds to an instrument, and what is inside the model</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/></marker></defs>',
    ]
    for i, (title, below, colour) in enumerate(steps):
        x = LEFT + i * STEP
        parts += _box(x, 28, title, below, colour)
        if i:
            parts.append(_arrow(x - STEP + BOX_WIDTH, 28 + BOX_HEIGHT // 2, x, 28 + BOX_HEIGHT // 2))

    middle = LEFT + 2 * STEP + BOX_WIDTH // 2  # under "train"
    top = 176
    parts += [
        f'<path d="M{middle} {28 + BOX_HEIGHT} L{middle} {top}" stroke="{ORANGE}" stroke-dasharray="4 4" fill="none"/>',
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - 2 * LEFT}" height="184" rx="10" fill="#fff8f3" '
        f'stroke="{ORANGE}" stroke-dasharray="4 4"/>',
        _text(LEFT + 16, top + 24, f"inside the model (preset {config.preset})", 14, ORANGE, "start"),
    ]
    inside = [
        ("sound", f"{config.sample_rate} samples/s", GREY),
        ("encoder", "describes", ORANGE),
        ("latent", f"{config.latent_size} numbers, {rate:.1f}/s", BLUE),
        ("decoder", "makes sound", ORANGE),
        ("sound again", "in the learned voice", GREY),
    ]
    left, step = LEFT + 16, STEP - 8
    for i, (title, below, colour) in enumerate(inside):
        x = left + i * step
        parts += _box(x, top + 42, title, below, colour)
        if i:
            parts.append(_arrow(x - step + BOX_WIDTH, top + 42 + BOX_HEIGHT // 2, x, top + 42 + BOX_HEIGHT // 2))
    first, last = left + BOX_WIDTH // 2, left + 4 * step + BOX_WIDTH // 2
    low = top + 42 + BOX_HEIGHT
    parts += [
        f'<path d="M{first} {low} V{low + 26} H{last} V{low}" stroke="{GREY}" fill="none"/>',
        f'<rect x="{middle - 232}" y="{low + 14}" width="464" height="24" fill="#fff8f3"/>',
        _text(middle, low + 31, "training compares the two, and then lets critics judge the second", 14, GREY),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(x: int, y: int, title: str, below: str, colour: str) -> list[str]:
    centre = x + BOX_WIDTH // 2
    return [
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" fill="#ffffff" stroke="{colour}" '
        'stroke-width="2.5"/>',
        _text(centre, y + 37, title, 19, colour, weight="bold"),
        _text(centre, y + 62, below, 14, "#222222"),
    ]


def _text(x: int, y: int, words: str, size: int, colour: str, anchor: str = "middle", weight: str = "normal") -> str:
    return (f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(words)}</text>')


def _arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    return (f'<path d="M{x1 + 3} {y1} L{x2 - 4} {y2}" stroke="{GREY}" stroke-width="2" fill="none" '
            'marker-end="url(#tip)"/>')


def main(argv: Sequence[str] | None = None) -> int:
    """Write the picture to the file that is named; 0, or 2 without a name. Source: this course. Notebook: 00."""
    words = sys.argv[1:] if argv is None else list(argv)
    if len(words) != 1:
        print("usage: python -m ravecourse.diagrams FILE.svg", file=sys.stderr)
        return 2
    write_text(Path(words[0]), journey())
    return 0


if __name__ == "__main__":
    sys.exit(main())
