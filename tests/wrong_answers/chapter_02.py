"""Wrong answers to the exercises of chapter 02, each with a word that its feedback must hold."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor


def _inside_and_above(hertz: float, n_bands: int, sample_rate: float) -> tuple[float, ...]:
    width = sample_rate / 2 / n_bands
    return hertz // width, hertz // width + 1, 2 * width * round(hertz / width) - hertz


def _inside_and_below(hertz: float, n_bands: int, sample_rate: float) -> tuple[float, ...]:
    width = sample_rate / 2 / n_bands
    return hertz // width - 1, hertz // width, 2 * width * round(hertz / width) - hertz


def _in_the_band(hertz: float, n_bands: int, sample_rate: float) -> tuple[float, ...]:
    width = sample_rate / 2 / n_bands
    return round(hertz / width) - 1, round(hertz / width), hertz % width


def _mirrored_at_nyquist(hertz: float, n_bands: int, sample_rate: float) -> tuple[float, ...]:
    width = sample_rate / 2 / n_bands
    return round(hertz / width) - 1, round(hertz / width), sample_rate - hertz


def _first_border_only(hertz: float, n_bands: int, sample_rate: float) -> tuple[float, ...]:
    """As in the cells above the exercise: right for 1550 Hz and 16 bands alone."""
    return 0, 1, sample_rate / n_bands - hertz


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
    "at_border": [
        (_inside_and_above, "above a border"),
        (_inside_and_below, "below a border"),
        (_in_the_band, "inside a band"),
        (_mirrored_at_nyquist, "half the sample rate"),
        (_first_border_only, "2980 Hz"),
    ],
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
