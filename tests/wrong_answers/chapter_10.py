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


def _nothing_lost(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    hours = (one / rate_one + two / rate_two) / 3600
    return hours, math.ceil(hours / job)


def _seconds(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    return one / rate_one + two / rate_two, 1


def _one_speed(one: int, two: int, rate_one: float, rate_two: float, job: float, lost: float) -> tuple[float, int]:
    return (one + two) / rate_one / 3600, 1


def _no_means(heard: Tensor, said: Tensor) -> float:
    return float(heard @ said / (heard.norm() * said.norm()))


def _covariance(heard: Tensor, said: Tensor) -> float:
    return float(((heard - heard.mean()) * (said - said.mean())).mean())


def _not_a_number(heard: Tensor, said: Tensor) -> float:
    a, b = heard - heard.mean(), said - said.mean()
    return float(a @ b / (a.norm() * b.norm()))


WRONG: dict[str, list[tuple[Any, str]]] = {
    "split": [
        (_by_pieces, "on both sides"),
        (_nothing_held_out, "held out"),
        (_one_recording, "longest"),
        (_names, "exactly one side"),
    ],
    "plan": [(_nothing_lost, "loses some minutes"), (_seconds, "3600"), (_one_speed, "its own speed")],
    "correlation": [(_no_means, "means"), (_covariance, "covariance"), (_not_a_number, "never moves")],
    "judge": [
        (("A", "C", "D", "B"), "as close on sound"),
        (("B", "A", "D", "A"), "14"),
        (("B", "C", "D", "D"), "play"),
        (("B", "C", 0.8, "A"), "letter"),
    ],
}
