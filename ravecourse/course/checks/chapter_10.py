"""Exercises of chapter 10: an honest split, a plan for the cluster, level correlation, and judging models by numbers.

Notebook: 10.
"""

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from .feedback import Verdict, ask, compare, exercise, together


class Job(NamedTuple):
    """The arguments of `plan`, in their order. Notebook: 10."""

    steps_one: int
    steps_two: int
    rate_one: float
    rate_two: float
    job_hours: float
    lost_minutes: float

    @property
    def hours(self) -> float:
        """Hours of training, start-up not included. Notebook: 10."""
        return (self.steps_one / self.rate_one + self.steps_two / self.rate_two) / 3600

    @property
    def jobs(self) -> float:
        """Jobs that this takes, before rounding. Notebook: 10."""
        return self.hours / (self.job_hours - self.lost_minutes / 60)


PLANS = (
    Job(6000, 2000, 12.0, 5.0, 4.0, 5.0),
    Job(100_000, 100_000, 25.0, 8.0, 4.0, 6.0),
    Job(3600, 0, 1.0, 1.0, 24.0, 0.0),
    Job(1_000_000, 1_500_000, 14.0, 3.0, 24.0, 10.0),
    Job(14_040, 0, 1.0, 1.0, 4.0, 10.0),
    Job(90_000, 9_000, 1.0, 1.0, 4.0, 30.0),  # 8 jobs; 7 if the half hour is lost only once
    Job(18_000, 9_000, 1.0, 1.0, 4.0, 15.0),
)  # exactly 2 jobs
ANSWERS = {"memorised": "B", "collapsed": "C", "too_slow": "D", "published": "A"}  # of the table in exercise 10.4
REASONS = {
    ("memorised", "A"): "A is as close to sound that it was not trained on as to its training sound.",
    ("memorised", "C"): "C is equally far from both: it has memorised nothing, and learned little else.",
    ("memorised", "D"): "D is as close to sound that it was not trained on as to its training sound.",
    ("collapsed", "A"): "14 of A's latent dimensions say something about the sound.",
    ("collapsed", "B"): "All but one of B's latent dimensions say something. B has another fault.",
    ("collapsed", "D"): "All of D's latent dimensions say something about the sound.",
    ("too_slow", "A"): "A computes nine seconds of sound in one second.",
    ("too_slow", "B"): "B computes nine seconds of sound in one second.",
    ("too_slow", "C"): "C computes nine seconds of sound in one second.",
    ("published", "B"): "B reproduces its recordings, and on other sound it is much worse than A.",
    ("published", "C"): "C follows the level and nothing else.",
    ("published", "D"): "D sounds good, but it does not run in real time on the machine on stage.",
}


def _pieces(recordings: list[tuple[str, list[float]]]) -> list[tuple[str, float]]:
    return [(name, seconds) for name, lengths in recordings for seconds in lengths]


def _folders() -> dict[str, tuple[list[tuple[str, float]], float]]:
    """The folders that `split` is tried on: what is special about each, and its pieces and share."""
    folders = {}
    for count, longest, share in ((4, 3, 0.25), (9, 5, 0.1), (12, 1, 0.5), (2, 6, 0.3)):
        generator = torch.Generator().manual_seed(count)
        sizes = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
        pieces = _pieces([(f"take_{r}", [5.0 + 5 * i for i in range(size)]) for r, size in enumerate(sizes)])
        order = torch.randperm(len(pieces), generator=generator).tolist()
        folders[f"{len(pieces)} pieces of {count} recordings"] = ([pieces[i] for i in order], share)
    short = [(f"short_{i}", [1.0]) for i in range(20)]
    long = [(f"long_{i}", [10.0]) for i in range(20)]
    folders["20 recordings of 1 s, then 20 of 10 s"] = (_pieces(short + long), 0.5)
    folders["20 recordings of 10 s, then 20 of 1 s"] = (_pieces(long + short), 0.5)
    equal = _pieces([(f"take_{i}", [30.0, 30.0]) for i in range(3)])
    folders["3 recordings of a minute"] = (equal, 0.02)
    folders["3 recordings of a minute each"] = (equal, 0.98)
    return folders


