"""The log-mel spectrum that the encoder hears: its units, its place in time, and what it adds to the learned latents."""

import math

import pytest
import torch

from ravecourse.config import ModelConfig, preset
from ravecourse.model import RAVE
from ravecourse.model.spectral_encoder import SpectralEncoder

HOP = 256


def sine(hertz: float, amplitude: float = 1.0, samples: int = 64 * HOP, rate: int = 48000) -> torch.Tensor:
    return (
        amplitude
        * torch.sin(2 * math.pi * hertz / rate * torch.arange(samples, dtype=torch.float64)).float()[None, None]
    )


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 96000])
@pytest.mark.parametrize("hertz", [110.0, 440.0, 3000.0])
def test_a_sine_is_heard_in_its_band_and_at_its_level(hertz: float, rate: int) -> None:
    ear = SpectralEncoder(preset("tiny", sample_rate=rate))
    heard = ear.heard(sine(hertz, rate=rate))[0, :, 32]
    bins = torch.linspace(0, rate / 2, len(ear.filters))
    near = ear.filters[(bins - hertz).abs().argmin()]
    assert near[heard.argmax()] > 0
    quieter = ear.heard(sine(hertz, 0.1, rate=rate))[0, :, 32]
    assert heard.max() - quieter.max() == pytest.approx(0.8, abs=0.01)  # 20 dB
    assert 1.4 < heard.max() < 2.4  # about full scale


def test_silence_is_the_bottom_and_has_a_gradient() -> None:
    ear = SpectralEncoder(preset("tiny"))
    silence = torch.zeros(1, 1, 8 * HOP, requires_grad=True)
    heard = ear.heard(silence)
    torch.testing.assert_close(heard, torch.full_like(heard, -2.0), rtol=0, atol=1e-4)
    heard.sum().backward()
    assert silence.grad is not None and silence.grad.isfinite().all()


@pytest.mark.parametrize("causal", [False, True])
def test_a_frame_hears_its_window_and_nothing_else(causal: bool) -> None:
    ear = SpectralEncoder(preset("tiny", causal=causal))
    noise = torch.randn(1, 1, 64 * HOP, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise.requires_grad_()
    ear.double().heard(noise)[0, :, 32].sum().backward()
    assert noise.grad is not None
    heard = noise.grad[0, 0].nonzero()[:, 0]
    end = 33 * HOP + (0 if causal else 4 * HOP)
    assert (int(heard[0]), int(heard[-1])) == (end - 2048, end - 1)


@pytest.mark.parametrize("harmonics", [0, 64])
def test_it_adds_to_what_the_encoder_says(harmonics: int) -> None:
    model = RAVE(preset("tiny", harmonics=harmonics)).eval()
    audio = sine(330.0, 0.3)
    bands = model.split(audio)
    mean, std = model.encode_learned(audio, bands)
    assert model.spectral_encoder is not None
    said = model.encoder(bands) + model.spectral_encoder(audio)
    torch.testing.assert_close(mean, said[:, :16])
    torch.testing.assert_close(std, torch.nn.functional.softplus(said[:, 16:]) + 1e-4)
    torch.testing.assert_close(model.encode(audio)[0][:, model.named :], mean)


def test_each_channel_is_heard() -> None:
    ear = SpectralEncoder(preset("tiny", channels=2))
    sound = torch.cat([sine(220.0), torch.zeros(1, 1, 64 * HOP)], 1)
    left, right = ear.heard(sound)[0].chunk(2)
    assert left.max() > 1.4 and right.max() < -1.9
    assert torch.equal(ear.heard(sound.flip(1))[0], torch.cat([right, left]))


def test_models_from_before_have_none() -> None:
    text = preset("tiny").to_json().replace(', "mel_bands": 80', "")
    config = ModelConfig.from_json(text)
    assert config.mel_bands == 0 and RAVE(config).spectral_encoder is None
    for name in ("v1", "v2"):
        assert preset(name).mel_bands == 0
