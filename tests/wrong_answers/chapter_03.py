"""Typical wrong answers to the exercises of chapter 03, each with a word that the feedback must hold."""

import torch
from torch import Tensor


def noise_of(mean: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(mean.shape, generator=generator)


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
    "reparameterise": [
        (lambda mean, std, generator: mean + noise_of(mean, generator), "not scaled"),
        (lambda mean, std, generator: mean + std**2 * noise_of(mean, generator), "variance"),
        (lambda mean, std, generator: mean + std * torch.randn_like(mean), "generator"),
        (lambda mean, std, generator: torch.normal(mean, std, generator=generator), "gradient"),
        (lambda mean, std, generator: mean + (std * noise_of(mean, generator)).detach(), "std was detached"),
        (lambda mean, std, generator: (mean + std * noise_of(mean, generator)).detach(), "no gradient flows"),
        (lambda mean, std, generator: mean[0], "shape"),
    ],
    "kl": [
        (lambda mean, std: mean**2 + std**2 - 2 * std.log() - 1, "half"),
        (lambda mean, std: 0.5 * (mean**2 + std**2 - std.log() - 1), "twice as much"),
        (lambda mean, std: 0.5 * (mean**2 + std**2 - 2 * std.log()), "- 1 is missing"),
        (lambda mean, std: (0.5 * (mean**2 + std**2 - 2 * std.log() - 1)).sum(), "one value for each"),
        (lambda mean, std: std.log() + (1 + mean**2) / (2 * std**2) - 0.5, "other way round"),
    ],
}
