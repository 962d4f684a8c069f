"""Each augmentation changes what it says, and nothing else."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch

from ravecourse.dataset.augment import Augment, allpass_phase, gain, pitch_by_resampling, stretch_samples
from ravecourse.errors import RaveCourseError

RATE = 48000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(channels: int = 2, samples: int = 8192) -> torch.Tensor:
    return 0.1 * torch.randn(channels, samples, generator=generator(99))


def hertz_of(audio: torch.Tensor) -> float:
    """Frequency of a sine, by a parabola through the logarithm of the three highest bins."""
    window = torch.hann_window(audio.shape[1], periodic=False, dtype=torch.float64)
    spectrum = torch.fft.rfft(audio[0].double() * window).abs().log()
    k = int(spectrum.argmax())
    a, b, c = spectrum[k - 1 : k + 2].tolist()
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / audio.shape[1]


def sine(hertz: float, samples: int) -> torch.Tensor:
    return (0.5 * torch.sin(2 * math.pi * hertz / RATE * torch.arange(samples, dtype=torch.float64))).float()[None]


@pytest.mark.parametrize("low, high", [(-12.0, 0.0), (-3.0, 3.0), (-6.0, -6.0)])
def test_gain_only_scales_and_fills_its_range(low, high):
    audio, found = noise(), []
    for seed in range(100):
        louder = gain(audio, generator(seed), low, high)
        factor = float(louder.abs().max() / audio.abs().max())
        assert (louder - audio * factor).abs().max() < 1e-7
        found.append(20 * math.log10(factor))
    assert low - 1e-4 <= min(found) <= low + 0.1 * (high - low) + 1e-4
    assert high + 1e-4 >= max(found) >= high - 0.1 * (high - low) - 1e-4


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 96000])
@pytest.mark.parametrize("sections", [1, 3, 6])
def test_allpass_keeps_every_magnitude_and_changes_the_waveform(rate, sections):
    for seed in range(10):
        audio = torch.cat([noise(2, 4096), torch.zeros(2, 12288)], dim=1)  # room for the filter to ring out
        turned = allpass_phase(audio, generator(seed), rate, sections)
        before, after = torch.fft.rfft(audio.double()).abs(), torch.fft.rfft(turned.double()).abs()
        assert ((after - before).abs() / before.max()).max() < 1e-5
        assert (turned - audio).abs().max() > 0.1 * audio.abs().max()
        swapped = allpass_phase(audio.flip(0), generator(seed), rate, sections)
        assert torch.equal(swapped.flip(0), turned)  # all channels alike
    assert turned.dtype == audio.dtype


def test_allpass_has_settled_after_the_lead():
    change = Augment(phase_probability=1.0, phase_sections=6).draw(generator(), RATE)
    for seed in range(30):
        impulse = torch.zeros(1, 8192)
        impulse[0, 0] = 1.0
        assert allpass_phase(impulse, generator(seed), RATE, 3)[0, change.lead :].abs().max() < 1e-4


@pytest.mark.parametrize("semitones", [-12.0, -3.5, -0.5, -0.01, 0.0, 0.01, 0.25, 1.0, 7.0, 12.0])
@pytest.mark.parametrize("n_samples", [16384, 10007])
def test_pitch_moves_by_the_asked_cents_and_keeps_the_length(semitones, n_samples):
    stretch = sine(1000.0, stretch_samples(n_samples, semitones))
    moved = pitch_by_resampling(stretch, semitones, n_samples)
    assert moved.shape == (1, n_samples) and moved.dtype == torch.float32
    cents = 1200 * math.log2(hertz_of(moved) / hertz_of(sine(1000.0, n_samples)))
    assert cents == pytest.approx(100 * semitones, abs=0.3)
    assert moved.abs().max() == pytest.approx(0.5, abs=1e-3)  # the level stays, and the ends are whole
    ends = torch.cat([moved[:, :200], moved[:, -200:]]).abs().max(dim=1).values
    assert ends.min() > 0.49 and ends.max() < 0.51


def test_pitch_without_a_length_and_too_short():
    assert pitch_by_resampling(noise(2, 8000), 12.0).shape == (2, 4000)
    assert torch.equal(pitch_by_resampling(noise(), 0.0), noise())
    with pytest.raises(RaveCourseError, match="Give at least 16512"):
        pitch_by_resampling(noise(1, 8192), 12.0, 8192)


def test_none_changes_nothing():
    for seed in range(20):
        change = Augment.none().draw(generator(seed), RATE)
        assert change.reads(1000) == 1000
        assert torch.equal(change.apply(noise(2, 1000), 1000), noise(2, 1000))


def test_probabilities_and_ranges_are_kept():
    augment = Augment(0.3, (-9.0, -1.0), 0.6, 2, 0.8, (-2.0, 0.5))
    changes = [augment.draw(generator(seed), RATE) for seed in range(1000)]
    assert sum(change.gain != 1.0 for change in changes) == pytest.approx(300, abs=60)
    assert sum(change.allpass is not None for change in changes) == pytest.approx(600, abs=60)
    assert sum(change.semitones != 0.0 for change in changes) == pytest.approx(800, abs=60)
    assert all(change.gain == 1.0 or -9 <= 20 * math.log10(change.gain) <= -1 for change in changes)
    moved = [change.semitones for change in changes if change.semitones]
    assert -2.0 <= min(moved) < -1.9 and 0.4 < max(moved) <= 0.5


def test_one_change_does_not_move_another():
    """Switching pitch off leaves the gains that are drawn as they were."""
    every = Augment(1.0, pitch_probability=1.0)
    for seed in range(20):
        one = every.draw(generator(seed), RATE)
        other = replace(every, pitch_probability=0.0, phase_probability=0.0).draw(generator(seed), RATE)
        assert one.gain == other.gain and other.semitones == 0.0 and other.allpass is None


@pytest.mark.parametrize("n_samples", [1, 100, 8192])
def test_every_mixture_gives_the_length(n_samples):
    augment = Augment(1.0, phase_probability=0.5, pitch_probability=0.5, pitch_semitones=(-12.0, 12.0))
    for seed in range(50):
        change = augment.draw(generator(seed), RATE)
        assert change.apply(noise(2, change.reads(n_samples)), n_samples).shape == (2, n_samples)


def test_wrong_values_are_named_and_settings_survive_json():
    with pytest.raises(RaveCourseError, match="pitch_probability is 1.5"):
        Augment(pitch_probability=1.5)
    with pytest.raises(RaveCourseError, match="gain_db goes from 3 to -3"):
        Augment(gain_db=(3, -3))
    assert Augment(**json.loads(json.dumps(asdict(Augment())))) == Augment()
