"""Functions and chapters in step: each names the other, and every link between pages leads somewhere."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ravecourse"
CHAPTERS = {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
MODULES_LINE = re.compile(r"\*\*Modules of this chapter:\*\*(.*?)(?:\n\n|\Z|\()", re.S)
NAMED = re.compile(r"Notebooks?:\s*((?:\d\d(?:\s*\([^)]*\))?(?:,\s*|\s+and\s+)?)+)")
WITHOUT_CHAPTER = {"__init__", "__main__", "errors"}  # nothing to teach
AS_A_WHOLE = (
    "config",
    "synth",
    "course.checks",
    "course.widgets",
)  # packages that a chapter names without their modules


def modules() -> dict[str, ast.Module]:
    """Name, as a chapter writes it -> source; a package's parts belong to the package (`synth`, `widgets` ...)."""
    return {
        path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): ast.parse(path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def chapters_named(text: str | None) -> set[str]:
    """The chapters in a docstring's `Notebook: 04, 06 (why)`."""
    found = NAMED.findall(text or "")
    return set(re.findall(r"(?<![\d(])\d\d(?!\d)", re.sub(r"\([^)]*\)", "", " ".join(found))))


def public(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def methods(node: ast.FunctionDef | ast.ClassDef) -> list[ast.FunctionDef]:
    inside = node.body if isinstance(node, ast.ClassDef) else []
    return [part for part in inside if isinstance(part, ast.FunctionDef) and not part.name.startswith("_")]


def taught(chapter: str) -> set[str]:
    """The modules that a chapter says it teaches."""
    cells = json.loads(CHAPTERS[chapter].read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    line = MODULES_LINE.search(text)
    assert line, f"{CHAPTERS[chapter].name} has no line **Modules of this chapter:**"
    return set(re.findall(r"`([\w.]+)`", line[1]))


TREES = modules()
TOP = sorted(
    {
        next((whole for whole in AS_A_WHOLE if name.startswith(f"{whole}.")), name)
        for name in TREES
        if name.split(".")[-1] not in WITHOUT_CHAPTER
    }
)


def named_by(module: str) -> set[str]:
    """The chapters that the docstrings of a module, or of a package and its parts, name."""
    trees = [
        tree
        for name, tree in TREES.items()
        if name == module or name.startswith(f"{module}.") and not name.startswith("course.checks.chapter_")
    ]  # those belong to their chapters without being taught
    nodes = [node for tree in trees for top in public(tree) for node in [top, *methods(top)]]
    return set().union(*(chapters_named(ast.get_docstring(node)) for node in [*trees, *nodes]))


def teaching(module: str) -> set[str]:
    """The chapters that say they teach a module."""
    return {chapter for chapter in CHAPTERS if module in taught(chapter)}


@pytest.mark.parametrize(
    "text, chapters",
    [
        ("Notebook: 04.", {"04"}),
        ("Notebooks: 04, 06.", {"04", "06"}),
        ("Source: a paper. Notebook: 03 (models), 04 and 06 (training).", {"03", "04", "06"}),
        ("Notebook:\n04.", {"04"}),
        ("Source: arXiv 2111.05011, section 3.", set()),
        (None, set()),
    ],
)
def test_how_chapters_are_read_from_a_docstring(text: str | None, chapters: set[str]) -> None:
    assert chapters_named(text) == chapters


@pytest.mark.parametrize("chapter", sorted(CHAPTERS))
def test_the_checks_of_a_chapter_name_it(chapter: str) -> None:
    assert chapters_named(ast.get_docstring(TREES[f"course.checks.chapter_{chapter}"])) == {chapter}


def test_all_eleven_chapters_are_there() -> None:
    assert list(CHAPTERS) == [f"{number:02d}" for number in range(11)]


@pytest.mark.parametrize(
    "module",
    sorted(
        name
        for name in TREES
        if name.split(".")[-1] not in WITHOUT_CHAPTER and not name.startswith("course.checks.chapter_")
    ),
)
def test_each_public_name_says_where_it_is_taught(module: str) -> None:
    for node in public(TREES[module]):
        chapters = chapters_named(ast.get_docstring(node))
        assert chapters, f"ravecourse.{module}.{node.name} names no notebook"
        assert chapters <= set(CHAPTERS), f"ravecourse.{module}.{node.name} names {chapters}"


@pytest.mark.parametrize("chapter", sorted(CHAPTERS))
def test_a_chapter_and_its_modules_name_each_other(chapter: str) -> None:
    named = taught(chapter)
    assert named, f"chapter {chapter} teaches no module"
    assert named <= set(TOP), f"chapter {chapter} names {named - set(TOP)}, which ravecourse does not have"
    silent = {module for module in named if chapter not in named_by(module)}
    assert not silent, f"chapter {chapter} names {silent}, whose docstrings have no 'Notebook: {chapter}'"


@pytest.mark.parametrize("module", TOP)
def test_a_module_is_taught_where_it_says(module: str) -> None:
    claimed = named_by(module)
    assert claimed, f"ravecourse.{module} names no notebook"
    missing = claimed - teaching(module)
    assert not missing, (
        f"ravecourse.{module} says 'Notebook: {', '.join(sorted(missing))}', "
        f"which does not list it under Modules of this chapter"
    )


# --- links ---------------------------------------------------------------------------------------------------


PAGES = [
    path
    for pattern in ("*.md", "docs/*.md", "data/**/*.md", "benchmarks/*.md", "notebooks/**/*.ipynb")
    for path in sorted(ROOT.glob(pattern))
]


def prose(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def places(text: str) -> set[str]:
    """What a link into a page can name, as GitHub makes it from the headings."""
    headings = re.findall(r"^#+ +(.+?) *$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", prose(page), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, place = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leads out of the project"
        if place and target.suffix in (".md", ".ipynb"):
            assert place in places(prose(target)), f"{page.name}: no heading for {link}"
