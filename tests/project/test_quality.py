"""`make bench-quality`: its table is right by hand, what is done is kept, and both sides get the time they are given."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import soundfile
import torch

from benchmarks import quality
from benchmarks.quality_table import Judged, compared, figure, table
from ravecourse import audio, upstream
from ravecourse.config import preset
from ravecourse.model import RAVE, checkpoint, load_model
from ravecourse.synth import render

OURS = Judged("cello", True, "tiny", False, 900, 60.1, 300_000, 0.2, 4.0, 0.1, 0.5, 0.3, 0.6, 0.97, 0.98, 0.9, 0.8)
SMALL_ORIGINAL = replace(OURS, model="raspberry", original=True, weights=1_400_000, log_mel=0.8, pitch=0.1)
WIDE_ORIGINAL = replace(
    SMALL_ORIGINAL, model="v1", weights=17_600_000, log_mel=0.5, pitch=0.02, held_pitch=None, still=None
)
DRUMS = [
    replace(x, material="drums", pitched=False, log_mel=distance, pitch=None, chroma=None, held_pitch=None, still=None)
    for x, distance in ((OURS, 0.6), (SMALL_ORIGINAL, 0.75))
]


def test_a_material_is_compared_with_the_best_of_theirs_in_each_respect() -> None:
    ratio, points = compared([OURS, SMALL_ORIGINAL, WIDE_ORIGINAL])
    assert ratio == pytest.approx(0.2 / 0.5) and points == pytest.approx(100 * (0.97 - 0.1))
    assert compared(DRUMS) == (pytest.approx(0.8), None)
    assert compared([OURS]) is None and compared([SMALL_ORIGINAL]) is None


def test_the_table_says_what_was_measured() -> None:
    lines = table([OURS, SMALL_ORIGINAL, WIDE_ORIGINAL, *DRUMS]).splitlines()
    assert lines[1].split() == ["cello", "(silence)", "4.000", "0.500"]
    assert lines[2].split() == "tiny 0.30 M 900 60.1 0.200 0.100 0.300 60 % 97 % 98 % 90 % 80 %".split()
    assert lines[4].split() == "v1 17.60 M 900 60.1 0.500 0.100 0.300 60 % 2 % 98 % - -".split()
    assert "0.40 x, pitch +87 points" in lines[5]
    assert "0.80 x" in lines[9] and "pitch" not in lines[9]
    assert lines[10].startswith("one note at a time: log-mel 0.40 to 0.40 x")
    assert lines[11].startswith("without pitch, or many at once: log-mel 0.80 to 0.80 x")


def test_the_figure_has_a_bar_for_each_pair() -> None:
    drawn = figure([OURS, SMALL_ORIGINAL, WIDE_ORIGINAL, *DRUMS])
    heights = [sorted(round(bar.get_height(), 2) for bar in axis.patches) for axis in drawn.axes]
    assert heights[0] == [0.2, 0.5, 0.6, 0.75, 0.8]
    assert heights[1] == [0, 0, 2, 10, 97]
    assert [label.get_text() for label in drawn.axes[2].get_xticklabels()] == ["cello", "drums"]
    assert not plt.get_fignums()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Both trainings replaced by untrained models, on bars; the command, and the names of what was trained."""
    trained: list[str] = []
    config = preset("tiny", capacity=4, ratios=(2, 2), dilations=((1,), (1,)), noise_bands=0, noise_strides=())

    def save(folder: Path) -> dict[str, float]:
        model = RAVE(config)
        checkpoint.save(
            folder / "run" / checkpoint.NAME,
            checkpoint.Checkpoint(model_config=config, model=model.state_dict(), step=3, phase=1),
        )
        return {"steps": 3, "seconds": 60.0, "weights": 1000}

    def ours(name: str, sounds: Path, folder: Path, seconds: float) -> dict[str, float]:
        trained.append(name)
        return save(folder)

    def theirs(name: str, sounds: Path, held: Path, folder: Path, seconds: float) -> dict[str, float]:
        trained.append(name)
        soundfile.write(folder / "output.wav", 0.5 * audio.read(held)[0][0].numpy(), 48000)
        return save(folder)

    monkeypatch.setattr(quality, "train_ours", ours)
    monkeypatch.setattr(quality, "train_original", theirs)
    monkeypatch.setattr(quality, "ORIGINAL_PYTHON", Path(sys.executable))
    monkeypatch.setattr(quality, "TRAINING_MINUTES", 0.05)
    monkeypatch.setattr(quality, "HELD_SECONDS", 3.0)
    return ["--only", "bars", "--models", "tiny", "raspberry", "--out", str(tmp_path / "out"), "--minutes"], trained


