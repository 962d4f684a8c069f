"""Every exercise of the course: its stub, its solution, and what a wrong answer is told."""

import ast
import contextlib
import dataclasses
import functools
import importlib.util
import io
import json
import linecache
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ravecourse.course import checks
from ravecourse.course.checks.feedback import HINT_FROM, Exercise, Feedback

ROOT = Path(__file__).resolve().parents[2]
EXERCISES = checks.exercises()
CHAPTERS = sorted({exercise.chapter for exercise in EXERCISES})
BY_NAME = {"ids": lambda exercise: f"{exercise.chapter}-{exercise.name}"}
each = pytest.mark.parametrize("exercise", EXERCISES, **BY_NAME)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


def notebook_of(chapter: str, folder: str = "notebooks") -> Path:
    found = sorted((ROOT / folder).glob(f"{chapter}_*.ipynb"))
    assert len(found) == 1, f"{folder}/{chapter}_*.ipynb: {found}"
    return found[0]


def cells_of(path: Path, tag: str | None = None) -> list[str]:
    """The code cells (those with a tag), without the lines that only IPython understands."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and (tag is None or tag in cell["metadata"].get("tags", []))
    ]
    return [
        "\n".join("" if line.startswith(("%", "!")) else line for line in source.splitlines()) for source in sources
    ]


def calls(source: str) -> list[str]:
    """The exercises that a cell calls, as "NN name"."""
    found = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        f"{call.value.attr[-2:]} {call.attr}"
        for call in found
        if isinstance(call, ast.Attribute)
        and isinstance(call.value, ast.Attribute)
        and call.value.attr.startswith("chapter_")
    ]


def ends_with(source: str) -> list[str]:
    """What the last statement of a cell calls, where it does nothing else."""
    last = ast.parse(source).body[-1]
    return calls(ast.unparse(last)) if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) else []


def run(source: str, name: str, space: dict[str, Any]) -> Any:
    """Run a cell as a notebook does, and give the value of its last line."""
    tree = ast.parse(source)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), space)
    return eval(compile(ast.Expression(last.value), name, "eval"), space) if last else None


@contextlib.contextmanager
def in_notebooks(folder: Path) -> Iterator[None]:
    """Where a notebook's kernel runs; neither what it prints nor what it switches in torch gets out."""
    here, threads, gradients = Path.cwd(), torch.get_num_threads(), torch.is_grad_enabled()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng(devices=[]):
            yield
    finally:
        os.chdir(here)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)


@functools.cache
def imports(chapter: str) -> str:
    found = cells_of(notebook_of(chapter), "imports")
    assert len(found) == 1, f"chapter {chapter} needs one cell tagged `imports`, not {len(found)}"
    return found[0]


@functools.cache
def solved(chapter: str) -> list[Feedback]:
    """What the checks say in the solutions of a chapter, run from top to bottom."""
    path = notebook_of(chapter, "notebooks/solutions")
    space: dict[str, Any] = {"__name__": "__main__"}
    with in_notebooks(path.parent):
        found = [run(source, f"<{path.stem} {i}>", space) for i, source in enumerate(cells_of(path))]
    return [value for value in found if isinstance(value, Feedback)]


