"""Exercises of chapter 10: an honest split, a plan for the cluster, following a level, and judging models by numbers.

Notebook: 10.
"""

import math
from collections.abc import Callable
from typing import Any

import torch

from .feedback import Verdict, ask, compare, exercise, together

PLANS = (
    (6000, 2000, 12.0, 5.0, 4.0, 5.0),
    (100_000, 100_000, 25.0, 8.0, 4.0, 6.0),
    (3600, 0, 1.0, 1.0, 24.0, 0.0),
    (1_000_000, 1_500_000, 14.0, 3.0, 24.0, 10.0),
    (14_040, 0, 1.0, 1.0, 4.0, 10.0),
)
VERDICTS = {"memorised": "B", "collapsed": "C", "too_slow": "D", "published": "A"}  # of the table in exercise 10.4
REASONS = {
    ("memorised", "A"): "A is as close on sound that it never heard as on what it was trained on.",
    ("memorised", "C"): "C is equally far from both: it has learned nothing by heart, and little else.",
    ("memorised", "D"): "D is as close on sound that it never heard as on what it was trained on.",
    ("collapsed", "A"): "14 of A's dimensions say something.",
    ("collapsed", "B"): "All but one of B's dimensions say something: it has another fault.",
    ("collapsed", "D"): "All of D's dimensions say something.",
    ("too_slow", "A"): "A computes nine seconds of sound in one.",
    ("too_slow", "B"): "B computes nine seconds of sound in one.",
    ("too_slow", "C"): "C computes nine seconds of sound in one.",
    ("published", "B"): "B repeats its recordings, and is the second farthest from any other sound.",
    ("published", "C"): "C follows the level and nothing else.",
    ("published", "D"): "D is good by its sound, and nobody with such a machine can play it.",
}


@exercise(
    "10",
    "Decide for recordings, not for pieces: add up the seconds of each recording, take recordings until "
    "the share is reached, and then sort the pieces by the recording that they come from.",
)
def split(answer: Callable[..., Any]) -> Verdict:
    """Judge `split(pieces, share)`: both sides whole, honest, and near the share. Notebook: 10."""
    for count, longest, share in ((4, 3, 0.25), (9, 5, 0.1), (12, 1, 0.5), (2, 6, 0.3)):
        generator = torch.Generator().manual_seed(count)
        sizes = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
        pieces = [(f"take_{r}", 5.0 + 5 * i) for r, size in enumerate(sizes) for i in range(size)]
        pieces = [pieces[i] for i in torch.randperm(len(pieces), generator=generator).tolist()]
        where = f"with {len(pieces)} pieces of {count} recordings and a share of {share}"
        train, validation = ask(answer, list(pieces), share)
        train, validation = list(train), list(validation)
        if sorted([*train, *validation]) != list(range(len(pieces))):
            return Verdict(
                False,
                f"Each piece belongs on exactly one side, by its number from 0 to {len(pieces) - 1}. "
                f"Yours, {where}: training {train}, validation {validation}.",
            )
        both = {pieces[i][0] for i in train} & {pieces[i][0] for i in validation}
        if both:
            return Verdict(
                False,
                f"{min(both)!r} is on both sides, {where}. Its held-out pieces sound like those that "
                "the model was trained on (one room, one player, one minute), and the distance "
                "looks better than it is.",
            )
        if not validation or not train:
            return Verdict(
                False,
                f"Nothing is {'held out' if not validation else 'left to train on'}, {where}. "
                "At least one recording belongs on each side.",
            )
        held = sum(pieces[i][1] for i in validation)
        total = sum(seconds for _, seconds in pieces)
        whole = max(sum(s for n, s in pieces if n == name) for name, _ in pieces)
        if abs(held - share * total) > whole:
            return Verdict(
                False,
                f"Held out are {held:g} s of {total:g}, {where}: {held / total:.0%}. Come as near as "
                f"whole recordings allow; the longest has {whole:g} s.",
            )
    return Verdict(True, "No recording is on both sides, and the share is as near as whole recordings allow.")


