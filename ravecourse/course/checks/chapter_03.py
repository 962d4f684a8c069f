"""Exercises of chapter 03: the hop length, the receptive field, a draw with a gradient, the KL divergence.

Notebook: 03.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from ravecourse.config import preset
from ravecourse.model import Conv, receptive_fields

from .feedback import Verdict, ask, compare, exercise, together

SAMPLES = 98304  # of exercise 3.1
STACK = ((3, 1, 1), (3, 3, 1), (8, 1, 4), (3, 1, 1))  # of exercise 3.2: kernel, dilation, stride
SHAPES = ((1, 16, 40), (4, 3, 7), (2, 1, 1))
MANY = (4, 16, 500)  # draws enough to tell distributions apart


@exercise("03", "One step of the bands is 16 samples, and each ratio combines that many steps into one.")
def hop_and_frames(hop: Any, frames: Any, numbers: Any) -> Verdict:
    """Judge the predicted hop length, frames and latent numbers of exercise 3.1. Notebook: 03."""
    config = preset("v1")
    wanted = SAMPLES // config.hop_length
    return together(
        compare(
            hop,
            config.hop_length,
            "the hop length",
            unit="samples",
            usual={
                "The band split is missing: 16 samples make one step of the bands.": config.hop_length // 16,
                "You added the ratios; they multiply.": config.n_bands + sum(config.ratios),
                "That is the rate in frames per second; the hop length is in samples.": config.sample_rate
                / config.hop_length,
            },
        ),
        compare(
            frames,
            wanted,
            "the number of frames",
            usual={
                "That is the number of steps after the band split; the ratios come after it.": SAMPLES
                // config.n_bands,
                "That is the number of frames in one second; the sound is longer.": config.sample_rate
                // config.hop_length,
            },
        ),
        compare(
            numbers,
            wanted * config.latent_size,
            "the number of latent numbers",
            usual={
                "That is one frame; there are more.": config.latent_size,
                "You counted means and standard deviations; the question is about the means only.": 2
                * wanted
                * config.latent_size,
            },
        ),
    )


@exercise(
    "03",
    "Start at the top with 1 step. Going down through a layer, n steps become "
    "(n - 1) * stride + (kernel - 1) * dilation + 1.",
)
def receptive_field(steps: Any) -> Verdict:
    """Judge the predicted receptive field of the stack in exercise 3.2. Notebook: 03."""
    layers = (Conv(1, 1, kernel, dilation=dilation, stride=stride) for kernel, dilation, stride in STACK)
    first, last = receptive_fields.input_interval(nn.Sequential(*layers), (0, 0))
    return compare(
        steps,
        last - first + 1,
        "the receptive field",
        unit="input steps",
        usual={
            "The stride is missing: a layer after a stride of 4 covers four times as much.": 18,
            "The dilation is missing: three taps that are 3 apart span 7 steps.": 20,
            "That is the distance from the first step to the last, without counting one of them.": last - first,
            "The stride multiplies what comes after it (nearer to the output); you multiplied what comes before.": 42,
            "You counted the weights; with dilation and stride they cover more steps.": sum(
                kernel for kernel, _, _ in STACK
            ),
        },
    )


@exercise(
    "03",
    "u = torch.rand(low.shape, generator=generator) depends on no weight. Which sum and product turn 0 into low "
    "and 1 into high?",
)
def draw_between(answer: Callable[..., Any]) -> Verdict:
    """Judge `draw_between(low, high, generator)`: its distribution, and the gradients through it. Notebook: 03."""
    for seed, shape in enumerate((*SHAPES, MANY)):
        generator = torch.Generator().manual_seed(100 + seed)
        low = torch.randn(shape, generator=generator).requires_grad_()
        high = (low.detach() + 0.5 + torch.rand(shape, generator=generator)).requires_grad_()
        drawn, again = (ask(answer, low, high, torch.Generator().manual_seed(seed)) for _ in range(2))
        if not isinstance(drawn, Tensor) or drawn.shape != low.shape or not torch.isfinite(drawn).all():
            return compare(drawn, (low + high) / 2, f"the draws for the shape {list(shape)}")
        if not torch.equal(drawn, again):
            return Verdict(
                False,
                "Two generators with the same seed gave different draws. Pass the generator to torch.rand; "
                "rand_like takes none.",
            )
        wrong = _range(drawn.detach(), low.detach(), high.detach()) or _gradients(drawn, low, high)
        if wrong:
            return Verdict(False, wrong)
        if shape == MANY and (wrong := _uneven((drawn - low).detach() / (high - low).detach())):
            return Verdict(False, wrong)
    return Verdict(True, "The draws are uniform, and the gradients reach both ends.")


def _range(drawn: Tensor, low: Tensor, high: Tensor) -> str:
    """What is wrong with the range of the draws, or nothing."""
    outside = int(((drawn < low - 1e-5) | (drawn > high + 1e-5)).sum())
    if not outside:
        return ""
    if bool(((drawn >= low - 1e-5) & (drawn <= low + high + 1e-5)).all()) and drawn.numel() > 1:
        return f"{outside} of {drawn.numel()} draws are above high. How wide is the interval? Not as wide as high."
    return (
        f"{outside} of {drawn.numel()} draws are not between low and high. torch.rand lies between 0 and 1: "
        "stretch it and move it."
    )


def _gradients(drawn: Tensor, low: Tensor, high: Tensor) -> str:
    """What is wrong with the gradients, or nothing."""
    if not drawn.requires_grad:
        return (
            "The draws are in the right range, but no gradient reaches low and high: something detaches them (.detach(), "
            ".data, .item(), no_grad, or a draw such as Uniform(...).sample())."
        )
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(drawn.sum(), (low, high), allow_unused=True)
    by_low, by_high = gradients
    if by_low is None or by_high is None:
        missing = "low" if by_low is None else "high"
        return f"No gradient reaches {missing}. It is detached somewhere on the way."
    place = ((drawn - low) / (high - low)).detach()  # 0 at low, 1 at high
    if not torch.allclose(by_high, place, atol=1e-3) or not torch.allclose(by_low, 1 - place, atol=1e-3):
        return (
            "The draws are in the right range, but the gradients are not: a draw close to high has to move with high, "
            "and one close to low with low. Is one of them detached?"
        )
    return ""


def _uneven(place: Tensor) -> str:
    """What is wrong with the distribution between 0 and 1, or nothing."""
    if float(place.std()) < 1e-3 or float((place - place.flatten()[0]).abs().max()) < 1e-3:
        return "All draws are at the same place between low and high. Draw one number for each element."
    for dim in range(place.dim()):
        if place.shape[dim] > 1 and float(place.std(dim=dim).max()) < 1e-3:
            return "One draw is shared by several elements. Draw a tensor of the shape of low."
    shares = torch.histc(place, bins=4, min=0, max=1) / place.numel()
    if float((shares - 0.25).abs().max()) > 0.03:
        quarters = ", ".join(f"{100 * float(share):.0f} %" for share in shares)
        return f"The draws are not uniform: the four quarters of the interval get {quarters} of them, not 25 % each."
    return ""


@exercise(
    "03",
    "Measure from prior_mean, in units of prior_std: then the prior is the standard normal distribution. "
    "What are the mean and the std of the other Gaussian in these units?",
)
def kl_between(answer: Callable[..., Any]) -> Verdict:
    """Judge `kl_between(mean, std, prior_mean, prior_std)`, value by value. Notebook: 03."""
    for seed, shape in enumerate(((5,), (2, 16, 9), (1, 1, 1))):
        generator = torch.Generator().manual_seed(200 + seed)
        mean, prior_mean = (torch.randn(shape, generator=generator) for _ in range(2))
        std, prior_std = (0.3 + torch.rand(shape, generator=generator) for _ in range(2))
        expected = kl_divergence(Normal(mean, std), Normal(prior_mean, prior_std))
        given = ask(answer, mean, std, prior_mean, prior_std)
        if isinstance(given, Tensor) and given.numel() == 1 < expected.numel():
            return Verdict(
                False,
                f"You returned one number for tensors of the shape {list(shape)}. Return one value per element: no sum "
                "and no mean.",
            )

        def formula(m: Tensor, s: Tensor) -> Tensor:
            return 0.5 * (m.square() + s.square() - 2 * s.log() - 1)

        shift, scale = (mean - prior_mean) / prior_std, std / prior_std
        verdict = compare(
            given,
            expected,
            f"the KL divergence for the shape {list(shape)}",
            unit="nats",
            usual={
                "That is the KL from the standard normal; the prior is not used.": formula(mean, std),
                "You moved the zero, but did not change the unit: divide by prior_std as well.": formula(
                    mean - prior_mean, std
                ),
                "You changed the unit of the std only; the mean is measured in the same unit.": formula(
                    mean - prior_mean, scale
                ),
                "You changed the unit of the mean only; the std is measured in the same unit.": formula(shift, std),
                "You changed the unit, but not the zero: subtract prior_mean first.": formula(mean / prior_std, scale),
                "That is the other way round, the KL of the prior from the first Gaussian: it has a direction.": (
                    kl_divergence(Normal(prior_mean, prior_std), Normal(mean, std))
                ),
                "The factor 1/2 is missing.": 2 * expected,
                "That uses the logarithm of std; the formula has the logarithm of its square, which is twice as much.": (
                    0.5 * (shift**2 + scale**2 - scale.log() - 1)
                ),
                "The - 1 is missing: two equal Gaussians have to give 0.": expected + 0.5,
                "That is the difference of two KL divergences from the standard normal, which is another number.": formula(
                    mean, std
                )
                - formula(prior_mean, prior_std),
                "That is in bits; return nats.": expected / torch.log(torch.tensor(2.0)),
            },
            draw=seed == 1,
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Equal to torch.distributions, value by value.")
