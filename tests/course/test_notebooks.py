"""What every notebook has to keep to, the tool that strips them, and the README."""

import ast
import base64
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from book import clean_notebooks
from ravecourse.audio.loudness import loudness_lufs
from ravecourse.cli.parser import build_parser
from ravecourse.course.listening import LISTENING_LUFS, listen
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation.preset_table import as_text, table

ROOT = Path(__file__).resolve().parents[2]
ALL = sorted((ROOT / "notebooks").rglob("*.ipynb"))
LONGEST_CELL = 30  # lines
WIDEST_CODE = 92  # characters; more does not fit into a browser window
FEWEST_PROSE = 0.4  # of the cells


@pytest.fixture(params=ALL, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> dict:
    return json.loads(request.param.read_text())


def source(cell: dict) -> str:
    return "".join(cell["source"])


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def lesson(notebook: dict) -> dict:
    """A chapter; the test is left out for solutions, which teach nothing new."""
    if any("solution" in cell["metadata"].get("tags", []) for cell in notebook["cells"]):
        pytest.skip("solutions")
    return notebook


def test_there_is_a_first_notebook() -> None:
    assert ROOT / "notebooks" / "00_start_here.ipynb" in ALL


def test_what_is_committed_is_clean(notebook: dict) -> None:
    assert clean_notebooks.problems(notebook) == []
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_it_was_run_from_top_to_bottom(notebook: dict) -> None:
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_cells_are_short_and_prose_stands_between_them(notebook: dict) -> None:
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") >= FEWEST_PROSE * len(kinds)
    assert "code code code code" not in " ".join(kinds)
    for cell in code_cells(notebook):
        assert source(cell).count("\n") < LONGEST_CELL, source(cell)[:80]
        assert max(map(len, source(cell).splitlines())) <= WIDEST_CODE, source(cell)[:80]


def test_it_asks_before_it_shows_and_ends_with_what_to_remember(notebook: dict) -> None:
    prose = [source(cell) for cell in lesson(notebook)["cells"] if cell["cell_type"] == "markdown"]
    assert sum("Before you run" in text for text in prose) >= 2
    assert any("## What to remember" in text for text in prose)
    assert any("## Sources" in text for text in prose)


def test_some_of_its_output_is_compared_and_never_a_sound_or_a_figure(notebook: dict) -> None:
    compared = [cell for cell in code_cells(lesson(notebook)) if "# NBVAL_CHECK_OUTPUT" in source(cell)]
    assert len(compared) >= 2
    for cell in compared:
        assert cell["outputs"], source(cell)[:80]
        assert all(output["output_type"] == "stream" for output in cell["outputs"])


def test_it_defines_no_second_implementation(notebook: dict) -> None:
    """Classes come from the package; what a notebook defines itself is a few lines."""
    for cell in code_cells(notebook):
        lines = [line for line in source(cell).splitlines() if not line.startswith(("%", "!"))]
        for node in ast.walk(ast.parse("\n".join(lines))):
            assert not isinstance(node, ast.ClassDef)


def strings(value: object) -> list[str]:
    """Every string in a nest of lists and dictionaries, but for the bytes of pictures."""
    if isinstance(value, dict):
        return [text for kind, part in value.items() if "image/" not in kind for text in strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


# From the root of somebody's disk into two folders or more; not a home (~/), a web address or a script's first line.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~!<)}\]])/\w[\w.-]*/[\w.-]")


def test_nothing_of_a_machine_is_in_it(notebook: dict) -> None:
    text = "\n".join(strings([[source(cell), cell.get("outputs", [])] for cell in notebook["cells"]]))
    assert not ABSOLUTE_PATH.search(text)
    assert not re.search(r"https?://(?!arxiv\.org|doi\.org)", text)


@pytest.mark.parametrize("text", ["/home/me/a.wav", "in '/Users/me/x'", "saved to /srv/lab/a.pt", "at\n/var/folders/1"])
def test_a_path_of_a_machine_is_seen_and_others_are_not(text: str) -> None:
    assert ABSOLUTE_PATH.search(text)
    assert not ABSOLUTE_PATH.search("../docs/a.svg, data/clips/, T/16, and/or, ~/a/b, https://arxiv.org/abs/1, </b>")


def ran() -> dict:
    """A notebook as Jupyter leaves it, with all that is to go."""

    def code(outputs: list[dict], **metadata: object) -> dict:
        return {
            "cell_type": "code",
            "id": "a",
            "metadata": metadata,
            "execution_count": 1,
            "source": "1",
            "outputs": outputs,
        }

    def shown(**data: str) -> dict:
        return {
            "output_type": "display_data",
            "metadata": {"a": 1},
            "data": {kind.replace("_", "/", 1): value for kind, value in data.items()},
        }

    widget = {"output_type": "display_data", "metadata": {}, "data": {clean_notebooks.WIDGETS + "-view+json": {}}}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"widgets": {"state": {}}, "kernelspec": {"name": "other"}},
        "cells": [
            code([shown(text_html="<audio src='data:audio/wav;base64,AAAA'>", text_plain="<Audio object>")]),
            code(
                [
                    widget,
                    {"output_type": "stream", "name": "stderr", "text": "50 %"},
                    {"output_type": "stream", "name": "stdout", "text": "12"},
                ],
                execution={"iopub": "now"},
            ),
            code([{"output_type": "stream", "name": "stdout", "text": "/home/me"}], tags=[clean_notebooks.MACHINE_TAG]),
            code([{"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}]),
        ],
    }


def test_stripping_keeps_text_and_drops_sounds_widgets_and_machines(tmp_path: Path) -> None:
    path = tmp_path / "ran.ipynb"
    path.write_text(json.dumps(ran()))
    assert clean_notebooks.main([str(path)]) == 0
    text = path.read_text()
    assert not any(word in text for word in ("audio/wav", "widget", "50 %", "/home/me", "iopub"))
    assert "<Audio object>" in text and '"12"' in text
    before = path.read_bytes()
    assert not clean_notebooks.clean(path) and path.read_bytes() == before
    assert clean_notebooks.problems(json.loads(text)) == ["cell 3 failed: ValueError: no"]


def test_problems_name_what_is_wrong() -> None:
    wrong = ran()
    assert "python -m book.clean_notebooks" in clean_notebooks.problems(wrong)[0]
    clean_notebooks.stripped(wrong)
    wrong["cells"][0]["outputs"] = [
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {"image/png": "A" * (clean_notebooks.LARGEST_FIGURE + 1)},
        }
    ]
    assert any("smaller" in problem for problem in clean_notebooks.problems(wrong))


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"cells": [{}]}', None])
def test_what_is_no_notebook_is_refused(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RaveCourseError, match="not a notebook"):
        clean_notebooks.clean(path)
    assert clean_notebooks.main([str(path)]) == 2
    assert "x.ipynb" in capsys.readouterr().err


@pytest.mark.parametrize("gain", [0.01, 1.0])
def test_players_are_equally_loud(gain: float, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr("ravecourse.course.listening.display", lambda *things: shown.append(things))
    monkeypatch.setattr("ravecourse.course.listening.Player", lambda data, rate, normalize: (data, rate, normalize))
    noise = torch.randn(48000, generator=torch.Generator().manual_seed(0)) * 0.1 * gain
    listen({"mono": noise, "stereo": noise.expand(2, -1)}, 48000)
    assert [label.data for label, _ in shown] == ["**mono**", "**stereo**"]
    for _, (data, rate, normalise) in shown:
        assert rate == 48000 and normalise is False
        assert abs(loudness_lufs(torch.as_tensor(data), 48000) - LISTENING_LUFS) < 0.05


def test_a_player_that_was_not_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a player where its sound was stripped, as on a page of code."""
    shown = []
    monkeypatch.setattr("ravecourse.course.listening.display", lambda *things: shown.extend(things))
    listen({"noise": torch.randn(48000, generator=torch.Generator().manual_seed(0))}, 48000)
    assert repr(shown[1]) == "(run this cell to listen)"


def commands_in_the_readme() -> list[str]:
    readme = (ROOT / "README.md").read_text()
    code = re.findall(r"^```\n(.*?)^```|`([^`\n]+)`", readme, re.S | re.M)
    lines = [line for block, inline in code for line in (block or inline).splitlines()]
    return [line for line in lines if line.startswith("ravecourse ") and "couldn't" not in line]


def test_what_the_readme_tells_to_type_is_understood() -> None:
    told = set()
    for line in commands_in_the_readme():
        words = shlex.split(line)[1:]
        told.add(words[0])
        if len(words) > 1 and words[-1] != "--help" or words == ["doctor"] or words == ["presets"]:
            build_parser().parse_args(words)  # a mistake ends in SystemExit
    verbs = next(action for action in build_parser()._actions if action.dest == "verb")
    assert told == set(verbs.choices)


@pytest.mark.parametrize("name", ["tiny", "low_latency", "small"])
def test_the_presets_in_the_readme_are_as_computed(name: str) -> None:
    readme = (ROOT / "README.md").read_text().splitlines()
    header, *rows = as_text(table([name], seconds=0.0, progress=False)).split("\n\n")[0].splitlines()
    cut = header.index("delay") + len("delay")
    for row in (header, *rows):
        assert row[:cut].rstrip() in readme


def test_the_readme_lists_the_notebooks_and_its_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if not link.startswith("http")]
    assert all((ROOT / link).exists() for link in links)
    chapters = [path for path in ALL if path.parent.name == "notebooks"]
    assert {f"notebooks/{path.name}" for path in chapters} <= set(links)


def png(mode: str = "RGB") -> str:
    """A figure with a colour map, in base64."""
    ramp = np.random.default_rng(0).integers(0, 256, (200, 300))
    data = io.BytesIO()
    Image.fromarray(np.stack([ramp, 255 - ramp, ramp // 2], -1).astype(np.uint8)).convert(mode).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_figures_get_smaller_once_and_stay_what_they_show(mode: str) -> None:
    book = {"cells": [{"cell_type": "code", "metadata": {}, "source": "", "outputs": []}]}
    output = {"output_type": "display_data", "data": {"image/png": png(mode)}, "metadata": {}}
    book["cells"][0]["outputs"] = [output, {**output, "data": {"image/png": "bm90IGEgcGljdHVyZQ=="}}]
    clean_notebooks.stripped(book)
    once = json.loads(json.dumps(book))
    clean_notebooks.stripped(book)
    assert book == once
    shown, odd = (o["data"]["image/png"] for o in once["cells"][0]["outputs"])
    assert odd == "bm90IGEgcGljdHVyZQ==" and len(shown) < len(png(mode))
    before, after = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(x))).convert("RGB"), float) for x in (png(mode), shown)
    )
    assert np.abs(before - after).mean() < 2


def test_a_notebook_that_is_too_large_is_told() -> None:
    cell = {"cell_type": "code", "metadata": {}, "source": "", "outputs": []}
    output = {"output_type": "stream", "name": "stdout", "text": "x" * 400_000}
    large = {"cells": [{**cell, "outputs": [output] * 3}]}
    clean_notebooks.stripped(large)
    assert ["1.2 MB" in said for said in clean_notebooks.problems(large)] == [True]
