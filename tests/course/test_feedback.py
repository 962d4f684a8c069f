"""What a student reads: numbers side by side, the line that stopped, a hint when it helps."""

import linecache
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ravecourse.course import checks
from ravecourse.course.checks.feedback import Exercise, Verdict, ask, beside, compare, counted, exercise, together

HINT = "Look at the sign."


@exercise("03", HINT)
def double(function: Callable[[torch.Tensor], torch.Tensor]) -> Verdict:
    """Twice the input."""
    x = torch.arange(8.0)
    return compare(
        ask(function, x),
        2 * x,
        "the doubled signal",
        draw=True,
        unit="V",
        usual={"That is the square: multiply by 2, not by itself.": x**2},
    )


@exercise("03", HINT)
def seven(value: float) -> Verdict:
    """A number."""
    return compare(value, 7, "the answer")


def written(source: str, name: str = "answer") -> Callable[..., Any]:
    """A function from source text that can be looked up, as in a notebook."""
    file = f"<cell {hash(source)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space: dict[str, Any] = {"torch": torch, "math": math}
    exec(compile(source, file, "exec"), space)
    return space[name]


@pytest.fixture(autouse=True)
def untried() -> None:
    double.wrong_tries = seven.wrong_tries = 0


def test_a_right_answer_is_told_with_its_numbers_and_forgets_wrong_tries() -> None:
    double(lambda x: x)
    feedback = double(lambda x: x + x)
    assert feedback.passed is True
    assert str(feedback).startswith("03 double: right. The doubled signal: 0, 2, 4, 6, 8, ... V.")
    assert double.wrong_tries == 0 and feedback.figure is None


def test_a_wrong_answer_stands_beside_the_expected_one() -> None:
    feedback = double(lambda x: 3 * x)
    assert feedback.passed is False and feedback.figure is not None
    assert "yours:    0, 3, 6, 9, 12, ... V" in feedback.message
    assert "expected: 0, 2, 4, 6, 8, ... V" in feedback.message
    assert "largest difference: 7" in feedback.message
    assert "square" not in feedback.message


def test_a_usual_mistake_is_named_and_others_are_not() -> None:
    assert "That is the square" in double(lambda x: x * x).message


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_the_hint_comes_with_the_second_wrong_try(tries: int) -> None:
    for _ in range(tries - 1):
        seven(6)
    assert (HINT in seven(6).message) == (tries >= 2)
    assert HINT not in seven(7).message


def test_the_value_of_a_number_exercise_is_shown_from_the_third_wrong_try_on() -> None:
    first, second, third = (seven(6).message for _ in range(3))
    for message in (first, second):
        assert "yours:    6" in message and "expected: shown from try 3 on" in message and "7" not in message
    assert HINT not in first and HINT in second
    assert "expected: 7" in third and HINT in third
    assert "expected: 0, 2, 4" in double(lambda x: x).message  # a test signal's values give nothing away


@exercise("03", HINT)
def ramp(values: list[float]) -> Verdict:
    """Numbers, with a figure of the right ones and a usual mistake."""
    return compare(values, [0.0, 1.0, 2.0], "the ramp", draw=True, usual={"It begins at 0.": [1.0, 2.0, 3.0]})


def test_a_figure_gives_the_answer_away_no_earlier_and_a_usual_mistake_is_named_at_once() -> None:
    tries = [ramp([1.0, 2.0, 3.0]) for _ in range(3)]
    assert [feedback.figure is None for feedback in tries] == [True, True, False]
    assert all("It begins at 0." in feedback.message for feedback in tries)
    ramp.wrong_tries = 0


