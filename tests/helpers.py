"""What several test files share: sound-like signals, and random models that behave like trained ones."""

import functools
import math

import pytest
import torch
from torch import Tensor, nn

from ravecourse.model.layers import Conv, NoiseSynth, Residual, UpConv
from ravecourse.model.rave import RAVE


def signal(samples: int, *, batch: int = 1, channels: int = 1, seed: int = 0, sample_rate: int = 48000) -> Tensor:
    """Decaying partials over soft noise: [batch, channels, samples], peak 0.7, different in every channel."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / sample_rate
    x = 0.05 * torch.randn(batch, channels, samples, generator=generator)
    for _ in range(8):
        frequency = 60 * 2 ** (7 * torch.rand(batch, channels, 1, generator=generator))
        phase = 2 * math.pi * torch.rand(batch, channels, 1, generator=generator)
        rate = 1 + 5 * torch.rand(batch, channels, 1, generator=generator)
        x = x + torch.sin(2 * math.pi * frequency * time + phase) * torch.exp(-4 * (time * rate % 0.4))
    return 0.7 * x / x.abs().amax((1, 2), keepdim=True)


def tone(hertz: Tensor, partials: int = 6, seed: int = 0, noise: float = 0.003, sample_rate: int = 48000) -> Tensor:
    """A harmonic tone, `[1, T]`, that follows a pitch `[T]` in Hz, over soft noise."""
    phase = 2 * math.pi * torch.cumsum(hertz.double() / sample_rate, 0)
    generator = torch.Generator().manual_seed(seed)
    sound = sum(torch.sin(k * phase + k) / k for k in range(1, partials + 1))
    return (0.2 * sound + noise * torch.randn(len(hertz), generator=generator)).float()[None]


def steady(hertz: float, seconds: float = 1.0, **named: float) -> Tensor:
    """A `tone` that keeps its pitch, at 48 kHz."""
    return tone(torch.full((int(seconds * 48000),), float(hertz)), **named)


@torch.no_grad()
def realistic(model: RAVE, seed: int = 0) -> RAVE:
    """Give `model` random weights of which each one matters: activations of unit size, output peak near 0.5.

    Every convolution is scaled by what it makes of a signal; BatchNorm statistics, biases, latent mean and
    an orthogonal PCA are filled; the noise is switched on. The model is changed and returned, in evaluation
    mode.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=generator)

    inner = {layer.branch[-1] for layer in model.modules() if isinstance(layer, Residual)}
    loud = {layer.net[-1] for layer in model.modules() if isinstance(layer, NoiseSynth)}

    def rescale(layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
        if layer.bias is not None:
            layer.bias.copy_(uniform(layer.bias, -0.2, 0.2))
        target = 2.0 if layer in loud else (0.5 if layer in inner else 1.0)
        output = type(layer).forward(layer, *inputs)
        offset = 0.0 if layer.bias is None else layer.bias[:, None]
        factor = target / (output - offset).std()
        scale_weight(layer, factor)
        return (output - offset) * factor + offset

    def normalise(layer: nn.BatchNorm1d, inputs: tuple[Tensor]) -> None:
        layer.running_mean.copy_(inputs[0].mean((0, 2)))
        layer.running_var.copy_(inputs[0].var((0, 2)))
        layer.weight.copy_(uniform(layer.weight, 0.6, 1.5))
        layer.bias.copy_(uniform(layer.bias, -0.3, 0.3))

    model.eval()
    for layer in model.modules():
        if isinstance(layer, (Conv, UpConv)) and hasattr(layer, "parametrizations"):
            gain = layer.parametrizations.weight.original0
            gain.mul_(uniform(gain, 0.7, 1.4))
    hooks = [layer.register_forward_hook(rescale) for layer in model.modules() if isinstance(layer, (Conv, UpConv))]
    hooks += [
        layer.register_forward_pre_hook(normalise) for layer in model.modules() if isinstance(layer, nn.BatchNorm1d)
    ]
    model.noise_level.fill_(1.0)
    audio = signal(8 * model.hop_length, batch=2, channels=model.channels, seed=seed)
    mean, _ = model.encode(audio)
    model.decode(mean, generator=generator)
    for hook in hooks:
        hook.remove()

    if model.source is not None:
        model.source.net[-1].bias.sub_(2.5)  # 64 harmonics of full size would drown the bands
    size = model.config.latent_size
    model.latent_mean.copy_(0.3 * torch.randn(size, generator=generator))
    model.latent_pca.copy_(torch.linalg.qr(torch.randn(size, size, generator=generator))[0])
    model.latent_std.copy_(torch.linspace(2.0, 0.1, size))
    model.fidelity.copy_(torch.cumsum(model.latent_std**2, 0) / (model.latent_std**2).sum())
    for _ in range(3):
        scale_weight(model.decoder.wave, 0.5 / model.decode(mean, noise=False).abs().max())
    return model


@torch.no_grad()
def scale_weight(layer: nn.Module, factor: float | Tensor) -> None:
    """Multiply the weight of a convolution, weight-normalised or not, by `factor`."""
    if hasattr(layer, "parametrizations"):
        layer.parametrizations.weight.original0.mul_(factor)
    else:
        layer.weight.mul_(factor)


@functools.cache
def _why_nothing_compiles() -> str:
    from torch._inductor import config

    try:
        with config.patch(force_disable_caches=True):
            torch.compile(torch.sin)(torch.ones(4))
    except Exception as error:
        return str(error).strip()[:200]
    return ""


def needs_torch_compile() -> None:
    """Skip the test where PyTorch's compiler itself does not work (no C++ compiler, a space in its path)."""
    if reason := _why_nothing_compiles():
        pytest.skip(f"torch.compile does not work here: {reason}")
