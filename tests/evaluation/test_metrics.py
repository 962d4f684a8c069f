"""Pitch, level and distance of sounds for which they are known beforehand."""

import math

import pytest
import torch

from ravecourse.config import preset
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import metrics, tracks
from ravecourse.model.rave import RAVE
from tests.helpers import steady, tone

RATE = 48000


@pytest.mark.parametrize("partials", [1, 3, 12])
@pytest.mark.parametrize("hertz", [70, 110, 196.5, 261.63, 440, 660, 930])
def test_a_steady_pitch_is_found_without_octave_errors(hertz: float, partials: int) -> None:
    found, periodicity = tracks.pitch_track(steady(hertz, 0.5, partials=partials), RATE)
    assert bool((found > 0).all()) and bool((periodicity > 0.9).all())
    assert float((1200 * torch.log2(found / hertz)).abs().max()) < 12  # cents


def test_a_gliding_pitch_is_followed() -> None:
    hertz = 150 * 2 ** torch.linspace(0, 1.5, 2 * RATE)
    found, _ = tracks.pitch_track(tone(hertz), RATE)
    middles = hertz[torch.arange(len(found)) * 480 + 1200]
    assert float((1200 * torch.log2(found / middles)).abs().max()) < 25


def test_noise_and_silence_have_no_pitch() -> None:
    noise = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    assert float((tracks.pitch_track(noise, RATE)[0] > 0).float().mean()) < 0.02
    assert not bool((tracks.pitch_track(torch.zeros(1, RATE), RATE)[0] > 0).any())
    assert tracks.pitch_following(noise, noise, RATE) is None


@pytest.mark.parametrize("semitones,share", [(0, 1), (0.3, 1), (-0.3, 1), (0.7, 0), (-1, 0), (12, 0), (-12, 0)])
def test_pitch_is_followed_within_half_a_semitone(semitones: float, share: float) -> None:
    found = tracks.pitch_following(steady(220), steady(220 * 2 ** (semitones / 12), seed=1), RATE)
    assert found == pytest.approx(share, abs=0.02)


def test_half_of_a_melody_is_half() -> None:
    heard = torch.cat([steady(220), steady(330)], 1)
    said = torch.cat([steady(220), steady(300)], 1)
    assert tracks.pitch_following(heard, said, RATE) == pytest.approx(0.5, abs=0.05)
    assert tracks.pitch_following(heard, torch.zeros_like(heard), RATE) == 0


@pytest.mark.parametrize("gain_db", [-12.0, 0.0, 5.0])
def test_the_level_follows_at_any_gain(gain_db: float) -> None:
    swell = 10 ** (-1.5 * torch.rand(8, generator=torch.Generator().manual_seed(1))).repeat_interleave(RATE // 4)
    heard = steady(220, 2.0) * swell
    correlation, louder = tracks.level_following(heard, heard * 10 ** (gain_db / 20), RATE)
    assert correlation > 0.999 and louder == pytest.approx(gain_db, abs=0.05)
    mirrored, _ = tracks.level_following(heard, steady(220, 2.0) * 0.03 / swell, RATE)
    assert mirrored < -0.9
    assert tracks.level_following(heard, torch.zeros_like(heard), RATE)[0] == 0


def test_levels_are_decibels_of_the_root_mean_square() -> None:
    track = tracks.level_track(steady(200, 1.0, partials=1, noise=0.0), RATE)
    assert torch.allclose(track, torch.full_like(track, 20 * math.log10(0.2 / math.sqrt(2))), atol=0.01)
    assert float(tracks.level_track(torch.zeros(2, RATE), RATE).max()) == tracks.FLOOR_DB


def test_a_model_is_evaluated_beside_silence_and_itself_untrained() -> None:
    config = preset("tiny", capacity=8)
    model, sound = RAVE(config, seed=5).eval(), steady(220, 1.013)
    found = metrics.evaluate(model, sound)
    assert found.log_mel != found.untrained and found.silence > 1
    assert found.log_mel == pytest.approx(float(metrics.log_mel_distance(sound, metrics.through(model, sound), RATE)))
    assert metrics.evaluate(RAVE(config).eval(), sound).log_mel == found.untrained
    assert 0 <= found.pitch_followed <= 1 and found.seconds == pytest.approx(1.013, abs=1e-4)
    assert found.latent_size == 16 and found.latents_used == 0 and list(found.sizes) == [80, 90, 95, 99]
    same = metrics.through(model, sound)
    assert same.shape == sound.shape and torch.equal(same, metrics.through(model, sound))
    with pytest.raises(RaveCourseError, match="1 channels"):
        metrics.evaluate(model, sound.expand(2, -1))
    with pytest.raises(RaveCourseError, match="24000 samples"):
        metrics.evaluate(model, sound[:, :1000])


def test_a_collapsed_model_is_told() -> None:
    model = RAVE(preset("tiny", capacity=8)).eval()
    with torch.no_grad():  # whatever it hears: mean 0, standard deviation 1
        last = model.encoder[-1]
        last.parametrizations.weight.original0.zero_() if hasattr(last, "parametrizations") else last.weight.zero_()
        last.bias.zero_()
        last.bias[16:] = math.log(math.e - 1)
    found = metrics.evaluate(model, steady(220))
    assert found.latents_used == 0 and "collapsed" in found.alarm


@pytest.mark.parametrize("low,high", [(20, 1000), (500, 400), (60, 20000)])
def test_ranges_that_cannot_be_searched_are_refused(low: float, high: float) -> None:
    with pytest.raises(RaveCourseError, match="cannot be searched"):
        tracks.pitch_track(steady(220), RATE, low, high)


def test_too_little_sound_is_refused() -> None:
    with pytest.raises(RaveCourseError, match="2400"):
        tracks.level_track(torch.zeros(1, 100), RATE)


def test_speed_is_that_of_the_export() -> None:
    found = metrics.speed(RAVE(preset("tiny", capacity=8)).eval(), buffer=1024, seconds=0.05)
    assert found.buffer == 1024 and found.deadline_ms == pytest.approx(1000 * 1024 / RATE)
    assert 0 < found.median_ms <= found.p99_ms and found.real_time_factor > 0
