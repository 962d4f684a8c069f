"""The discriminators: published sizes, what each of them can see, and where gradients go."""

from dataclasses import replace

import pytest
import torch

from ravecourse.config import DiscriminatorConfig, training_preset
from ravecourse.training.discriminator import Discriminator, count_parameters, fold, scores


def small(**overrides):
    sizes = {"scale_capacity": 4, "period_capacity": 4, "periods": (2, 3, 5)}
    return replace(DiscriminatorConfig(), **{**sizes, **overrides})


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "count"), [("v1", 7751619), ("v2", 27130952)])
def test_presets_have_the_published_size(name, count):
    assert count_parameters(Discriminator(training_preset(name).discriminator)) == count


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_stereo_adds_one_input_channel_to_each_first_layer(name):
    config = training_preset(name).discriminator
    extra = config.scales * config.scale_capacity * 15 + len(config.periods) * config.period_capacity * 5
    assert count_parameters(Discriminator(config, 2)) - count_parameters(Discriminator(config, 1)) == extra


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [1000, 4096, 4099])
def test_one_list_for_each_with_halving_rates(channels, length):
    judged = Discriminator(small(), channels)(noise(2, channels, length))
    assert len(judged) == 6
    assert all(len(features) == 5 for features in judged)
    for features in judged:
        widths = [f.shape[1] for f in features]
        assert widths == [4, 8, 16, 32, 1]
    at_scales = [features[0].shape[-1] for features in judged[3:]]
    assert at_scales == [-(-(length >> k) // 4) for k in range(3)]
    for score, features in zip(scores(judged), judged, strict=True):
        assert score is features[-1]


@pytest.mark.parametrize("period", [1, 2, 3, 7])
def test_fold_keeps_order_and_fills_with_zeros(period):
    x = torch.arange(1.0, 11.0).view(1, 1, -1)
    folded = fold(x, period)
    assert folded.shape == (1, 1, -(-10 // period), period)
    flat = folded.flatten()
    assert torch.equal(flat[:10], x.flatten())
    assert not flat[10:].any()


def test_a_period_discriminator_never_mixes_columns():
    """A change at one phase of the period shows at that phase alone."""
    network = Discriminator(small()).by_period[1]  # period 3
    x = noise(1, 1, 300)
    changed = x.clone()
    changed[..., 1::3] += 1.0
    for before, after in zip(network(fold(x, 3)), network(fold(changed, 3)), strict=True):
        moved = (before - after).abs().amax(dim=(0, 1, 2))
        assert moved[1] > 1e-6
        assert moved[0] == moved[2] == 0


def test_a_slow_discriminator_is_deaf_to_what_averages_away():
    """The half-rate discriminator sees pairs of samples: an alternating signal is silence to it, not to the
    first."""
    alternating = torch.ones(1, 1, 512)
    alternating[..., 1::2] = -1
    model = Discriminator(small(periods=()))
    heard, silent = model(alternating), model(torch.zeros(1, 1, 512))
    differences = [(a[0] - b[0]).abs().max().item() for a, b in zip(heard, silent, strict=True)]
    assert differences[0] > 0.01
    assert differences[1] == differences[2] == 0


def test_features_come_before_the_rectifier():
    judged = Discriminator(small())(noise(1, 1, 2048))
    for features in judged:
        for before, after in zip(features[:-2], features[1:-1], strict=True):
            assert before.min() < 0 and after.min() < 0
        inside = torch.cat([f.flatten() for f in features[:-1]])
        assert 0.2 < (inside < 0).float().mean() < 0.8


def test_seeds_and_the_global_generator():
    before = torch.get_rng_state()
    a, b, c = Discriminator(small(), seed=1), Discriminator(small(), seed=1), Discriminator(small(), seed=2)
    assert torch.equal(before, torch.get_rng_state())
    weights = [torch.cat([p.flatten() for p in m.parameters()]) for m in (a, b, c)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_gradients_reach_every_weight_and_the_sound():
    model = Discriminator(small())
    x = noise(2, 1, 2048).requires_grad_()
    sum(s.square().sum() for s in scores(model(x))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert (x.grad != 0).float().mean() > 0.99
