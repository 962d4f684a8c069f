"""Chapters as students run them: cells run twice, a training that is stopped early, a later cell in a fresh kernel."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
LONG = pytest.mark.thorough
TWICE = ("00", "01", "02", "03", "07", "09", *(pytest.param(n, marks=LONG) for n in ("04", "05", "06", "08", "10")))
EARLY_STOP = ("04", *(pytest.param(n, marks=LONG) for n in ("00", "06", "07", "10")))
CELL_SECONDS = 240
STARTS = 3
HEAD = 3  # cells at the beginning of a chapter that everyone reads
EARLY = """
import ravecourse.training

whole = ravecourse.training.train

def stopped(*arguments, on_step=None, **options):
    left = iter(range({steps}))
    answer = on_step or (lambda progress: True)
    planned = 20  # shorter ones show how a training resumes, and are left alone
    return whole(
        *arguments,
        on_step=lambda p: answer(p) is not False and (p.end < planned or next(left, None) is not None),
        **options,
    )

ravecourse.training.train = stopped
"""


def chapter(number: str) -> nbformat.NotebookNode:
    return nbformat.read(CHAPTERS[number], as_version=4)


def run(notebook: nbformat.NotebookNode) -> None:
    """Run a notebook where it lies; the failing cell and its error are the test's message."""
    place = {"metadata": {"path": str(ROOT / "notebooks")}}
    for attempt in range(STARTS):
        client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=place)
        try:
            client.execute()
            return
        except CellExecutionError as error:
            pytest.fail(str(error)[-2000:])
        except RuntimeError as error:  # kernels that start at once may take each other's port
            if "Kernel died before replying" not in str(error) or attempt == STARTS - 1:
                raise
        except TimeoutError:  # a kernel that idles while its answer got lost: seen once, on a machine out of memory
            if attempt == STARTS - 1:
                raise


def red_warnings(notebook: nbformat.NotebookNode) -> list[str]:
    """Warnings that a student would see in red below a cell; committed notebooks have lost them."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.text for output in outputs if output.get("name") == "stderr"]
    return [text for text in texts if "Warning" in text]


@pytest.mark.parametrize("number", TWICE)
def test_each_cell_can_be_run_twice(number: str) -> None:
    """As a student does who changes a value: what trains long or needs Pd is marked thorough."""
    notebook = chapter(number)
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            again = nbformat.v4.new_code_cell(cell.source)
            cells += [cell, again]
    notebook.cells = cells
    run(notebook)
    assert not red_warnings(notebook)


@pytest.mark.parametrize("number", EARLY_STOP)
@pytest.mark.parametrize("steps", [1, 70])
def test_a_chapter_runs_to_its_end_after_a_training_that_was_stopped_early(number: str, steps: int) -> None:
    notebook = chapter(number)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(EARLY.format(steps=steps)))
    run(notebook)


@pytest.mark.parametrize("number", CHAPTERS)
def test_the_head_of_a_chapter_says_what_a_name_error_means(number: str) -> None:
    """After a restart, a later cell alone fails: what to do stands where everyone reads it."""
    cells = json.loads(CHAPTERS[number].read_text(encoding="utf-8"))["cells"]
    head = "".join("".join(cell["source"]) for cell in cells[:HEAD] if cell["cell_type"] == "markdown")
    assert "NameError" in head and "Run All Above" in head
