"""Every verb from any folder, with any relative path; every value answered by one sentence; no input destroyed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ravecourse import audio
from ravecourse.cli import parser
from ravecourse.config import preset, training_preset
from ravecourse.dataset import prepare
from ravecourse.export import export_model
from ravecourse.model import RAVE
from ravecourse.synth import render
from ravecourse.training import train

PROJECT = Path(__file__).resolve().parents[2]
SHORT = ["--phase-one-steps", "2", "--phase-two-steps", "0", "--batch", "1", "--crop", "4096"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds, a dataset, a run and an export; tests copy the folder."""
    folder = tmp_path_factory.mktemp("made")
    for i in range(2):
        audio.write(folder / "my sounds" / f"{i}.wav", render("strings", 2, seed=i), 48000)
    prepare([folder / "my sounds"], folder / "my data", progress=False)
    config = training_preset("tiny", phase_one_steps=2, phase_two_steps=0, batch_size=1, crop_samples=4096)
    train(folder / "my data", folder / "my run", preset("tiny"), config, progress=False, tensorboard=False)
    export_model(RAVE(preset("tiny", capacity=8)).eval(), folder / "my model.ts", latent_size=4, about={})
    return folder


def typed(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The program, as somebody in `folder` types it."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "ravecourse", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_whole_way_with_relative_paths_by_the_lines_that_it_prints(tmp_path: Path) -> None:
    """In a folder with a space in its name; each verb's `Next:` line is what is typed next, to the letter."""
    here = tmp_path / "my course"
    (here / "deeper").mkdir(parents=True)
    done = typed(["synth", "../my sounds", "--instruments", "bars", "--minutes", "0.1"], here / "deeper")
    lines = []
    for _ in range(4):
        assert done.returncode == 0, done.stderr
        line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("Next: "))
        words = shlex.split(line.removeprefix("Next: "))
        assert words[0] == "ravecourse"
        lines.append(words[1])
        if words[1] == "render":
            break  # its file names are left to the person
        extra = {"prepare": ["--validation", "0.3"], "train": SHORT, "export": ["--latent-size", "3"]}[words[1]]
        done = typed([*words[1:], *extra], here / "deeper")
    assert lines == ["prepare", "train", "export", "render"]
    assert done.returncode == 0, done.stderr
    model = next((here / "deeper").glob("*.ts"))
    clip = next((here / "my sounds" / "bars").glob("*.wav"))
    relative = os.path.relpath(clip, here)
    done = typed(["render", f"deeper/{model.name}", relative, "./answer.wav"], here)
    assert done.returncode == 0 and audio.info(here / "answer.wav").duration_seconds > 1, done.stderr
    run = next((here / "deeper" / "runs").iterdir())
    for words in (
        ["info", f"deeper/{model.name}"],
        ["info", os.path.relpath(run, here)],
        ["bench", f"deeper/{model.name}", "--seconds", "0.01"],
        ["evaluate", os.path.relpath(run, here), relative, "--json", "n.json", "--page", "deeper/page"],
        ["compare", os.path.relpath(run, here), f"deeper/{model.name}", "--data", relative],
        ["card", os.path.relpath(run, here), "--out", "card.md", "--weights", "deeper/w.pt"],
        ["export", "deeper/w.pt", "again.ts", "--latent-size", "3"],
    ):
        done = typed(words, here)
        assert done.returncode == 0, (words, done.stderr)
    assert (here / "deeper" / "page" / "index.html").is_file() and (here / "comparison.png").is_file()
    assert (here / "card.md").is_file() and (here / "again.ts").is_file()


