"""The workflows: they parse, run what a person types, and may do no more than read."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict]:
    return [step for job in load(path)["jobs"].values() for step in job["steps"]]


def test_there_is_one_for_each_push_and_one_for_each_week() -> None:
    triggers = {path.stem: load(path)[True] for path in WORKFLOWS}  # YAML 1.1 reads `on` as true
    assert "push" in triggers["tests"] and "schedule" in triggers["course"]
    for schedule in triggers["course"]["schedule"]:
        assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])
    assert "make test" in [step.get("run") for step in steps(ROOT / ".github" / "workflows" / "tests.yml")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_they_run_exists_and_they_may_only_read(path: Path) -> None:
    said = load(path)
    assert said["permissions"] == {"contents": "read"}
    targets = re.search(r"^\.PHONY:(.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    for job in said["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 180 and "permissions" not in job
    for step in steps(path):
        assert ("run" in step) != ("uses" in step)
        if "run" in step:
            assert re.fullmatch(r"make ([a-z-]+)", step["run"])[1] in targets
            assert "${{" not in step["run"]
        else:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_cached_environment_is_one_of_the_same_lists(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/cache@"):
            for file in re.findall(r"'([^']+)'", step["with"]["key"]):
                assert (ROOT / file).is_file()
            assert {"'pyproject.toml'", "'constraints.txt'"} <= set(re.findall(r"'[^']+'", step["with"]["key"]))
            assert ".venv" in step["with"]["path"].split()
