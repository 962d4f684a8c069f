"""Wrong answers to the exercises of chapter 02, each with a word that its feedback must hold."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _not_relative(original: Tensor, rebuilt: Tensor) -> float:
    return float(10 * torch.log10((rebuilt - original).square().mean()))


def _upside_down(original: Tensor, rebuilt: Tensor) -> float:
    return float(10 * torch.log10(original.square().mean() / (rebuilt - original).square().mean()))


def _levels(original: Tensor, rebuilt: Tensor) -> float:
    return float(10 * torch.log10(rebuilt.square().mean() / original.square().mean()))


def _split(sound: Tensor, bank: Tensor, left: int, right: int) -> Tensor:
    return F.conv1d(F.pad(sound, (left, right))[None, None], bank[:, None], stride=len(bank))[0]


def _no_signs(sound: Tensor, bank: Tensor) -> Tensor:
    return _split(sound, bank, bank.shape[1] // 2, bank.shape[1] // 2)


def _backwards(sound: Tensor, bank: Tensor) -> Tensor:
    bands = _no_signs(sound, bank.flip(1))
    bands[1::2, ::2] *= -1
    return bands


def _causal(sound: Tensor, bank: Tensor) -> Tensor:
    bands = _split(sound, bank, bank.shape[1] - 1, 0)
    bands[1::2, ::2] *= -1
    return bands


def _ready_made(sound: Tensor, bank: Tensor) -> Tensor:
    bands = _no_signs(sound, bank)
    bands[1::2, ::2] *= -1
    return bands


def _full_rate(sound: Tensor, bank: Tensor) -> Tensor:
    return F.conv1d(F.pad(sound, (bank.shape[1] // 2,) * 2)[None, None], bank[:, None])[0]


def _delay(taps: int, sample_rate: float) -> float:
    return 1000 * (taps - 1) / sample_rate


def _one_way(taps: int, sample_rate: float) -> float:
    return 500 * (taps - 1) / sample_rate


def _whole_filters(taps: int, sample_rate: float) -> float:
    return 2000 * (taps - 1) / sample_rate


WRONG: dict[str, list[tuple[Any, str]]] = {
    "where": [((3, 6000), "band 0"), ((1, 6000), "half the sample rate"), ((2, 96000), "one band")],
    "error_in_db": [(_not_relative, "relative"), (_upside_down, "other way round"), (_levels, "difference")],
    "band_split": [
        (_no_signs, "signs"),
        (_backwards, "backwards"),
        (_causal, "late"),
        (_full_rate, "shape"),
        (_ready_made, "ruled out"),
    ],
    "design": [
        ((_one_way, 8), "one way"),
        ((_whole_filters, 8), "half"),
        ((_delay, 16), "too slow"),
        ((_delay, 4), "more"),
    ],
}
