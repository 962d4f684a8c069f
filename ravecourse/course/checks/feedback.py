"""How an answer is judged and what the student reads: yours beside the expected, and a hint when it helps.

Notebook: 01.
"""

import ast
import importlib
import inspect
import linecache
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plots import COLOURS, legend_above

SHOWN = 5  # numbers of a longer answer that are shown
HINT_FROM = 2  # wrong tries before the hint is shown
ANSWER_FROM = 3  # wrong tries before the expected value of a number exercise is shown
FEWEST_DIGITS, MOST_DIGITS = 4, 17  # 17 tell any two doubles apart
NOT_THEIRS = (str(Path(__file__).parents[2]), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), "<frozen")


class NotAttempted(Exception):
    """The stub is still as it was. Notebook: 01."""


class NothingReturned(Exception):
    """A function was written, but it gives nothing back. Notebook: 01."""


@dataclass(frozen=True)
class Feedback:
    """What came of one try.

    Attributes:
        exercise: chapter and name, such as "03 reparameterise".
        passed: True, False, or None where nothing was attempted.
        message: what the student reads.
        figure: yours beside the expected, where a picture says more than numbers.
    Notebook: 01.
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
    """Whether an answer is right, and why.

    Attributes:
        words: what is right or wrong about it.
        figure: for a wrong answer, yours beside the expected.
        expected: for a wrong answer, the line with the expected values. Where the answer is itself a number, this line
            and the figure are the solution: they are shown from the third wrong try on.
    Notebook: 01.
    """

    right: bool
    words: str
    figure: Figure | None = None
    expected: str = ""


@dataclass
class Exercise:
    """An exercise: calling it with an answer gives `Feedback`, shows it in a notebook, and counts wrong tries.

    Notebook: 01.
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
        except NothingReturned as error:
            verdict = Verdict(False, str(error))
        except Exception as error:  # whatever a student's code raises is an answer to talk about
            verdict = Verdict(False, _stopped(error, self.judge))
        if verdict.right:
            self.wrong_tries = 0
            return Feedback(title, True, f"{title}: right. {verdict.words}".rstrip())
        self.wrong_tries += 1
        reveal = any(callable(answer) for answer in answers) or self.wrong_tries >= ANSWER_FROM
        lines = [f"{title}: not yet. {verdict.words}"]
        if verdict.expected:
            lines.append(verdict.expected if reveal else f"  expected: shown from try {ANSWER_FROM} on")
        if self.wrong_tries >= HINT_FROM:
            lines.append(f"Hint: {self.hint}")
        return Feedback(title, False, "\n".join(lines), verdict.figure if reveal else None)


def exercise(chapter: str, hint: str) -> Callable[[Callable[..., Verdict]], Exercise]:
    """Make a judge into an exercise of a chapter; the function's name is the exercise's.

    Args:
        chapter: two digits.
        hint: shown from the second wrong try on: a way to go on, not the solution.
    Notebook: 01.
    """
    return lambda judge: Exercise(chapter, judge.__name__, judge, hint)


