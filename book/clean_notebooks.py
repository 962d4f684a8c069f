"""Make a notebook that was run fit to be committed: text and figures, made small, stay; sounds and widgets go.

    python -m book.clean_notebooks notebooks/*.ipynb

A cell tagged `about-this-machine` loses all of its output. Notebook: 00.
"""

import base64
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from ravecourse.errors import RaveCourseError
from ravecourse.files import write_text

MACHINE_TAG = "about-this-machine"
KEPT = ("text/plain", "text/markdown", "image/png")
WIDGETS = "application/vnd.jupyter.widget"
LARGEST_FIGURE = 600_000  # characters of base64
LARGEST_NOTEBOOK = 1_000_000  # characters: what a page loads at once, and every change stores again
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def clean(path: Path) -> bool:
    """Strip the notebook `path` in place; True if that changed it.

    Raises:
        RaveCourseError: it is not a notebook.
    Notebook: 00.
    """
    try:
        before = path.read_text(encoding="utf-8")
        notebook = json.loads(before)
        stripped(notebook)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RaveCourseError(f"{path} is not a notebook ({error}). Name .ipynb files.") from error
    after = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if after != before:
        write_text(path, after)
    return after != before


def stripped(notebook: dict[str, Any]) -> None:
    """Strip a notebook, as `json.load` reads it, in place. Notebook: 00."""
    notebook["metadata"] = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        cell["metadata"] = {"tags": tags} if tags else {}
        if cell["cell_type"] == "code":
            outputs = [] if MACHINE_TAG in tags else cell["outputs"]
            cell["outputs"] = [output for output in map(_output, outputs) if output]


def _output(output: dict[str, Any]) -> dict[str, Any] | None:
    """What is kept of one output. Errors stay: a notebook that fails is not to be committed, and tests say so."""
    if output["output_type"] == "stream":
        return output if output["name"] == "stdout" else None  # progress bars write to stderr
    if output["output_type"] == "error":
        return output
    data = output["data"]
    if any(kind.startswith(WIDGETS) for kind in data):
        return None
    kept = {kind: _smaller(value) if kind == "image/png" else value for kind, value in data.items() if kind in KEPT}
    return {**output, "data": kept, "metadata": {}} if kept else None


def _smaller(picture: str) -> str:
    """A PNG, in base64, with a palette of 256 colours, which figures do with; as it is where that is not shorter."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(picture)))
    except (ValueError, UnidentifiedImageError):
        return picture
    if image.mode == "P":
        return picture
    written = io.BytesIO()
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    smaller = base64.b64encode(written.getvalue()).decode("ascii")
    return min(picture, smaller, key=len)


def problems(notebook: dict[str, Any]) -> list[str]:
    """What keeps a notebook from being committed; empty if nothing does. Notebook: 00."""
    found = []
    twin = json.loads(json.dumps(notebook))
    stripped(twin)
    if twin != notebook:
        found.append("holds sounds, widgets or details of a machine: run python -m book.clean_notebooks on it")
    if (size := len(json.dumps(notebook))) > LARGEST_NOTEBOOK:
        found.append(
            f"has {size / 1e6:.1f} MB with its figures, more than {LARGEST_NOTEBOOK // 10**6}: show fewer or smaller ones"
        )
    for number, cell in enumerate(notebook["cells"]):
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                found.append(f"cell {number} failed: {output.get('ename')}: {output.get('evalue')}")
            if len(output.get("data", {}).get("image/png", "")) > LARGEST_FIGURE:
                found.append(f"cell {number} shows a figure of more than {LARGEST_FIGURE // 1000} kB: make it smaller")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Strip the notebooks that are named; 0, or 2 for an error. Notebook: 00."""
    paths = [Path(word) for word in (sys.argv[1:] if argv is None else argv)]
    if not paths:
        print("usage: python -m book.clean_notebooks FILE.ipynb ...", file=sys.stderr)
        return 2
    try:
        for path in paths:
            print(f"{path}: {'stripped' if clean(path) else 'was clean'}")
    except RaveCourseError as error:
        print(f"notebooks: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
