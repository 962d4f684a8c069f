"""The model: size, shapes, seeds, causality, errors."""

import pytest
import torch
import torch.nn.functional as F
from helpers import realistic, signal, tone

from ravecourse.config import PRESETS, preset
from ravecourse.errors import RaveCourseError
from ravecourse.model.layers import NoiseSynth
from ravecourse.model.rave import RAVE


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def narrow(name: str, seed: int = 3, **overrides: object) -> RAVE:
    options = {"capacity": 8, "latent_size": 6, "noise_capacity": 12, **overrides}
    return realistic(RAVE(preset(name, **options), seed), seed)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name, encoder, decoder", [("v1", 4834176, 12778193), ("v2", 16056928, 15479072)])
def test_parameter_counts_of_the_published_models(name: str, encoder: int, decoder: int, causal: bool) -> None:
    with torch.device("meta"):
        model = RAVE(preset(name, causal=causal))
    assert (model.parameters_of("encoder"), model.parameters_of("decoder")) == (encoder, decoder)
    assert sum(p.numel() for p in model.parameters()) == encoder + decoder


@pytest.mark.parametrize(
    "options, encoder, decoder",
    [
        ({"noise_bands": 5, "noise_strides": (2, 2, 2), "noise_capacity": 128}, 16056928, 15634720),
        (
            {
                "capacity": 48,
                "ratios": (4, 2, 2, 2),
                "dilations": ((1, 3, 9), (1, 3, 9), (1, 3, 9), (1, 3)),
            },
            3945904,
            3816608 - 159744,  # without its noise synthesiser
        ),
    ],
)
def test_parameter_counts_of_published_variants(options: dict, encoder: int, decoder: int) -> None:
    with torch.device("meta"):
        model = RAVE(preset("v2", **options))
    assert (model.parameters_of("encoder"), model.parameters_of("decoder")) == (encoder, decoder)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_shapes(name: str, causal: bool, channels: int, batch: int) -> None:
    model = narrow(name, causal=causal, channels=channels)
    audio = signal(5 * model.hop_length, batch=batch, channels=channels)
    bands = model.split(audio)
    assert bands.shape == (batch, model.config.n_bands * channels, 5 * model.hop_length // model.config.n_bands)
    mean, std = model.encode(audio)
    assert mean.shape == std.shape == (batch, model.named + 6, 5)
    assert model.decode_bands(mean).shape == bands.shape
    assert model(audio).shape == audio.shape
    assert model.channels == channels and model.sample_rate == 48000
    assert model.hop_length == preset(name).hop_length


def test_channels_are_split_one_by_one() -> None:
    model = narrow("tiny", channels=2)
    audio = signal(4 * model.hop_length, batch=2, channels=2)
    bands = model.split(audio)
    for channel in range(2):
        alone = model.pqmf.analysis(audio[:, channel : channel + 1])
        torch.testing.assert_close(bands[:, 16 * channel : 16 * (channel + 1)], alone)
    error = (model.join(bands) - audio)[..., 400:-400]
    assert error.abs().max() < 1e-4


def test_parts_fit_together() -> None:
    model = narrow("v1")
    audio = signal(6 * model.hop_length, batch=2)
    bands = model.split(audio)
    mean, std = model.encode_learned(audio, bands)
    raw_mean, scale = model.encoder(bands).chunk(2, 1)
    assert torch.equal(mean, raw_mean) and torch.equal(std, F.softplus(scale) + 1e-4)
    assert torch.equal(model.encode(audio)[0], mean) and torch.equal(model.encode(audio)[1], std)
    decoded = model.decode_bands(mean, noise=False)
    assert torch.equal(model.decode(mean, noise=False), model.join(decoded))
    assert torch.equal(model(audio, noise=False), model.join(decoded))


@pytest.mark.parametrize("shape", [(1, 1, 1000), (1, 2, 2048), (2048,), (1, 2048), (1, 1, 2048 + 256)])
def test_wrong_audio_is_said(shape: tuple[int, ...]) -> None:
    model = narrow("v2")
    with pytest.raises(RaveCourseError) as caught:
        model.encode(torch.zeros(shape))
    assert f"[batch, 1, a multiple of 2048]; this has {list(shape)}" in str(caught.value)


def test_seeds() -> None:
    config = preset("tiny")
    before = torch.get_rng_state()
    first, same, other = (
        RAVE(config, 1).state_dict(),
        RAVE(config, 1).state_dict(),
        RAVE(config, 2).state_dict(),
    )
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_sampling() -> None:
    model = narrow("tiny")
    mean = torch.full((2, 6, 4000), 0.5)
    std = torch.linspace(0.1, 2, 6)[None, :, None].expand_as(mean)
    z = model.sample(mean, std, torch.Generator().manual_seed(0))
    torch.testing.assert_close(z.mean((0, 2)), torch.full((6,), 0.5), rtol=0, atol=0.1)
    torch.testing.assert_close(z.std((0, 2)), std[0, :, 0], rtol=0.05, atol=0)
    assert torch.equal(z, model.sample(mean, std, torch.Generator().manual_seed(0)))


def test_noise_is_repeatable_and_can_be_left_out() -> None:
    for name in ("tiny", "v1"):
        model = narrow(name)
        z = torch.randn(1, model.config.latents, 8, generator=torch.Generator().manual_seed(0))
        if model.named:
            z[:, 1] = 90.0  # dB; at 0 all would be silent
        plain = model.decode(z, noise=False)
        runs = [model.decode(z, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
        assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
        assert (runs[0] - plain).abs().max() > 0.01
        model.noise_level.fill_(0)
        torch.testing.assert_close(model.decode(z), plain)


@pytest.mark.parametrize("name, level", [("tiny", 1), ("small", 1), ("v1", 0), ("v2", 1)])
def test_noise_level_at_first(name: str, level: int) -> None:
    assert float(RAVE(preset(name, capacity=8)).noise_level) == level


@pytest.mark.parametrize("name", PRESETS)
def test_a_causal_network_never_looks_ahead(name: str) -> None:
    """Frame f needs the bands of frame f and before; audio of frame f the latents of frame f and before."""
    model = narrow(name, causal=True)
    ratio = model.hop_length // model.config.n_bands
    generator = torch.Generator().manual_seed(1)
    bands = torch.randn(1, model.config.n_bands, 12 * ratio, generator=generator)
    for position in (6 * ratio, 6 * ratio + 1, 7 * ratio - 1):
        changed = bands.clone()
        changed[..., position] += 1
        different = (model.encoder(bands) != model.encoder(changed)).any(1)[0].nonzero()[:, 0]
        assert int(different.min()) == position // ratio
    z = torch.randn(1, model.config.latents, 12, generator=generator)
    changed = z.clone()
    changed[..., 6] += 1
    decoded = [model.decode_bands(x, generator=torch.Generator().manual_seed(0)) for x in (z, changed)]
    different = (decoded[0] != decoded[1]).any(1)[0].nonzero()[:, 0]
    assert int(different.min()) == 6 * ratio


@pytest.mark.parametrize("name", PRESETS)
def test_other_networks_do(name: str) -> None:
    ratio = preset(name).hop_length // preset(name).n_bands
    z = torch.randn(1, preset(name).named + 6, 16, generator=torch.Generator().manual_seed(1))
    changed = z.clone()
    changed[..., 8] += 1
    for options in ({"causal": False}, {"causal": True, "published_causal": True}):
        model = narrow(name, **options)
        different = (model.decode_bands(z, False) != model.decode_bands(changed, False)).any(1)[0].nonzero()[:, 0]
        assert int(different.min()) < 8 * ratio


@pytest.mark.parametrize("name", PRESETS)
def test_realistic_weights_are(name: str) -> None:
    """What the other tests stand on: their random models say something in every part."""
    model = narrow(name)
    audio = signal(12 * model.hop_length, seed=9)
    mean, std = model.encode(audio)
    learned = mean[:, model.named :]
    assert 0.3 < learned.std() < 3 and std.std() > 0.05
    peak = model.decode(mean, noise=False).abs().max()
    assert 0.1 < peak < 1.5
    quiet = model.decode(torch.cat([mean[:, : model.named], torch.zeros_like(learned)], 1), noise=False)
    assert (model.decode(mean, noise=False) - quiet).abs().max() > 0.05
    for synth in (m for m in model.modules() if isinstance(m, NoiseSynth)):
        assert synth.amplitudes(model.decoder.trunk(mean)).max() > 0.05


def test_gradients_reach_every_parameter() -> None:
    for name in ("tiny", "v1"):
        model = narrow(name)
        samples = 16 * model.hop_length
        audio = 0.5 * signal(samples, batch=2) + tone(torch.full((samples,), 220.0))
        with torch.enable_grad():
            mean, std = model.encode(audio)
            z = model.sample(mean, std, torch.Generator().manual_seed(0))
            model.decode(z, generator=torch.Generator().manual_seed(1)).square().mean().backward()
        silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert not silent
