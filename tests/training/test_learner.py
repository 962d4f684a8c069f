"""The steps take shortcuts (a written-out gradient of the spectra, no gradients where none are used, both halves of a
batch through the discriminators at once); their losses and gradients are those of the plain computation."""

import copy

import pytest
import torch
import torch.nn.functional as F
from helpers import realistic, signal, tone
from torch import Tensor

from ravecourse.config import DiscriminatorConfig, preset, training_preset
from ravecourse.runtime import mixed_seed
from ravecourse.training.learner import NOISE_SEED, Learner

SMALL = {"capacity": 4, "latent_size": 3, "noise_capacity": 4}
LIKE_V1 = preset("v1", **SMALL, ratios=(4, 4), noise_strides=(4, 2))
LIKE_V2 = preset("tiny", **SMALL, harmonics=0)
WITH_SOURCE = preset("tiny", **SMALL)
DISCRIMINATORS = {
    "v1": DiscriminatorConfig(scale_capacity=2),
    "v2": DiscriminatorConfig(scale_capacity=2, periods=(2, 3), period_capacity=2),
}


def distance(target: Tensor, estimate: Tensor, scales: tuple[int, ...]) -> Tensor:
    """The multi-scale spectral distance, with the ordinary transform and nothing kept."""
    total = torch.zeros(())
    for n in scales:
        a, b = (
            torch.stft(
                F.pad(s.flatten(0, 1), (0, -s.shape[-1] % (n // 4))),
                n,
                n // 4,
                window=torch.hann_window(n),
                pad_mode="constant",
                return_complex=True,
            )
            for s in (target, estimate)
        )
        a, b = ((s.real.square() + s.imag.square() + 1e-14).sqrt() for s in (a, b))
        total = total + (a - b).square().mean() / (a.square().mean() + 1e-6 * 0.375 * n)
        total = total + (a.log() - b.log()).abs().mean()
    return total


def learner_and_plain(config, phase: int) -> tuple[Learner, Learner]:
    discriminator = DISCRIMINATORS[config.architecture]
    settings = training_preset(config.architecture, batch_size=2, crop_samples=4096, discriminator=discriminator)
    learner = Learner(config, settings, torch.device("cpu"))
    realistic(learner.model)
    learner.model.train()
    if phase == 2:
        learner.enter_phase_two()
    return learner, copy.deepcopy(learner)


def drawn(learner: Learner, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(mixed_seed(NOISE_SEED + learner.config.seed, step))


def assert_same_gradients(found: torch.nn.Module, plain: torch.nn.Module, tolerance: float = 2e-3) -> None:
    """To float32 rounding, which the logarithm of quiet bins makes larger than elsewhere."""
    seen = 0
    for (name, a), (_, b) in zip(found.named_parameters(), plain.named_parameters(), strict=True):
        if b.grad is not None and b.grad.any():
            assert (a.grad - b.grad).norm() < tolerance * b.grad.norm() + 1e-7, name
            seen += 1
    assert seen > 10


@pytest.mark.parametrize("config", [LIKE_V1, LIKE_V2], ids=["v1", "v2"])
def test_phase_one(config) -> None:
    learner, plain = learner_and_plain(config, 1)
    audio = signal(4096, batch=2)
    found = learner.step(audio, 5, 10)

    model, generator = plain.model, drawn(plain, 5)
    mean, std = model.encode(audio)
    bands = model.decode_bands(model.sample(mean, std, generator), plain.noise, generator)
    kl = (mean.square() + std.square() - 2 * std.log() - 1).mean((0, 2)).sum()
    spectral = distance(audio, model.join(bands), plain.config.stft_scales)
    spectral_bands = distance(model.split(audio), bands, plain.config.band_stft_scales)
    ramp = plain.config.beta_ramp_steps
    share = min(1.0, 5 / ramp) if ramp else 1.0
    beta = plain.config.beta_start * (plain.config.beta / plain.config.beta_start) ** share
    loss = spectral + spectral_bands + beta * kl
    loss.backward()
    assert found["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert found["kl"].item() == pytest.approx(kl.item(), rel=1e-4)
    assert_same_gradients(learner.model, model)


def test_phase_one_of_a_model_with_a_source() -> None:
    learner, plain = learner_and_plain(WITH_SOURCE, 1)
    audio = torch.stack([tone(torch.linspace(200, 400, 4096)), tone(torch.full((4096,), 500.0))])
    found = learner.step(audio, 5, 10)

    model, generator = plain.model, drawn(plain, 5)
    target = model.split(audio)
    mean, std = model.encode_learned(audio, target)
    z = torch.cat([model.controls(audio), model.sample(mean, std, generator)], 1)
    assert (z[:, 0] > 0).all()
    bands, sung = model.decode_bands(z, plain.noise, generator), model.source(z)
    kl = (mean.square() + std.square() - 2 * std.log() - 1).mean((0, 2)).sum()  # of the learned latents alone
    spectral = distance(audio, model.join(bands) + sung, plain.config.stft_scales)
    spectral_bands = distance(target, bands + model.split(sung), plain.config.band_stft_scales)
    beta = plain.config.beta_start * (plain.config.beta / plain.config.beta_start) ** (5 / plain.config.beta_ramp_steps)
    loss = spectral + spectral_bands + beta * kl
    loss.backward()
    assert found["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(learner.model, model)
    assert all(p.grad is not None and p.grad.any() for p in learner.model.source.parameters())


@pytest.mark.parametrize(("step", "compared"), [(0, "waveforms"), (2, "waveforms"), (3, "spectra")])
def test_the_first_steps_compare_waveforms(step: int, compared: str) -> None:
    settings = training_preset("tiny", batch_size=2, crop_samples=4096, waveform_steps=3)
    learner = Learner(LIKE_V2, settings, torch.device("cpu"))
    plain = copy.deepcopy(learner)
    audio = signal(4096, batch=2)
    found = learner.step(audio, step, 10)

    model, generator = plain.model, drawn(plain, step)
    mean, std = model.encode(audio)
    bands, target = model.decode_bands(model.sample(mean, std, generator), plain.noise, generator), model.split(audio)
    kl = (mean.square() + std.square() - 2 * std.log() - 1).mean((0, 2)).sum()
    beta = settings.beta_start * (settings.beta / settings.beta_start) ** (step / settings.beta_ramp_steps)
    spectral = distance(audio, model.join(bands), settings.stft_scales)
    spectral_bands = distance(target, bands, settings.band_stft_scales)
    of_waveforms = (target - bands).square().sum() / target.square().sum()
    loss = (of_waveforms if compared == "waveforms" else spectral + spectral_bands) + beta * kl
    loss.backward()
    assert found["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert found["spectral"].item() == pytest.approx(spectral.item(), rel=1e-3)  # told in either case
    assert_same_gradients(learner.model, model)


@pytest.mark.parametrize("config", [LIKE_V1, LIKE_V2], ids=["v1", "v2"])
def test_phase_two_decoder(config) -> None:
    learner, plain = learner_and_plain(config, 2)
    audio = signal(4096, batch=2)
    found = learner.step(audio, 1, 0)

    model, generator = plain.model, drawn(plain, 1)
    bands = model.decode_bands(model.sample(*model.encode(audio), generator), plain.noise, generator)
    estimate = model.join(bands)
    real, fake = plain.discriminator(audio), plain.discriminator(estimate)
    relative = plain.config.relative_feature_matching
    matching = torch.zeros(())
    for a, b in zip(real, fake, strict=True):
        pairs = list(zip(a, b, strict=True))[1 if relative else 0 :]
        apart = [(x - y).abs().mean() / (x.abs().mean() if relative else 1) for x, y in pairs]
        matching = matching + sum(apart) / len(apart) / len(real)
    adversarial = -sum(b[-1].mean() for b in fake)
    loss = (
        distance(audio, estimate, plain.config.stft_scales)
        + distance(model.split(audio), bands, plain.config.band_stft_scales)
        + plain.config.adversarial_weight * adversarial
        + plain.config.feature_matching_weight * matching
    )
    loss.backward()
    assert found["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(learner.model.decoder, model.decoder)
    assert all(p.grad is None for p in learner.discriminator.parameters())


@pytest.mark.parametrize("config", [LIKE_V1, LIKE_V2], ids=["v1", "v2"])
def test_phase_two_discriminators(config) -> None:
    learner, plain = learner_and_plain(config, 2)
    audio = signal(4096, batch=2)
    found = learner.step(audio, 0, 0)

    model, generator = plain.model, drawn(plain, 0)
    estimate = model.decode(model.sample(*model.encode(audio), generator), plain.noise, generator).detach()
    real, fake = plain.discriminator(audio), plain.discriminator(estimate)
    loss = sum(torch.relu(1 - a[-1]).mean() + torch.relu(1 + b[-1]).mean() for a, b in zip(real, fake, strict=True))
    loss.backward()
    assert found["discriminator"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert_same_gradients(learner.discriminator, plain.discriminator)
