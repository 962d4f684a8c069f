"""The benchmark of fine-tuning: plans fill the time, and the table has the base, the fine-tuned and the new model."""

from pathlib import Path

import pytest

from benchmarks import finetune
from ravecourse import audio
from ravecourse.config import preset, training_preset
from ravecourse.dataset import Dataset, prepare
from ravecourse.model import checkpoint
from ravecourse.synth import render


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bars")
    for i in range(3):
        audio.write(folder / f"{i}.wav", render("bars", 3, seed=i), 48000)
    return folder


def test_a_plan_fills_its_time(sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which every reading is a tenth of a second after the one before."""
    prepare([sounds], tmp_path, validation=0.3, progress=False)
    now = iter(range(100))
    monkeypatch.setattr(finetune.time, "process_time", lambda: next(now) / 10)
    monkeypatch.setattr(finetune.Learner, "step", lambda self, audio, step, start: {})
    recipe = finetune.planned(Dataset(tmp_path), preset("tiny"), training_preset("tiny"), 60)
    assert recipe.phase_one_steps == round(60 / (0.1 / finetune.PACED)) and recipe.phase_two_steps == 0
    short = finetune.planned(Dataset(tmp_path), preset("tiny"), training_preset("tiny"), 1)
    assert short.beta_ramp_steps == short.phase_one_steps // 4, "a ramp that is longer than the plan would never end"


def test_the_table(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        finetune,
        "planned",
        lambda store, model, recipe, seconds: training_preset(
            "tiny",
            phase_one_steps=round(seconds),
            phase_two_steps=0,
            batch_size=1,
            crop_samples=4096,
            learning_rate=recipe.learning_rate,
        ),
    )
    assert finetune.main([str(sounds), "--minutes", "0.05", "--times", "2", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ["base,", "from", "from"]
    assert all(0 < float(line.split()[-1]) < 6 for line in lines[-3:])
    tuned, new = (checkpoint.load(tmp_path / name) for name in ("from_base", "from_nothing"))
    assert (tuned.notes.base, tuned.step) == ("base", 3) and (new.notes.base, new.step) == ("", 6)
    assert tuned.training_config is not None and new.training_config is not None
    assert tuned.training_config.learning_rate * 2 < new.training_config.learning_rate


def test_a_missing_model_is_one_sentence(sounds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finetune.main([str(sounds), "--from", "kazoo"]) == 2
    assert "There is no bundled model 'kazoo'" in capsys.readouterr().err