@pytest.mark.parametrize(
    "yours, expected, shown",
    [
        (7938001.0, 7938000.0, ("7938001", "7938000")),
        (0.123456, 0.123466, ("0.12346", "0.12347")),
        (6.0, 7.0, ("6", "7")),
        (1.0 + 1e-4, 1.0, ("1.0001", "1")),
    ],
)
def test_as_many_digits_are_shown_as_tell_yours_from_the_expected(
    yours: float, expected: float, shown: tuple[str, str]
) -> None:
    verdict = compare(yours, expected, "the count", tolerance=1e-9)
    assert verdict.words.split()[-1] == shown[0] and verdict.expected.split()[-1] == shown[1]


def test_messages_read_well_for_one_and_for_many() -> None:
    assert [counted(n, "discriminator") for n in (0, 1, 2)] == [
        "0 discriminators",
        "1 discriminator",
        "2 discriminators",
    ]
    assert "The jobs: yours differs." in compare([1, 2], [1, 3], "the jobs").words
    assert "1 of 2 numbers of it is NaN" in compare([math.nan, 2], [1, 2], "it").words
    assert "2 of 2 numbers of it are NaN" in compare([math.nan, math.nan], [1, 2], "it").words


@pytest.mark.parametrize(
    "source",
    [
        "def answer(x):\n    ...\n",
        'def answer(x):\n    """Says what to do, with a ... in it."""\n    ...\n',
        "def answer(x):\n    return ...\n",
        "def answer(x):\n    pass\n",
        "def answer(x):\n    y = ...\n    return y + x\n",
        "def answer(x):\n    length = len(x)\n    y = ...\n    return y\n",
        "def answer(x):\n    length = len(x)\n    ...  # your lines\n",
        "answer = ...",
        "answer = None",
    ],
)
def test_a_stub_is_no_wrong_try(source: str) -> None:
    feedback = double(written(source))
    assert feedback.passed is None and "not attempted yet" in feedback.message
    assert double.wrong_tries == 0


@pytest.mark.parametrize(
    "source",
    [
        "def answer(x):\n    y = 2 * x\n",
        "def answer(x):\n    x *= 2\n",
        "def answer(x):\n    y = x[..., :3]\n    print(y)\n",
        'def answer(x):\n    """Doubles ..."""\n    for part in x:\n        part += part\n',
    ],
)
def test_a_missing_return_is_told(source: str) -> None:
    feedback = double(written(source))
    assert feedback.passed is False
    assert "answer returned nothing" in feedback.message and "return" in feedback.message


@pytest.mark.parametrize(
    "source, name, line",
    [
        ("def answer(x):\n    y = 2 * x\n    return y / missing\n", "NameError", "line 3: return y / missing"),
        ("def answer(x):\n    return x.reshape(3, 3)\n", "RuntimeError", "line 2: return x.reshape(3, 3)"),
        (
            "def help(x):\n    return 1 / 0\n\ndef answer(x):\n    return help(x)\n",
            "ZeroDivisionError",
            "line 2: return 1 / 0",
        ),
        (
            "def answer(x):\n    import statistics\n    return statistics.mean([])\n",
            "StatisticsError",
            "line 3: return statistics.mean([])",
        ),
        ("def answer(x):\n    assert len(x) == 3\n    return x\n", "AssertionError", "line 2: assert len(x) == 3"),
    ],
)
def test_code_that_stops_is_told_with_its_own_line(source: str, name: str, line: str) -> None:
    feedback = double(written(source))
    assert feedback.passed is False
    assert name in feedback.message and line in feedback.message
    assert "Traceback" not in feedback.message and "site-packages" not in feedback.message


def test_what_the_judge_itself_cannot_read_is_told_as_such() -> None:
    assert "A function was expected; yours is float" in double(7.0).message
    assert "could not be judged" in double(lambda: 1).message  # takes no argument
    assert seven(1, 2).passed is False


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(7),
        torch.tensor(7.0, requires_grad=True),
        torch.tensor(7.0, dtype=torch.bfloat16),
        np.float32(7),
        7,
        7.0,
        np.array(7),
        7 + 0j,
    ],
)
def test_a_number_may_come_in_any_dress(value: Any) -> None:
    assert seven(value).passed is True


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2]),
        torch.tensor([1, 2]),
        [torch.tensor(1.0), torch.tensor(2.0)],
        [torch.tensor(1.0, requires_grad=True), 2],
        range(1, 3),
        torch.tensor([1, 2]).conj(),
    ],
)
def test_so_may_a_sequence(value: Any) -> None:
    assert compare(value, [1, 2], "it").right
    assert not compare(value, [1, 3], "it").right


