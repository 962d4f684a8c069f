"""The committed pictures are what the code draws, keep inside their frames, and their words fit."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from book import diagrams
from ravecourse.config import PRESETS, preset
from ravecourse.errors import RaveCourseError

DOCS = Path(__file__).resolve().parents[2] / "docs"
BY_PRESET = ("journey", "phase_one", "phase_two")
DRAWN = [(name, {}) for name in diagrams.PICTURES] + [
    (name, {"name": chosen}) for name in BY_PRESET for chosen in PRESETS if chosen != "tiny"
]


def test_the_committed_pictures_are_what_the_program_draws(tmp_path: Path) -> None:
    assert diagrams.main([str(tmp_path)]) == 0
    for path in sorted(tmp_path.iterdir()):
        assert path.read_text() == (DOCS / path.name).read_text(), "run: python -m book.diagrams docs"
    assert {path.stem for path in DOCS.glob("*.svg")} == set(diagrams.PICTURES)
    assert diagrams.main([]) == 2


@pytest.mark.parametrize("name,settings", DRAWN, ids=lambda value: str(value))
def test_boxes_keep_inside_the_frame_and_words_inside_their_boxes(name: str, settings: dict[str, str]) -> None:
    sheet = diagrams.PICTURES[name](**settings)
    root = ElementTree.fromstring(sheet.svg())
    boxes = [node for node in root.iter() if node.tag.endswith("rect")]
    assert len(boxes) >= 10
    for box in boxes:
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert 0 <= x and x + float(box.get("width")) <= 960
        assert 0 <= y and y + float(box.get("height")) <= sheet.height
    for words, width, room in sheet.fitted:
        assert width <= room, (words, width, room)
    assert all(int(node.get("font-size")) >= 12 for node in root.iter() if node.tag.endswith("text"))


@pytest.mark.parametrize("name", BY_PRESET)
def test_the_numbers_are_those_of_the_preset(name: str) -> None:
    for chosen in PRESETS:
        config, words = preset(chosen), [word for word, _, _ in diagrams.PICTURES[name](name=chosen).fitted]
        shown = " ".join(words)
        assert f"preset {chosen}" in shown
        assert ("pitch, loudness" in words) is bool(config.named)
        if name == "journey":
            assert f"{config.latent_size} numbers" in shown and f"{config.sample_rate} samples/s" in shown
        else:
            assert f"[{config.latent_size}, T/{config.hop_length}]" in words
            assert f"{config.n_bands} bands, fixed" in words
    with pytest.raises(RaveCourseError, match="huge"):
        diagrams.PICTURES[name](name="huge")
