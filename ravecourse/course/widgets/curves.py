"""Losses that are drawn while a training runs, and a button that ends it.

Notebook: 04.
"""

import threading
import time
from collections.abc import Callable, Sequence

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ravecourse.runtime import clock
from ravecourse.training import Progress

from ..plots import COLOURS, finish_losses, legend_above
from .base import ROW, CourseWidget, button, hear_while_busy, live, picture, png, words

COLUMNS = ("spectral", "spectral_bands", "kl", "adversarial", "feature_matching", "discriminator")
POINTS = 500  # of a curve, at most
SHARE = 0.1  # of the time goes into drawing, at most


class LiveCurves(CourseWidget):
    """Give it to `train` as `on_step`: it draws the losses as they come, and stops the training when asked to.

    The button, `stop()` and `seconds` make `on_step` answer False: training then saves, and resumes from there next
    time. While a cell runs, a press of the button reaches a kernel that has subshells (ipykernel 7 with JupyterLab
    4.4 or later, as in the environment of this course). The square in the notebook's toolbar interrupts the kernel and
    does the same everywhere.

    Args:
        every: seconds between two drawings, at least; drawing takes a tenth of the time at most.
        seconds: stop by itself after so many; None trains to the planned end.
        columns: which losses, of those that the training reports.
        timer: gives the time in seconds.
    Notebook: 04.
    """

    def __init__(
        self,
        every: float = 1.0,
        *,
        seconds: float | None = None,
        columns: Sequence[str] = COLUMNS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.every, self.seconds, self.columns = every, seconds, tuple(columns)
        self.drawings = 0
        self.progress: Progress | None = None
        self._curves: dict[str, list[tuple[int, float]]] = {}
        self._seen: object = None
        self._timer, self._began, self._next, self._ended = timer, 0.0, 0.0, True
        self._asked, self._shown = threading.Event(), False
        self.image = picture(self.static())
        self.text = words("Waiting for the first step.")
        self.stop_button = button(
            "stop and save", "end after this step, and save; the square in the toolbar does the same", "stop"
        )
        self.stop_button.on_click(lambda _: self.stop())
        self.box = ipywidgets.VBox([ipywidgets.Box([self.stop_button, self.text], layout=ROW), self.image])

    @property
    def stopped(self) -> bool:
        """Whether the training was asked to end. Notebook: 04."""
        return self._asked.is_set()

    def stop(self) -> None:
        """Ask the training to save and end after this step. Notebook: 04."""
        self._asked.set()
        self.stop_button.disabled = True
        self.text.value = "Stopping after this step."

    def __call__(self, progress: Progress) -> bool:
        """Take in where the training stands; False asks it to save and end. Notebook: 04."""
        now = self._timer()
        if self._ended or self.progress is not None and progress.step < self.progress.step:
            self._start(now, progress.step)
        self.progress = progress
        self._collect(progress)
        if self.seconds is not None and now - self._began >= self.seconds:
            self.stop()
        stopped = self.stopped  # a press that comes while the curves are drawn ends the next step
        last = self._ended = stopped or progress.step >= progress.end
        if last or now >= self._next:
            self._redraw(progress, last)
            hear_while_busy(self.stop_button)
            self._next = now + max(self.every, (self._timer() - now) / SHARE)
        return not stopped

    def values(self, name: str) -> list[tuple[int, float]]:
        """(step, value) of each value of a loss that was seen; [] for one that was not. Notebook: 06."""
        return list(self._curves.get(name, []))

    def static(self) -> Figure:
        """The curves so far. Notebook: 04."""
        names = [name for name in self.columns if self._curves.get(name)]
        rows = -(-max(len(names), 2) // 2)
        figure = Figure(figsize=(10, 2.1 * rows + 0.4), layout="constrained")
        axes = list(figure.subplots(rows, 2, squeeze=False).flat)
        for axis in axes[len(names) :]:
            axis.set_axis_off()
        if not names:
            axes[0].text(0, 0.5, "no loss yet")
        for axis, name, colour in zip(axes, names, COLOURS * len(axes), strict=False):
            self._draw(axis, name, colour)
        return figure

    def _draw(self, axis: Axes, name: str, colour: str) -> None:
        stride = -(-len(self._curves[name]) // POINTS)
        points = [*self._curves[name][:-1:stride], self._curves[name][-1]]
        axis.plot(*zip(*points, strict=True), color=colour, linewidth=1.2, label="training")
        held_out = self._curves.get(f"validation_{name}")
        if held_out:
            axis.plot(
                *zip(*held_out, strict=True), color="0.2", marker="o", markersize=4, linewidth=1, label="held-out sound"
            )
            legend_above(axis)
        border = None
        if self.progress is not None and self.progress.phase_two_start < self.progress.end:
            border = self.progress.phase_two_start
        finish_losses(axis, name, sorted([*points, *(held_out or [])]), border)

    def _start(self, now: float, step: int) -> None:
        """A training begins or is resumed: forget an earlier stop, and show the widget if it is not shown."""
        self._began, self._next = now, now
        if self.progress is not None and step <= self.progress.step:
            self._curves, self._seen = {}, None
        self._asked.clear()
        self.stop_button.disabled = False
        if live() and not self._shown:
            self.show()

    def show(self) -> None:
        """Show the widget, or the curves so far where it cannot be used. Notebook: 04."""
        self._shown = True
        if live() or self._curves:
            super().show()

    def _collect(self, progress: Progress) -> None:
        if progress.losses and progress.losses != self._seen:
            self._seen = dict(progress.losses)
            for name, value in progress.losses.items():
                self._curves.setdefault(name, []).append((progress.step, value))
        for name, value in (progress.validation or {}).items():
            known = self._curves.setdefault(f"validation_{name}", [])
            if not known or known[-1][1] != value:
                known.append((progress.step, value))

    def _redraw(self, progress: Progress, last: bool) -> None:
        self.drawings += 1
        if live():
            self.image.value = png(self.static())
        elif last:
            self.show()
        where = f"step {progress.step} of {progress.end}, phase {progress.phase}"
        ended = f"Stopped at {where}; saved." if self.stopped else f"Done: {where}."
        self.text.value = ended if last else f"{where}, end in {clock(progress.seconds_to_end)}"
        self.stop_button.disabled = last
