"""Chapters in a real browser, as a student works with them: Run All in JupyterLab, move the sliders, look and listen.

Pictures of what was seen are left in build/screenshots.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

playwright = pytest.importorskip("playwright", reason="drives the browser: make env installs it")

from browser import Notebook, find_browser, open_browser, serve  # noqa: E402

RUN_SECONDS = 900  # for one chapter, on two cores that others use too
START = "00_start_here"
SLIDERS = {  # the chapters whose widgets move most, and what their sliders change
    "03_encoder_latent_decoder": {"figures", "sounds"},
    "05_latent_space": {"figures", "sounds"},
}


@pytest.fixture(scope="module")
def browser_program(project: Path) -> str:
    """The browser, installed if need be; where that cannot be, the tests say in one sentence what is missing."""
    asked = subprocess.run(
        ["bash", "pd_setup/system_packages.sh", "--install", "browser"], cwd=project, capture_output=True, text=True
    )
    if asked.returncode != 0 and "Missing:" in asked.stderr:  # no apt-get, or neither root nor sudo
        pytest.skip(
            "No browser: install Chromium or Google Chrome, or set CHROMIUM=program. " + " ".join(asked.stderr.split())
        )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    program = find_browser()
    assert program, "system_packages.sh found a browser, find_browser did not"
    return program


@pytest.fixture(scope="module")
def lab(project: Path, browser_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """A browser, and the address of a JupyterLab with copies of the notebooks."""
    notebooks = sorted((project / "notebooks").glob("*.ipynb"))
    folder = tmp_path_factory.mktemp("lab")
    with open_browser() as browser, serve(project, folder, notebooks) as address:
        yield browser, address
    left = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or [])
    ]
    assert not left, "the server and its kernels have ended"


def test_the_first_chapter_runs_to_its_end_and_plays(lab: tuple, project: Path) -> None:
    notebook = Notebook(*lab, f"notebooks/{START}.ipynb")
    try:
        notebook.run_all(RUN_SECONDS)
        players = notebook.panel.locator(".jp-CodeCell", has=notebook.page.locator("audio")).last
        notebook.screenshot(project / "build" / "screenshots" / f"{START}.png", players)
        assert notebook.errors() == []
        assert notebook.figures() >= 3
        assert len(notebook.sounds()) >= 7 and min(notebook.sounds()) > 1
    finally:
        notebook.close()


def pictures_from_docs(project: Path) -> list[tuple[str, str]]:
    """(chapter, picture) for each picture of docs/ that the text of a chapter shows."""
    found = []
    for path in sorted((project / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        found += [(path.stem, name) for name in re.findall(r"!\[[^\]]*\]\(\.\./(docs/[^)]+)\)", text)]
    return found


def test_the_pictures_in_the_text_are_there(lab: tuple, project: Path) -> None:
    """In the JupyterLab that `make lab` starts: it serves nothing from outside its root."""
    wanted = pictures_from_docs(project)
    assert len({chapter for chapter, _ in wanted}) >= 5
    for chapter in dict.fromkeys(chapter for chapter, _ in wanted):
        notebook = Notebook(*lab, f"notebooks/{chapter}.ipynb")
        try:
            missing = [name for where, name in wanted if where == chapter and notebook.picture_width(name) < 100]
            assert not missing, f"chapter {chapter[:2]} does not show {missing}"
        finally:
            notebook.close()


@pytest.mark.parametrize("chapter", SLIDERS)
def test_sliders_move_what_is_seen_and_heard(lab: tuple, project: Path, chapter: str) -> None:
    pictures = project / "build" / "screenshots"
    notebook = Notebook(*lab, f"notebooks/{chapter}.ipynb")
    try:
        notebook.theme("JupyterLab Light")  # the chapter before left it dark
        notebook.run_all(RUN_SECONDS)
        assert notebook.errors() == []
        assert min(notebook.sounds()) > 0, "each player has something to play"
        widgets = notebook.widgets()
        assert widgets
        moved = set()
        for number, widget in enumerate(widgets):
            for slider in range(widget.get_by_role("slider").count()):
                changed = notebook.press(widget, slider, "ArrowRight")
                assert changed, f"slider {slider} of widget {number} changes nothing"
                moved |= set(changed)
            notebook.screenshot(pictures / f"{chapter}_{number}.png", widget)
        assert moved == SLIDERS[chapter]
        notebook.theme("JupyterLab Dark")
        for number, widget in enumerate(widgets):
            notebook.screenshot(pictures / f"{chapter}_{number}_dark.png", widget)
        assert notebook.errors() == [] and min(notebook.sounds()) > 0
    finally:
        notebook.close()
