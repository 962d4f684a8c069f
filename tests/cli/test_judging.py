"""evaluate and compare, as they are typed: the table, the numbers, the page, the figure."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from ravecourse import audio
from ravecourse.cli import parser
from ravecourse.config import preset, training_preset
from ravecourse.dataset import prepare
from ravecourse.evaluation import evaluate, gather
from ravecourse.export import export_model
from ravecourse.model import RAVE, load_model
from ravecourse.synth import render
from ravecourse.training import train


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings, two runs of one name in two folders, and an export."""
    folder = tmp_path_factory.mktemp("judging")
    for i in range(2):
        audio.write(folder / "sounds" / f"{i}.wav", render("voice", 2, seed=i, sample_rate=44100), 44100)
    prepare([folder / "sounds"], folder / "data", progress=False)
    config = training_preset(
        "tiny", phase_one_steps=3, phase_two_steps=1, batch_size=1, crop_samples=4096, validation_every=1
    )
    for place in ("one", "two"):
        small = preset("tiny", capacity=8)
        train(folder / "data", folder / place / "run", small, config, progress=False, tensorboard=False)
    export_model(RAVE(preset("tiny", capacity=8)).eval(), folder / "model.ts", latent_size=4, about={})
    return folder


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = parser.main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


class Parts(HTMLParser):
    """Which elements a page has, where their `src` leads, and what is still open at its end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_numbers_are_those_of_the_package(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, numbers = work / "one" / "run", tmp_path / "numbers.json"
    status, out, err = call(capsys, "evaluate", run, work / "sounds", "--frames", 4, "--json", numbers)
    assert status == 0, err
    said = json.loads(numbers.read_text())
    model = load_model(run)
    found = evaluate(model, gather([work / "sounds"], 48000, 1)[0], 4)
    assert said["recordings"] == ["0.wav", "1.wav"] and said["sample_rate"] == 48000
    assert (
        said["scores"]["log_mel"] == found.log_mel and said["scores"]["stillness"]["frames"] == found.stillness.frames
    )
    assert said["scores"]["melody"]["raw_pitch"] == found.melody.raw_pitch
    assert f"{found.log_mel:.3f}" in out and f"{found.untrained:.3f}" in out and "0.wav, 1.wav" in out
    assert f"{found.latents_used} of 16" in out


def test_the_page_needs_no_other_file(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "a <b>"
    (place / "run").mkdir(parents=True)
    (place / "run" / "checkpoint.pt").write_bytes((work / "one" / "run" / "checkpoint.pt").read_bytes())
    audio.write(place / "<i>.wav", render("voice", 2, seed=5), 48000)
    assert call(capsys, "evaluate", place / "run", place / "<i>.wav", "--frames", 2, "--page", tmp_path / "p")[0] == 0
    text = (tmp_path / "p" / "index.html").read_text()
    parts = Parts(text)
    assert parts.open == [] and parts.tags.count("img") == 2 and parts.tags.count("audio") == 2 + 6
    assert "i" not in parts.tags and "&lt;i&gt;.wav" in text
    assert all(re.match(r"data:(image/png|audio/flac);base64,", source) for source in parts.sources)
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["index.html"]


def test_runs_are_compared(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, figure = [work / "one" / "run", work / "two" / "run"], tmp_path / "c.png"
    status, out, _ = call(capsys, "compare", *runs, "--out", figure)
    assert status == 0 and all(str(run) in out for run in runs)  # one name would not tell them apart
    with Image.open(figure) as drawn:
        assert drawn.format == "PNG" and drawn.width > 600
    figure.unlink()
    words = ["--data", work / "sounds", "--frames", 1, "--out", figure, "--json", tmp_path / "n.json"]
    status, out, _ = call(capsys, "compare", runs[0], work / "model.ts", *words)
    assert status == 0 and figure.is_file()
    header = next(line for line in out.splitlines() if "model" in line)
    assert header.split() == ["run", "model"]
    said = json.loads((tmp_path / "n.json").read_text())
    assert list(said) == ["run", "model"] and "stillness" not in said["model"]["scores"]
    assert said["run"]["scores"]["silence"] == said["model"]["scores"]["silence"]


def test_an_export_is_judged_by_what_it_plays(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "evaluate", work / "model.ts", work / "sounds", "--page", tmp_path)
    assert status == 0
    held = next(line for line in out.splitlines() if "keep the pitch" in line)
    assert held.split()[-1] == "-"
    assert Parts((tmp_path / "index.html").read_text()).tags.count("audio") == 2
