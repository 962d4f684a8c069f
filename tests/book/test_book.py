"""The book: sounds become small files, links out of it become words, and a page that lacks something is found."""

import base64
import importlib.util
import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile

from book import links, pages

BOOK = Path(__file__).resolve().parents[2] / "book"

RATE = 24000
CHAPTER = """
import numpy as np
from IPython.display import Audio, display
print("hello from the cell")
display(Audio(np.sin(np.arange(24000) / 9), rate=24000))
"""
README = """# mini

A promise, with the [licence](LICENSE).

## The notebooks

| chapter | about |
|---|---|
| [00 First](notebooks/00_first.ipynb) | little |

## More

Words.
"""


def wav(seconds: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.5 * np.sin(np.arange(int(seconds * RATE)) / 9), RATE, format="WAV")
    return buffer.getvalue()


def chapter(*outputs: dict, tags: tuple[str, ...] = ()) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.from_dict(output) for output in outputs])
    cell.metadata["tags"] = list(tags)
    return nbformat.v4.new_notebook(cells=[cell])


def played(*sounds: bytes) -> dict:
    html = "".join(
        f'<audio controls="controls" ><source src="data:audio/wav;base64,{base64.b64encode(sound).decode()}"'
        ' type="audio/wav" />Your browser</audio>'
        for sound in sounds
    )
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": html, "text/plain": "<Audio>"}}


def test_sounds_become_small_files_of_the_same_sound(tmp_path: Path) -> None:
    notebook = chapter(played(wav(2.0), wav(1.0)), played(wav(1.0)))
    assert pages.with_small_sounds(notebook, tmp_path / "sounds", "../sounds") == 3
    files = sorted((tmp_path / "sounds").iterdir())
    assert len(files) == 2, "equal sounds are one file"
    for file in files:
        samples, rate = soundfile.read(file)
        assert rate == RATE and abs(len(samples) / rate - round(len(samples) / rate)) < 0.1
        assert 0.3 < np.sqrt(np.mean(samples**2)) < 0.4
        assert file.stat().st_size < len(wav(1.0)) / 4
    shown = notebook.cells[0].outputs[0].data["text/html"]
    assert "base64" not in shown and shown.count("<audio") == 2
    assert all(f"../sounds/{file.name}" in shown for file in files)


def test_of_what_moves_only_its_picture_is_kept(tmp_path: Path) -> None:
    view = {f"{pages.WIDGETS}-view+json": {"model_id": "a"}, "text/plain": "FloatSlider()"}
    shown = [
        {"output_type": "display_data", "metadata": {}, "data": {**view, **more}}
        for more in ({}, {"image/png": "AAAA"}, {"text/html": "<b>50 %</b>"})
    ]
    notebook = chapter(*shown)
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    pages.with_small_sounds(notebook, tmp_path, "x")
    assert [dict(output.data) for output in notebook.cells[0].outputs] == [
        {"image/png": "AAAA", "text/plain": "FloatSlider()"}
    ]
    assert "widgets" not in notebook.metadata


@pytest.mark.parametrize("rate, written", [(6000, 8000), (44100, 44100), (96000, 48000)])
def test_any_rate_becomes_one_that_mp3_has(rate: int, written: int, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate), rate, format="WAV")
    samples, found = soundfile.read(pages.sound_file(buffer.getvalue(), tmp_path))
    assert found == written
    spectrum = np.abs(np.fft.rfft(samples[:found]))
    assert abs(spectrum.argmax() * found / len(samples[:found]) - 440) < 2, "the pitch stays"


def test_what_tells_about_the_machine_stays_out(tmp_path: Path) -> None:
    said = [{"output_type": "stream", "name": name, "text": name} for name in ("stdout", "stderr")]
    notebook = chapter(*said)
    pages.with_small_sounds(notebook, tmp_path, "x")
    assert [output.text for output in notebook.cells[0].outputs] == ["stdout"]
    notebook = chapter(*said, tags=(pages.MACHINE_TAG,))
    pages.with_small_sounds(notebook, tmp_path, "x")
    assert notebook.cells[0].outputs == []


