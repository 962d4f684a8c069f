"""Boxes, words and arrows on a sheet that becomes an SVG. Notebook: 00."""

from collections.abc import Sequence
from html import escape

WIDTH = 960
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#555555"  # Okabe and Ito; Tol
INK, PAPER = "#222222", "#ffffff"
DASHES = ' stroke-dasharray="5 4"'
LETTER = 0.53  # width of a letter over its height, on average, and a little more


class Sheet:
    """A drawing 960 units wide, on white, so that it reads on dark pages too.

    Args:
        title: what it shows, for those who cannot see it.
        height: in the same units.
    Notebook: 00.
    """

    def __init__(self, title: str, height: int) -> None:
        self.height = height
        self.fitted: list[tuple[str, float, float]] = []  # words, their estimated width, the room that they have
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            'role="img" aria-labelledby="title">',
            f'<title id="title">{escape(title)}</title>',
            f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/></marker></defs>',
        ]

    def svg(self) -> str:
        """The whole file. Notebook: 00."""
        return "\n".join([*self._parts, "</svg>"]) + "\n"

    def frame(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        colour: str = GREY,
        fill: str = PAPER,
        dashed: bool = False,
        round_by: int = 8,
        line: float = 2.5,
    ) -> None:
        """An empty box. Notebook: 00."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_by}" '
            f'fill="{fill}" stroke="{colour}" stroke-width="{line:g}"{DASHES if dashed else ""}/>'
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        title: str,
        lines: Sequence[str] = (),
        colour: str = GREY,
        fill: str = PAPER,
        dashed: bool = False,
        size: int = 17,
    ) -> None:
        """A box with a bold title and smaller lines under it, in the middle. Notebook: 00."""
        self.frame(x, y, width, height, colour, fill, dashed)
        small = min(14, size - 2)
        step = small + 5
        baseline = y + height / 2 + 0.35 * size - step * len(lines) / 2
        self.text(x + width / 2, baseline, title, size, colour, weight="bold", room=width - 6)
        for i, words in enumerate(lines):
            self.text(x + width / 2, baseline + step * (i + 1) + 1, words, small, room=width - 6)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 14,
        colour: str = INK,
        anchor: str = "middle",
        weight: str = "normal",
        room: float = WIDTH,
    ) -> None:
        """Words; `y` is their baseline, `room` the width that they must not pass. Notebook: 00."""
        self.fitted.append((words, LETTER * size * len(words), room))
        self._parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(words)}</text>'
        )

    def line(self, *points: tuple[float, float], colour: str = GREY, dashed: bool = False, tip: bool = False) -> None:
        """A line through points. Notebook: 00."""
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        self._parts.append(
            f'<path d="{path}" stroke="{colour}" stroke-width="2" fill="none"{DASHES if dashed else ""}'
            + (' marker-end="url(#tip)"' if tip else "")
            + "/>"
        )

    def arrow(self, *points: tuple[float, float], dashed: bool = False) -> None:
        """A line with a tip at its end. Notebook: 00."""
        self.line(*points, dashed=dashed, tip=True)
