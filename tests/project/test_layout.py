"""The layout of the package: imports follow the order of the signal, faces hold what others use, modules stay small."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ravecourse"
ORDER = (
    "errors files config runtime bundled audio synth dataset model training streaming export playback evaluation upstream "
    "course cli"
).split()
FACES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): ast.parse(path.read_text("utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.parent != PACKAGE or path.stem not in ("__init__", "__main__")
}
MOST_LINES = 400


def imports(tree: ast.Module) -> list[tuple[int, str, list[str]]]:
    """(dots, module, names) of each `from ... import`, and of `import a.b` as (0, "a.b", [])."""
    found: list[tuple[int, str, list[str]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", [alias.name for alias in node.names]))
        elif isinstance(node, ast.Import):
            found += [(0, alias.name, []) for alias in node.names]
    return found


def packages_used(module: str) -> set[str]:
    """The parts of ravecourse that a module imports, its own package apart."""
    used: set[str] = set()
    for level, source, names in imports(MODULES[module]):
        if level == 0 and source == "ravecourse":
            used |= set(names) - {"__version__"}
        elif level == 0 and source.startswith("ravecourse."):
            used.add(source.split(".")[1])
    return used - {module.split(".")[0]}


def test_every_part_of_the_package_has_its_place_in_the_order() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(ORDER)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_package_imports_only_from_those_above_it(module: str) -> None:
    place = ORDER.index(module.split(".")[0])
    backwards = {name for name in packages_used(module) if ORDER.index(name) > place}
    assert not backwards, f"ravecourse.{module} imports from {backwards}, which comes after it"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_are_relative_inside_a_package_and_go_through_the_face_elsewhere(module: str) -> None:
    own = module.split(".")[0]
    for level, source, _ in imports(MODULES[module]):
        if level == 0 and source.startswith("ravecourse."):
            assert source.split(".")[1] != own, f"ravecourse.{module}: import {source} relatively"
            assert source.count(".") == 1, f"ravecourse.{module} reaches past the face: {source}"


@pytest.mark.parametrize("face", FACES)
def test_a_face_names_what_it_exports(face: str) -> None:
    package = importlib.import_module(f"ravecourse.{face}")
    assert package.__doc__ and len(set(package.__all__)) == len(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


@pytest.mark.parametrize("face", FACES)
def test_what_others_import_from_a_face_is_in_it(face: str) -> None:
    exported = set(importlib.import_module(f"ravecourse.{face}").__all__)
    for module, tree in MODULES.items():
        for level, source, names in imports(tree):
            if level == 0 and source == f"ravecourse.{face}":
                assert set(names) <= exported, f"ravecourse.{module} imports {set(names) - exported} from {face}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_holds_one_idea(module: str) -> None:
    path = PACKAGE / (module.replace(".", "/") + ".py")
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


def test_the_command_line_answers_without_loading_torch() -> None:
    says = "import sys, ravecourse.cli; print({'torch', 'numpy', 'matplotlib'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", says], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "set()", ran.stdout + ran.stderr
