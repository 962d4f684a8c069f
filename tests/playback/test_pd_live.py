"""Pd in real time, watched: times of single blocks out of a smoothed load, and what a run tells."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pd_models import Echo, Wrong, save

from ravecourse.errors import RaveCourseError
from ravecourse.export import torchscript
from ravecourse.playback import patch_assets, puredata_live
from ravecourse.playback.puredata import RATE
from ravecourse.playback.puredata_live import SMOOTHING, busy, live


def test_times_of_single_blocks_come_out_of_the_smoothed_load():
    shares = torch.rand(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    load, loads, counts, heard = 0.0, [], [], []
    for n, share in enumerate(shares.tolist()):
        load += SMOOTHING * (share - load)
        looks = n % 3  # not looked at, once, twice
        counts += [n + 1] * looks
        loads += [load] * looks
        heard += [share] if n % 3 == 2 else []  # the block before was looked at too
    found = puredata_live._singles(counts, loads)
    torch.testing.assert_close(found.double(), torch.tensor(heard, dtype=torch.float64), rtol=0, atol=1e-5)
    assert len(puredata_live._singles([], [])) == 0


def test_busy_programs_end_with_the_block():
    with pytest.raises(ValueError), busy(2):
        found = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True).stdout
        assert found.count("while True: pass") == 2
        raise ValueError
    left = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True).stdout
    assert "while True: pass" not in left


@pytest.mark.parametrize("buffer, used", [(0, 64), (1000, 1024)])
def test_a_run_in_real_time(buffer, used, tmp_path, externals):
    save(Echo(), tmp_path / "echo.ts")
    run = live("echo.ts forward", torch.zeros(1, RATE), tmp_path, externals, buffer=buffer)
    assert run.buffer == used and run.lasts == pytest.approx(used / RATE) and run.seconds == 1
    assert run.blocks > 0.3 * RATE / used and run.late is not None
    assert len(run.behind) > 50 and 0 < run.processor < 30
    assert buffer == 0 or 0 < float(run.times.median()) < 1


def test_what_cannot_be_played_is_told(tmp_path, externals):
    save(Wrong("raises"), tmp_path / "wrong.ts")
    with pytest.raises(RaveCourseError, match="model failed"):
        live("wrong.ts forward", torch.zeros(1, RATE), tmp_path, externals, buffer=0)


def test_the_patches_models_are_made_once_and_again_when_something_changed(project, tmp_path, monkeypatch):
    made = []

    def export(model, target, *, latent_size, about):
        made.append(target.stem)
        save(Echo(latent_size), target)

    monkeypatch.setattr(patch_assets, "export_model", export)
    monkeypatch.setattr(
        torchscript,
        "read_metadata",
        lambda path: {"made_from": path.stem.removesuffix(patch_assets.FINE)} if path.is_file() else {},
    )
    monkeypatch.setattr(patch_assets, "_digest", lambda source, latents: source.stem)
    names = [
        *patch_assets.INSTRUMENTS,
        patch_assets.QUICK,
        *patch_assets.KEYS,
        *(name + patch_assets.FINE for name in patch_assets.INSTRUMENTS),
    ]
    files = patch_assets.materials(tmp_path)
    assert made == names and all(path.is_file() for path in files) and len(files) == len(names) + 3
    assert patch_assets.materials(tmp_path) == files and made == names, "current"
    monkeypatch.setattr(patch_assets, "_digest", lambda source, latents: source.stem + "!")
    patch_assets.materials(tmp_path)
    assert made == names + names


def test_what_a_model_was_made_from_is_known(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"1")
    (tmp_path / "b.pt").write_bytes(b"2")
    digests = {patch_assets._digest(tmp_path / f"{name}.pt", latents) for name in "ab" for latents in (8, None)}
    assert len(digests) == 4 and patch_assets._digest(tmp_path / "a.pt", 8) in digests
    with pytest.raises(FileNotFoundError):
        patch_assets._digest(tmp_path / "c.pt", 8)


def test_every_module_of_the_model_counts_as_what_it_was_made_from(tmp_path, monkeypatch):
    """A change in any module that decides what an export holds makes the exports beside the patches stale."""
    (tmp_path / "a.pt").write_bytes(b"1")
    copies = []
    for package in patch_assets.WRITTEN_BY:
        copy = tmp_path / package.__name__
        shutil.copytree(package.__path__[0], copy, ignore=shutil.ignore_patterns("__pycache__"))
        copies.append(SimpleNamespace(__path__=[str(copy)]))
    monkeypatch.setattr(patch_assets, "WRITTEN_BY", tuple(copies))
    before = patch_assets._digest(tmp_path / "a.pt", 8)
    modules = [path for copy in copies for path in Path(copy.__path__[0]).glob("*.py")]
    assert len(modules) > 12
    for path in modules:
        text = path.read_text()
        path.write_text(text + "# changed\n")
        assert patch_assets._digest(tmp_path / "a.pt", 8) != before, path
        path.write_text(text)


def test_without_pd_the_reason_is_told(monkeypatch):
    def missing(*args: object, **named: object) -> subprocess.CompletedProcess:
        return subprocess.CompletedProcess(args, 1, "", "Missing: puredata-core. Type this, then try again:")

    monkeypatch.setattr(patch_assets.subprocess, "run", missing)
    with pytest.raises(RaveCourseError, match="Missing: puredata-core"):
        patch_assets.external()
