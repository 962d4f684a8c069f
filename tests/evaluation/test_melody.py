"""Melody as mir_eval judges it: what is known beforehand of tones, octaves, silence and noise."""

import pytest
import torch

from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import melody
from tests.helpers import steady

RATE = 48000
NOTES = (110.0, 196.0, 261.63, 440.0)


def tune(semitones: float = 0.0, seed: int = 0) -> torch.Tensor:
    return torch.cat([steady(hertz * 2 ** (semitones / 12), 0.8, seed=seed) for hertz in NOTES], 1)


@pytest.mark.parametrize(
    ("semitones", "pitch", "chroma"), [(0, 1, 1), (0.3, 1, 1), (0.7, 0, 0), (12, 0, 1), (-12, 0, 1), (7, 0, 0)]
)
def test_an_octave_is_another_pitch_and_the_same_chroma(semitones: float, pitch: float, chroma: float) -> None:
    found = melody.pitch_accuracy(tune(), tune(semitones, 1), RATE)
    assert found.raw_pitch == pytest.approx(pitch, abs=0.1) and found.raw_chroma == pytest.approx(chroma, abs=0.1)
    assert found.voicing_recall > 0.95 and found.pitched_frames > 100


def test_silence_has_no_pitch_and_a_pitch_in_a_rest_is_a_false_alarm() -> None:
    rest = torch.cat([steady(220), torch.zeros(1, RATE)], 1)
    silent = melody.pitch_accuracy(rest, torch.zeros_like(rest), RATE)
    assert silent.raw_pitch == silent.raw_chroma == silent.voicing_recall == silent.voicing_false_alarm == 0
    through = melody.pitch_accuracy(rest, steady(220, 2.0, seed=1), RATE)
    assert through.raw_pitch > 0.95 and through.voicing_false_alarm > 0.9
    assert melody.pitch_accuracy(rest, rest, RATE).voicing_false_alarm == 0


def test_the_sums_are_those_of_the_definitions() -> None:
    asked = torch.tensor([100.0] * 20 + [0.0] * 20)
    heard = torch.tensor([100.0] * 5 + [200.0] * 5 + [150.0] * 5 + [0.0] * 5 + [100.0] * 4 + [0.0] * 16)
    found = melody.melody_scores(asked, heard)
    assert (found.raw_pitch, found.raw_chroma) == (0.25, 0.5)
    assert (found.voicing_recall, found.voicing_false_alarm) == (0.75, pytest.approx(0.2))
    few = melody.melody_scores(asked[:30], heard[:30])
    assert few.raw_pitch == 0.25 and few.voicing_false_alarm is None and few.pitched_frames == 20


def test_long_sounds_are_judged_in_pieces_from_all_over() -> None:
    ramp = torch.arange(100 * 100.0)[None]
    pieces = melody.spread(ramp, 100, 20.0)
    assert pieces.shape == (1, 2000) and pieces[0, 0] == 0 and pieces[0, -1] == ramp[0, -1]
    assert int((pieces.diff() != 1).sum()) == 3
    assert torch.equal(melody.spread(ramp, 100, 100.0), ramp)
    assert melody.spread(ramp, 100, 1.0).shape == (1, 100)


def test_sounds_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(RaveCourseError, match=r"\[1, 48000\].*\[1, 24000\]"):
        melody.pitch_accuracy(steady(220), steady(220)[:, :24000], RATE)
    with pytest.raises(RaveCourseError, match="4800 or more"):
        melody.pyin_track(torch.zeros(1, 100), RATE)
