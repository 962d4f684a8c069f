"""Exercises of chapter 05: a hybrid of two latents, dead dimensions, which models collapse, a crossfade of latents.

Notebook: 05.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ravecourse.model import ALIVE_NATS, LatentStatistics, kl_divergence

from .feedback import Verdict, ask, compare, exercise

BETAS = (3.0, 1.0, 0.01, 0.001)  # of exercise 5.3
GAIN, NATS, DIMENSIONS = 5.0, 1.5, 8  # what a latent in use gains, and what it costs


@exercise(
    "05",
    "directions[:size] @ z gives the coordinates along the first directions, and directions[:size].T @ those comes back to D "
    "numbers. Begin with b: by what does the result differ from it, and along which directions?",
)
def hybrid(answer: Callable[..., Any]) -> Verdict:
    """Judge `hybrid(a, b, directions, size)` for several sizes. Notebook: 05."""
    for size, latents in ((2, 6), (1, 4), (16, 16), (5, 16)):
        (a, mean, directions), (b, _, _) = _latent(latents, seed=size), _latent(latents, seed=size + 100)
        rows = directions[:size]
        expected = b + rows.T @ (rows @ (a - b))
        given = ask(answer, a, b, directions, size)
        if isinstance(given, Tensor) and given.shape == (size, a.shape[1]) != expected.shape:
            return Verdict(
                False,
                f"Your result has {size} numbers per frame: the coordinates along the directions. The decoder needs all "
                f"{latents}: multiply by the transpose of the same rows.",
            )
        columns, last = directions[:, :size], directions[latents - size :]
        centre = mean[:, None]
        usual = {
            "The sounds are swapped: `a` belongs to the first directions, `b` to the others.": a
            + rows.T @ (rows @ (b - a)),
            "The others follow `b`; in yours they are 0.": rows.T @ (rows @ a),
            "The others follow `b`; in yours they rest at the mean.": centre + rows.T @ (rows @ (a - centre)),
            "`b` is added whole: along the first directions yours is the sum of both.": b + rows.T @ (rows @ a),
            "The directions are the rows, directions[:size]; yours are columns.": b + columns @ (columns.T @ (a - b)),
            "Yours takes the last directions from `a`; the strongest come first.": b + last.T @ (last @ (a - b)),
            "Those are the first dimensions of `a`; the directions were not used.": torch.cat([a[:size], b[size:]]),
            "That is `a`, unchanged.": a,
            "That is `b`, unchanged.": b,
        }
        verdict = compare(
            given,
            expected,
            f"the latent for size {size} of {latents}",
            tolerance=1e-4,
            draw=True,
            usual=usual if size < latents else None,
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "`a` along the first directions, `b` along the others, for 4 sizes; the mean cancels.")


@exercise("05", "latent.kl_divergence(mean, std) gives one value for each dimension. Which of them are 0.01 or less?")
def dead(answer: Callable[..., Any]) -> Verdict:
    """Judge `dead(mean, std)` on latents with dimensions that are made dead. Notebook: 05."""
    for seed in range(3):
        mean, std = _posterior(seed)
        price = kl_divergence(mean, std)
        expected = [d for d, value in enumerate(price.tolist()) if value <= ALIVE_NATS]
        answered = ask(answer, mean, std)
        if _is_mask(answered):
            return Verdict(
                False,
                "That is a mask: True or False for each dimension. Return the numbers of the dimensions; "
                "`.nonzero().flatten().tolist()` turns a mask into them.",
            )
        given = _numbers(answered)
        if given is None:
            return Verdict(False, f"A list of dimensions was expected, such as {expected}.")
        if given == {float(d) for d in expected}:
            continue
        size = len(price)
        flat = kl_divergence(mean.mean(2, keepdim=True), std.mean(2, keepdim=True))
        wide = {float(d) for d in range(size) if std[0, d].mean() > 0.9}
        mistakes = {
            "Those are the ones that are alive.": {float(d) for d in range(size)} - {float(d) for d in expected},
            "Compute the KL of each frame first, then average: a mean that swings around 0 averages to 0, and is not "
            "dead.": {float(d) for d in range(size) if flat[d] <= ALIVE_NATS},
            "A large standard deviation alone does not make it dead: the mean may still carry information.": wide,
            "A constant mean is not enough: a standard deviation other than 1 has a KL as well.": {
                float(d) for d in range(size) if float(0.5 * mean[0, d].square().mean()) <= ALIVE_NATS
            },
            "That is how many there are. Return which ones.": {float(len(expected))},
        }
        words = (
            f"The dead dimensions differ.\n  yours:    {_listed(given)}\n  expected: {expected}\n  KL (nats): "
            + ", ".join(f"{value:.3f}" for value in price.tolist())
        )
        said = next((sentence for sentence, mistake in mistakes.items() if mistake == given), "")
        return Verdict(False, f"{words}\n{said}".rstrip())
    return Verdict(True, "The dead dimensions of 3 latents are found.")


@exercise("05", "A latent in use costs beta * 2 * 8 dimensions * 1.5 nats = beta * 24, and reduces the distance by 5.")
def collapsing(answer: Any) -> Verdict:
    """Judge which of the four betas of exercise 5.3 lead to a collapse. Notebook: 05."""
    given = _numbers(answer)
    if given is None:
        return Verdict(False, "A list of betas was expected, such as [3, 0.001].")
    costs = {beta: beta * 2 * DIMENSIONS * NATS for beta in BETAS}
    expected = {beta for beta, cost in costs.items() if cost > GAIN}
    if given == expected:
        return Verdict(True, f"They would pay {_costs(costs, expected)} to gain {GAIN:g}.")
    strange = sorted(given - set(BETAS))
    if strange:
        return Verdict(False, f"{_listed(set(strange))} is none of the four betas: 3, 1, 0.01 and 0.001.")
    mistakes = {
        "The other way round: beta is the price. The higher it is, the less information is worth its cost.": set(BETAS)
        - expected,
        "There is one more for which the cost is higher than the gain.": {3.0},
        "Not all of them: where beta is low, information is worth its cost.": set(BETAS),
    }
    said = next((sentence for sentence, mistake in mistakes.items() if mistake == given), "")
    return Verdict(
        False,
        f"Yours: {_listed(given)}. A latent in use reduces the distance by {GAIN:g}. Work out what "
        f"it costs with each beta: beta * 2 * KL, and the KL is the sum over 8 dimensions.\n{said}".rstrip(),
    )


@exercise("05", "torch.linspace(0, 1, F) has one weight for each frame, both ends included.")
def crossfade(answer: Callable[..., Any]) -> Verdict:
    """Judge `crossfade(a, b)` for several lengths. Notebook: 05."""
    for frames, latents in ((5, 3), (40, 16), (8, 8), (2, 4)):
        generator = torch.Generator().manual_seed(frames)
        a, b = torch.randn(2, latents, frames, generator=generator)
        weight = torch.linspace(0, 1, frames)
        power = weight * torch.pi / 2
        open_end = torch.arange(frames) / frames
        usual = {
            "That is an equal-power fade. Latents are points, not signals: linear weights stay between the two.": torch.cos(
                power
            )
            * a
            + torch.sin(power) * b,
            "Yours goes from b to a.": torch.lerp(b, a, weight),
            "The last frame is not quite b: the weights must reach 1, so divide by F - 1.": torch.lerp(a, b, open_end),
            "That is the middle between the two in every frame; the weight should go from 0 to 1.": (a + b) / 2,
            "Square roots of the weights make an equal-power fade; use linear weights.": (1 - weight).sqrt() * a
            + weight.sqrt() * b,
            "That is half of one followed by half of the other; every frame should have its own mixture.": torch.cat(
                [a[:, : frames // 2], b[:, frames // 2 :]], 1
            ),
        }
        if latents == frames:
            usual["The weights vary along the dimensions; they should vary along the frames, the last axis."] = (
                torch.lerp(a, b, weight[:, None])
            )
        verdict = compare(
            ask(answer, a, b), torch.lerp(a, b, weight), f"the fade over {frames} frames", usual=usual, draw=True
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "From a to b, for 4 lengths.")


def _latent(size: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A latent [D, 50] with unequal, mixed dimensions, its mean, and its principal directions."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=generator) * torch.linspace(2, 0.2, size)
    z = mixing @ torch.randn(size, 50, generator=generator) + 2 * torch.randn(size, 1, generator=generator)
    statistics = LatentStatistics(size)
    statistics.add(z[None], torch.ones(1, size, 50))
    mean, directions, _, _ = statistics.principal()
    return z, mean, directions


def _posterior(seed: int) -> tuple[Tensor, Tensor]:
    """Means and standard deviations [1, 9, 60]: strong, dead, weak but alive, dead with a trace of movement, ..."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([1.0, 0.0, 0.3, 0.03, 0.8, 0.0, 0.3, 0.4, 0.0])
    stds = torch.tensor([0.3, 1.0, 0.954, 0.9995, 0.6, 1.0, 0.954, 0.95, 0.7])
    centres = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.4, 0.0])  # of most, the average of the means is 0
    order = torch.randperm(9, generator=generator)
    mean = (centres[:, None] + sizes[:, None] * torch.tensor([1.0, -1.0]).repeat(30))[order]
    return mean[None], stds[order][None, :, None].expand(1, 9, 60).clone()


def _is_mask(answer: Any) -> bool:
    values = answer.tolist() if isinstance(answer, Tensor) else answer
    return isinstance(values, list | tuple) and len(values) > 0 and all(isinstance(value, bool) for value in values)


def _numbers(answer: Any) -> set[float] | None:
    """A collection of numbers as a set, or None where it is none."""
    if isinstance(answer, Tensor):
        answer = answer.detach().reshape(-1).tolist()
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        answer = [answer]
    if isinstance(answer, str) or not isinstance(answer, Iterable):
        return None
    try:
        return {float(value) for value in answer}
    except (TypeError, ValueError):
        return None


def _listed(values: set[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in sorted(values)) + "]"


def _costs(costs: dict[float, float], betas: set[float]) -> str:
    return " and ".join(f"{costs[beta]:g}" for beta in sorted(betas, reverse=True))
