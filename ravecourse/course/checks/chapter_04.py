"""Exercises of chapter 04: the spectral distance, the price of the latent, the ramp of beta, the learning rate.

Notebook: 04.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ravecourse.config import training_preset
from ravecourse.training import SpectralDistance, beta_at, learning_rate, magnitudes

from .feedback import Verdict, ask, compare, exercise, together

WINDOWS = ((512,), (2048, 512, 128), (256, 64))
USES = ((0.90, 60.0), (0.30, 40.0), (0.02, 8.0))  # of exercise 4.2: what a dimension gains, and its share in kl
BETA = 0.01


@exercise(
    "04",
    "For each window: a, b = magnitudes of target and estimate; then "
    "(a - b).square().mean() / a.square().mean() + (a.log() - b.log()).abs().mean().",
)
def spectral_distance(answer: Callable[..., Any]) -> Verdict:
    """Judge `spectral_distance(target, estimate, windows)` beside `losses.SpectralDistance`. Notebook: 04."""
    for seed, windows in enumerate(WINDOWS):
        target, estimate = _pair(seed)
        expected = SpectralDistance(windows)(target, estimate)
        given = ask(answer, target, estimate, windows)
        if isinstance(given, Tensor) and given.numel() > 1:
            return Verdict(
                False,
                f"One number is asked for; yours has the shape {list(given.shape)}. Take the mean "
                "over everything that losses.magnitudes returns.",
            )
        one = {name: [part(target, estimate, n) for n in windows] for name, part in _PARTS.items()}
        linear, log = sum(one["linear"]), sum(one["log"])
        verdict = compare(
            given,
            expected,
            f"the distance with the windows {windows}",
            tolerance=1e-3,
            usual={
                "The logarithmic part is missing.": linear,
                "The linear part is missing.": log,
                "The linear part is divided by the estimate's energy. It has to be the target's: that stays as it is while "
                "the estimate is trained.": sum(one["by the estimate"]) + log,
                "The linear part is not divided by the target's energy: loud recordings would count for more.": sum(
                    one["not relative"]
                )
                + log,
                "That is the logarithm with base 10. The natural one is asked for.": linear + log / math.log(10),
                "Differences of the logarithms have to be made positive with .abs() before the mean, or those above and "
                "those below cancel.": linear + sum(one["signed"]),
                "In the logarithmic part the differences are squared; the mean of their absolute values is asked for.": linear
                + sum(one["squared"]),
                "That is one of the windows. Add up all of them.": one["linear"][-1] + one["log"][-1],
                "That is the first window. Add up all of them.": one["linear"][0] + one["log"][0],
                "That is the mean over the windows; their sum is asked for.": (linear + log) / len(windows),
            },
        )
        if not verdict.right:
            return verdict
        if float(ask(answer, target, target, windows)) > 1e-6:
            return Verdict(False, "A sound compared with itself has to have the distance 0.")
    return Verdict(True, f"Equal to losses.SpectralDistance for {len(WINDOWS)} sets of windows.")


@exercise("04", "A dimension's bill is beta times its share in kl. It is worth it while that is less than its gain.")
def price(kept: Any, largest_beta: Any) -> Verdict:
    """Judge how many dimensions are worth their price, and the beta up to which all are. Notebook: 04."""
    even = [gain / cost for gain, cost in USES]  # the beta at which a dimension is neither gain nor loss
    return together(
        compare(
            kept,
            sum(BETA < value for value in even),
            "the number of dimensions",
            usual={
                "At that price two of them cost more than they gain: 0.01 * 40 is 0.40, against 0.30.": 2,
                "At that price some cost more than they gain: compare 0.01 * 8 with 0.02.": 3,
                "Dimension 0 costs 0.01 * 60 = 0.60 and gains 0.90: it stays.": 0,
            },
        ),
        compare(
            largest_beta,
            min(even),
            "the largest beta",
            tolerance=1e-6,
            usual={
                "That is where dimension 0 is even; the other two were given up before.": even[0],
                "That is where dimension 1 is even; dimension 2 was given up before.": even[1],
                "Gain divided by cost, not cost by gain.": 1 / min(even),
                "Training's kl counts twice the divergence already; there is no further factor.": min(even) / 2,
            },
        ),
    )


@exercise("04", "From 0.00001 to 0.01 are three factors of ten, in 1500 steps. Step 500 is a third of the way.")
def ramp(beta: Any) -> Verdict:
    """Judge beta at step 500 of the preset `tiny`. Notebook: 04."""
    config = training_preset("tiny")
    start, end, steps = config.beta_start, config.beta, config.beta_ramp_steps
    return compare(
        beta,
        beta_at(500, start, end, steps),
        "beta at step 500",
        tolerance=1e-7,
        usual={
            "That rises by the same amount in every step; the ramp rises by the same factor.": start
            + (end - start) * 500 / steps,
            "That is the end of the ramp. It is reached at step 1500.": end,
            "That is two thirds of the way.": beta_at(1000, start, end, steps),
            "That is where the ramp starts. It rises from the first step on.": start,
        },
    )


@exercise("04", "min(1, (step + 1) / warmup), and 0.1 + 0.9 * (0.5 + 0.5 * cos(pi * min(1, step / total))).")
def warmup_and_cosine(answer: Callable[..., Any]) -> Verdict:
    """Judge `rate_at(step, peak, warmup, total)` beside `steps.learning_rate`, over whole trainings. Notebook: 04."""
    for peak, warmup, total in ((1.0, 10, 100), (3e-3, 50, 400), (1.0, 1, 60)):
        config = training_preset("tiny", learning_rate=peak, warmup_steps=warmup, phase_one_steps=total)
        at = range(0, total + 40, 2)
        # Relative to the peak, so that a small one is compared as strictly as a large one.
        given = [_number(ask(answer, step, peak, warmup, total)) / peak for step in at]
        wanted = [learning_rate(config, step) / peak for step in at]
        ramp_of = {step: min(1.0, (step + 1) / warmup) for step in at}
        cosine = {step: 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / total)) for step in at}
        verdict = compare(
            given,
            wanted,
            "the rate, as a share of the peak, every second step",
            draw=True,
            usual={
                "The warm-up is missing.": [0.1 + 0.9 * cosine[step] for step in at],
                "The cosine is missing: after the warm-up the rate falls.": [ramp_of[step] for step in at],
                "It falls to 0; it has to end at a tenth.": [ramp_of[step] * cosine[step] for step in at],
                "The first step would have the rate 0 and be wasted: the warm-up is (step + 1) / warmup.": [
                    min(1.0, step / warmup) * (0.1 + 0.9 * cosine[step]) for step in at
                ],
                "After the last step the cosine rises again: limit step / total to 1.": [
                    ramp_of[step] * (0.55 + 0.45 * math.cos(math.pi * step / total)) for step in at
                ],
                "The warm-up goes on beyond 1: limit it with min(1, ...).": [
                    (step + 1) / warmup * (0.1 + 0.9 * cosine[step]) for step in at
                ],
                "That is the larger or the smaller of the two factors; multiply them.": [
                    min(ramp_of[step], 0.1 + 0.9 * cosine[step]) for step in at
                ],
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Equal to steps.learning_rate over three whole trainings.")


def _pair(seed: int) -> tuple[Tensor, Tensor]:
    """Two sounds [2, 1, 6000] that differ in colour and level."""
    generator = torch.Generator().manual_seed(40 + seed)
    noise = 0.2 * torch.randn(2, 1, 6000, generator=generator)
    other = 0.3 * torch.randn(2, 1, 6000, generator=generator)
    smooth = torch.nn.functional.avg_pool1d(other, 5, 1, 2)
    return noise, noise + smooth


def _number(value: Any) -> float:
    """A number, or a TypeError whose words are for the student."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise TypeError(f"rate_at has to return one number; it returned a tensor of the shape {list(value.shape)}.")
    return float(value)


def _linear(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean()


_PARTS: dict[str, Callable[[Tensor, Tensor, int], float]] = {
    name: (lambda x, y, n, part=part: float(part(magnitudes(x, n), magnitudes(y, n))))
    for name, part in {
        "linear": lambda a, b: _linear(a, b) / a.square().mean(),
        "by the estimate": lambda a, b: _linear(a, b) / b.square().mean(),
        "not relative": _linear,
        "log": lambda a, b: (a.log() - b.log()).abs().mean(),
        "signed": lambda a, b: (a.log() - b.log()).mean(),
        "squared": lambda a, b: (a.log() - b.log()).square().mean(),
    }.items()
}
