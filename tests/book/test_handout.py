"""What students get: the whole course, and no solution in any file of it."""

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from book import handout

ENOUGH = 40  # characters of a line that no stub has by chance


@pytest.fixture(scope="module")
def unpacked(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hand out")
    assert handout.main(["--root", str(project), "--out", str(folder / "course.zip")]) == 0
    subprocess.run(["unzip", "-q", "course.zip"], cwd=folder, check=True) if shutil.which("unzip") else zipfile.ZipFile(
        folder / "course.zip"
    ).extractall(folder)
    return folder / handout.TOP


def cells(path: Path, tag: str) -> list[str]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if tag in cell["metadata"].get("tags", [])]


def telling(cell: str) -> set[str]:
    """The long lines of a solution that say how it is done: statements, not its signature or its documentation."""
    lines = [
        line.strip()
        for node in ast.walk(ast.parse(cell))
        if isinstance(node, ast.FunctionDef)
        for statement in node.body
        if not isinstance(statement, ast.Expr)
        for line in ast.unparse(statement).splitlines()
    ]
    return {line for line in lines if len(line) >= ENOUGH}


def test_no_solution_is_in_it(project: Path, unpacked: Path) -> None:
    names = [path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")]
    assert not [name for name in names if "solution" in name or "wrong_answers" in name]
    solutions = [
        cell
        for path in sorted((project / "notebooks" / "solutions").glob("*.ipynb"))
        for cell in cells(path, "solution")
    ]
    assert solutions
    given = {
        path.relative_to(unpacked).as_posix(): path.read_text(encoding="utf-8")
        for path in unpacked.rglob("*")
        if path.suffix in (".py", ".md", ".ipynb", ".sh", ".yml")
    }
    in_notebooks = {
        name: "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        for name, text in given.items()
        if name.endswith(".ipynb")
    }
    for cell in solutions:
        assert not [name for name, text in {**given, **in_notebooks}.items() if cell in text]
    for name, text in in_notebooks.items():
        code = text.replace("'", '"')
        for stub in cells(unpacked / name, "exercise"):
            for cell in solutions:
                said = {line for line in telling(cell) if line.replace("'", '"') in stub.replace("'", '"')}
                assert not said, f"{name}: the stub holds {said}"
        assert "# solution" not in code.lower()


def test_every_chapter_is_in_it_with_its_stubs(project: Path, unpacked: Path) -> None:
    tracked = handout.tracked(project)
    chapters = [name for name in tracked if name.startswith("notebooks/") and name.count("/") == 1]
    assert chapters
    for name in chapters:
        assert (unpacked / name).read_bytes() == (project / name).read_bytes()
        for stub in cells(unpacked / name, "exercise"):
            assert "..." in stub, f"{name}: a stub without anything to fill in"
    for name in (
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "constraints.txt",
        "data/clips/voice.flac",
        "pd_setup/create_env.sh",
        "tests/conftest.py",
    ):
        assert (unpacked / name).is_file(), name
    assert os.access(unpacked / ".ci" / "run", os.X_OK)


def test_its_checks_work(unpacked: Path) -> None:
    says = (
        "from ravecourse.course import checks; print(checks.__file__); print(*[e.chapter for e in checks.exercises()])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", says],
        cwd=unpacked,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    place, chapters = ran.stdout.splitlines()
    assert Path(place).resolve().is_relative_to(unpacked.resolve()) and chapters.split()


def test_its_own_tests_hold_without_what_is_left_out(unpacked: Path) -> None:
    """Those that look at the course as a whole: what the README tells to type, and where links lead."""
    files = ["tests/course/test_course.py", "tests/project/test_environment.py", "tests/project/test_workflows.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", "links or readme or run_exists"],
        cwd=unpacked,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
    )
    assert ran.returncode == 0 and " passed" in ran.stdout, ran.stdout + ran.stderr


def small_project(folder: Path) -> Path:
    for name in (
        "README.md",
        "a.py",
        "notebooks/00_a.ipynb",
        "notebooks/solutions/00_a.ipynb",
        "build/x",
        "runs/y",
        "tests/wrong_answers/chapter_00.py",
        "ravecourse/__pycache__/a.pyc",
        "run.sh",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "README.md").write_text("[a](a.py) [b](notebooks/solutions) [c](notebooks/solutions/00_a.ipynb#x)")
    (folder / ".gitignore").write_text("build/\nruns/\n__pycache__/\n")
    (folder / "run.sh").chmod(0o755)
    return folder


def test_the_same_files_give_the_same_bytes_with_git_and_without(tmp_path: Path) -> None:
    zips = []
    for number, with_git in enumerate((True, False)):
        root = small_project(tmp_path / f"project {number}")
        if with_git:
            subprocess.run(["git", "init", "-q"], cwd=root, check=True)
            subprocess.run(["git", "add", "."], cwd=root, check=True)
            (root / "mine.txt").write_text("not tracked")
        zips.append(tmp_path / f"{number}.zip")
        assert handout.write(root, zips[-1]) == [".gitignore", "README.md", "a.py", "notebooks/00_a.ipynb", "run.sh"]
    assert zips[0].read_bytes() == zips[1].read_bytes()
    assert zipfile.ZipFile(zips[0]).read("ravecourse/README.md") == b"[a](a.py) b c"
    modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in zipfile.ZipFile(zips[0]).infolist()}
    assert modes["ravecourse/run.sh"] == 0o755 and modes["ravecourse/a.py"] == 0o644
