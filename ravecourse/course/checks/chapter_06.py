"""Exercises of chapter 06: losses by hand, the gradient of the hinge loss, the fold of the multi-period
discriminators, relative feature matching.

Notebook: 06.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ravecourse.training import discriminator, losses

from .feedback import NotAllowed, Verdict, ask, compare, counted, exercise, ruling_out, together

REAL, FAKE = (2.0, 0.5), (-1.5, 0.2)  # of exercise 6.1
READY_MADE = ("torch.autograd.grad", "torch.autograd.backward")


@exercise(
    "06",
    "A recording with the score s contributes max(0, 1 - s), a reconstruction max(0, 1 + s). Take the mean over each "
    "pair, then add the two means. The decoder's loss is minus the mean score of the reconstructions.",
)
def scores_by_hand(discriminator_loss: Any, decoder_loss: Any, with_gradient: Any) -> Verdict:
    """Judge the losses of exercise 6.1, and how many scores have a gradient. Notebook: 06."""
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    right = float(losses.hinge_discriminator([real], [fake]))
    for_real, for_fake = F.relu(1 - real), F.relu(1 + fake)
    return together(
        compare(
            discriminator_loss,
            right,
            "the discriminator's loss",
            tolerance=1e-4,
            usual={
                "Those are sums over the scores; take the mean over the two recordings and over the two reconstructions.": float(
                    for_real.sum() + for_fake.sum()
                ),
                "The means over recordings and reconstructions are added, not averaged.": right / 2,
                "A score beyond the margin contributes 0, never less: 1 - 2.0 counts as 0, and 1 - 1.5 does too.": float(
                    (1 - real).mean() + (1 + fake).mean()
                ),
                "That is for the recordings only.": float(for_real.mean()),
                "That is for the reconstructions only.": float(for_fake.mean()),
                "The signs are swapped: recordings should score high.": float(
                    F.relu(1 + real).mean() + F.relu(1 - fake).mean()
                ),
            },
        ),
        compare(
            decoder_loss,
            float(losses.hinge_generator([fake])),
            "the decoder's loss",
            tolerance=1e-4,
            usual={
                "The sign: the decoder wants a high score, so its loss is minus the mean.": float(fake.mean()),
                "The decoder's loss has no hinge: a higher score is always better.": float(F.relu(1 - fake).mean()),
                "That is a sum; take the mean.": -float(fake.sum()),
            },
        ),
        compare(
            with_gradient,
            int((for_real > 0).sum() + (for_fake > 0).sum()),
            "the number of scores with a gradient",
            usual={
                "Two of the four lie on the flat part, where the gradient is 0: 2.0 for a recording, -1.5 for a "
                "reconstruction.": 4,
                "-1.5 for a reconstruction is below -1: it lies on the flat part too.": 3,
            },
        ),
    )


@exercise(
    "06",
    "Differentiate relu(1 - r) with respect to r: it is -1 where r < 1 and 0 elsewhere. What does the mean over N scores "
    "do to it? A comparison such as (r < 1) becomes 0 and 1 by .float().",
)
def hinge_gradient(answer: Callable[..., Any]) -> Verdict:
    """Judge `hinge_gradient(real, fake)` beside autograd on `losses.hinge_discriminator`. Notebook: 06."""
    for seed, (size, other) in enumerate(
        (((4, 1, 9), (4, 1, 9)), ((2, 1, 50), (3, 1, 7)), ((3, 1, 5, 2), (2, 1, 4, 3)))
    ):
        generator = torch.Generator().manual_seed(60 + seed)
        real = 1.5 * torch.randn(size, generator=generator)
        fake = 1.5 * torch.randn(other, generator=generator) - 0.3
        given = ask(answer, real, fake)
        if not isinstance(given, tuple | list) or len(given) != 2:
            return Verdict(False, "Return two tensors: the gradient for `real` and the gradient for `fake`.")
        sides = (
            (given[0], _slopes(real), "the gradient for the recordings", (real < 1).float(), -1),
            (given[1], -_slopes(-fake), "the gradient for the reconstructions", (fake > -1).float(), 1),
        )
        for yours, expected, what, counts, sign in sides:
            verdict = compare(yours, expected, what, usual=_usual_slopes(expected, counts, sign))
            if not verdict.right:
                return verdict
    try:
        with ruling_out(*READY_MADE):
            ask(answer, real, fake)
    except NotAllowed as error:
        return Verdict(False, f"The gradients are right, but {error}")
    return Verdict(True, "Equal to autograd on losses.hinge_discriminator, for three shapes.")


def _slopes(real: Tensor) -> Tensor:
    """The gradient of the hinge loss of recordings with respect to their scores."""
    real = real.clone().requires_grad_()
    return torch.autograd.grad(F.relu(1 - real).mean(), real)[0]


def _usual_slopes(expected: Tensor, counts: Tensor, sign: int) -> dict[str, Tensor]:
    """The results of usual mistakes; `counts` is 1 for the scores that have a gradient."""
    return {
        "The sign is wrong: a gradient says how the loss changes when the score grows.": -expected,
        "The loss is a mean: each score contributes only one part in N.": sign * counts,
        "Divide by the number of all scores, not of those that have a gradient: the mean is taken over all.": sign
        * counts
        / counts.sum(),
        "Scores beyond the margin lie on the flat part, and their gradient is 0.": sign
        * torch.ones_like(counts)
        / counts.numel(),
        "The other way round: the scores within the margin have a gradient, those beyond it have none.": sign
        * (1 - counts)
        / counts.numel(),
    }


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
                "zeros instead of dropping it.",
            )
        verdict = compare(
            given,
            expected,
            what,
            usual={
                "The rows run along the wrong axis: neighbouring samples belong side by side in a row.": F.pad(
                    audio, (0, -length % period)
                )
                .unflatten(-1, (period, -1))
                .transpose(-1, -2),
                "The zeros are before the signal; they belong after it.": F.pad(audio, (-length % period, 0)).unflatten(
                    -1, (-1, period)
                ),
            },
        )
        if not verdict.right:
            if isinstance(given, Tensor) and given.shape == expected.transpose(-1, -2).shape != expected.shape:
                return Verdict(False, f"{verdict.words}\nRows come before the period: [B, C, rows, period].")
            return verdict
    return Verdict(True, "Equal to discriminator.fold, with and without an incomplete last row.")


@exercise(
    "06",
    "difference = (r.detach() - f).abs().mean(), then divide by r.detach().abs().mean(). Start with the second feature of "
    "each discriminator: layers[1:].",
)
def feature_matching(answer: Callable[..., Any]) -> Verdict:
    """Judge relative feature matching beside `losses.feature_matching`, and where gradients flow. Notebook: 06."""
    for seed, counts in enumerate(((3,), (2, 4), (2, 3, 5))):
        real, fake = _features(counts, 70 + seed), _features(counts, 80 + seed)
        expected = losses.feature_matching(real, fake, relative=True)
        given = ask(answer, [list(layers) for layers in real], [list(layers) for layers in fake])
        if isinstance(given, Tensor) and given.numel() > 1:
            return Verdict(False, f"Return one number; yours has the shape {list(given.shape)}.")
        verdict = compare(
            _plain(given),
            expected,
            f"relative feature matching of {counted(len(counts), 'discriminator')}",
            usual=_usual_matching(real, fake, float(expected.detach())),
        )
        if not verdict.right:
            return verdict
        wrong = _gradients(given, real, fake)
        if wrong:
            return Verdict(False, wrong)
    return Verdict(
        True, "Equal to losses.feature_matching for 1, 2 and 3 discriminators; gradients flow to the decoder only."
    )


def _usual_matching(real: list[list[Tensor]], fake: list[list[Tensor]], expected: float) -> dict[str, float]:
    """The results of usual mistakes."""

    def total(distance: Callable[[Tensor, Tensor], Tensor], first: int = 1) -> list[list[float]]:
        return [
            [float(distance(r.detach(), f.detach())) for r, f in zip(r_layers[first:], f_layers[first:], strict=True)]
            for r_layers, f_layers in zip(real, fake, strict=True)
        ]

    def averaged(values: list[list[float]]) -> float:
        return sum(sum(layers) / len(layers) for layers in values) / len(values)

    def relative(r: Tensor, f: Tensor) -> Tensor:
        return (r - f).abs().mean() / r.abs().mean()

    right = total(relative)
    flat = [value for layers in right for value in layers]
    return {
        "That is the plain form: nothing was divided by the size of the feature.": averaged(
            total(lambda r, f: (r - f).abs().mean(), 0)
        ),
        "The difference was not divided by the size of the feature.": averaged(
            total(lambda r, f: (r - f).abs().mean())
        ),
        "The first feature of each discriminator should be left out.": averaged(total(relative, 0)),
        "You divide by the size of the reconstruction's feature. The recording is the target: divide by its size.": averaged(
            total(lambda r, f: (r - f).abs().mean() / f.abs().mean())
        ),
        "You divide number by number before the mean. Take both means first, then divide: a feature near 0 would count "
        "for far too much.": averaged(total(lambda r, f: ((r - f).abs() / r.abs()).mean())),
        "The differences are squared; take absolute values.": averaged(
            total(lambda r, f: (r - f).square().mean() / r.square().mean())
        ),
        "That is the sum over the features of a discriminator; take their mean.": sum(flat) / len(right),
        "The discriminators are added up; take their mean.": expected * len(right),
        "All features are averaged at once, so that a discriminator with more layers counts for more. Average over the "
        "features of each discriminator first.": sum(flat) / len(flat),
        "Everything is added up: take the mean over a discriminator's features, then over the discriminators.": sum(
            flat
        ),
    }


def _plain(value: Any) -> Any:
    """A tensor with one number in it, as a number without axes."""
    return value.reshape(()) if isinstance(value, Tensor) and value.numel() == 1 else value


def _features(counts: tuple[int, ...], seed: int) -> list[list[Tensor]]:
    """`counts` features for each discriminator, each with larger values than the one before."""
    generator = torch.Generator().manual_seed(seed)
    return [
        [((k + 1) * torch.randn(2, 3 + k, 20 - 2 * k, generator=generator)).requires_grad_() for k in range(count)]
        for count in counts
    ]


def _gradients(value: Any, real: list[list[Tensor]], fake: list[list[Tensor]]) -> str:
    """What is wrong with where the gradients flow, or nothing."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        return (
            "The number is right, but no gradient flows to the reconstruction, and the decoder would learn nothing. "
            "Detach the recording's features only."
        )

    def slopes(layers: list[list[Tensor]]) -> list[Tensor | None]:
        used = [feature for features in layers for feature in features[1:]]
        return list(torch.autograd.grad(value, used, allow_unused=True, retain_graph=True))

    to_real = any(slope is not None for slope in slopes(real))
    to_fake = [slope is not None for slope in slopes(fake)]
    if to_real and not any(to_fake):
        return (
            "The number is right, but you detached the wrong side: the gradient flows into the recording, and none "
            "reaches the decoder. Detach the recording's features, and leave the reconstruction's attached."
        )
    if to_real:
        return (
            "The number is right, but gradient flows into the recording's side too. The recording is the target: "
            "detach its features wherever they appear, in the difference and in the divisor."
        )
    if not all(to_fake):
        return "The number is right, but some features of the reconstruction get no gradient: they were detached."
    return ""
