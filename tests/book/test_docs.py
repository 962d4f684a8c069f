"""The glossary, the sources and the pages for teachers keep up with the code and the chapters."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CHAPTERS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb"))
NUMBERS = {path.name[:2] for path in CHAPTERS}
ARXIV = re.compile(r"arXiv[: ](\d{4}\.\d{5})")


def rows(text: str) -> list[list[str]]:
    """The rows of all tables of a page, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {i for i, row in enumerate(table[1:]) if set("".join(row)) <= {"-", ":"}}
    return [row for i, row in enumerate(table) if i not in heads and i - 1 not in heads]


def test_every_paper_that_is_cited_is_among_the_sources() -> None:
    cited = set()
    for path in (ROOT / "ravecourse").rglob("*.py"):
        cited |= set(ARXIV.findall(path.read_text()))
    for path in CHAPTERS:
        cells = json.loads(path.read_text())["cells"]
        cited |= set(ARXIV.findall(" ".join("".join(cell["source"]) for cell in cells)))
    named = set(ARXIV.findall((DOCS / "sources.md").read_text()))
    assert len(cited) > 8
    assert cited <= named, f"docs/sources.md lacks {cited - named}"


def test_words_of_the_glossary_are_in_order_and_name_their_chapter() -> None:
    entries = rows((DOCS / "glossary.md").read_text())
    assert len(entries) > 40
    words = [re.sub("[^a-z ]", "", row[0].lower().replace("-", " ")) for row in entries]
    assert words == sorted(words)
    assert len(set(words)) == len(words)
    for word, meaning, chapter in entries:
        assert 20 < len(meaning) < 220 and meaning.endswith("."), word
        assert set(chapter.split(", ")) <= {f"{n:02}" for n in range(11)}, word


@pytest.mark.skipif(not (DOCS / "teaching.md").exists(), reason="not in what is handed out")
def test_teachers_find_every_chapter() -> None:
    text = (DOCS / "teaching.md").read_text()
    found = re.findall(r"^### (\d\d) ", text, re.M)
    assert found == sorted(found) and NUMBERS <= set(found)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere_and_pages_are_linked(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if not link.startswith("http")]
    assert all((DOCS / link.split("#")[0]).exists() for link in links if link.split("#")[0])
    assert f"docs/{page.name}" in (ROOT / "README.md").read_text()
