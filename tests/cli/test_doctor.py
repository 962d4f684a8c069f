"""The doctor's table on machines that are made up: empty PATH, no torch, no sound card, no disk."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ravecourse import bundled
from ravecourse.cli import doctor


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH and an empty home; the folder that is the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(doctor, "EXTERNAL_FOLDERS", ("~/Documents/Pd/externals",))
    for variable in ("CXX", "XDG_RUNTIME_DIR", "PULSE_SERVER"):
        monkeypatch.delenv(variable, raising=False)
    return programs


def add(programs: Path, name: str, says: str) -> None:
    path = programs / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def look(name: str) -> doctor.Check:
    found = [check for check in doctor.table() if check.name == name]
    assert len(found) == 1
    return found[0]


def test_everything_is_looked_at_and_what_is_not_there_has_advice(machine: Path) -> None:
    checks = doctor.table()
    names = [check.name for check in checks]
    assert names == [
        "Python",
        "PyTorch",
        "device",
        "torchaudio",
        "sound files",
        "ffmpeg",
        "notebooks",
        "cores, memory",
        "disk",
        "audio output",
        "C++ compiler",
        "CMake",
        "Pure Data",
        "nn~ external",
    ]
    for check in checks:
        assert check.status in (doctor.OK, doctor.MISSING, doctor.OPTIONAL)
        assert bool(check.advice) == (check.status != doctor.OK), check


def test_this_environment_has_what_is_required(machine: Path, capsys: pytest.CaptureFixture) -> None:
    if shutil.disk_usage(bundled.PROJECT).free < 2e9:
        pytest.skip("the disk is full")
    assert doctor.run() == 0
    assert "Ready for the course" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name, program, says",
    [
        ("C++ compiler", "g++", "g++ (GCC) 13.2.0"),
        ("C++ compiler", "clang++", "clang version 18"),
        ("CMake", "cmake", "cmake version 3.30.1"),
        ("ffmpeg", "ffmpeg", "ffmpeg version 7.0 Copyright (c)"),
        ("Pure Data", "pd", "Pd-0.55.2"),
        ("Pure Data", "puredata", "Pd-0.53.1"),
    ],
)
def test_programs_are_found_by_path(machine: Path, name: str, program: str, says: str) -> None:
    assert look(name).status == doctor.OPTIONAL
    add(machine, program, says)
    check = look(name)
    assert check.status == doctor.OK and check.advice == ""
    assert check.found in says and check.found


def test_advice_names_a_command_that_this_system_has(machine: Path) -> None:
    assert "apt-get" not in look("CMake").advice
    add(machine, "apt-get", "")
    assert "sudo apt-get install -y cmake" in look("CMake").advice


def test_the_external_is_found_in_its_folder_or_below(machine: Path) -> None:
    folder = Path("~/Documents/Pd/externals").expanduser()
    for place in (folder / "nn~.pd_linux", folder / "nn~" / "nn~.pd_darwin"):
        assert look("nn~ external").status == doctor.OPTIONAL
        place.parent.mkdir(parents=True, exist_ok=True)
        (place.parent / "nn~-help.pd").touch()
        place.touch()
        assert look("nn~ external").found == str(place)
        place.unlink()


def test_without_torch_it_says_what_to_type(machine: Path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for module in ("torch", "torchaudio"):
        monkeypatch.setitem(sys.modules, module, None)
    assert look("PyTorch").status == look("torchaudio").status == doctor.MISSING
    assert look("PyTorch").advice == "make env"
    assert doctor.run() == 1
    printed = capsys.readouterr().out
    assert "Not ready: PyTorch, device, torchaudio missing." in printed


def test_packages_from_elsewhere_are_not_called_a_missing_torch(machine: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    assert look("PyTorch").advice.startswith("unset PYTHONPATH (it is /somewhere/else")


def test_a_full_disk_is_seen(machine: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    assert look("disk").status == doctor.MISSING and "1.0 GB" in look("disk").found


def test_a_gpu_without_its_torch_is_pointed_out(machine: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.version.cuda or torch.backends.mps.is_available():
        pytest.skip("this torch can use a GPU")
    assert look("device").status == doctor.OK
    add(machine, "nvidia-smi", "")
    assert "TORCH=cuda" in look("device").advice


def test_a_look_that_fails_is_a_line_and_not_a_crash(machine: Path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(doctor.shutil, "disk_usage", broken)
    assert "no such thing" in look("disk").found


def test_a_program_that_fails_does_not_stop_the_table(machine: Path) -> None:
    (machine / "cmake").write_text("#!/bin/sh\nexit 3\n")
    (machine / "cmake").chmod(0o755)
    assert look("CMake").found == str(machine / "cmake")
