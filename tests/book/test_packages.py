"""The page of each package is what the program writes from the docstrings, short, and linked."""

import re
from pathlib import Path

import pytest

from book import packages

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "packages"


def test_the_committed_pages_are_what_the_program_writes(tmp_path: Path) -> None:
    assert packages.main([str(tmp_path)]) == 0
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in PAGES.iterdir()}
    assert written == committed, "run: python -m book.packages docs/packages"
    assert packages.main([]) == 2


@pytest.mark.parametrize("name", packages.names())
def test_a_page_is_short_and_leads_somewhere(name: str) -> None:
    text = packages.page(name)
    rows = [line for line in text.splitlines() if line.startswith(("| `", "| ["))]
    assert len(rows) >= 2 and len(text.splitlines()) <= 60
    assert all(len(re.split(r"(?<!\\)\|", row)[2].strip()) > 8 for row in rows), "every name says what it is"
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (PAGES / link).exists(), link
    assert f"](packages/{name}.md)" in (ROOT / "docs" / "architecture.md").read_text()
