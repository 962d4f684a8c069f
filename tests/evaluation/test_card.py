"""A card says what the checkpoint, the dataset and the measurements say, and what is shared is small and whole."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ravecourse import audio
from ravecourse.cli import parser
from ravecourse.config import preset, training_preset
from ravecourse.dataset.crops import CropSampler
from ravecourse.dataset.preparation import prepare
from ravecourse.dataset.store import Dataset
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation.card import model_card
from ravecourse.evaluation.metrics import evaluate
from ravecourse.export.exporter import export_torchscript
from ravecourse.model import checkpoint
from ravecourse.streaming.model import StreamingRAVE
from ravecourse.synth import render
from ravecourse.training.loop import train


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    for i in range(3):
        audio.write(folder / "sounds" / f"note_{i}.wav", render("bars", 2, seed=i), 48000)
    prepare([folder / "sounds"], folder / "dataset", validation=0.3, progress=False)
    config = training_preset("tiny", phase_one_steps=3, phase_two_steps=2, batch_size=2, crop_samples=4096, beta=0.02)
    train(folder / "dataset", folder / "run", preset("tiny", capacity=8), config, progress=False, tensorboard=False)
    return folder


def test_the_card_tells_what_was_made_and_how(work: Path) -> None:
    store, model = Dataset(work / "dataset"), checkpoint.load_model(work / "run")
    text = model_card(work / "run", work / "dataset", licence="CC0-1.0", about="Struck bars.", timing_seconds=0.05)
    assert text.startswith("# run\n") and "Struck bars." in text and "Licence: CC0-1.0." in text
    assert all(entry.name in text for entry in store.train)
    command = re.search(r"ravecourse train .*", text).group()
    assert parser.build_parser().parse_args(command.split()[1:]).phase_one_steps == 3
    assert "--batch 2 --crop 4096" in command and "--seed" not in command and "`beta = 0.02`" in text
    assert "5 steps: 3 of phase one (representation), 2 of phase two (adversarial)" in text
    assert f"Delay: {StreamingRAVE(model).delay_samples} samples" in text
    length = sum(entry.length for entry in store.validation)
    judged = evaluate(model, CropSampler(store, "validation", 1, 1).tape(0, length)[0])
    for number in (judged.silence, judged.untrained, judged.log_mel):
        assert f"| {number:.3f} |" in text
    assert "times real time" in text and "--phase-two-now" not in text


def test_without_a_dataset_nothing_is_made_up(work: Path) -> None:
    text = model_card(work / "run", name="bells", timing_seconds=0)
    assert text.startswith("# bells\n") and "Licence: not stated." in text
    assert "How close" not in text and "real time" not in text and "note_" in text


def test_what_is_shared_is_small_plays_the_same_and_can_be_trained_on(work: Path, tmp_path: Path) -> None:
    whole = checkpoint.load(work / "run")
    shared = checkpoint.for_publication(whole)
    checkpoint.save(tmp_path / "shared" / "checkpoint.pt", shared)
    small = tmp_path / "shared" / "checkpoint.pt"
    assert small.stat().st_size < 0.5 * (work / "run" / checkpoint.NAME).stat().st_size
    again = checkpoint.load(small)
    assert again.discriminator is again.generator_optimiser is again.discriminator_optimiser is None
    assert (again.notes, again.step, again.phase_two_start, again.training_config) == (
        whole.notes,
        whole.step,
        whole.phase_two_start,
        whole.training_config,
    )
    assert whole.generator_optimiser is not None  # left as it was
    one, two = checkpoint.load_model(work / "run"), checkpoint.load_model(small)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert export_torchscript(small, tmp_path / "m.ts", latent_size=3).is_file()
    more = replace(whole.training_config, phase_two_steps=4)
    assert train(work / "dataset", small.parent, None, more, progress=False, tensorboard=False).step == 7


def test_the_command_writes_both(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "card",
        work / "run",
        "--data",
        work / "dataset",
        "--out",
        tmp_path / "a.md",
        "--weights",
        tmp_path / "a.pt",
        "--name",
        "a",
        "--licence",
        "CC0-1.0",
    ]
    assert parser.main([str(word) for word in words]) == 0
    assert (tmp_path / "a.md").read_text().startswith("# a\n") and checkpoint.load(tmp_path / "a.pt").step == 5
    assert "names of the recordings" in capsys.readouterr().out
    assert parser.main(["card", str(tmp_path / "a.pt")]) == 0
    assert "ravecourse export a.pt a.ts" in capsys.readouterr().out


def test_a_dataset_of_another_kind_is_refused(work: Path, tmp_path: Path) -> None:
    prepare([work / "sounds"], tmp_path / "stereo", channels=2, progress=False)
    with pytest.raises(RaveCourseError, match="2 channels"):
        model_card(work / "run", tmp_path / "stereo", timing_seconds=0)


def test_an_end_of_phase_one_by_hand_is_told(work: Path, tmp_path: Path) -> None:
    found = checkpoint.load(work / "run")
    checkpoint.save(tmp_path / "early.pt", replace(found, phase_two_start=2))
    assert "begun early with `--phase-two-now`" in model_card(tmp_path / "early.pt", timing_seconds=0)