@exercise(
    "10",
    "Seconds first: steps divided by steps a second, for each phase. Then hours. A job of four hours that "
    "loses five minutes trains for 4 - 5 / 60 hours; half a job is a job.",
)
def plan(answer: Callable[..., Any]) -> Verdict:
    """Judge `plan(steps_one, steps_two, rate_one, rate_two, job_hours, lost_minutes)`. Notebook: 10."""
    given = [ask(answer, *case) for case in PLANS]
    try:
        hours, jobs = zip(*[tuple(pair) for pair in given], strict=True)
    except (TypeError, ValueError):
        return Verdict(False, f"Two numbers are asked for, hours and jobs; yours is {given[0]!r:.60}.")
    wanted = [(one / a + two / b) / 3600 for one, two, a, b, _, _ in PLANS]
    counts = [math.ceil(h / (job - lost / 60) - 1e-9) for h, (*_, job, lost) in zip(wanted, PLANS, strict=True)]
    return together(
        compare(
            hours,
            wanted,
            "the hours",
            tolerance=1e-6,
            usual={
                "That is in seconds; an hour has 3600.": [3600 * h for h in wanted],
                "That is in minutes.": [60 * h for h in wanted],
                "Steps are multiplied by steps a second: divide.": [
                    (one * a + two * b) / 3600 for one, two, a, b, _, _ in PLANS
                ],
                "Each phase has its own speed; phase two is the slower one.": [
                    (one + two) / a / 3600 for one, two, a, _, _, _ in PLANS
                ],
            },
        ),
        compare(
            jobs,
            counts,
            "the jobs",
            usual={
                "Each job loses some minutes at its start: it trains for less than it lasts.": [
                    math.ceil(h / job - 1e-9) for h, (*_, job, _) in zip(wanted, PLANS, strict=True)
                ],
                "Rounded down, the last steps are missing: half a job is a job.": [
                    math.floor(h / (job - lost / 60)) for h, (*_, job, lost) in zip(wanted, PLANS, strict=True)
                ],
                "Jobs are counted in whole numbers.": [
                    h / (job - lost / 60) for h, (*_, job, lost) in zip(wanted, PLANS, strict=True)
                ],
            },
        ),
    )


@exercise(
    "10",
    "Take the mean away from each curve. Multiply them point by point and add up; divide by the length of "
    "each (the root of its sum of squares). Where a length is 0, return 0.",
)
def correlation(answer: Callable[..., Any]) -> Verdict:
    """Judge `correlation(heard, said)` of two level curves. Notebook: 10."""
    generator = torch.Generator().manual_seed(10)
    heard = -30 + 10 * torch.randn(200, generator=generator)
    other = -30 + 10 * torch.randn(200, generator=generator)
    cases = {
        "a copy, 12 dB softer": (heard, heard - 12),
        "half of the movement": (heard, -20 + 0.5 * heard),
        "upside down": (heard, -50 - heard),
        "another curve": (heard, other),
        "half a copy": (heard, 0.5 * heard + 0.5 * other),
        "a curve that never moves": (heard, torch.full((200,), -40.0)),
    }
    verdicts = []
    for name, (one, two) in cases.items():
        a, b = one - one.mean(), two - two.mean()
        length = float(a.norm() * b.norm())
        expected = float(a @ b) / length if length > 0 else 0.0
        verdicts.append(
            compare(
                ask(answer, one, two),
                expected,
                f"the correlation with {name}",
                tolerance=1e-4,
                usual={
                    "The means were not taken away: two curves that are both at -30 dB look alike then.": float(
                        one @ two / (one.norm() * two.norm())
                    ),
                    "That is the covariance: it has a unit, and grows with the level. Divide by both lengths.": float(
                        a @ b
                    )
                    / len(one),
                    "That is the covariance, over one less: divide by both lengths.": float(a @ b) / (len(one) - 1),
                    "That is the sum of the products: divide by both lengths.": float(a @ b),
                },
            )
        )
        if not verdicts[-1].right and length == 0:
            return Verdict(False, verdicts[-1].words + "\nA curve that never moves has the length 0: return 0 for it.")
    found = together(*verdicts)
    return Verdict(True, "1 for a copy, however soft; -1 upside down; 0 where nothing moves.") if found.right else found


@exercise(
    "10",
    "Compare two rows first: the distance on training sound and on held-out sound. Then look for a number "
    "of latents that is much too small, and for a speed below 1.",
)
def judge(memorised: Any, collapsed: Any, too_slow: Any, published: Any) -> Verdict:
    """Judge the four letters of exercise 10.4. Notebook: 10."""
    for (question, right), given in zip(VERDICTS.items(), (memorised, collapsed, too_slow, published), strict=True):
        letter = str(given).strip().upper()
        if letter not in ("A", "B", "C", "D"):
            return Verdict(False, f'{question} is {given!r:.40}; answer with a letter, "A" to "D".')
        if letter != right:
            return Verdict(False, f"{question}: yours is {letter}. {REASONS[question, letter]}")
    return Verdict(True, "B has learned by heart, C has collapsed, D is too slow, and A may go out.")
