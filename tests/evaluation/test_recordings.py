"""What is evaluated: files, folders and datasets, at the model's rate, as much as was asked for, from all of them."""

from pathlib import Path

import pytest
import torch

from ravecourse import audio
from ravecourse.dataset import Dataset, prepare
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import recordings

RATE = 48000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for name, value, seconds, channels, rate in (
        ("a", 0.1, 1, 1, RATE),
        ("b", 0.2, 4, 2, RATE),
        ("c", 0.3, 4, 1, 44100),
    ):
        audio.write(folder / "in" / f"{name}.wav", torch.full((channels, seconds * rate), value), rate)
    return folder


def test_each_recording_gives_its_share(folder: Path) -> None:
    tape, names = recordings.gather([folder / "in"], RATE, 1, 6.0)
    assert names == ["a.wav", "b.wav", "c.wav"] and tape.shape == (1, 6 * RATE)
    for second, value in ((0.5, 0.1), (2.0, 0.2), (5.0, 0.3)):
        assert float(tape[0, int(second * RATE)]) == pytest.approx(value, abs=1e-3)
    assert recordings.gather([folder / "in"], RATE, 2)[0].shape == (2, 9 * RATE)
    assert recordings.gather([folder / "in" / "b.wav"], 44100, 2)[0].shape == (2, 4 * 44100)


@pytest.mark.parametrize(
    ("lengths", "most", "shares"),
    [
        ([10, 10], 100, [10, 10]),
        ([1, 4, 4], 6, [1, 2, 3]),
        ([8, 1, 8], 9, [4, 1, 4]),
        ([5], 3, [3]),
        ([0, 9], 4, [0, 4]),
    ],
)
def test_short_ones_give_all_and_long_ones_the_rest(lengths: list[int], most: int, shares: list[int]) -> None:
    assert recordings.share_out(lengths, most) == shares


def test_of_a_dataset_the_held_out_part_is_taken(folder: Path, tmp_path: Path) -> None:
    prepare([folder / "in"], tmp_path / "data", validation=0.4, progress=False)
    held = Dataset(tmp_path / "data").validation
    tape, names = recordings.gather([tmp_path / "data"], RATE, 1)
    assert names == [entry.name for entry in held] and tape.shape[1] == sum(entry.length for entry in held)
    prepare([folder / "in"], tmp_path / "all", validation=0.0, progress=False)
    with pytest.raises(RaveCourseError, match="holds nothing out"):
        recordings.gather([tmp_path / "all"], RATE, 1)


def test_too_little_is_refused(folder: Path, tmp_path: Path) -> None:
    audio.write(tmp_path / "short.wav", torch.zeros(1, RATE // 4), RATE)
    with pytest.raises(RaveCourseError, match="0.25 s of sound"):
        recordings.gather([tmp_path / "short.wav"], RATE, 1)
    for seconds in (0.0, float("nan"), float("inf")):
        with pytest.raises(RaveCourseError, match="cannot be evaluated"):
            recordings.gather([folder / "in"], RATE, 1, seconds)
