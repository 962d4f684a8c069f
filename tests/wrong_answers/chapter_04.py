"""Typical wrong answers to the exercises of chapter 04, each with a word that the feedback must hold."""

import math

from torch import Tensor

from ravecourse.training.spectra import magnitudes


def distance(
    target: Tensor,
    estimate: Tensor,
    windows: tuple[int, ...],
    base: float = math.e,
    by_target: bool = True,
    absolute: bool = True,
) -> Tensor:
    total = 0
    for n in windows:
        a, b = magnitudes(target, n), magnitudes(estimate, n)
        logarithms = (a.log() - b.log()) / math.log(base)
        total += (a - b).square().mean() / (a if by_target else b).square().mean() + (
            logarithms.abs() if absolute else logarithms
        ).mean()
    return total


def cosine(step: int, total: int) -> float:
    return 0.1 + 0.9 * (0.5 + 0.5 * math.cos(math.pi * min(1, step / total)))


WRONG = {
    "spectral_distance": [
        (lambda t, e, w: distance(t, e, w, base=10), "base 10"),
        (lambda t, e, w: distance(t, e, w, by_target=False), "target's"),
        (lambda t, e, w: distance(t, e, w, absolute=False), "cancel"),
        (lambda t, e, w: distance(t, e, w) / len(w), "return the sum"),
        (lambda t, e, w: distance(t, e, w[-1:]), "Add up all"),
        (lambda t, e, w: (magnitudes(t, w[0]) - magnitudes(e, w[0])).square(), "Return one number"),
        (lambda t, e, w: (t - e).square().mean() / t.square().mean(), "differs"),
    ],
    "price": [
        ((2, 0.0025), "0.40"),
        ((1, 0.015), "dimension 0"),
        ((1, 0.0075), "dimension 2"),
        ((1, 400.0), "other way round"),
        ((3, 0.0025), "0.01 * 8"),
        ((0, 0.0025), "0.90"),
        ((1, 0.00125), "factor of 2"),
        ((1, 0.005), "factor of 1/2"),
        ((1, 1.22 / 108), "decides for itself"),
    ],
    "ramp": [(1e-5 + (1e-2 - 1e-5) / 3, "same factor"), (1e-3, "two thirds"), (1e-2, "end of the ramp")],
    "warmup_and_cosine": [
        (lambda step, peak, warmup, total: peak * cosine(step, total), "warm-up is missing"),
        (lambda step, peak, warmup, total: peak * min(1, step / warmup) * cosine(step, total), "wasted"),
        (lambda step, peak, warmup, total: peak * min(1, (step + 1) / warmup), "cosine factor is missing"),
        (
            lambda step, peak, warmup, total: (
                peak * min(1, (step + 1) / warmup) * (0.55 + 0.45 * math.cos(math.pi * step / total))
            ),
            "rises again",
        ),
    ],
}
