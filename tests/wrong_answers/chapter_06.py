"""Typical wrong answers to the exercises of chapter 06, each with a word that the feedback must hold."""

from collections.abc import Callable

import torch
from torch import Tensor

Features = list[list[Tensor]]


def matching(
    real: Features, fake: Features, ratio: Callable[[Tensor, Tensor], Tensor] | None = None, first: int = 1
) -> Tensor:
    """Relative feature matching, with another ratio, or with the first features left in."""
    ratio = ratio or (lambda r, f: (r.detach() - f).abs().mean() / r.detach().abs().mean())
    each = []
    for r_layers, f_layers in zip(real, fake, strict=True):
        pairs = list(zip(r_layers[first:], f_layers[first:], strict=True))
        each.append(sum(ratio(*pair) for pair in pairs) / len(pairs))
    return sum(each) / len(each)


def by_autograd(real: Tensor, fake: Tensor) -> tuple[Tensor, ...]:
    real, fake = real.requires_grad_(), fake.requires_grad_()
    loss = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
    return torch.autograd.grad(loss, [real, fake])


WRONG = {
    "scores_by_hand": [
        ((1.7, 0.65, 2), "sums over the scores"),
        ((0.1, 0.65, 2), "contributes 0"),
        ((0.85, -0.65, 2), "minus the mean"),
        ((0.85, 0.65, 4), "flat part"),
        ((0.85, 0.65, 3), "-1.5"),
        ((0.425, 0.65, 2), "added"),
    ],
    "hinge_gradient": [
        (lambda real, fake: ((real < 1) / real.numel(), -1.0 * (fake > -1) / fake.numel()), "sign is wrong"),
        (lambda real, fake: (-1.0 * (real < 1), 1.0 * (fake > -1)), "one part in N"),
        (
            lambda real, fake: (-1.0 * (real < 1) / (real < 1).sum(), (fake > -1) / (fake > -1).sum()),
            "number of all scores",
        ),
        (
            lambda real, fake: (-torch.ones_like(real) / real.numel(), torch.ones_like(fake) / fake.numel()),
            "flat part",
        ),
        (lambda real, fake: (-1.0 * (real < 1) / real.numel(), (fake < -1) / fake.numel()), "other way round"),
        (lambda real, fake: -1.0 * (real < 1) / real.numel(), "two tensors"),
        (by_autograd, "ruled out"),
    ],
    "fold": [
        (
            lambda audio, period: audio[..., : audio.shape[-1] // period * period].reshape(
                *audio.shape[:2], -1, period
            ),
            "lost",
        ),
        (
            lambda audio, period: torch.nn.functional.pad(audio, (-audio.shape[-1] % period, 0)).unflatten(
                -1, (-1, period)
            ),
            "after it",
        ),
        (
            lambda audio, period: (
                torch.nn.functional.pad(audio, (0, -audio.shape[-1] % period))
                .unflatten(-1, (-1, period))
                .transpose(-1, -2)
            ),
            "Rows come before",
        ),
        (
            lambda audio, period: (
                torch.nn.functional.pad(audio, (0, -audio.shape[-1] % period))
                .unflatten(-1, (period, -1))
                .transpose(-1, -2)
            ),
            "side by side",
        ),
    ],
    "feature_matching": [
        (
            lambda real, fake: matching(real, fake, lambda r, f: (r - f).abs().mean() / r.abs().mean()),
            "recording's side too",
        ),
        (
            lambda real, fake: matching(real, fake, lambda r, f: (r.detach() - f).abs().mean() / r.abs().mean()),
            "in the divisor",
        ),
        (
            lambda real, fake: matching(real, fake, lambda r, f: (r - f.detach()).abs().mean() / r.abs().mean()),
            "wrong side",
        ),
        (lambda real, fake: matching(real, fake).detach(), "no gradient flows"),
        (lambda real, fake: matching(real, fake, lambda r, f: (r.detach() - f).abs().mean(), 0), "plain form"),
        (lambda real, fake: matching(real, fake, lambda r, f: (r.detach() - f).abs().mean()), "not divided"),
        (lambda real, fake: matching(real, fake, first=0), "left out"),
        (
            lambda real, fake: matching(real, fake, lambda r, f: (r.detach() - f).abs().mean() / f.abs().mean()),
            "divide by its size",
        ),
        (
            lambda real, fake: matching(real, fake, lambda r, f: ((r.detach() - f).abs() / r.detach().abs()).mean()),
            "before the mean",
        ),
        (lambda real, fake: len(real) * (len(real[0]) - 1) * matching(real, fake), "sum over the features"),
    ],
}
