"""Distances and onsets of sounds for which they are known beforehand."""

import pytest
import torch

from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import onsets, similarity
from ravecourse.training import log_mel_distance
from tests.helpers import steady

RATE = 48000


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> torch.Tensor:
    return level * torch.randn(1, int(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def test_what_cannot_be_heard_does_not_count() -> None:
    heard, hiss = steady(220, noise=0.0), noise(1, level=1e-5)
    assert similarity.heard_distance(heard, heard + hiss, RATE) < 0.02
    assert float(log_mel_distance(heard, heard + hiss, RATE)) > 0.2
    assert similarity.heard_distance(heard, heard, RATE) == 0


@pytest.mark.parametrize("gain_db", [-6.0, 6.0])
def test_a_gain_is_a_distance_of_as_many_decibels(gain_db: float) -> None:
    sound, gain = noise(1), 10 ** (gain_db / 20)
    assert similarity.heard_distance(sound, gain * sound, RATE) == pytest.approx(0.3, abs=1e-3)
    assert similarity.frechet_distance(sound, gain * sound, RATE) == pytest.approx(0.3, abs=0.01)


def test_distributions_have_no_order() -> None:
    one, two = torch.cat([noise(1), steady(440)], 1), torch.cat([steady(440), noise(1)], 1)
    assert similarity.frechet_distance(one, one, RATE) < 1e-3
    assert similarity.frechet_distance(one, two, RATE) < 0.1 < similarity.heard_distance(one, two, RATE)
    assert similarity.frechet_distance(noise(1), noise(2, seed=1), RATE) < 0.1
    assert similarity.frechet_distance(one, noise(2, seed=1), RATE) > 0.5


def test_more_noise_is_farther_by_every_distance() -> None:
    sound = steady(220)
    for distance in (
        lambda x: similarity.heard_distance(sound, x, RATE),
        lambda x: similarity.frechet_distance(sound, x, RATE),
        lambda x: similarity.spectral_distance(sound, x),
    ):
        near, far = distance(sound + noise(1, level=0.01)), distance(sound + noise(1, level=0.1))
        assert 0 < near < far


def test_sounds_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(RaveCourseError, match=r"\[1, 48000\].*\[1, 96000\]"):
        similarity.heard_distance(noise(1), noise(2), RATE)
    with pytest.raises(RaveCourseError, match="9600 are the fewest"):
        similarity.frechet_distance(noise(0.1), noise(1), RATE)
    with pytest.raises(RaveCourseError, match="4800 or more"):
        onsets.onset_times(noise(0.05), RATE)


def plucked(times: tuple[float, ...], seconds: float = 3.0) -> torch.Tensor:
    sound = torch.zeros(1, int(seconds * RATE))
    note = steady(330, 0.3, noise=0.0) * torch.linspace(1, 0, int(0.3 * RATE)) ** 4
    for time in times:
        start = int(time * RATE)
        sound[:, start : start + note.shape[1]] += note
    return sound


def test_onsets_are_found_where_notes_begin() -> None:
    times = (0.5, 1.1, 1.6, 2.3)
    found = onsets.onset_times(plucked(times), RATE)
    assert found == pytest.approx(times, abs=onsets.TOLERANCE_SECONDS)
    assert onsets.onset_times(torch.zeros(1, RATE), RATE) == []
    late = onsets.onset_accuracy(plucked(times), plucked(tuple(t + 0.12 for t in times)), RATE)
    assert late is not None and late.f_measure == 0 and late.onsets == 4
    half = onsets.onset_accuracy(plucked(times), plucked(times[:2]), RATE)
    assert half is not None and half.precision == 1 and half.recall == 0.5 and half.f_measure == pytest.approx(2 / 3)


def test_each_onset_counts_once() -> None:
    found = onsets.onset_scores([1.0, 2.0], [0.97, 1.0, 1.03, 2.2])
    assert found is not None and (found.precision, found.recall) == (0.25, 0.5)
    assert onsets.onset_scores([], [1.0]) is None
    silent = onsets.onset_scores([1.0], [])
    assert silent is not None and silent.f_measure == silent.precision == silent.recall == 0
