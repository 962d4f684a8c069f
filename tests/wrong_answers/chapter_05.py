"""Typical wrong answers to the exercises of chapter 05, each with a word that the feedback must hold."""

import math

import torch
from torch import Tensor

from ravecourse.model.latent import kl_divergence


def swapped(a: Tensor, b: Tensor, directions: Tensor, size: int) -> Tensor:
    return a + directions[:size].T @ (directions[:size] @ (b - a))


def coordinates(a: Tensor, b: Tensor, directions: Tensor, size: int) -> Tensor:
    return directions[:size] @ a


def columns(a: Tensor, b: Tensor, directions: Tensor, size: int) -> Tensor:
    kept = directions[:, :size]
    return b + kept @ (kept.T @ (a - b))


def half(a: Tensor, b: Tensor, directions: Tensor, size: int) -> Tensor:
    return directions[:size].T @ (directions[:size] @ a)


def averaged_first(mean: Tensor, std: Tensor) -> list[int]:
    price = kl_divergence(mean.mean(2, keepdim=True), std.mean(2, keepdim=True))
    return (price <= 0.01).nonzero().flatten().tolist()


def equal_power(a: Tensor, b: Tensor) -> Tensor:
    angle = torch.linspace(0, math.pi / 2, a.shape[1])
    return torch.cos(angle) * a + torch.sin(angle) * b


WRONG = {
    "hybrid": [
        (swapped, "swapped"),
        (coordinates, "transpose"),
        (columns, "columns"),
        (half, "in yours they are 0"),
        (lambda a, b, directions, size: b + half(a, b, directions, size), "added whole"),
        (lambda a, b, directions, size: torch.cat([a[:size], b[size:]]), "were not used"),
        (lambda a, b, directions, size: a, "unchanged"),
    ],
    "dead": [
        (averaged_first, "each frame first"),
        (lambda mean, std: (std.mean((0, 2)) > 0.9).nonzero().flatten().tolist(), "alone does not make"),
        (lambda mean, std: (kl_divergence(mean, std) > 0.01).nonzero().flatten().tolist(), "alive"),
        (lambda mean, std: kl_divergence(mean, std), "expected"),
        (
            lambda mean, std: (0.5 * mean.square().mean((0, 2)) <= 0.01).nonzero().flatten().tolist(),
            "standard deviation other than 1",
        ),
        (lambda mean, std: kl_divergence(mean, std) <= 0.01, "mask"),
    ],
    "collapsing": [
        ([0.01, 0.001], "other way round"),
        ([3], "one more"),
        ([3, 1, 0.01, 0.001], "not all"),
        ([2], "none of"),
    ],
    "crossfade": [
        (equal_power, "equal-power"),
        (lambda a, b: torch.lerp(b, a, torch.linspace(0, 1, a.shape[1])), "from b to a"),
        (lambda a, b: torch.lerp(a, b, torch.arange(a.shape[1]) / a.shape[1]), "reach 1"),
    ],
}
