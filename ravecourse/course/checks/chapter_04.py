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
USES = ((0.90, 60.0), (0.30, 40.0), (0.02, 8.0))  # of exercise 4.2: rise of the distance without it, share of kl
BETA = 0.01


@exercise(
    "04",
    "For each window: a, b = magnitudes of target and estimate; then "
    "(a - b).square().mean() / a.square().mean() + (a.log() - b.log()).abs().mean().",
)
def spectral_distance(answer: Callable[..., Any]) -> Verdict:
    """Compare `spectral_distance(target, estimate, windows)` with `spectra.SpectralDistance`. Notebook: 04."""
    for seed, windows in enumerate(WINDOWS):
        target, estimate = _pair(seed)
        expected = SpectralDistance(windows)(target, estimate)
        given = ask(answer, target, estimate, windows)
        if isinstance(given, Tensor) and given.numel() > 1:
            return Verdict(
                False,
                f"Return one number; yours has the shape {list(given.shape)}. Take the means over all three axes of what "
                "spectra.magnitudes returns.",
            )
        one = {name: [_part(name, target, estimate, n) for n in windows] for name in _COMPARED}
        linear, log = sum(one["linear"]), sum(one["log"])
        verdict = compare(
            given,
            expected,
            f"the distance with the windows {windows}",
            tolerance=1e-3,
            usual={
                "The logarithmic part is missing.": linear,
                "The linear part is missing.": log,
                "The linear part is divided by the estimate's energy. Divide by the target's: it does not change when the "
                "model does, so a model gains nothing by being loud.": sum(one["by the estimate"]) + log,
                "The linear part is not divided by the target's energy: loud recordings would count more than soft ones.": sum(
                    one["not relative"]
                )
                + log,
                "That is the logarithm to base 10. Use the natural logarithm.": linear + log / math.log(10),
                "Take .abs() of the differences of the logarithms before the mean; otherwise positive and negative differences "
                "cancel.": linear + sum(one["signed"]),
                "In the logarithmic part you squared the differences; take the mean of their absolute values.": linear
                + sum(one["squared"]),
                "That is the last window only. Add up all of them.": one["linear"][-1] + one["log"][-1],
                "That is the first window only. Add up all of them.": one["linear"][0] + one["log"][0],
                "That is the mean over the windows; return the sum.": (linear + log) / len(windows),
            },
        )
        if not verdict.right:
            return verdict
        if float(ask(answer, target, target, windows)) > 1e-6:
            return Verdict(False, "The distance of a sound from itself has to be 0.")
    return Verdict(True, f"Equal to spectra.SpectralDistance for {len(WINDOWS)} sets of windows.")


@exercise(
    "04",
    "Without the dimension the distance rises, but beta times its share of kl is saved. Which is larger? And at which beta "
    "are the two equal?",
)
def price(kept: Any, largest_beta: Any) -> Verdict:
    """Compare how many dimensions lower the loss, and the beta up to which none raises it. Notebook: 04."""
    even = [gain / cost for gain, cost in USES]  # the beta at which a dimension does not change the loss
    return together(
        compare(
            kept,
            sum(BETA < value for value in even),
            "the number of dimensions",
            usual={
                "Dimension 1 costs 0.01 * 40 = 0.40 and lowers the distance by 0.30 only: it raises the loss.": 2,
                "Some of them cost more than they gain: compare 0.01 * 8 with 0.02.": 3,
                "Dimension 0 costs 0.01 * 60 = 0.60 and lowers the distance by 0.90: it lowers the loss.": 0,
            },
        ),
        compare(
            largest_beta,
            min(even),
            "the largest beta",
            tolerance=1e-6,
            usual={
                "Up to there dimension 0 lowers the loss, but the other two already raise it.": even[0],
                "Up to there dimensions 0 and 1 lower the loss, but dimension 2 already raises it.": even[1],
                "That is the share of kl divided by the rise of the distance; it is the other way round.": 1
                / min(even),
                "The kl of the table is counted as in the loss: there is no factor of 2.": min(even) / 2,
                "The kl of the table is counted as in the loss: there is no factor of 1/2.": 2 * min(even),
                "That is the sum over the three dimensions; each decides for itself.": sum(gain for gain, _ in USES)
                / sum(cost for _, cost in USES),
            },
        ),
    )