@pytest.mark.parametrize(
    "yours, words",
    [
        (torch.tensor([1.0, math.nan]), "1 of 2 numbers of it is NaN"),
        ([math.inf, -math.inf], "2 of 2 numbers of it are NaN or infinite"),
        (complex("nan"), "The shape of it is a single number; the expected shape is [2]"),
        (torch.zeros(2, 1), "The shape of it is [2, 1]; the expected shape is [2]"),
        (torch.zeros(0), "The shape of it is [0]"),
        ([[1, 2], [3]], "numbers were expected; yours is list"),
        ("12", "numbers were expected; yours is str: '12'"),
        ({"a": 1}, "numbers were expected; yours is dict"),
        ([None, 1], "numbers were expected"),
    ],
)
def test_what_are_no_such_numbers_is_said(yours: Any, words: str) -> None:
    verdict = compare(yours, [1.0, 2.0], "it")
    assert not verdict.right and words in verdict.words


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("tolerance", [1e-5, 1e-2])
def test_tolerance_is_absolute_below_one_and_relative_above(scale: float, tolerance: float) -> None:
    expected = scale * torch.linspace(-1, 1, 9, dtype=torch.float64)
    allowed = tolerance * max(1.0, scale)
    assert compare(expected + 0.99 * allowed, expected, "it", tolerance=tolerance).right
    assert not compare(expected + 1.01 * allowed, expected, "it", tolerance=tolerance).right


def test_complex_numbers_are_compared_with_their_phase() -> None:
    spectrum = torch.fft.fft(torch.arange(6.0))
    assert compare(spectrum, torch.fft.fft(torch.arange(6.0).double()), "the spectrum", tolerance=1e-4).right
    verdict = compare(spectrum.conj(), spectrum, "the spectrum", draw=True)
    assert not verdict.right and "j" in verdict.words
    assert verdict.figure.axes[0].get_ylabel() == "magnitude of the spectrum"


def test_the_picture_holds_both_curves() -> None:
    axis = beside([1.0, 2.0], torch.tensor([3.0, 4.0]), "level").axes[0]
    assert {line.get_label(): line.get_ydata().tolist() for line in axis.lines} == {
        "expected": [3.0, 4.0],
        "yours": [1.0, 2.0],
    }
    assert axis.get_xlabel() == "index" and axis.get_ylabel() == "level"


def test_of_several_verdicts_the_first_wrong_one_counts() -> None:
    right, wrong = Verdict(True, "A."), Verdict(False, "B.")
    assert together(right, Verdict(True, "C.")).words == "A. C."
    assert together(right, wrong, Verdict(False, "D.")) is wrong


def test_answers_work_on_copies() -> None:
    x = torch.ones(3)
    assert torch.equal(ask(lambda y: y.mul_(5), x), torch.full((3,), 5.0)) and torch.equal(x, torch.ones(3))


def test_feedback_shows_itself_in_a_notebook(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    feedback = double(lambda x: 3 * x)
    feedback._ipython_display_()
    assert shown == [feedback.figure] and "not yet" in capsys.readouterr().out


def test_chapters_load_when_asked_for_and_others_are_unknown() -> None:
    assert all(isinstance(found, Exercise) for found in checks.exercises())
    with pytest.raises(AttributeError, match="nonsense"):
        _ = checks.nonsense
    with pytest.raises(ModuleNotFoundError):
        _ = checks.chapter_99
