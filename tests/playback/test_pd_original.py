"""An export that the original RAVE (acids-rave, from PyPI) made, played by nn~ in a real Pd: as in Python.

Runs with `pytest -m original`; benchmarks/original_env.sh makes the environment of the original.
"""

import subprocess
from pathlib import Path

import pytest
import torch

from ravecourse.export import torchscript
from ravecourse.playback.puredata import Patch, expected, play, verify

pytestmark = pytest.mark.original
MAKE = "from benchmarks.compare import exported; print(exported('raspberry'))"


@pytest.fixture(scope="module")
def theirs(project: Path) -> Path:
    """Their export of a model with random weights, `raspberry`, the lightest of their settings."""
    python = project / "build" / "original-env" / "bin" / "python"
    if not python.is_file():
        pytest.skip("bash benchmarks/original_env.sh makes what this needs")
    made = subprocess.run([python, "-c", MAKE], cwd=project, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]
    return project / made.stdout.split()[-1]


def test_it_is_theirs(theirs):
    model = torchscript.load(theirs)
    assert model.metadata == {} and set(model.methods) == {"encode", "decode", "forward"}
    assert "ScriptedRAVE" in model.module.original_name and model.method("encode").out_channels > 60


@pytest.mark.parametrize("buffer", [0, 512, 4096, 8192])
@pytest.mark.parametrize("method", ["encode", "decode", "forward"])
def test_pd_plays_it_as_python_does(method, buffer, theirs, tmp_path, externals):
    model = torchscript.load(theirs)
    what = model.method(method)
    audio = 0.3 * torch.randn(what.in_channels, 60000, generator=torch.Generator().manual_seed(0))
    if what.in_ratio > 1:
        audio = audio[:, :: what.in_ratio].repeat_interleave(what.in_ratio, -1)[:, :60000]
    rate = model.sample_rate or 44100
    patch = Patch(
        f"{theirs} {method} {buffer}", what.in_channels, what.out_channels, messages=[(30, "bang")], rate=rate
    )
    audio[patch.played :] = 0  # Pd reads sound files of up to 64 channels
    ran = play(patch, audio, tmp_path, externals)
    assert ran.status == 0 and not ran.errors and ran.info("late") == [["0"]], ran.console
    used = max(buffer, 2048)
    late = int(ran.info("latency")[0][0])
    assert late == (used - 64 if buffer == 0 else 2 * used - 64)
    wanted = expected(model, audio, method, buffer, late)[: patch.recorded]
    assert wanted[:, late:].abs().max() > 0.01, "silence proves nothing"
    torch.testing.assert_close(ran.audio, wanted, rtol=0, atol=1e-6)


def test_the_proof_of_pd_install_holds_for_it(theirs, tmp_path, externals):
    assert len(verify(theirs, externals, tmp_path)) == 6
