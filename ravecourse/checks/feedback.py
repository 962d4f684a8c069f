"""How an answer is judged and what the student reads: yours beside the expected, and a hint when it helps.

Notebook: 01.
"""

import linecache
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ravecourse.plots import COLOURS

SHOWN = 5  # numbers of a longer answer that are shown
HINT_FROM = 2  # wrong tries


class NotAttempted(Exception):
    """The stub is still as it was. Notebook: 01."""


@dataclass(frozen=True)
class Feedback:
    """What came of one try.

    Attributes:
        exercise: chapter and name, such as "03 reparameterise".
        passed: True, False, or None where nothing was attempted.
        message: what the student reads.
        figure: yours beside the expected, where a picture says more than numbers.
    Source: this course. Notebook: 01.
    """

    exercise: str
    passed: bool | None
    message: str
    figure: Figure | None = None

    def _ipython_display_(self) -> None:
        from IPython.display import display

        print(self.message)
        if self.figure is not None:
            display(self.figure)

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Verdict:
    """What a judge found: right or wrong, why, and a picture for a wrong answer.

    Source: this course. Notebook: 01.
    """

    right: bool
    words: str
    figure: Figure | None = None


@dataclass
class Exercise:
    """An exercise: calling it with an answer gives `Feedback`, shows it in a notebook, and counts wrong tries.

    Source: this course. Notebook: 01.
    """

    chapter: str
    name: str
    judge: Callable[..., Verdict]
    hint: str
    wrong_tries: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        self.__doc__ = self.judge.__doc__

    def __call__(self, *answers: Any) -> Feedback:
        """Judge an answer: a function that the student wrote, or a value."""
        title = f"{self.chapter} {self.name}"
        if any(answer is None or answer is Ellipsis for answer in answers):
            return Feedback(title, None, _stub(title))
        try:
            verdict = self.judge(*answers)
        except NotAttempted:
            return Feedback(title, None, _stub(title))
        except Exception as error:  # whatever a student's code raises is an answer to talk about
            verdict = Verdict(False, _stopped(error))
        if verdict.right:
            self.wrong_tries = 0
            return Feedback(title, True, f"{title}: right. {verdict.words}".rstrip())
        self.wrong_tries += 1
        lines = [f"{title}: not yet. {verdict.words}"]
        if self.wrong_tries >= HINT_FROM:
            lines.append(f"Hint: {self.hint}")
        return Feedback(title, False, "\n".join(lines), verdict.figure)


def exercise(chapter: str, hint: str) -> Callable[[Callable[..., Verdict]], Exercise]:
    """Make a judge into an exercise of a chapter; the function's name is the exercise's.

    Args:
        chapter: two digits.
        hint: shown from the second wrong try on: a way to go on, not the solution.
    Source: this course. Notebook: 01.
    """
    return lambda judge: Exercise(chapter, judge.__name__, judge, hint)


def ask(function: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    """Call the student's function on copies of the inputs; a stub's `None` or `...` counts as not attempted.

    Raises:
        NotAttempted: the stub was not filled in.
    Source: this course. Notebook: 01.
    """
    copies = [value.clone() if isinstance(value, torch.Tensor) else value for value in inputs]
    answer = function(*copies, **named)
    if answer is None or answer is Ellipsis:
        raise NotAttempted
    return answer


def compare(yours: Any, expected: Any, what: str, *, tolerance: float = 1e-5,
            usual: Mapping[str, Any] | None = None, draw: bool = False, unit: str = "") -> Verdict:
    """Judge numbers: equal to `expected` within `tolerance`, or both are shown, side by side.

    Args:
        yours, expected: numbers, sequences, arrays or tensors.
        what: their name in the feedback, such as "the latent".
        tolerance: largest absolute difference that passes, relative to the largest expected value where that is
            above 1.
        usual: the sentence that helps -> the value that a usual mistake gives; the first that matches is said.
        draw: show a figure of both where they differ (for sequences of numbers).
        unit: after each number.
    Source: this course. Notebook: 01.
    """
    wanted = _array(expected)
    try:
        given = _array(yours)
    except (TypeError, ValueError, RuntimeError):
        return Verdict(False, f"For {what}, numbers were expected; yours is {type(yours).__name__}: {yours!r:.80}.")
    if given.shape != wanted.shape:
        return Verdict(False, f"The shape of {what} is {_shape(given)}; expected is {_shape(wanted)}.")
    bad = int((~np.isfinite(given)).sum())
    if bad:
        return Verdict(False, f"{bad} of {given.size} numbers of {what} are NaN or infinite.")
    if _close(given, wanted, tolerance):
        return Verdict(True, f"{what[0].upper()}{what[1:]}: {_numbers(given, unit)}.")
    words = f"{what[0].upper()}{what[1:]} differs.\n  yours:    {_numbers(given, unit)}\n" \
            f"  expected: {_numbers(wanted, unit)}"
    if given.size > SHOWN:
        words += f"\n  largest difference: {np.abs(given - wanted).max():.3g}"
    for sentence, value in (usual or {}).items():
        mistake = _array(value)
        if mistake.shape == given.shape and _close(given, mistake, tolerance):
            words += f"\n{sentence}"
            break
    return Verdict(False, words, beside(given, wanted, what) if draw else None)


def together(*verdicts: Verdict) -> Verdict:
    """All of several verdicts: the first that is wrong, or all their words. Source: this course. Notebook: 01."""
    for verdict in verdicts:
        if not verdict.right:
            return verdict
    return Verdict(True, " ".join(verdict.words for verdict in verdicts if verdict.words))


def beside(yours: Any, expected: Any, what: str) -> Figure:
    """Two curves in one plot, yours and the expected one. Source: this course. Notebook: 01."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axis: Axes = figure.subplots()
    axis.plot(_array(expected).reshape(-1), color=COLOURS[0], linewidth=3, alpha=0.5, label="expected")
    axis.plot(_array(yours).reshape(-1), color=COLOURS[1], linewidth=1, label="yours")
    axis.set(xlabel="index", ylabel=what)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError("no numbers")
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _close(given: np.ndarray, wanted: np.ndarray, tolerance: float) -> bool:
    scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    return bool((np.abs(given - wanted) <= tolerance * scale).all())


def _numbers(values: np.ndarray, unit: str) -> str:
    flat = values.reshape(-1)
    text = ", ".join(f"{value:.4g}" for value in flat[:SHOWN]) + (", ..." if flat.size > SHOWN else "")
    return text + (f" {unit}" if unit else "")


def _shape(values: np.ndarray) -> str:
    return "a single number" if values.ndim == 0 else str(list(values.shape))


def _stub(title: str) -> str:
    return f"{title}: not attempted yet. Replace the ... by your answer and run the cell again."


def _stopped(error: Exception) -> str:
    """Where the student's own code stopped, by the innermost line that is not the package's."""
    theirs = [frame for frame in traceback.extract_tb(error.__traceback__)
              if "ravecourse" not in frame.filename and "site-packages" not in frame.filename]
    words = f"Your code stopped with {type(error).__name__}: {error}"
    if theirs:
        line = theirs[-1].line or linecache.getline(theirs[-1].filename, theirs[-1].lineno or 0).strip()
        words += f"\n  in line {theirs[-1].lineno}: {line}" if line else f"\n  in line {theirs[-1].lineno}"
    return words