@exercise(
    "10",
    "Decide for recordings, not for pieces: add up the seconds of each recording, take recordings until "
    "the share is reached, and then sort the pieces by the recording that they come from. Make sure that "
    "at least one recording ends up on each side.",
)
def split(answer: Callable[..., Any]) -> Verdict:
    """Check `split(pieces, share)`: complete, no recording on both sides, and near the share. Notebook: 10."""
    for name, (pieces, share) in _folders().items():
        where = f"with {name} and a share of {share:g}"
        given = ask(answer, list(pieces), share)
        sides = _two_lists(given)
        if sides is None:
            return Verdict(
                False,
                "Return two lists of piece numbers, first those to train on, then those to hold out: "
                f"`return train, validation`. Yours, {where}, is {given!r:.80}.",
            )
        train, validation = sides
        if sorted([*train, *validation]) != list(range(len(pieces))):
            return Verdict(
                False,
                f"Each piece must be on exactly one side, as a number from 0 to {len(pieces) - 1}. "
                f"Yours, {where}: training {train!r:.80}, validation {validation!r:.80}.",
            )
        both = {pieces[i][0] for i in train} & {pieces[i][0] for i in validation}
        if both:
            return Verdict(
                False,
                f"{min(both)!r} is on both sides, {where}. Its held-out pieces sound like those that "
                "the model was trained on (same room, same player, same minute), so the distance "
                "looks better than it is.",
            )
        if not validation or not train:
            return Verdict(
                False,
                f"Nothing is {'held out' if not validation else 'left to train on'}, {where}. "
                "Neither side may be empty: at least one recording belongs on each.",
            )
        held, total = sum(pieces[i][1] for i in validation), sum(seconds for _, seconds in pieces)
        longest = max(sum(s for n, s in pieces if n == recording) for recording, _ in pieces)
        if abs(held - share * total) > longest:
            counted = len(validation) / len(pieces)
            why = (
                " That is the share of the pieces; the share of the seconds is asked for."
                if abs(counted - share) < 0.02
                else ""
            )
            return Verdict(
                False,
                f"You hold out {held:g} of {total:g} s, {where}: {held / total:.0%}. Come to within "
                f"the length of the longest recording, {longest:g} s, of the share.{why}",
            )
    return Verdict(True, "No recording is on both sides, no side is empty, and the share is met as closely as asked.")


