"""The course to hand out, without its solutions: build/ravecourse-handout.zip, the same bytes from the same files.

    make handout

What git tracks goes in, as it lies in the folder now; without git, everything but what .gitignore names at the top.
"""

import argparse
import os
import posixpath
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ravecourse.files import replacing

ROOT = Path(__file__).resolve().parent.parent
TOP = "ravecourse"
LEFT_OUT = (
    "notebooks/solutions/",
    "tests/wrong_answers/",
    "tests/course/test_checks.py",
    "tests/book/test_handout.py",
    "docs/teaching.md",
)
NOT_TRACKED = {
    ".git",
    ".venv",
    ".conda",
    "build",
    "runs",
    "sounds",
    "__pycache__",
    ".ipynb_checkpoints",
    ".pytest_cache",
    ".ruff_cache",
}
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
DATE = (2026, 1, 1, 0, 0, 0)  # of every file: when somebody made the zip is no part of it


def tracked(root: Path) -> list[str]:
    """The project's files, with forward slashes, by git or by what is usually left out of it."""
    try:
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=True)
        names = [name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file()]
        if names:
            return sorted(names)
    except (OSError, subprocess.CalledProcessError):
        pass
    found = []
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if name not in NOT_TRACKED and not name.endswith(".egg-info")]
        found += [
            (here / name).as_posix() for name in files if not name.startswith(".env-stamp") and ".part" not in name
        ]
    return sorted(found)


def chosen(names: Sequence[str]) -> list[str]:
    """Those that a student gets."""
    return [name for name in names if not name.startswith(LEFT_OUT)]


def write(root: Path, target: Path) -> list[str]:
    """Write the zip; what is in it."""
    names = chosen(tracked(root))
    with (
        replacing(target) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for name in names:
            entry = zipfile.ZipInfo(f"{TOP}/{name}", DATE)
            mode = 0o755 if os.access(root / name, os.X_OK) else 0o644
            entry.create_system, entry.external_attr = 3, (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, _content(root, name))
    return names


def _content(root: Path, name: str) -> bytes:
    """A file as a student gets it: without links to what is left out."""
    content = (root / name).read_bytes()
    if name.endswith(".md"):
        content = LINK.sub(lambda link: link[1] if _left_out(name, link[2]) else link[0], content.decode()).encode()
    return content


def _left_out(page: str, target: str) -> bool:
    """Whether a link on a page leads to what is left out."""
    place = posixpath.normpath(posixpath.join(posixpath.dirname(page), target.split("#")[0]))
    return f"{place}/".startswith(LEFT_OUT) or place.startswith(LEFT_OUT)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the zip and say what it is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the project")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "ravecourse-handout.zip", help="the zip")
    given = parser.parse_args(argv)
    names = write(given.root.resolve(), given.out)
    chapters = sum(name.startswith("notebooks/") for name in names)
    size = given.out.stat().st_size / 1e6
    print(f"{given.out}: {len(names)} files, {size:.1f} MB, {chapters} notebooks, no solutions.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
