"""Typical wrong answers to the exercises of chapter 06, each with a word that the feedback must hold."""

import torch
from torch import Tensor

Scores = list[Tensor]


def matching(real: list[Scores], fake: list[Scores], detach: bool = True) -> Tensor:
    critics = []
    for r_layers, f_layers in zip(real, fake, strict=True):
        targets = [r.detach() if detach else r for r in r_layers]
        critics.append(sum((r - f).abs().mean() for r, f in zip(targets, f_layers, strict=True)) / len(targets))
    return sum(critics) / len(critics)


WRONG = {
    "scores_by_hand": [
        ((1.7, 0.65, 2), "sums over the scores"),
        ((0.1, 0.65, 2), "pays 0"),
        ((0.85, -0.65, 2), "minus the mean"),
        ((0.85, 0.65, 4), "flat part"),
        ((0.425, 0.65, 2), "added"),
    ],
    "hinge": [
        (lambda real, fake: sum((1 - r).mean() + (1 + f).mean() for r, f in zip(real, fake, strict=True)), "relu"),
        (
            lambda real, fake: sum(
                torch.relu(1 + r).mean() + torch.relu(1 - f).mean() for r, f in zip(real, fake, strict=True)
            ),
            "turned round",
        ),
        (
            lambda real, fake: sum(
                torch.relu(1 - r.mean()) + torch.relu(1 + f.mean()) for r, f in zip(real, fake, strict=True)
            ),
            "before the mean",
        ),
        (lambda real, fake: sum(torch.relu(1 + f).mean() for f in fake), "recordings are missing"),
        (lambda real, fake: torch.relu(1 - real[0]), "One number"),
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
            "behind",
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
        (lambda real, fake: matching(real, fake, detach=False), "recording's side too"),
        (lambda real, fake: matching(real, fake).detach(), "no gradient flows"),
        (lambda real, fake: len(real) * matching(real, fake), "critics are added"),
        (
            lambda real, fake: (
                sum(
                    sum((r - f).abs().mean() for r, f in zip(*layers, strict=True))
                    for layers in zip(real, fake, strict=True)
                )
                / len(real)
            ),
            "take their mean",
        ),
        (
            lambda real, fake: (
                sum(
                    sum((r - f).square().mean() for r, f in zip(*layers, strict=True)) / len(layers[0])
                    for layers in zip(real, fake, strict=True)
                )
                / len(real)
            ),
            "squared",
        ),
    ],
}