@exercise("04", "From 0.00001 to 0.01 there are three factors of ten, in 1500 steps. Step 500 is a third of the way.")
def ramp(beta: Any) -> Verdict:
    """Compare beta at step 500 of the preset `tiny`. Notebook: 04."""
    config = training_preset("tiny")
    start, end, steps = config.beta_start, config.beta, config.beta_ramp_steps
    return compare(
        beta,
        beta_at(500, start, end, steps),
        "beta at step 500",
        tolerance=1e-7,
        usual={
            "You added the same amount in every step; the ramp multiplies by the same factor.": start
            + (end - start) * 500 / steps,
            "That is the end of the ramp, which is reached at step 1500.": end,
            "That is two thirds of the way.": beta_at(1000, start, end, steps),
            "That is the start of the ramp, at step 0.": start,
        },
    )


@exercise("04", "min(1, (step + 1) / warmup), and 0.1 + 0.9 * (0.5 + 0.5 * cos(pi * min(1, step / total))).")
def warmup_and_cosine(answer: Callable[..., Any]) -> Verdict:
    """Compare `rate_at(step, peak, warmup, total)` with `training.learning_rate` over whole trainings. Notebook: 04."""
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
                "The warm-up is missing: the rate starts at its peak.": [0.1 + 0.9 * cosine[step] for step in at],
                "The cosine factor is missing: after the warm-up the rate falls.": [ramp_of[step] for step in at],
                "Your cosine factor falls to 0; it has to end at 0.1.": [ramp_of[step] * cosine[step] for step in at],
                "The first step has the rate 0 and is wasted: the warm-up factor is (step + 1) / warmup.": [
                    min(1.0, step / warmup) * (0.1 + 0.9 * cosine[step]) for step in at
                ],
                "After step `total` your cosine rises again: limit step / total to 1.": [
                    ramp_of[step] * (0.55 + 0.45 * math.cos(math.pi * step / total)) for step in at
                ],
                "The warm-up factor grows beyond 1: limit it with min(1, ...).": [
                    (step + 1) / warmup * (0.1 + 0.9 * cosine[step]) for step in at
                ],
                "That is the smaller of the two factors; multiply them.": [
                    min(ramp_of[step], 0.1 + 0.9 * cosine[step]) for step in at
                ],
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Equal to training.learning_rate over three whole trainings.")


def _pair(seed: int) -> tuple[Tensor, Tensor]:
    """Two sounds [2, 1, 6000] that differ in timbre and level."""
    generator = torch.Generator().manual_seed(40 + seed)
    noise = 0.2 * torch.randn(2, 1, 6000, generator=generator)
    other = 0.3 * torch.randn(2, 1, 6000, generator=generator)
    smooth = torch.nn.functional.avg_pool1d(other, 5, 1, 2)
    return noise, noise + smooth


def _number(value: Any) -> float:
    """A number, or a TypeError whose message is for the student."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise TypeError(f"rate_at has to return one number; it returned a tensor of the shape {list(value.shape)}.")
    return float(value)


def _linear(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean()


_COMPARED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear": lambda a, b: _linear(a, b) / a.square().mean(),
    "by the estimate": lambda a, b: _linear(a, b) / b.square().mean(),
    "not relative": _linear,
    "log": lambda a, b: (a.log() - b.log()).abs().mean(),
    "signed": lambda a, b: (a.log() - b.log()).mean(),
    "squared": lambda a, b: (a.log() - b.log()).square().mean(),
}


def _part(name: str, target: Tensor, estimate: Tensor, window: int) -> float:
    return float(_COMPARED[name](magnitudes(target, window), magnitudes(estimate, window)))
