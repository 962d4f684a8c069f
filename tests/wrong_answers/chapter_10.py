"""Wrong answers to the exercises of chapter 10, each with a word that its feedback must hold."""

import math
from typing import Any

from torch import Tensor

Pieces = list[tuple[str, float]]


def _by_pieces(pieces: Pieces, share: float) -> tuple[list[int], list[int]]:
    count = max(1, round(share * len(pieces)))
    return list(range(count, len(pieces))), list(range(count))


def _nothing_held_out(pieces: Pieces, share: float) -> tuple[list[int], list[int]]:
    return list(range(len(pieces))), []


def _one_recording(pieces: Pieces, share: float) -> tuple[list[int], list[int]]:
    return (
        [i for i, (name, _) in enumerate(pieces) if name != pieces[0][0]],
        [i for i, (name, _) in enumerate(pieces) if name == pieces[0][0]],
    )


def _names(pieces: Pieces, share: float) -> tuple[list[str], list[str]]:
    return [name for name, _ in pieces], []


def _nearest_side_empty(pieces: Pieces, share: float) -> tuple[list[int], list[int]]:
    """Holds out whole recordings as long as that comes nearer to the share, be it none or all of them."""
    seconds = _seconds_of(pieces)
    wanted, held, chosen = share * sum(seconds.values()), 0.0, set()
    for name, length in seconds.items():
        if abs(held + length - wanted) < abs(held - wanted):
            chosen.add(name)
            held += length
    return _by_recording(pieces, chosen)


def _all_may_go(pieces: Pieces, share: float) -> tuple[list[int], list[int]]:
    """As above, and one recording where there would be none; but all may be held out."""
    train, validation = _nearest_side_empty(pieces, share)
    return (train, validation) if validation else _by_recording(pieces, {pieces[0][0]})


def _counts_recordings(pieces: Pieces, share: float) -> tuple[list[int], list[int]]:
    names = list(_seconds_of(pieces))
    count = min(max(1, round(share * len(names))), len(names) - 1)
    return _by_recording(pieces, set(names[:count]))


def _counts_pieces(pieces: Pieces, share: float) -> tuple[list[int], list[int]]:
    """Takes the number of a recording's pieces for its length."""
    return _counts_recordings([(name, 1.0) for name, _ in pieces], share)


def _one_list(pieces: Pieces, share: float) -> list[int]:
    return _by_recording(pieces, {pieces[0][0]})[1]


def _a_dictionary(pieces: Pieces, share: float) -> dict[str, list[int]]:
    train, validation = _by_recording(pieces, {pieces[0][0]})
    return {"train": train, "validation": validation}


def _a_number(pieces: Pieces, share: float) -> tuple[list[int], int]:
    return _by_recording(pieces, {pieces[0][0]})[0], 1


def _pairs(pieces: Pieces, share: float) -> tuple[Pieces, Pieces]:
    train, validation = _by_recording(pieces, {pieces[0][0]})
    return [pieces[i] for i in train], [pieces[i] for i in validation]


def _seconds_of(pieces: Pieces) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for name, length in pieces:
        seconds[name] = seconds.get(name, 0.0) + length
    return seconds


def _by_recording(pieces: Pieces, held_out: set[str]) -> tuple[list[int], list[int]]:
    numbers = range(len(pieces))
    return [i for i in numbers if pieces[i][0] not in held_out], [i for i in numbers if pieces[i][0] in held_out]


def _nothing_lost(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    hours = (one / rate_one + two / rate_two) / 3600
    return hours, math.ceil(hours / job)


def _seconds(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    return one / rate_one + two / rate_two, 1


def _one_speed(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    return (one + two) / rate_one / 3600, 1


def _lost_once(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    hours = (one / rate_one + two / rate_two) / 3600
    return hours, math.ceil((hours + lost / 60) / job)


def _int_plus_one(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    hours = (one / rate_one + two / rate_two) / 3600
    return hours, int(hours / (job - lost / 60)) + 1


def _rounded(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    hours = (one / rate_one + two / rate_two) / 3600
    return hours, max(1, round(hours / (job - lost / 60)))


def _with_the_start(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    hours = (one / rate_one + two / rate_two) / 3600
    jobs = math.ceil(hours / (job - lost / 60))
    return hours + jobs * lost / 60, jobs


def _no_means(heard: Tensor, said: Tensor) -> float:
    return float(heard @ said / (heard.norm() * said.norm()))


def _covariance(heard: Tensor, said: Tensor) -> float:
    return float(((heard - heard.mean()) * (said - said.mean())).mean())


def _not_a_number(heard: Tensor, said: Tensor) -> float:
    a, b = heard - heard.mean(), said - said.mean()
    return float(a @ b / (a.norm() * b.norm()))


def _only_a_constant_output(level: Tensor, output: Tensor) -> float:
    return 0.0 if float(output.std()) == 0 else _not_a_number(level, output)


def _only_a_constant_input(level: Tensor, output: Tensor) -> float:
    return 0.0 if float(level.std()) == 0 else _not_a_number(level, output)


def _two_kinds_of_deviation(level: Tensor, output: Tensor) -> float:
    norms = float(level.std() * output.std())
    return _covariance(level, output) / norms if norms else 0.0


def _magnitude(level: Tensor, output: Tensor) -> float:
    a, b = level - level.mean(), output - output.mean()
    norms = float(a.norm() * b.norm())
    return abs(float(a @ b)) / norms if norms else 0.0


WRONG: dict[str, list[tuple[Any, str]]] = {
    "split": [
        (_by_pieces, "on both sides"),
        (_nothing_held_out, "held out"),
        (_one_recording, "longest"),
        (_names, "two lists"),
        (_nearest_side_empty, "at least one recording"),
        (_all_may_go, "left to train on"),
        (_counts_recordings, "longest"),
        (_counts_pieces, "share of the pieces"),
        (_one_list, "two lists"),
        (_a_dictionary, "two lists"),
        (_a_number, "two lists"),
        (_pairs, "two lists"),
    ],
    "plan": [
        (_nothing_lost, "loses some minutes"),
        (_seconds, "3600"),
        (_one_speed, "its own speed"),
        (_lost_once, "lost minutes once"),
        (_int_plus_one, "one job too many"),
        (_rounded, "number of jobs: yours differs"),
        (_with_the_start, "without the start-up"),
    ],
    "correlation": [
        (_no_means, "means"),
        (_covariance, "covariance"),
        (_not_a_number, "constant"),
        (_only_a_constant_output, "input that is constant"),
        (_only_a_constant_input, "output that is constant"),
        (_two_kinds_of_deviation, "differs"),
        (_magnitude, "inverse"),
    ],
    "judge": [
        (("A", "C", "D", "B"), "as close to sound"),
        (("B", "A", "D", "A"), "14"),
        (("B", "C", "D", "D"), "real time"),
        (("B", "C", 0.8, "A"), "letter"),
    ],
}
