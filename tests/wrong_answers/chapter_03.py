"""Typical wrong answers to the exercises of chapter 03, each with a word that the feedback must hold."""

import torch
from torch import Tensor


def uniform(low: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(low.shape, generator=generator)


def formula(mean: Tensor, std: Tensor) -> Tensor:
    return 0.5 * (mean**2 + std**2 - 2 * std.log() - 1)


WRONG = {
    "hop_and_frames": [
        ((128, 768, 98304), "band split"),
        ((30, 48, 6144), "multiply"),
        ((2048, 6144, 6144), "ratios come after"),
        ((2048, 48, 12288), "standard deviations"),
    ],
    "receptive_field": [
        (18, "stride is missing"),
        (20, "dilation is missing"),
        (23, "without counting"),
        (42, "before"),
        (25, "expected"),
    ],
    "draw_between": [
        (lambda low, high, generator: uniform(low, generator), "not between"),
        (lambda low, high, generator: low + high * uniform(low, generator), "not between"),
        (lambda low, high, generator: low + (high - low) * torch.rand_like(low), "same seed"),
        (lambda low, high, generator: low + (high - low) * torch.rand(1, generator=generator), "same place"),
        (
            lambda low, high, generator: low + (high - low) * torch.rand(low.shape[1:], generator=generator),
            "shared by several",
        ),
        (
            lambda low, high, generator: low + ((high - low) * uniform(low, generator)).detach(),
            "no gradient reaches high",
        ),
        (lambda low, high, generator: low + (high - low.detach()) * uniform(low, generator), "gradients are not"),
        (
            lambda low, high, generator: (low + (high - low) * uniform(low, generator)).detach(),
            "no gradient reaches low",
        ),
        (lambda low, high, generator: low + (high - low) * uniform(low, generator) ** 2, "not uniform"),
        (
            lambda low, high, generator: (
                low + (high - low) * torch.sigmoid(torch.randn(low.shape, generator=generator))
            ),
            "not uniform",
        ),
        (lambda low, high, generator: (low + high) / 2, "same place"),
        (lambda low, high, generator: low[0], "shape"),
    ],
    "kl_between": [
        (lambda mean, std, prior_mean, prior_std: formula(mean, std), "not used"),
        (lambda mean, std, prior_mean, prior_std: formula(mean - prior_mean, std), "unit"),
        (lambda mean, std, prior_mean, prior_std: formula(mean - prior_mean, std / prior_std), "std only"),
        (lambda mean, std, prior_mean, prior_std: formula(mean / prior_std, std / prior_std), "subtract"),
        (
            lambda mean, std, prior_mean, prior_std: formula((prior_mean - mean) / std, prior_std / std),
            "other way round",
        ),
        (
            lambda mean, std, prior_mean, prior_std: formula(mean, std) - formula(prior_mean, prior_std),
            "difference of two",
        ),
        (
            lambda mean, std, prior_mean, prior_std: formula((mean - prior_mean) / prior_std, std / prior_std).sum(),
            "one value per element",
        ),
    ],
}
