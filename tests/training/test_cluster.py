"""The job script for clusters, run with a stand-in for Slurm's `srun`: it goes on where it was stopped."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from ravecourse import audio
from ravecourse.dataset.preparation import prepare
from ravecourse.model import checkpoint
from ravecourse.synth import render

SCRIPT = "docs/train.slurm"
SRUN = """#!/bin/sh
# bash pd_setup/create_env.sh --run python -m ravecourse train ... --device cuda ...
shift 3
echo "$@" >> "$SAID"
exec env PYTHONPATH=. $(echo "$@" | sed 's/--device cuda/--device cpu/')
"""
KILLED = """#!/bin/sh
exit 137
"""


@pytest.fixture
def slurm(tmp_path: Path, project: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text(SRUN)
    (tmp_path / "bin" / "srun").chmod(0o755)
    python = Path(os.sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{python}:{os.environ['PATH']}",
        "SAID": str(tmp_path / "said"),
        "SLURM_SUBMIT_DIR": str(project),
    }


def job(environment: dict[str, str], project: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", project / SCRIPT, *map(str, words)],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_turn_after_turn_until_it_is_done(slurm: dict[str, str], project: Path, tmp_path: Path) -> None:
    audio.write(tmp_path / "sounds" / "a.wav", render("bars", 3), 48000)
    prepare([tmp_path / "sounds"], tmp_path / "data", progress=False)
    words = [tmp_path / "data", tmp_path / "run", "--batch", 1, "--crop", 4096, "--phase-one-steps", 4]
    first = job(slurm, project, *words, "--phase-two-steps", 0)
    assert first.returncode == 0, first.stderr
    assert checkpoint.load(tmp_path / "run").step == 4
    again = job(slurm, project, *words, "--phase-two-steps", 3)
    assert again.returncode == 0 and checkpoint.load(tmp_path / "run").step == 7
    idle = job(slurm, project, *words, "--phase-two-steps", 3)
    assert idle.returncode == 0 and "Already finished: 7 steps" in idle.stdout
    assert "--device cuda" in (tmp_path / "said").read_text()


@pytest.mark.parametrize("status,passed", [(130, 0), (2, 2), (137, 137)])
def test_stopped_by_the_clock_is_no_failure_and_others_are(
    slurm: dict[str, str], project: Path, tmp_path: Path, status: int, passed: int
) -> None:
    (tmp_path / "bin" / "srun").write_text(KILLED.replace("137", str(status)))
    assert job(slurm, project, "data", "run").returncode == passed


def test_what_is_asked_of_slurm(slurm: dict[str, str], project: Path) -> None:
    text = (project / SCRIPT).read_text()
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)", text, re.M))
    assert asked["array"].endswith("%1") and asked["signal"].startswith("TERM@") and ":" in asked["time"]
    assert text.index("#SBATCH") < text.index("set -euo")  # Slurm reads no further than the first command
    assert job(slurm, project).returncode == 2
    assert subprocess.run(["shellcheck", project / SCRIPT], env=slurm, capture_output=True).returncode == 0
