"""Distances, divergences and the adversarial game, against other ways to compute them."""

import math

import librosa
import numpy as np
import pytest
import torch

from ravecourse.errors import RaveCourseError
from ravecourse.model.latent import kl_divergence
from ravecourse.training import losses, spectra
from ravecourse.training.spectra import SpectralDistance


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [4, 32, 128, 2048])
@pytest.mark.parametrize("length", [1, 100, 512, 3001])
def test_magnitudes_are_those_of_torch_stft(scale, length):
    x = noise(3, 2, length)
    padded = torch.nn.functional.pad(x.flatten(0, 1), (0, -length % (scale // 4)))
    expected = (
        torch.stft(
            padded,
            scale,
            scale // 4,
            window=torch.hann_window(scale),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        .abs()
        .transpose(1, 2)
    )
    found = spectra.magnitudes(x, scale)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scales", [(), (0,), (30,), (512, -4)])
def test_unusable_scales_are_named(scales):
    with pytest.raises(RaveCourseError, match="multiple of 4"):
        SpectralDistance(scales)


def test_spectral_distance_by_its_definition():
    scales = (512, 128)
    x, y = noise(2, 1, 4096), noise(2, 1, 4096, seed=1)
    expected = 0.0
    for n in scales:
        a, b = (
            torch.stft(s[:, 0], n, n // 4, window=torch.hann_window(n), pad_mode="constant", return_complex=True)
            .abs()
            .double()
            for s in (x, y)
        )
        expected += (a - b).square().mean() / a.square().mean()
        expected += ((a + 1e-7).log() - (b + 1e-7).log()).abs().mean()
    assert SpectralDistance(scales)(x, y).item() == pytest.approx(expected.item(), rel=1e-4)


def test_spectral_distance_is_zero_for_equals_and_grows():
    distance = SpectralDistance((512, 128))
    x, other = noise(2, 2, 4096), noise(2, 2, 4096, seed=1)
    assert distance(x, x).item() == 0
    found = [distance(x, x + amount * other).item() for amount in (0.01, 0.1, 0.5, 1.0)]
    assert found == sorted(found) and found[0] > 0


@pytest.mark.parametrize("gain", [0.25, 0.5, 2.0, 4.0])
def test_spectral_distance_of_a_gain(gain):
    """A gain g is (g - 1)^2 + |ln g| at every scale; only the logarithmic part is symmetric."""
    x = noise(1, 1, 8192)
    distance = SpectralDistance((1024, 256))
    there, back = distance(x, gain * x).item(), distance(gain * x, x).item()
    assert there == pytest.approx(2 * ((gain - 1) ** 2 + abs(math.log(gain))), rel=1e-3)
    assert back == pytest.approx(2 * ((1 / gain - 1) ** 2 + abs(math.log(gain))), rel=1e-3)


def test_spectral_distance_hardly_hears_a_shift():
    tone = torch.sin(torch.arange(8192) * 0.1).view(1, 1, -1)
    late = torch.sin(torch.arange(8192) * 0.1 + 1.0).view(1, 1, -1)
    wrong = torch.sin(torch.arange(8192) * 0.2).view(1, 1, -1)
    distance = SpectralDistance((2048, 512))
    assert distance(tone, late) < 0.25 * distance(tone, wrong)


def test_precomputed_spectra_give_the_same_and_no_gradient():
    distance = SpectralDistance((512, 128))
    target = noise(1, 1, 2048).requires_grad_()
    estimate = noise(1, 1, 2048, seed=1).requires_grad_()
    with torch.no_grad():
        spectra = distance.spectra(target)
    assert distance(spectra, estimate) == distance(target, estimate)
    distance(target, estimate).backward()
    assert target.grad is None
    assert (estimate.grad != 0).float().mean() > 0.99


@pytest.mark.parametrize("level", [0.0, 1e-12, 1e-6, 1.0, 1e3])
def test_spectral_distance_stays_finite(level):
    """Silence on either side, and levels far from ordinary."""
    distance = SpectralDistance((256, 32))
    for target in (torch.zeros(1, 1, 1024), noise(1, 1, 1024)):
        estimate = (level * noise(1, 1, 1024, seed=2)).requires_grad_()
        value = distance(target, estimate)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(estimate.grad).all()


def test_descending_the_spectral_distance_finds_the_tone():
    """Gradients point the right way: amplitudes of partials are recovered from the loss alone."""
    time = torch.arange(4096) / 48000
    partials = torch.stack([torch.sin(2 * math.pi * f * time) for f in (440.0, 1320.0, 3520.0)])
    truth = torch.tensor([1.0, 0.5, 0.25])
    distance = SpectralDistance((1024, 256))
    spectra = distance.spectra((truth @ partials).view(1, 1, -1))
    guess = torch.full((3,), 0.6, requires_grad=True)
    optimiser = torch.optim.Adam([guess], lr=0.02)
    for _ in range(80):
        optimiser.zero_grad()
        distance(spectra, (guess @ partials).view(1, 1, -1)).backward()
        optimiser.step()
    assert torch.allclose(guess, truth, atol=0.03)


@pytest.mark.parametrize("sample_rate", [16000, 44100, 48000])
def test_mel_filters_are_the_usual_ones(sample_rate):
    expected = librosa.filters.mel(sr=sample_rate, n_fft=2048, n_mels=80, htk=True, norm=None).T
    assert np.allclose(spectra.mel_filters(80, 2048, sample_rate).numpy(), expected, atol=1e-5)


def test_log_mel_distance():
    x = noise(1, 1, 48000)
    assert spectra.log_mel_distance(x, x, 48000).item() == 0
    assert spectra.log_mel_distance(x, 0.1 * x, 48000).item() == pytest.approx(1.0, abs=1e-3)  # 20 dB
    assert spectra.log_mel_distance(x, 10 * x, 48000).item() == pytest.approx(1.0, abs=1e-3)
    silence = spectra.log_mel_distance(x, 0 * x, 48000)
    assert 5 < silence.item() < 8
    assert spectra.log_mel_distance(0 * x, x, 48000) == silence


def test_waveform_distance_minds_what_ears_do_not() -> None:
    t = torch.arange(4800) / 48000
    sine, moved = (torch.sin(2 * math.pi * 1000 * t + phase)[None, None] for phase in (0.0, math.pi / 2))
    assert losses.waveform_distance(sine, sine) == 0
    for gain in (0.01, 1.0):
        a, b = gain * sine, gain * moved
        assert losses.waveform_distance(a, torch.zeros_like(a)).item() == pytest.approx(1, rel=2e-3)
        assert losses.waveform_distance(a, b).item() == pytest.approx(2, rel=2e-3)
    assert losses.waveform_distance(torch.zeros_like(sine), 1e-6 * sine).isfinite()


def test_kl_divergence_against_torch_distributions():
    mean, std = noise(4, 5, 7), noise(4, 5, 7, seed=1).exp()
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, std), normal(torch.zeros(()), torch.ones(())))
    assert torch.allclose(kl_divergence(mean, std), expected.mean(dim=(0, 2)), rtol=1e-4, atol=1e-6)
    assert not kl_divergence(torch.zeros(1, 3, 2), torch.ones(1, 3, 2)).any()


def test_beta_ramps_geometrically():
    values = [losses.beta_at(step, 1e-6, 1e-2, 100) for step in range(0, 201, 50)]
    assert values == pytest.approx([1e-6, 1e-4, 1e-2, 1e-2, 1e-2])
    assert losses.beta_at(0, 0.1, 0.1, 0) == 0.1
    assert [losses.beta_at(step, 0.0, 0.5, 10) for step in (0, 9, 10)] == [0.0, 0.0, 0.5]


def test_hinge_by_hand():
    real = [torch.tensor([2.0, 0.5]), torch.tensor([-1.0])]
    fake = [torch.tensor([-3.0, 0.0]), torch.tensor([0.5])]
    # first discriminator: mean(0, .5) + mean(0, 1); second: 2 + 1.5
    assert losses.hinge_discriminator(real, fake).item() == pytest.approx(0.75 + 3.5)
    assert losses.hinge_generator(fake).item() == pytest.approx(1.5 - 0.5)
    assert losses.hinge_discriminator([torch.ones(3)], [-torch.ones(3)]).item() == 0


def test_feature_matching_by_hand():
    real = [[torch.tensor([1.0, -1.0]), torch.tensor([4.0])], [torch.tensor([2.0]), torch.tensor([2.0])]]
    fake = [[torch.tensor([0.0, -1.0]), torch.tensor([2.0])], [torch.tensor([2.0]), torch.tensor([-1.0])]]
    # absolute: discriminators mean(.5, 2) and mean(0, 3); relative without the first: 2/4 and 3/2
    assert losses.feature_matching(real, fake).item() == pytest.approx((1.25 + 1.5) / 2)
    assert losses.feature_matching(real, fake, relative=True).item() == pytest.approx((0.5 + 1.5) / 2)
    assert losses.feature_matching(real, real).item() == 0


@pytest.mark.parametrize("relative", [False, True])
def test_feature_matching_moves_the_reconstruction_only(relative):
    real = [[noise(3).requires_grad_(), noise(4, seed=1).requires_grad_()]]
    fake = [[noise(3, seed=2).requires_grad_(), noise(4, seed=3).requires_grad_()]]
    losses.feature_matching(real, fake, relative).backward()
    assert all(f.grad is None for f in real[0])
    assert fake[0][1].grad.abs().min() > 0
    assert (fake[0][0].grad is None) == relative


@pytest.mark.parametrize("scale", [8, 64, 256])
@pytest.mark.parametrize("length", [5, 200, 333])
def test_the_written_out_gradient_of_magnitudes(scale, length):
    x = noise(2, length).double().requires_grad_()
    weights = noise(*spectra.magnitudes(x, scale).shape, seed=1).double()
    (spectra.magnitudes(x, scale) * weights).sum().backward()
    found, x.grad = x.grad, None
    padded = torch.nn.functional.pad(x, (0, -length % (scale // 4)))
    automatic = (
        torch.stft(
            padded,
            scale,
            scale // 4,
            window=torch.hann_window(scale, dtype=torch.double),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        .abs()
        .transpose(1, 2)
    )
    (automatic * weights).sum().backward()
    assert torch.allclose(found, x.grad, rtol=1e-5, atol=1e-7)