def test_in_a_folder_whose_files_have_names_of_modules(tmp_path: Path, made: Path) -> None:
    """What lies about where the person types is no part of the program that verifies."""
    shutil.copytree(made / "my run", tmp_path / "run")
    for name in ("json.py", "torch.py", "ravecourse.py"):
        (tmp_path / name).write_text("raise SystemExit('not this one')\n")
    words = ["export", "run", "m.ts", "--latent-size", "4"]
    program = (
        "import sys; sys.path[:] = [p for p in sys.path if p]\n"
        f"from ravecourse.cli import main; sys.exit(main({words!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0 and (tmp_path / "m.ts").is_file(), done.stderr


def test_no_verb_destroys_what_it_reads(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = tmp_path / "work"
    shutil.copytree(made, work)
    sound, model, run = work / "my sounds" / "0.wav", work / "my model.ts", work / "my run"
    (work / "link.ts").symlink_to(run / "checkpoint.pt")
    (work / "numbers.json").symlink_to(sound)
    (work / "curves.png").symlink_to(run / "losses.csv")
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    for words in (
        ["render", model, sound, sound],
        ["render", model, sound, work / "my sounds" / ".." / "my sounds" / "0.wav"],
        ["export", run / "checkpoint.pt", work / "link.ts"],
        ["card", run, "--out", work / "card.md", "--weights", run / "checkpoint.pt"],
        ["prepare", work / "my sounds", "--out", sound],
        ["evaluate", run, work / "my sounds", "--page", sound],
        ["evaluate", run, work / "my sounds", "--json", work / "numbers.json"],
        ["compare", run, "--out", work / "curves.png"],
        ["synth", sound],
    ):
        status = parser.main([str(word) for word in words])
        err = capsys.readouterr().err
        assert status == 2 and err.strip().splitlines()[-1].startswith(f"ravecourse {words[0]}: "), (words, err)
        for path, content in before.items():
            assert path.read_bytes() == content, (words, path)


NUMBERS = ["0", "-1", "1000000000000", str(2**70), "nan", "inf", "-inf", "1e400", "x", "", "0.5"]
OPTIONS = {  # verb -> what comes first, and the options whose values are tried
    "synth": (["{new}", "--minutes", "0.02", "--instruments", "bars"], ["--minutes", "--seed", "--instruments"]),
    "prepare": (["{sounds}", "--out", "{new}"], ["--sample-rate", "--channels", "--validation", "--seed"]),
    "train": (
        ["--data", "{data}", "--out", "{new}", "--phase-one-steps", "1", "--phase-two-steps", "0"],
        ["--preset", "--channels", "--phase-one-steps", "--phase-two-steps", "--batch", "--crop", "--seed", "--device"],
    ),
    "evaluate": (["{run}", "{sound}", "--frames", "1"], ["--seconds", "--frames", "--json"]),
    "compare": (
        ["{run}", "--data", "{sound}", "--frames", "1", "--out", "{new}.png"],
        ["--seconds", "--frames", "--json"],
    ),
    "export": (["{run}", "{new}.ts"], ["--fidelity", "--latent-size", "--precision"]),
    "render": (["{model}", "{sound}", "{new}.wav"], ["--method", "--buffer", "--seed"]),
    "bench": (["{model}"], ["--seconds"]),
    "import": (["{run}", "{new}"], ["--sample-rate"]),
    "presets": ([], ["--no-timing"]),
    "card": (["{run}"], ["--data", "--out", "--weights"]),
    "info": ([], []),
}
# What is right, and would take long: rendering for hours, training for ever, timing for ever.
FINE = {
    ("bench", "--seconds"): {"1000000000000", str(2**70), "inf", "1e400", "0.5"},
    ("train", "--phase-one-steps"): {"1000000000000", str(2**70)},
    ("train", "--phase-two-steps"): {"1000000000000", str(2**70)},
    ("synth", "--minutes"): {"0.5"},
}


@pytest.mark.parametrize(
    ("verb", "option"), [(verb, option) for verb, (_, options) in OPTIONS.items() for option in options]
)
def test_every_value_gets_one_sentence(
    verb: str, option: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {
        "new": tmp_path / "new",
        "sounds": made / "my sounds",
        "sound": made / "my sounds" / "0.wav",
        "data": made / "my data",
        "run": made / "my run",
        "model": made / "my model.ts",
    }
    values = [*NUMBERS, "meta", "cuda:99"] if option == "--device" else NUMBERS
    for value in values:
        if value in FINE.get((verb, option), set()):
            continue
        first = [word.format(**places) for word in OPTIONS[verb][0]]
        torch.manual_seed(0)
        status = parser.main([verb, *first, option, *([] if option == "--no-timing" else [value])])
        err = capsys.readouterr().err
        assert status in (0, 2), (value, status, err)
        assert "Traceback" not in err
        if status == 2:
            said = [line for line in err.splitlines() if re.match(rf"ravecourse {verb}: ", line)]
            assert len(said) == 1 and said[0].endswith((".", "--help", ")")) and len(said[0]) < 600, (value, err)
        for left in (tmp_path / "new", tmp_path / "new.ts", tmp_path / "new.wav", tmp_path / "new.png"):
            if left.is_dir():
                shutil.rmtree(left)
            left.unlink(missing_ok=True)
        if option == "--no-timing":
            break


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/", "pipe", "loop", "gone", "", "a\0b", "x" * 5000])
def test_info_on_what_is_no_file(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    place = tmp_path / path if path in ("pipe", "loop", "gone") else path
    status = parser.main(["info", str(place)])
    err = capsys.readouterr().err
    assert status == 2 and err.startswith("ravecourse info: ") and err.count("\n") == 1, err