@functools.cache
def wrong(chapter: str) -> dict[str, list[tuple[Any, str]]]:
    path = ROOT / "tests" / "wrong_answers" / f"chapter_{chapter}.py"
    assert path.is_file(), f"{path.relative_to(ROOT)} is missing: two wrong answers for each exercise of the chapter"
    spec = importlib.util.spec_from_file_location(f"wrong_answers_{chapter}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG


def fresh(exercise: Exercise) -> Exercise:
    """The exercise as a student finds it: nothing tried yet."""
    return dataclasses.replace(exercise, wrong_tries=0)


def assert_kind(feedback: Feedback) -> None:
    """Words for people: no traceback, no assertion, and something to read."""
    assert feedback.message.strip()
    for word in ("Traceback", "AssertionError", "assert ", 'File "'):
        assert word not in feedback.message


@each
def test_the_chapter_has_one_stub_and_one_solution(exercise: Exercise) -> None:
    title = f"{exercise.chapter} {exercise.name}"
    module = f"ravecourse.course.checks.chapter_{exercise.chapter}"
    assert exercise.judge.__module__ == module
    assert exercise.__doc__ and exercise.hint
    for folder, tag in (("notebooks", "exercise"), ("notebooks/solutions", "solution")):
        path = notebook_of(exercise.chapter, folder)
        tagged = [source for source in cells_of(path, tag) if title in calls(source)]
        assert len(tagged) == 1, f"{path.name}: {len(tagged)} cells tagged `{tag}` call {title}"
        assert ends_with(tagged[0]) == [title], f"{path.name}: {title} is not the last line of its cell"
        everywhere = [call for source in cells_of(path) for call in calls(source)]
        assert everywhere.count(title) == 1, f"{path.name} calls {title} {everywhere.count(title)} times"


@each_chapter
def test_every_tagged_cell_belongs_to_an_exercise(chapter: str) -> None:
    known = {f"{exercise.chapter} {exercise.name}" for exercise in EXERCISES}
    for folder, tag in (("notebooks", "exercise"), ("notebooks/solutions", "solution")):
        for source in cells_of(notebook_of(chapter, folder), tag):
            assert len(ends_with(source)) == 1 and set(ends_with(source)) <= known, source[:80]
    assert 2 <= sum(exercise.chapter == chapter for exercise in EXERCISES) <= 4


@each
def test_the_stub_runs_alone_and_says_that_nothing_was_attempted(exercise: Exercise) -> None:
    path, title = notebook_of(exercise.chapter), f"{exercise.chapter} {exercise.name}"
    stub = next(source for source in cells_of(path, "exercise") if title in calls(source))
    space: dict[str, Any] = {"__name__": "__main__"}
    before = exercise.wrong_tries
    with in_notebooks(path.parent):
        run(imports(exercise.chapter), f"<{path.stem} imports>", space)
        feedback = run(stub, f"<{path.stem} {exercise.name}>", space)
    assert isinstance(feedback, Feedback) and feedback.exercise == title
    assert feedback.passed is None
    assert "not attempted yet" in feedback.message
    assert exercise.wrong_tries == before
    assert_kind(feedback)


@each
def test_the_solution_is_right(exercise: Exercise) -> None:
    title = f"{exercise.chapter} {exercise.name}"
    found = [feedback for feedback in solved(exercise.chapter) if feedback.exercise == title]
    assert [feedback.passed for feedback in found] == [True], [feedback.message for feedback in found]
    assert_kind(found[0])


@each
def test_wrong_answers_are_refused_with_a_word_that_helps(exercise: Exercise) -> None:
    answers = wrong(exercise.chapter).get(exercise.name, [])
    assert len(answers) >= 2, f"tests/wrong_answers/chapter_{exercise.chapter}.py: two for {exercise.name}"
    for answer, word in answers:
        attempt = fresh(exercise)
        arguments = answer if isinstance(answer, tuple) else (answer,)
        tries = [attempt(*arguments) for _ in range(HINT_FROM)]
        for number, feedback in enumerate(tries, start=1):
            assert feedback.passed is False, f"{word!r} passes: {feedback.message}"
            assert word.lower() in feedback.message.lower(), feedback.message
            assert "could not be judged" not in feedback.message or "judged" in word, feedback.message
            assert_kind(feedback)
            assert (exercise.hint in feedback.message) == (number >= HINT_FROM)
        if tries[0].figure is not None:
            drawn = io.BytesIO()
            tries[0].figure.savefig(drawn, format="png", dpi=50)
            assert len(drawn.getvalue()) > 1000


@each_chapter
def test_wrong_answers_name_exercises_that_exist(chapter: str) -> None:
    assert set(wrong(chapter)) == {exercise.name for exercise in EXERCISES if exercise.chapter == chapter}


@each
@pytest.mark.parametrize(
    "odd",
    ["a word", object(), [], torch.zeros(0), float("nan"), lambda *any_thing: "a word"],
    ids=["text", "object", "empty", "empty-tensor", "nan", "function-to-text"],
)
def test_no_answer_whatever_gets_past_or_breaks_the_check(exercise: Exercise, odd: Any) -> None:
    """Also a value where a function is asked for, and the other way round."""
    attempt: Callable[..., Feedback] = fresh(exercise)
    answers = next((answer for answer, _ in wrong(exercise.chapter)[exercise.name]), None)
    count = len(answers) if isinstance(answers, tuple) else 1
    feedback = attempt(*[odd] * count)
    assert feedback.passed is False, feedback.message
    assert_kind(feedback)


def test_no_two_exercises_share_a_name() -> None:
    titles = [f"{exercise.chapter} {exercise.name}" for exercise in EXERCISES]
    assert len(set(titles)) == len(titles)
    assert titles == sorted(titles, key=lambda title: title[:2])
