"""Make the book: run the chapters (or take what an earlier run left), turn them into pages, and check the pages.

make book        the pages are in build/book; open build/book/index.html
"""

import argparse
import subprocess
import sys
from pathlib import Path

from . import links, pages


def build(root: Path, work: Path, target: Path) -> list[str]:
    """Make the book of the project `root` in `target`, with `work` for what is kept in between.

    Returns:
        What is wrong with it; empty if nothing is.
    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
        subprocess.CalledProcessError: Sphinx could not make the pages; it said why.
    """
    players = pages.lay_out(root, work / "source", work / "runs")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-E",
            "-W",
            "--keep-going",
            "-b",
            "html",
            "-d",
            work / "doctrees",
            work / "source",
            target,
        ],
        check=True,
    )
    found = links.problems(target)
    for chapter, count in players.items():
        page = links.Page(target / "notebooks" / f"{chapter}.html")
        there = sum(tag == "audio" for tag, _ in page.loads)
        if there != count:
            found.append(f"{chapter}: {count} sounds in the notebook, {there} in its page")
    return found


def main(argv: list[str] | None = None) -> int:
    """Make the book; 1 if something is wrong with it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=pages.ROOT, help="the project")
    parser.add_argument("--out", type=Path, default=pages.ROOT / "build" / "book", help="where the pages go")
    given = parser.parse_args(argv)
    found = build(given.root.resolve(), given.out.resolve().with_name(given.out.name + "-work"), given.out.resolve())
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    print(f"The book is whole: open {given.out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