def test_links_to_what_is_not_in_the_book_become_words(tmp_path: Path) -> None:
    for name in ("in.md", "out.py", "picture.svg"):
        (tmp_path / name).touch()
    text = "[a](in.md#x) [b](out.py) ![c](picture.svg) [d](https://arxiv.org/abs/1) [e](#here)"
    kept = pages.within(text, tmp_path, {tmp_path / "in.md"}, tmp_path)
    assert kept == "[a](in.md#x) b ![c](picture.svg) [d](https://arxiv.org/abs/1) [e](#here)"
    with pytest.raises(FileNotFoundError, match="gone.md"):
        pages.within("[f](gone.md)", tmp_path, set(), tmp_path)


def project(folder: Path) -> Path:
    """A course of one tiny chapter."""
    for name in ("notebooks", "docs", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "README.md").write_text(README)
    (folder / "LICENSE").write_text("free")
    (folder / "docs" / "glossary.md").write_text("# Glossary\n\n**hop**: [there](../notebooks/00_first.ipynb).\n")
    (folder / "docs" / "box.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    prose = "# 00 First\n\n![a box](../docs/box.svg) [words](../docs/glossary.md) [licence](../LICENSE)\n\n$$\\mu^2$$"
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(prose), nbformat.v4.new_code_cell(CHAPTER)]),
        folder / "notebooks" / "00_first.ipynb",
    )
    return folder


@pytest.mark.skipif(importlib.util.find_spec("sphinx_book_theme") is None, reason="make book installs what it needs")
def test_a_book_of_one_chapter_is_whole_and_made_again_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from book import make_book

    root = project(tmp_path / "my course")
    assert make_book.main(["--root", str(root), "--out", str(root / "site")]) == 0, capfd.readouterr()
    page = (root / "site" / "notebooks" / "00_first.html").read_text()
    assert "hello from the cell" in page and "<math" in page and "base64" not in page
    assert page.count("<audio") == 1 and len(list((root / "site" / "_static" / "sounds").glob("*.mp3"))) == 1
    first = (root / "site" / "index.html").read_text()
    assert "Glossary" in first and 'href="notebooks/00_first.html"' in first and "A promise" in first

    monkeypatch.setattr(pages, "NotebookClient", None)  # to run it again would fail
    assert make_book.main(["--root", str(root), "--out", str(root / "site")]) == 0
    next((root / "site" / "_static" / "sounds").glob("*.mp3")).write_bytes(b"")
    assert any("mp3 is empty" in problem for problem in links.problems(root / "site"))


def site(folder: Path, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text(f"<html><body>{body}</body></html>")
    (folder / "other.html").write_text('<html><body><h1 id="top">x</h1></body></html>')
    (folder / "a.mp3").write_bytes(b"no sound")
    pages.sound_file(wav(), folder).rename(folder / "good.mp3")
    return folder


@pytest.mark.parametrize(
    "body, problem",
    [
        ('<a href="other.html#top">x</a><a href="https://arxiv.org">y</a><audio src="good.mp3"></audio>', None),
        ('<a href="gone.html">x</a>', "the link gone.html leads nowhere"),
        ('<a href="other.html#down">x</a>', "leads to no place in other.html"),
        ('<a href="#down">x</a>', "leads to no place in index.html"),
        ('<img src="gone.png">', "gone.png is missing"),
        ('<audio src="gone.mp3"></audio>', "gone.mp3 is missing"),
        ('<audio><source src="a.mp3"></audio>', "a.mp3 cannot be played"),
        ('<audio src="data:audio/wav;base64,AAAA"></audio>', "stands in the page itself"),
        ('<script src="https://example.org/x.js"></script>', "from elsewhere"),
    ],
)
def test_what_is_missing_is_found(
    body: str, problem: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = site(tmp_path / "site", body)
    found = links.problems(folder)
    assert len(found) == (problem is not None) and all(problem in text for text in found), found
    assert links.main([str(folder)]) == (problem is not None)
    assert (problem or "all links") in capsys.readouterr().out


def test_no_pages_are_no_book(tmp_path: Path) -> None:
    assert links.problems(tmp_path) == [f"{tmp_path} has no pages"]
    assert links.main([]) == 2
