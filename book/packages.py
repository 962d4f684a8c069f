"""A short page for each package of ravecourse: what its face offers, and which module holds it.

    python -m book.packages docs/packages

The words are those of the docstrings, so a page says what the code says. Notebook: 00.
"""

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ravecourse.files import write_text

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ravecourse"
USAGE = "Usage: python -m book.packages FOLDER"


def names() -> list[str]:
    """The packages with a face, in alphabetical order. Notebook: 00."""
    return sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def page(name: str) -> str:
    """The page of the package `name`, as Markdown. Notebook: 00."""
    face = importlib.import_module(f"ravecourse.{name}")
    modules = {path.stem: _summary(ast.get_docstring(ast.parse(path.read_text("utf-8")))) for path in _modules(name)}
    lines = [
        f"# ravecourse.{name}",
        "",
        "<!-- Written by `python -m book.packages docs/packages` from the docstrings: change those. -->",
        "",
        _summary(face.__doc__),
        "",
        "## What it offers",
        "",
        f"From `ravecourse.{name}` import:",
        "",
        "| name | what it is | in |",
        "|---|---|---|",
    ]
    for offered in sorted(face.__all__, key=str.lower):
        thing = getattr(face, offered)
        where = _source(face, offered, thing)
        shown = f"[`{where}`](../../ravecourse/{name}/{where}.py)" if where in modules else f"`{where}`"
        lines.append(f"| `{offered}{_arguments(thing)}` | {_cell(_meaning(thing))} | {shown} |")
    lines += ["", "## Its modules", "", "| module | what it holds |", "|---|---|"]
    for module, meaning in modules.items():
        lines.append(f"| [`{module}`](../../ravecourse/{name}/{module}.py) | {_cell(meaning)} |")
    folders = [path.parent.name for path in sorted((PACKAGE / name).glob("*/__init__.py"))]
    for folder in folders:
        meaning = _summary(importlib.import_module(f"ravecourse.{name}.{folder}").__doc__)
        lines.append(f"| [`{folder}/`](../../ravecourse/{name}/{folder}) | {_cell(meaning)} |")
    lines += ["", "How the packages hang together: [architecture](../architecture.md).", ""]
    return "\n".join(lines)


def _modules(name: str) -> list[Path]:
    return sorted(path for path in (PACKAGE / name).glob("*.py") if path.stem not in ("__init__", "__main__"))


def _summary(docstring: str | None) -> str:
    """The first paragraph, in one line, without where it is taught."""
    first = (docstring or "").strip().split("\n\n")[0]
    return re.sub(r"\s*(Source|Notebooks?):.*", "", " ".join(first.split()))


def _meaning(thing: Any) -> str:
    if isinstance(thing, ModuleType) or inspect.isclass(thing) or inspect.isroutine(thing):
        return _summary(inspect.getdoc(thing))
    shown = repr(thing)
    return f"constant: `{shown}`" if len(shown) <= 60 else f"constant, a {type(thing).__name__} of {len(thing)}"


def _arguments(thing: Any) -> str:
    """The names of a function's or a class's arguments; those that may be left out in brackets."""
    if not callable(thing) or isinstance(thing, type) and issubclass(thing, Exception):
        return ""
    shown = []
    for argument in inspect.signature(thing).parameters.values():
        stars = {argument.VAR_POSITIONAL: "*", argument.VAR_KEYWORD: "**"}.get(argument.kind, "")
        left_out = argument.default is not argument.empty
        shown.append(f"[{argument.name}]" if left_out else f"{stars}{argument.name}")
    return f"({', '.join(shown)})"


def _source(face: ModuleType, offered: str, thing: Any) -> str:
    """The module of the package from which the face takes a name."""
    if isinstance(thing, ModuleType):
        return thing.__name__.rsplit(".", 1)[-1]
    for node in ast.parse(Path(str(face.__file__)).read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and offered in [alias.asname or alias.name for alias in node.names]:
            return node.module or offered
    return "__init__"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of every package into a folder; exit code 2 for a wrong call. Notebook: 00."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if len(arguments) != 1:
        print(USAGE, file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name in names():
        write_text(folder / f"{name}.md", page(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