def ask(function: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    """Call the student's function on copies of the inputs.

    Raises:
        NotAttempted: the stub was not filled in: nothing comes back, and a `...` stands where the answer belongs.
        NothingReturned: nothing comes back from a function that was filled in; mostly a `return` is missing.
    Notebook: 01.
    """
    if not callable(function):
        raise NothingReturned(
            f"A function was expected; yours is {type(function).__name__}: {function!r:.80}. "
            "Give its name, without brackets behind it."
        )
    copies = [value.clone() if isinstance(value, torch.Tensor) else value for value in inputs]
    try:
        answer = function(*copies, **named)
    except TypeError as error:
        if "ellipsis" in str(error) and _is_stub(function):  # the stub computes with its own `...`
            raise NotAttempted from error
        raise
    if answer is Ellipsis or answer is None and _is_stub(function):
        raise NotAttempted
    if answer is None:
        raise NothingReturned(
            f"{getattr(function, '__name__', 'Your function')} returned nothing. "
            "Is there a `return` on every way through it?"
        )
    return answer


class NotAllowed(Exception):
    """A function was called that the exercise rules out. Notebook: 01."""


@contextmanager
def ruling_out(*names: str) -> Iterator[None]:
    """Inside the block, calling a function of these dotted names raises NotAllowed. Notebook: 01."""

    def refusal(name: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise NotAllowed(f"`{name}` is ruled out in this exercise: write what it does yourself.")

        return refuse

    places = [(importlib.import_module(name.rpartition(".")[0]), name.rpartition(".")[2], name) for name in names]
    before = [(module, attribute, getattr(module, attribute)) for module, attribute, _ in places]
    try:
        for module, attribute, name in places:
            setattr(module, attribute, refusal(name))
        yield
    finally:
        for module, attribute, function in before:
            setattr(module, attribute, function)


def compare(
    yours: Any,
    expected: Any,
    what: str,
    *,
    tolerance: float = 1e-5,
    usual: Mapping[str, Any] | None = None,
    draw: bool = False,
    unit: str = "",
) -> Verdict:
    """Judge numbers: equal to `expected` within `tolerance`, or both are shown, side by side.

    Args:
        yours, expected: numbers, sequences, arrays or tensors.
        what: their name in the feedback, such as "the latent".
        tolerance: largest absolute difference that passes, relative to the largest expected value where that is
            above 1.
        usual: the sentence that helps -> the value that a usual mistake gives; the first that matches is said.
        draw: show a figure of both where they differ (for sequences of numbers).
        unit: after each number.
    Notebook: 01.
    """
    wanted = _array(expected)
    try:
        given = _array(yours)
    except (TypeError, ValueError, RuntimeError):
        return Verdict(False, f"For {what}, numbers were expected; yours is {type(yours).__name__}: {yours!r:.80}.")
    if given.shape != wanted.shape:
        return Verdict(False, f"The shape of {what} is {_shape(given)}; the expected shape is {_shape(wanted)}.")
    bad = int((~np.isfinite(given)).sum())
    if bad:
        verb = "is" if bad == 1 else "are"
        return Verdict(False, f"{bad} of {given.size} numbers of {what} {verb} NaN or infinite.")
    if _close(given, wanted, tolerance):
        return Verdict(True, f"{what[0].upper()}{what[1:]}: {_numbers(given, unit)}.")
    digits = _digits(given, wanted)
    words = f"{what[0].upper()}{what[1:]}: yours differs.\n  yours:    {_numbers(given, unit, digits)}"
    shown = f"  expected: {_numbers(wanted, unit, digits)}"
    if given.size > SHOWN:
        shown += f"\n  largest difference: {np.abs(given - wanted).max():.3g}"
    for sentence, value in (usual or {}).items():
        mistake = _array(value)
        if mistake.shape == given.shape and _close(given, mistake, tolerance):
            words = f"{sentence}\n{words}"
            break
    return Verdict(False, words, beside(given, wanted, what) if draw else None, shown)


def counted(count: int, noun: str) -> str:
    """The count with its noun, in the plural unless it is one: "1 discriminator", "3 discriminators". Notebook: 01."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def together(*verdicts: Verdict) -> Verdict:
    """All of several verdicts: the first that is wrong, or all their words. Notebook: 01."""
    for verdict in verdicts:
        if not verdict.right:
            return verdict
    return Verdict(True, " ".join(verdict.words for verdict in verdicts if verdict.words))


def beside(yours: Any, expected: Any, what: str) -> Figure:
    """Two curves in one plot, yours and the expected one. Notebook: 01."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axis: Axes = figure.subplots()
    curves = [_array(expected).reshape(-1), _array(yours).reshape(-1)]
    if any(np.iscomplexobj(curve) for curve in curves):
        curves, what = [np.abs(curve) for curve in curves], f"magnitude of {what}"
    axis.plot(curves[0], color=COLOURS[0], linewidth=3, alpha=0.5, label="expected")
    axis.plot(curves[1], color=COLOURS[1], linewidth=1, label="yours")
    axis.set(xlabel="index", ylabel=what)
    legend_above(axis)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().resolve_conj().resolve_neg()
        value = (value.double() if value.is_floating_point() else value).numpy()
    elif isinstance(value, (list, tuple)):
        value = [_array(part) for part in value]
    array = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError("no numbers")
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _close(given: np.ndarray, wanted: np.ndarray, tolerance: float) -> bool:
    scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    return bool((np.abs(given - wanted) <= tolerance * scale).all())


def _numbers(values: np.ndarray, unit: str, digits: int = FEWEST_DIGITS) -> str:
    flat = values.reshape(-1)
    text = ", ".join(f"{value:.{digits}g}" for value in flat[:SHOWN]) + (", ..." if flat.size > SHOWN else "")
    return text + (f" {unit}" if unit else "")


def _digits(given: np.ndarray, wanted: np.ndarray) -> int:
    """As many digits as tell apart what is shown of the two, four at least."""
    pairs = list(zip(given.reshape(-1)[:SHOWN], wanted.reshape(-1)[:SHOWN], strict=True))
    worst = max(pairs, key=lambda pair: abs(pair[0] - pair[1]), default=(0.0, 0.0))
    for digits in range(FEWEST_DIGITS, MOST_DIGITS):
        if f"{worst[0]:.{digits}g}" != f"{worst[1]:.{digits}g}":
            return digits
    return MOST_DIGITS if worst[0] != worst[1] else FEWEST_DIGITS


def _shape(values: np.ndarray) -> str:
    return "a single number" if values.ndim == 0 else str(list(values.shape))


def _stub(title: str) -> str:
    return f"{title}: not attempted yet. Replace the ... by your answer and run the cell again."


def _is_stub(function: Callable[..., Any]) -> bool:
    """Whether a `...` stands alone, behind `=` or behind `return` in the function, or nothing does."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # no source to look at: a stub only loads constants
        names = getattr(getattr(function, "__code__", None), "co_names", ("unknown",))
        return not names
    lines = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    values = {node: getattr(node, "value", None) for node in lines}
    constants = [node for node, value in values.items() if isinstance(value, ast.Constant)]
    left = any(isinstance(value, ast.Constant) and value.value is Ellipsis for value in values.values())
    works = [
        node
        for node in lines
        if not isinstance(node, (ast.FunctionDef, ast.Pass)) and not (isinstance(node, ast.Expr) and node in constants)
    ]
    return left or not works


def _stopped(error: Exception, judge: Callable[..., Verdict]) -> str:
    """Where the student's own code stopped, by the innermost line that belongs to neither judge nor library."""
    ours = (judge.__code__.co_filename, judge.__code__.co_name)
    theirs = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(NOT_THEIRS)
        and "site-packages" not in frame.filename
        and (frame.filename, frame.name) != ours
    ]
    if not theirs:
        return f"Your answer could not be judged: {type(error).__name__}: {error}. Is it of the kind that is asked for?"
    words = f"Your code stopped with {type(error).__name__}: {error}"
    line = theirs[-1].line or linecache.getline(theirs[-1].filename, theirs[-1].lineno or 0).strip()
    return words + f"\n  in line {theirs[-1].lineno}" + (f": {line}" if line else "")