def test_what_is_done_is_kept(
    stage: tuple[list[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, trained = stage
    results = tmp_path / "out" / "1min"

    def found() -> list[dict[str, Any]]:
        return json.loads((results / "quality.json").read_text())

    assert quality.main([*command, "1"]) == 0 and trained == ["tiny", "raspberry"]
    assert [entry["model"] for entry in found()] == ["tiny", "raspberry"]
    assert found()[0]["log_mel"] > found()[1]["log_mel"] > 0.1  # half the level, 6 dB a band, is 0.3 where it sounds
    assert "raspberry" in (results / "quality.txt").read_text() and (results / "quality.png").is_file()
    assert audio.read(results / "bars" / "tiny.wav")[0].shape == audio.read(results / "bars" / "recording.wav")[0].shape
    assert quality.main([*command, "1"]) == 0 and len(trained) == 2

    note = results / "bars" / "raspberry" / "result.json"  # stopped after the training, or judged by an older program
    note.write_text(json.dumps({**json.loads(note.read_text()), "judged": {}}))
    assert quality.main([*command, "1"]) == 0 and len(trained) == 2 and len(found()) == 2
    monkeypatch.setattr(quality, "log_mel_distance", lambda *given: torch.tensor(0.125))
    assert quality.main([*command, "1"]) == 0 and found()[0]["log_mel"] != 0.125
    assert quality.main([*command, "1", "--judge-again"]) == 0 and len(trained) == 2
    assert [entry["log_mel"] for entry in found()] == [0.125, 0.125]

    assert quality.main([*command, "2"]) == 0 and len(trained) == 4
    monkeypatch.setitem(quality.TRAINING_PRESETS, "tiny", replace(quality.TRAINING_PRESETS["tiny"], beta=0.5))
    assert quality.main([*command, "1"]) == 0 and trained[4:] == ["tiny"]


def test_without_the_original_ours_alone(
    stage: tuple[list[str], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, trained = stage
    monkeypatch.setattr(quality, "ORIGINAL_PYTHON", tmp_path / "nowhere")
    assert quality.main([*command, "1"]) == 0 and trained == ["tiny"]
    said = capsys.readouterr()
    assert "ours alone" in said.err and "raspberry" not in said.out and "best" not in said.out
    assert quality.main([*command, "0"]) == 2 and "0 minutes" in capsys.readouterr().err


def test_ours_trains_for_the_time_it_is_given(tmp_path: Path) -> None:
    audio.write(tmp_path / "sounds" / "a.wav", render("bars", 5), 48000)
    found = quality.train_ours("tiny", tmp_path / "sounds", tmp_path / "out", 1.0)
    assert found["seconds"] >= 1.0 or found["steps"] == found["planned"]
    assert 1 <= found["steps"] <= found["planned"]
    model = load_model(tmp_path / "out" / "run")
    assert found["weights"] == sum(p.numel() for part in (model.encoder, model.decoder) for p in part.parameters())
    assert not (tmp_path / "out" / "dataset").exists()


@pytest.mark.original
def test_the_original_trains_for_the_time_it_is_given(project: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run(["bash", "benchmarks/original_env.sh"], cwd=project, check=True, env=environment)
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds" / "a.wav", render("bars", 4)[0].numpy(), 48000)
    command = ["build/original-env/bin/python", "-m", "benchmarks.original_training", "--seconds", "2"]
    places = [str(tmp_path / "sounds"), str(tmp_path / "sounds" / "a.wav"), str(tmp_path / "out")]
    subprocess.run([*command, *places], cwd=project, check=True, capture_output=True)
    found = json.loads((tmp_path / "out" / "training.json").read_text())
    assert found["seconds"] >= 2 and found["steps"] >= 1
    output, rate = audio.read(tmp_path / "out" / "output.wav")
    assert output.shape == (1, 4 * 48000) and rate == 48000 and bool(output.isfinite().all())
    assert upstream.read(tmp_path / "out" / "run").model.config.sample_rate == 48000