def _two_lists(given: Any) -> tuple[list[int], list[int]] | None:
    """Both sides as lists of whole numbers; None if `given` is anything else."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        return None
    if not all(isinstance(side, list | tuple | set | range | torch.Tensor) for side in given):
        return None
    train, validation = (side.tolist() if isinstance(side, torch.Tensor) else list(side) for side in given)
    try:
        return [operator.index(i) for i in train], [operator.index(i) for i in validation]
    except TypeError:
        return None


@exercise(
    "10",
    "Seconds first: steps divided by steps per second, for each phase. Then hours. A job of four hours "
    "that loses five minutes trains for 4 - 5 / 60 hours. `math.ceil` rounds up.",
)
def plan(answer: Callable[..., Any]) -> Verdict:
    """Check `plan(steps_one, steps_two, rate_one, rate_two, job_hours, lost_minutes)`. Notebook: 10."""
    given = [ask(answer, *case) for case in PLANS]
    try:
        hours, jobs = zip(*[tuple(pair) for pair in given], strict=True)
    except (TypeError, ValueError):
        return Verdict(False, f"Return two numbers, hours and jobs; yours is {given[0]!r:.60}.")
    expected = [case.hours for case in PLANS]
    return together(
        compare(
            hours,
            expected,
            "the training time",
            tolerance=1e-6,
            unit="h",
            usual={
                "That is in seconds; an hour has 3600.": [3600 * h for h in expected],
                "That is in minutes.": [60 * h for h in expected],
                "You multiply steps by steps per second: divide.": [
                    (p.steps_one * p.rate_one + p.steps_two * p.rate_two) / 3600 for p in PLANS
                ],
                "Each phase has its own speed; phase two is the slower one.": [
                    (p.steps_one + p.steps_two) / p.rate_one / 3600 for p in PLANS
                ],
                "The training time is asked for without the start-up of the jobs.": [
                    p.hours + math.ceil(p.jobs - 1e-9) * p.lost_minutes / 60 for p in PLANS
                ],
            },
        ),
        compare(
            jobs,
            [math.ceil(p.jobs - 1e-9) for p in PLANS],
            "the number of jobs",
            usual={
                "Each job loses some minutes at its start: it trains for less than it lasts.": [
                    math.ceil(p.hours / p.job_hours - 1e-9) for p in PLANS
                ],
                "You subtract the lost minutes once. Every job loses them.": [
                    math.ceil((p.hours + p.lost_minutes / 60) / p.job_hours - 1e-9) for p in PLANS
                ],
                "Rounded down, the last steps are missing: half a job is a job.": [
                    math.floor(p.jobs + 1e-9) for p in PLANS
                ],
                "Where the work fills the jobs exactly, that is one job too many: `int(x) + 1` does not round up.": [
                    math.floor(p.jobs + 1e-9) + 1 for p in PLANS
                ],
                "The number of jobs must be a whole number.": [p.jobs for p in PLANS],
            },
        ),
    )


@exercise(
    "10",
    "Subtract the mean from each curve. Multiply them point by point and add up; divide by the norm of "
    "each (the root of its sum of squares). Where a norm is 0, return 0.",
)
def correlation(answer: Callable[..., Any]) -> Verdict:
    """Check `correlation(input_level, output_level)` of two level curves. Notebook: 10."""
    generator = torch.Generator().manual_seed(10)
    level = -30 + 10 * torch.randn(200, generator=generator)
    other = -30 + 10 * torch.randn(200, generator=generator)
    flat = torch.full((200,), -40.0)
    cases = {
        "a copy that is 12 dB softer": (level, level - 12),
        "half of the range": (level, -20 + 0.5 * level),
        "the inverse": (level, -50 - level),
        "another curve": (level, other),
        "half a copy": (level, 0.5 * level + 0.5 * other),
        "a short curve": (level[:4], other[:4]),
        "an output that is constant": (level, flat),
        "an input that is constant": (flat, level),
        "both constant": (flat, flat - 6),
    }
    for name, (one, two) in cases.items():
        a, b = one - one.mean(), two - two.mean()
        norms = float(a.norm() * b.norm())
        expected = float(a @ b) / norms if norms > 0 else 0.0
        given = ask(answer, one, two)
        verdict = compare(
            given,
            expected,
            f"the correlation with {name}",
            tolerance=1e-4,
            usual={
                "The means are still in it: two curves around -30 dB then look alike whatever they do.": float(
                    one @ two / (one.norm() * two.norm())
                ),
                "That is the covariance: it depends on the range of both curves. Divide by both norms.": float(a @ b)
                / len(one),
                "That is the covariance (divided by N - 1). Divide by both norms instead.": float(a @ b)
                / (len(one) - 1),
                "That is the sum of the products: divide by both norms.": float(a @ b),
            },
        )
        if not verdict.right:
            flat_case = "\nThe norm of a constant curve is 0: return 0 for it." if norms == 0 else ""
            return Verdict(False, verdict.words + flat_case)
    return Verdict(True, "1 for a copy, however soft; -1 for the inverse; 0 where either curve is constant.")


@exercise(
    "10",
    "First compare two rows: the distance on training sound and the distance on held-out sound. Then look "
    "for a number of latents that is much too small, and for a speed below 1.",
)
def judge(memorised: Any, collapsed: Any, too_slow: Any, published: Any) -> Verdict:
    """Check the four letters of exercise 10.4. Notebook: 10."""
    for (question, right), given in zip(ANSWERS.items(), (memorised, collapsed, too_slow, published), strict=True):
        letter = str(given).strip().upper()
        if letter not in ("A", "B", "C", "D"):
            return Verdict(False, f'{question} is {given!r:.40}; answer with a letter, "A" to "D".')
        if letter != right:
            return Verdict(False, f"{question}: yours is {letter}. {REASONS[question, letter]}")
    return Verdict(True, "B has memorised its recordings, C has collapsed, D is too slow, and A can be published.")
