"""The building blocks: lengths, what each output depends on, values."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ravecourse.model.layers import (
    SLOPE,
    Conv,
    NoiseSynth,
    UpConv,
    activation,
    conv,
    dilated_unit,
    mod_sigmoid,
    upconv,
)


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def reach(layer: nn.Module, x: Tensor, position: int) -> tuple[int, int]:
    """First and last output that change when the input at `position` does."""
    changed = x.clone()
    changed[..., position] += 1
    different = (layer(x) != layer(changed)).any(1)[0].nonzero()[:, 0]
    return int(different[0]), int(different[-1])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dilation", [1, 3, 9])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7, 8, 9])
def test_conv_length_and_reach(kernel: int, stride: int, dilation: int, causal: bool) -> None:
    layer = Conv(2, 3, kernel, stride=stride, dilation=dilation, causal=causal)
    span = (kernel - 1) * dilation
    right = min(stride - 1, span) if causal else span - span // 2
    assert (layer.left, layer.right) == (span - right, right)
    x = random(1, 2, 64 * stride)
    output = layer(x)
    assert output.shape == (1, 3, 64)
    padded = F.pad(x, (layer.left, layer.right))
    for f in (0, 1, 17, 63):  # output f reads from f * stride - left on, `dilation` apart
        window = padded[0, :, f * stride : f * stride + span + 1 : dilation]
        wanted = (layer.weight * window).sum((1, 2))
        torch.testing.assert_close(output[0, :, f], wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel, dilation, stride", [(7, 1, 1), (3, 9, 1), (8, 1, 4), (9, 1, 4), (4, 1, 2)])
def test_causal_conv_does_not_see_the_future(kernel: int, dilation: int, stride: int) -> None:
    x = random(1, 2, 64 * stride)
    position = 32 * stride
    for offset in range(stride):
        first, last = reach(Conv(2, 3, kernel, stride=stride, dilation=dilation, causal=True), x, position + offset)
        assert first * stride + stride - 1 >= position + offset  # the group of output `first` ends no earlier
        centred = Conv(2, 3, kernel, stride=stride, dilation=dilation)
        first, last = reach(centred, x, position + offset)
        assert first * stride >= position + offset - centred.right
        assert last * stride <= position + offset + centred.left


def test_conv_with_a_chosen_split() -> None:
    layer = Conv(1, 1, 4, stride=2, padding_left=2)
    assert (layer.left, layer.right) == (2, 1)
    assert layer(random(1, 1, 20)).shape[-1] == 10


def test_groups_do_not_mix() -> None:
    layer = Conv(4, 2, 3, groups=2)
    x = random(1, 4, 16)
    changed = x.clone()
    changed[:, 2:] += 1
    assert torch.equal(layer(x)[:, 0], layer(changed)[:, 0])
    assert not torch.equal(layer(x)[:, 1], layer(changed)[:, 1])


@pytest.mark.parametrize("lookahead", [False, True])
@pytest.mark.parametrize("stride", [2, 3, 4, 8])
def test_upconv_length_and_reach(stride: int, lookahead: bool) -> None:
    layer = UpConv(2, 3, stride, lookahead=lookahead)
    x = random(1, 2, 16)
    assert layer(x).shape == (1, 3, 16 * stride)
    crop = stride // 2 if lookahead else 0
    assert reach(layer, x, 8) == (8 * stride - crop, 10 * stride - 1 - crop)
    whole = F.conv_transpose1d(x, layer.weight, stride=stride)
    torch.testing.assert_close(layer(x), whole[..., crop : crop + 16 * stride])


def test_dilated_unit() -> None:
    unit = dilated_unit(4, 3, kernel=3)
    x = random(1, 4, 40)
    first, second = unit.branch[1], unit.branch[3]
    inner = F.conv1d(F.leaky_relu(x, SLOPE), first.weight, padding=3, dilation=3)
    wanted = x + F.conv1d(F.leaky_relu(inner, SLOPE), second.weight, padding=1)
    torch.testing.assert_close(unit(x), wanted)
    assert reach(unit, x, 20) == (16, 24)
    assert reach(dilated_unit(4, 3, kernel=1, causal=True), x, 20) == (20, 26)
    assert SLOPE == 0.2 and activation().negative_slope == 0.2


def test_weight_norm() -> None:
    for layer, dims in ((conv(3, 5, 4), (1, 2)), (upconv(3, 5, 2), (1, 2))):
        gain = layer.parametrizations.weight.original0
        assert gain.shape == (layer.weight.shape[0], 1, 1)
        gain.mul_(2)
        torch.testing.assert_close(layer.weight.square().sum(dims).sqrt(), gain[:, 0, 0])


@pytest.mark.parametrize("x, value", [(-50.0, 1e-7), (-5.0, 2.005e-5), (0.0, 0.40613), (5.0, 1.96935), (50.0, 2.0)])
def test_mod_sigmoid(x: float, value: float) -> None:
    assert float(mod_sigmoid(torch.tensor(x))) == pytest.approx(value, rel=5e-4)
    assert float(mod_sigmoid(torch.tensor(x))) == pytest.approx(2 / (1 + math.exp(-x)) ** 2.3 + 1e-7, rel=1e-4)


# The noise synthesiser ----------------------------------------------------------------------------


def synth(n_filter: int = 5, strides: tuple[int, ...] = (4, 4, 4), bands: int = 3) -> NoiseSynth:
    count = len(strides)
    return NoiseSynth(6, bands, n_filter, strides, 8, (3,) * count, (1,) * count, bias=False)


def test_noise_shapes_and_range() -> None:
    layer = synth()
    x = 20 * random(2, 6, 640)
    amplitudes = layer.amplitudes(x)
    assert amplitudes.shape == (2, 3, 10, 5) and layer.frame == 64
    assert amplitudes.min() >= 1e-7 and amplitudes.max() <= 2 + 1e-6
    assert layer(x).shape == (2, 3, 640)
    raw = layer.net(x)  # channel band * n_filter + j is amplitude j of that band
    torch.testing.assert_close(amplitudes[1, 2, 7, 4], mod_sigmoid(raw[1, 2 * 5 + 4, 7] - 5))


@pytest.mark.parametrize("n_filter", [2, 3, 5, 9, 17])
def test_noise_filter_has_the_response_that_is_asked(n_filter: int) -> None:
    """An impulse through the filter: it gets the asked spectrum, smoothed by the Hann window."""
    layer = synth(n_filter)
    amplitudes = 2 * torch.rand(1, 3, 4, n_filter, generator=torch.Generator().manual_seed(n_filter))
    impulse = torch.zeros(1, 3, 4, 64)
    impulse[..., 0] = 1
    output = layer.filter(amplitudes, impulse).reshape(1, 3, 4, 64)
    spectrum = torch.fft.fft(output)[..., :: 64 // (2 * (n_filter - 1))][..., :n_filter]
    extended = torch.cat([amplitudes[..., 1:2], amplitudes, amplitudes[..., -2:-1]], -1)
    smoothed = 0.5 * amplitudes + 0.25 * (extended[..., :-2] + extended[..., 2:])
    torch.testing.assert_close(spectrum.real, smoothed, rtol=0, atol=1e-5)
    assert spectrum.imag.abs().max() < 1e-5


def test_noise_filter_is_a_convolution_within_each_frame() -> None:
    layer = synth()
    amplitudes = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    noise = random(2, 3, 4, 64)
    response = torch.zeros(2, 3, 4, 64)
    for i, lag in enumerate(range(-3, 4)):
        response[..., lag % 64] = (amplitudes @ layer.transform)[..., i]
    spectrum = torch.fft.rfft(noise, 128) * torch.fft.rfft(response, 128)
    wanted = torch.fft.irfft(spectrum)[..., :64].flatten(2)
    torch.testing.assert_close(layer.filter(amplitudes, noise), wanted, rtol=0, atol=1e-5)


def test_equal_amplitudes_leave_the_noise_white() -> None:
    layer = synth()
    noise = random(1, 3, 8, 64)
    torch.testing.assert_close(layer.filter(torch.full((1, 3, 8, 5), 0.7), noise), 0.7 * noise.flatten(2))


def test_noise_is_white_uniform_and_repeatable() -> None:
    layer = synth()
    amplitudes = torch.ones(4, 3, 50, 5)
    first = layer.draw(amplitudes, torch.Generator().manual_seed(5))
    assert first.shape == (4, 3, 50, 64)
    assert torch.equal(first, layer.draw(amplitudes, torch.Generator().manual_seed(5)))
    assert not torch.equal(first, layer.draw(amplitudes, torch.Generator().manual_seed(6)))
    assert first.min() >= -1 and first.max() < 1
    assert float(first.mean()) == pytest.approx(0, abs=0.02) and float(first.var()) == pytest.approx(1 / 3, rel=0.02)
    x = random(1, 6, 640)
    runs = [layer(x, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_low_amplitudes_make_low_noise() -> None:
    """Energy only where it is asked: amplitudes in the lower bins give a signal of the lower frequencies."""
    layer = synth(n_filter=17)
    amplitudes = torch.zeros(1, 3, 200, 17)
    amplitudes[..., :6] = 1
    noise = layer.draw(amplitudes, torch.Generator().manual_seed(0))
    power = torch.fft.rfft(layer.filter(amplitudes, noise).reshape(-1, 64) * torch.hann_window(64)).abs().square()
    power = power.mean(0)
    assert power[22:].mean() < 0.1 * power[2:8].mean()  # the half response that acts has a gentle slope
