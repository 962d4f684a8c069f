"""The command line: every verb does its work, every mistake is one line on stderr and status 2."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ravecourse import audio
from ravecourse.cli import parser
from ravecourse.config import preset, training_preset
from ravecourse.dataset.preparation import prepare
from ravecourse.errors import RaveCourseError
from ravecourse.export.exporter import export_model
from ravecourse.model import checkpoint
from ravecourse.model.rave import RAVE
from ravecourse.synth import render
from ravecourse.training.loop import train

VERBS = ("doctor synth prepare presets train evaluate compare export card info render import bench").split()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds, a dataset, a short training and an exported model."""
    folder = tmp_path_factory.mktemp("cli")
    for i in range(3):
        audio.write(folder / "sounds" / f"{i}.wav", render("strings", 2, seed=i), 48000)
    prepare([folder / "sounds"], folder / "dataset", progress=False)
    config = training_preset("tiny", phase_one_steps=2, phase_two_steps=2, batch_size=2, crop_samples=4096)
    train(folder / "dataset", folder / "run", preset("tiny", capacity=8), config, progress=False, tensorboard=False)
    export_model(RAVE(preset("tiny", capacity=8)).eval(), folder / "model.ts", latent_size=4, about={})
    return folder


class Nothing(torch.nn.Module):
    """A scripted module that is no model for nn~."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def nothing_to_play(folder: Path) -> Path:
    torch.jit.save(torch.jit.script(Nothing()), folder / "nothing.ts")
    return folder / "nothing.ts"


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = parser.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def program(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ravecourse", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        timeout=120,
    )


def test_help_of_every_verb_has_an_example_and_loads_nothing_heavy() -> None:
    assert all(verb in program("--help").stdout for verb in VERBS)
    code = (
        "import sys; from ravecourse import cli\n"
        f"for verb in {VERBS!r}: assert cli.main([verb, '--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for verb in VERBS:
        assert f"example:\n  ravecourse {verb}" in done.stdout


def test_examples_in_the_help_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        parser.main([verb, "--help"])
        example = capsys.readouterr().out.split("example:\n")[1].strip()
        assert parser.build_parser().parse_args(example.split()[1:]).verb == verb


@pytest.mark.parametrize("words", [[], ["sing"], ["train"], ["render", "a"], ["synth", "x", "--minutes", "many"]])
def test_mistakes_in_typing_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys, *words)
    assert status == 2 and out == "" and err.count("\n") == 1 and "--help" in err


def mistakes(work: Path) -> dict[str, tuple[list[object], str]]:
    (work / "nothing").mkdir(exist_ok=True)
    (work / "nothing" / "readme.txt").write_text("no sound")
    (work / "bad").mkdir(exist_ok=True)
    (work / "bad" / "broken.wav").write_bytes(b"RIFF\x00\x00")
    (work / "text.ts").write_text("hello")
    (work / "text.pt").write_text("hello")
    old = torch.load(work / "run" / "checkpoint.pt", weights_only=True)
    torch.save({**old, "format": 99}, work / "other.pt")
    settings = json.loads(old["model_config"])
    other = {
        **{name: value for name, value in old.items() if name != "digest"},
        "model_config": json.dumps({**settings, "colour": "blue"}),
    }
    torch.save({**other, "digest": checkpoint.digest(other)}, work / "unknown.pt")
    (work / "cut.pt").write_bytes((work / "run" / "checkpoint.pt").read_bytes()[:-300])
    model, data, gone = work / "model.ts", work / "dataset", work / "gone"
    return {
        "prepare a missing folder": (["prepare", gone, "--out", work / "d"], "no folder"),
        "prepare without sound": (["prepare", work / "nothing", "--out", work / "d"], "no sound file"),
        "prepare damaged": (["prepare", work / "bad", "--out", work / "d"], "broken.wav"),
        "prepare at a strange rate": (["prepare", work / "sounds", "--out", work / "d", "--sample-rate", 3], "3"),
        "synth something else": (["synth", work / "s", "--instruments", "kazoo"], "kazoo"),
        "a wrong preset to show": (["presets", "huge", "--no-timing"], "'huge'.*tiny"),
        "a wrong preset to train": (["train", "--data", data, "--out", work / "r", "--preset", "huge"], "'huge'"),
        "train without a dataset": (["train", "--data", gone, "--out", work / "r"], "no dataset folder"),
        "train on a folder of sounds": (["train", "--data", work / "sounds", "--out", work / "r"], "store.json"),
        "train with a batch of 0": (["train", "--data", data, "--out", work / "r", "--batch", 0], "batch_size"),
        "train on no device": (["train", "--data", data, "--out", work / "r", "--device", "abacus"], "abacus"),
        "evaluate nothing": (["evaluate", gone, work / "sounds"], "no checkpoint"),
        "evaluate on nothing": (["evaluate", work / "run", gone], "no folder"),
        "evaluate without sound": (["evaluate", work / "run", work / "nothing"], "no sound file"),
        "evaluate on a damaged file": (["evaluate", work / "run", work / "bad"], "broken.wav"),
        "evaluate a text": (["evaluate", work / "text.ts", work / "sounds"], "no Torch"),
        "evaluate a program without methods": (["evaluate", nothing_to_play(work), work / "sounds"], "no method"),
        "evaluate to another ending": (
            ["evaluate", work / "run", work / "sounds", "--json", work / "x.txt"],
            r"\.json",
        ),
        "evaluate no time": (["evaluate", work / "run", work / "sounds", "--seconds", 0], "0.5 or more"),
        "compare nothing": (["compare", gone, "--out", work / "x.png"], "nothing at"),
        "compare without curves": (["compare", model, "--out", work / "x.png"], "--data"),
        "compare to another ending": (["compare", work / "run", "--out", work / "x.pdf"], r"\.png"),
        "numbers of no recordings": (
            ["compare", work / "run", "--out", work / "x.png", "--json", work / "x.json"],
            "--data",
        ),
        "export nothing": (["export", gone, work / "x.ts"], "no checkpoint"),
        "export to another ending": (["export", work / "run", work / "x.pt"], r"\.ts"),
        "export a text": (["export", work / "text.pt", work / "x.ts"], "not a checkpoint"),
        "export another version": (["export", work / "other.pt", work / "x.ts"], "format 99"),
        "export an unknown setting": (["export", work / "unknown.pt", work / "x.ts"], "colour"),
        "export a damaged file": (["export", work / "cut.pt", work / "x.ts"], "damaged"),
        "export an export": (["export", model, work / "x.ts"], "TorchScript"),
        "card of nothing": (["card", gone], "no checkpoint"),
        "card of another dataset": (["card", work / "run", "--data", gone], "no dataset folder"),
        "card to another ending": (["card", work / "run", "--out", work / "x.txt"], r"\.md"),
        "weights to another ending": (["card", work / "run", "--weights", work / "x.ts"], r"\.pt"),
        "info of nothing": (["info", gone], "nothing at"),
        "info of a folder": (["info", work / "nothing"], "neither a dataset"),
        "info of a text": (["info", work / "text.ts"], "no TorchScript"),
        "render through a text": (["render", work / "text.ts", work / "sounds/0.wav", work / "o.wav"], "no Torch"),
        "render through weights": (
            ["render", work / "run/checkpoint.pt", work / "sounds/0.wav", work / "o.wav"],
            "ravecourse export",
        ),
        "render a missing sound": (["render", model, gone, work / "o.wav"], "gone"),
        "render a damaged sound": (["render", model, work / "bad/broken.wav", work / "o.wav"], "broken.wav"),
        "render with another method": (
            ["render", model, work / "sounds/0.wav", work / "o.wav", "--method", "sing"],
            "'sing'.*encode",
        ),
        "render with a strange buffer": (
            ["render", model, work / "sounds/0.wav", work / "o.wav", "--buffer", -1],
            "-1",
        ),
        "render to a strange format": (["render", model, work / "sounds/0.wav", work / "o.xyz"], "xyz"),
        "bench a file without methods": (["bench", nothing_to_play(work)], "no method"),
        "prepare into the recordings' folder": (
            ["prepare", work / "sounds", "--out", work / "sounds"],
            "another folder",
        ),
        "bench a missing file": (["bench", work / "gone.ts"], "gone.ts"),
        "bench a wrong preset": (["bench", "huge"], "'huge'"),
        "bench for no time": (["bench", "tiny", "--seconds", 0], "seconds"),
    }


def test_every_mistake_is_one_line_and_status_2(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, (words, message) in mistakes(work).items():
        status, _, err = call(capsys, *words)
        last = err.strip().splitlines()[-1] if err.strip() else ""
        assert status == 2, (name, status, err)
        assert last.startswith(f"ravecourse {words[0]}: ") and "Traceback" not in err, (name, err)
        assert re.search(message, last), (name, last)
    assert not (work / "o.wav").exists() and not (work / "x.ts").exists()


def test_debug_shows_where(work: Path) -> None:
    plain = program("info", work / "gone")
    assert plain.returncode == 2 and plain.stderr.count("\n") == 1
    with pytest.raises(RaveCourseError):
        parser.main(["info", str(work / "gone"), "--debug"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told(work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object, **__: object) -> None:
        with open("/dev/full", "w") as file:
            file.write("x" * 100000)

    monkeypatch.setattr("soundfile.SoundFile.write", full)
    status, _, err = call(capsys, "render", work / "model.ts", work / "sounds" / "0.wav", work / "o.wav")
    assert status == 2 and "space" in err and err.count("\n") == 1
    monkeypatch.setattr("torch.save", full)
    status, _, err = call(
        capsys,
        "train",
        "--data",
        work / "dataset",
        "--out",
        work / "full",
        "--phase-one-steps",
        1,
        "--phase-two-steps",
        0,
        "--batch",
        1,
        "--crop",
        2048,
    )
    assert status == 2 and "space" in err.strip().splitlines()[-1]


def test_an_interrupted_command_is_kind(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ravecourse.cli.doctor.run", interrupt)
    status, _, err = call(capsys, "doctor")
    assert status == 130 and "Stopped" in err and "Traceback" not in err


def test_a_reader_that_stops_early_is_no_error(work: Path) -> None:
    words = [sys.executable, "-m", "ravecourse", "info", str(work / "model.ts")]
    done = subprocess.run(
        f"{shlex.join(words)} | head -1", shell=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert "TorchScript model" in done.stdout and "Traceback" not in done.stderr


def test_the_whole_way_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """synth, prepare, train in two goes, export, info of each, render, bench."""
    sounds, data, run, model = tmp_path / "s", tmp_path / "d", tmp_path / "run", tmp_path / "m.ts"
    assert call(capsys, "synth", sounds, "--instruments", "bars", "--minutes", 0.1)[0] == 0
    status, out, _ = call(capsys, "prepare", sounds / "bars", "--out", data, "--channels", 2)
    assert status == 0 and "stereo" in out and "ravecourse train" in out

    steps = ["--phase-one-steps", 3, "--phase-two-steps", 2, "--batch", 2, "--crop", 4096]
    status, out, _ = call(capsys, "train", "--data", data, "--out", run, *steps, "--causal")
    assert status == 0 and f"ravecourse export {run}" in out
    assert call(capsys, "train", "--data", data, "--out", run)[0] == 0  # nothing left to do
    status, out, _ = call(capsys, "info", run)
    assert status == 0 and "'tiny causal'" in out and "stereo" in out and "step 5 of 5" in out

    about = ["--licence", "CC0-1.0", "--notes", "short"]
    status, out, err = call(capsys, "export", run, model, "--latent-size", 3, *about)
    assert status == 0 and "3 latents" in out, err
    status, out, _ = call(capsys, "info", model)
    assert status == 0 and "keeps the contract" in out and "CC0-1.0" in out and "short" in out
    assert "dataset" in call(capsys, "info", data)[1]

    audio.write(tmp_path / "in.wav", render("voice", 1.5, sample_rate=44100), 44100)
    status, out, err = call(capsys, "render", model, tmp_path / "in.wav", tmp_path / "out.wav")
    assert status == 0 and "resampled" in err and "all get the same" in err
    made = audio.info(tmp_path / "out.wav")
    assert made.channels == 2 and made.sample_rate == 48000 and made.duration_seconds == pytest.approx(1.5, abs=1e-3)
    assert "44100 Hz" in call(capsys, "info", tmp_path / "in.wav")[1]

    status, out, _ = call(capsys, "bench", model, "--seconds", 0.05)
    assert status == 0 and "real time" in out and "forward" in out


def test_presets_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "presets", "tiny", "--no-timing")
    assert status == 0 and "tiny causal" in out and "0.32 M" in out


def test_doctor_answers(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "doctor")
    assert status in (0, 1) and "PyTorch" in out


def test_zero_channels_are_not_taken_for_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "synth", tmp_path / "sounds", "--instruments", "bars", "--minutes", 0.1)[0] == 0
    assert call(capsys, "prepare", tmp_path / "sounds", "--out", tmp_path / "data")[0] == 0
    status, _, error = call(capsys, "train", "--data", tmp_path / "data", "--out", tmp_path / "run", "--channels", 0)
    assert status == 2 and "channels is 0; use 1" in error and not (tmp_path / "run").exists()
