"""Exercises of chapter 03: the hop, the receptive field, the draw with a gradient, the KL divergence.

Notebook: 03.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ravecourse.config import preset
from ravecourse.model import Conv, kl_divergence, needed

from .feedback import Verdict, ask, compare, exercise, together

SAMPLES = 98304  # of exercise 3.1
STACK = ((3, 1, 1), (3, 3, 1), (8, 1, 4), (3, 1, 1))  # of exercise 3.2: kernel, dilation, stride
SHAPES = ((1, 16, 40), (4, 3, 7), (2, 1, 1))


@exercise("03", "The band split makes one step of 16 samples, and each ratio makes one step of that many steps.")
def hop_and_frames(hop: Any, frames: Any, numbers: Any) -> Verdict:
    """Judge the predicted hop, frames and latent numbers of exercise 3.1. Notebook: 03."""
    config = preset("v1")
    wanted = SAMPLES // config.hop_length
    return together(
        compare(
            hop,
            config.hop_length,
            "the hop",
            unit="samples",
            usual={
                "That is without the band split: 16 samples make one step of the bands.": config.hop_length // 16,
                "Steps of steps multiply; yours are added up.": config.n_bands + sum(config.ratios),
                "That is the rate, in frames a second; the hop is in samples.": config.sample_rate / config.hop_length,
            },
        ),
        compare(
            frames,
            wanted,
            "the number of frames",
            usual={
                "That many steps come out of the band split; the ratios come after it.": SAMPLES // config.n_bands,
                "That many frames come in a second; the sound is longer.": config.sample_rate // config.hop_length,
            },
        ),
        compare(
            numbers,
            wanted * config.latent_size,
            "the number of latent numbers",
            usual={
                "That is one frame. There are more.": config.latent_size,
                "That counts means and standard deviations; the question is for the means.": 2
                * wanted
                * config.latent_size,
            },
        ),
    )


@exercise(
    "03",
    "Begin at the top with 1 step. Going down through a layer, n steps become "
    "(n - 1) * stride + (kernel - 1) * dilation + 1.",
)
def receptive_field(steps: Any) -> Verdict:
    """Judge the predicted receptive field of the stack in exercise 3.2. Notebook: 03."""
    layers = (Conv(1, 1, kernel, dilation=dilation, stride=stride) for kernel, dilation, stride in STACK)
    first, last = needed(nn.Sequential(*layers), (0, 0))
    return compare(
        steps,
        last - first + 1,
        "the receptive field",
        unit="input steps",
        usual={
            "The stride is missing: what stands after it reaches four times as far.": 18,
            "The dilation is missing: three taps that are 3 apart span 7 steps.": 20,
            "That is from the first step to the last without counting one of them.": last - first,
            "The stride multiplies what comes after it (nearer to the output); yours multiplies what comes before.": 42,
            "The weights are counted there; with dilation and stride they reach further.": sum(
                kernel for kernel, _, _ in STACK
            ),
        },
    )


@exercise(
    "03",
    "torch.randn(mean.shape, generator=generator) depends on nothing. What must it be multiplied by, and "
    "what must be added?",
)
def reparameterise(answer: Callable[..., Any]) -> Verdict:
    """Judge `reparameterise(mean, std, generator)`: its draws, and the gradients through them. Notebook: 03."""
    for seed, shape in enumerate(SHAPES):
        mean, std = _pair(shape, seed)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        drawn, again = (ask(answer, mean, std, torch.Generator().manual_seed(seed)) for _ in range(2))
        if isinstance(drawn, Tensor) and isinstance(again, Tensor) and not torch.equal(drawn, again):
            return Verdict(
                False,
                "Two generators with the same seed gave two different draws. Hand the generator to "
                "torch.randn: randn_like takes none.",
            )
        verdict = compare(
            drawn,
            mean + std * noise,
            f"the latent for the shape {list(shape)}",
            draw=True,
            usual={
                "The noise is not scaled: a standard deviation of 0.1 has to give a tenth of the noise.": mean + noise,
                "The noise is scaled by the variance, which is the square of what is asked for.": mean + std**2 * noise,
                "std is the standard deviation already; there is no root to take.": mean + std.sqrt() * noise,
                "std is the standard deviation itself, not its logarithm.": mean + std.exp() * noise,
                "That is the mean: nothing is drawn.": mean,
                "The mean is missing.": std * noise,
            },
        )
        if not verdict.right:
            return verdict
        wrong = _slopes(drawn, mean, std, noise)
        if wrong:
            return Verdict(False, wrong)
    return Verdict(True, f"Equal to model.sample for {len(SHAPES)} shapes, and the gradients flow.")


@exercise("03", "Four terms in the brackets: mean squared, std squared, minus the logarithm of std squared, minus 1.")
def kl(answer: Callable[..., Any]) -> Verdict:
    """Judge `kl(mean, std)` beside `losses.kl_divergence`, value by value. Notebook: 03."""
    for seed, shape in enumerate(((5,), (2, 16, 9), (1, 1, 1))):
        mean, std = (value.detach() for value in _pair(shape, seed))
        expected = kl_divergence(mean.reshape(1, -1, 1), std.reshape(1, -1, 1)).reshape(shape)
        given = ask(answer, mean, std)
        if isinstance(given, Tensor) and given.numel() == 1 < expected.numel():
            return Verdict(
                False,
                f"One number came back for a mean of the shape {list(shape)}. One value for each "
                "pair is asked for: no sum and no mean.",
            )
        square, log = std.square(), std.log()
        verdict = compare(
            given,
            expected,
            f"the KL divergence for the shape {list(shape)}",
            unit="nats",
            usual={
                "The half in front is missing.": 2 * expected,
                "That is the logarithm of std; the formula has the logarithm of its square, which is twice as much.": 0.5
                * (mean**2 + square - log - 1),
                "The - 1 is missing: the standard normal itself has to come out as 0.": expected + 0.5,
                "std has to be squared.": 0.5 * (mean**2 + std - 2 * log - 1),
                "The mean has to be squared.": 0.5 * (mean + square - 2 * log - 1),
                "That is the other way round, of the standard normal from this Gaussian: the KL has a direction.": log
                + (1 + mean**2) / (2 * square)
                - 0.5,
                "The sign of the logarithm is turned round.": 0.5 * (mean**2 + square + 2 * log - 1),
                "That is in bits; nats are asked for.": expected / torch.log(torch.tensor(2.0)),
            },
            draw=seed == 1,
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Equal to losses.kl_divergence, value by value.")


def _pair(shape: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 + seed)
    mean = torch.randn(shape, generator=generator).requires_grad_()
    std = (0.1 + torch.rand(shape, generator=generator)).requires_grad_()
    return mean, std


def _slopes(drawn: Tensor, mean: Tensor, std: Tensor, noise: Tensor) -> str:
    """What is wrong with the gradients, or nothing."""
    if not drawn.requires_grad:
        return (
            "The numbers are right, but no gradient flows: something detaches them (.detach(), .data, .item(), "
            "no_grad, or a draw such as Normal(...).sample())."
        )
    by_mean, by_std = torch.autograd.grad(drawn.sum(), (mean, std), allow_unused=True)
    if by_mean is None or not torch.allclose(by_mean, torch.ones_like(mean)):
        return (
            "The numbers are right, but the gradient for the mean is not 1. A draw with torch.normal has none: "
            "draw from the standard normal and compute the rest."
        )
    if by_std is None or not torch.allclose(by_std, noise, atol=1e-6):
        return "The numbers are right, but the gradient for std is not the noise: std was detached on the way."
    return ""
