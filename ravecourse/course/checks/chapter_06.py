"""Exercises of chapter 06: scores by hand, the hinge loss, the fold of the multi-period critics, feature matching.

Notebook: 06.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ravecourse.training import discriminator, losses

from .feedback import Verdict, ask, compare, counted, exercise, together

REAL, FAKE = (2.0, 0.5), (-1.5, 0.2)  # of exercise 6.1


@exercise(
    "06",
    "A recording's score s costs max(0, 1 - s), a reconstruction's max(0, 1 + s); the mean over each two, "
    "then their sum. The decoder pays minus the mean of its scores.",
)
def scores_by_hand(critics_pay: Any, decoder_pays: Any, still_learn_from: Any) -> Verdict:
    """Judge the predicted losses of exercise 6.1, and how many scores still teach. Notebook: 06."""
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    right = float(losses.hinge_discriminator([real], [fake]))
    for_real, for_fake = F.relu(1 - real), F.relu(1 + fake)
    return together(
        compare(
            critics_pay,
            right,
            "what the critics pay",
            tolerance=1e-4,
            usual={
                "Those are sums over the scores; take the mean over the two recordings and over the two reconstructions.": float(
                    for_real.sum() + for_fake.sum()
                ),
                "The means over recordings and reconstructions are added, not averaged.": right / 2,
                "Where a critic is right and sure it pays 0, not less than 0: 1 - 2.0 counts as 0, and 1 - 1.5 too.": float(
                    (1 - real).mean() + (1 + fake).mean()
                ),
                "That is for the recordings only.": float(for_real.mean()),
                "That is for the reconstructions only.": float(for_fake.mean()),
                "The signs are turned round: recordings should score high.": float(
                    F.relu(1 + real).mean() + F.relu(1 - fake).mean()
                ),
            },
        ),
        compare(
            decoder_pays,
            float(losses.hinge_generator([fake])),
            "what the decoder pays",
            tolerance=1e-4,
            usual={
                "The sign: the decoder wants a high score, so it pays minus the mean.": float(fake.mean()),
                "The decoder's loss has no hinge: it always wants more.": float(F.relu(1 - fake).mean()),
                "That is a sum; the mean is asked for.": -float(fake.sum()),
            },
        ),
        compare(
            still_learn_from,
            int((for_real > 0).sum() + (for_fake > 0).sum()),
            "the number of scores that still teach",
            usual={
                "Two of the four lie on the flat part, where the slope is 0: 2.0 for a recording, -1.5 for a "
                "reconstruction.": 4,
                "-1.5 for a reconstruction lies below -1, where the critics are satisfied.": 3,
            },
        ),
    )


@exercise("06", "torch.relu(1 - r).mean() + torch.relu(1 + f).mean() for each pair r, f of zip(real, fake); then sum.")
def hinge(answer: Callable[..., Any]) -> Verdict:
    """Judge `hinge(real, fake)` beside `losses.hinge_discriminator`. Notebook: 06."""
    for seed, sizes in enumerate((((4, 1, 9),), ((2, 1, 50), (2, 1, 7)), ((3, 1, 5, 2), (3, 1, 4, 3), (3, 1, 30)))):
        generator = torch.Generator().manual_seed(60 + seed)
        real = [1.5 * torch.randn(size, generator=generator) for size in sizes]
        fake = [1.5 * torch.randn(size, generator=generator) - 0.3 for size in sizes]
        pairs = list(zip(real, fake, strict=True))
        expected = losses.hinge_discriminator(real, fake)
        given = ask(answer, [r.clone() for r in real], [f.clone() for f in fake])
        if isinstance(given, Tensor) and given.numel() > 1:
            return Verdict(
                False,
                f"One number is asked for; yours has the shape {list(given.shape)}. Take the mean "
                "over a critic's scores.",
            )
        verdict = compare(
            _plain(given),
            expected,
            f"the hinge loss of {counted(len(sizes), 'discriminator')}",
            usual={
                "Scores beyond 1 and -1 count as if they paid back. Cut off at 0 with torch.relu, score by score, before "
                "the mean.": sum((1 - r).mean() + (1 + f).mean() for r, f in pairs),
                "Cut off at 0 score by score, before the mean: the mean of the scores hides those that are wrong.": sum(
                    F.relu(1 - r.mean()) + F.relu(1 + f.mean()) for r, f in pairs
                ),
                "The signs are turned round: recordings should score above 1, reconstructions below -1.": sum(
                    F.relu(1 + r).mean() + F.relu(1 - f).mean() for r, f in pairs
                ),
                "The recordings are missing.": sum(F.relu(1 + f).mean() for f in fake),
                "The reconstructions are missing.": sum(F.relu(1 - r).mean() for r in real),
                "Critics with many scores weigh more in yours. The mean over a critic's scores comes first, then the sum.": sum(
                    F.relu(1 - r).sum() + F.relu(1 + f).sum() for r, f in pairs
                ),
                "That is the mean over the critics; their sum is asked for.": expected / len(sizes),
                "The margin is 1: without it the critics are satisfied too early.": sum(
                    F.relu(-r).mean() + F.relu(f).mean() for r, f in pairs
                ),
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Equal to losses.hinge_discriminator for 1, 2 and 3 critics.")


@exercise(
    "06",
    "torch.nn.functional.pad(audio, (0, missing)) with missing = -T % period; then reshape the last axis "
    "to (rows, period).",
)
def fold(answer: Callable[..., Any]) -> Verdict:
    """Judge `fold(audio, period)` beside `discriminator.fold`. Notebook: 06."""
    for batch, channels, length, period in ((1, 1, 12, 3), (2, 1, 10, 4), (2, 2, 11, 5), (1, 2, 3, 7)):
        audio = torch.arange(1.0, 1 + batch * channels * length).reshape(batch, channels, length)
        expected = discriminator.fold(audio, period)
        given = ask(answer, audio, period)
        what = f"{length} samples folded by {period}"
        if (
            isinstance(given, Tensor)
            and given.shape
            == audio[..., : length // period * period].reshape(batch, channels, -1, period).shape
            != expected.shape
        ):
            return Verdict(
                False,
                f"With {what} the last {length % period} samples are lost. Fill the last row with "
                "zeros instead of leaving it out.",
            )
        verdict = compare(
            given,
            expected,
            what,
            usual={
                "The rows run along the wrong axis: neighbouring samples have to stand side by side in a row.": F.pad(
                    audio, (0, -length % period)
                )
                .unflatten(-1, (period, -1))
                .transpose(-1, -2),
                "The zeros stand before the signal; they belong behind it.": F.pad(
                    audio, (-length % period, 0)
                ).unflatten(-1, (-1, period)),
            },
        )
        if not verdict.right:
            if isinstance(given, Tensor) and given.shape == expected.transpose(-1, -2).shape != expected.shape:
                return Verdict(False, f"{verdict.words}\nRows come before the period: [B, C, rows, period].")
            return verdict
    return Verdict(True, "Equal to discriminator.fold, whole rows or not.")


@exercise(
    "06",
    "(r.detach() - f).abs().mean() for each pair of features; average over a critic's features, then over the critics.",
)
def feature_matching(answer: Callable[..., Any]) -> Verdict:
    """Judge `feature_matching(real, fake)` beside `losses.feature_matching`, and where gradients flow. Notebook: 06."""
    for seed, counts in enumerate(((3,), (2, 4), (1, 2, 5))):
        real, fake = _features(counts, 70 + seed), _features(counts, 80 + seed)
        expected = losses.feature_matching(real, fake)
        given = ask(answer, [list(layers) for layers in real], [list(layers) for layers in fake])
        if isinstance(given, Tensor) and given.numel() > 1:
            return Verdict(False, f"One number is asked for; yours has the shape {list(given.shape)}.")
        each = [[(r - f).detach() for r, f in zip(*layers, strict=True)] for layers in zip(real, fake, strict=True)]
        flat = [layer for layers in each for layer in layers]
        critics = [sum(layer.abs().mean() for layer in layers) for layers in each]
        verdict = compare(
            _plain(given),
            expected,
            f"feature matching of {counted(len(counts), 'discriminator')}",
            usual={
                "That is the sum over the features of a critic; take their mean.": sum(critics) / len(critics),
                "The critics are added up; take their mean.": expected * len(counts),
                "All features of all critics are averaged at once, so that a critic with more layers weighs more. Average "
                "over a critic's features first.": sum(layer.abs().mean() for layer in flat) / len(flat),
                "Everything is added up: take the mean over a critic's features, then over the critics.": sum(critics),
                "The differences are squared; absolute values are asked for.": sum(
                    sum(layer.square().mean() for layer in layers) / len(layers) for layers in each
                )
                / len(each),
                "Without .abs() what is too high here and too low there cancels.": sum(
                    sum(layer.mean() for layer in layers) / len(layers) for layers in each
                )
                / len(each),
                "That is the relative form, or close to it; the plain one is asked for.": losses.feature_matching(
                    real, fake, relative=True
                )
                if min(counts) > 1
                else torch.tensor(torch.inf),
            },
        )
        if not verdict.right:
            return verdict
        wrong = _gradients(given, real, fake)
        if wrong:
            return Verdict(False, wrong)
    return Verdict(True, "Equal to losses.feature_matching for 1, 2 and 3 critics; gradients flow to the decoder only.")


def _plain(value: Any) -> Any:
    """A tensor with one number in it, as a number without axes."""
    return value.reshape(()) if isinstance(value, Tensor) and value.numel() == 1 else value


def _features(counts: tuple[int, ...], seed: int) -> list[list[Tensor]]:
    """For each critic so many features, each layer larger in its values than the one before."""
    generator = torch.Generator().manual_seed(seed)
    return [
        [((k + 1) * torch.randn(2, 3 + k, 20 - 2 * k, generator=generator)).requires_grad_() for k in range(count)]
        for count in counts
    ]


def _gradients(value: Any, real: list[list[Tensor]], fake: list[list[Tensor]]) -> str:
    """What is wrong with where the gradients flow, or nothing."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        return (
            "The number is right, but no gradient flows to the reconstruction's side, and the decoder would learn "
            "nothing. Only the recording's side is detached."
        )
    to_real = torch.autograd.grad(value, [r for layers in real for r in layers], allow_unused=True, retain_graph=True)
    if any(slope is not None for slope in to_real):
        return (
            "The number is right, but gradient flows into the recording's side too. It is the target: put "
            ".detach() behind the recording's features."
        )
    to_fake = torch.autograd.grad(value, [f for layers in fake for f in layers], allow_unused=True)
    if any(slope is None for slope in to_fake):
        return "The number is right, but some features of the reconstruction get no gradient: they were detached."
    return ""
