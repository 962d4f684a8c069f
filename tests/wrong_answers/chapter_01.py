"""Wrong answers to the exercises of chapter 01, each with a word that its feedback must hold."""

import math
from typing import Any

import torch
from torch import Tensor


def _not_mirrored(frequency: float, sample_rate: float) -> float:
    return frequency % sample_rate


def _once_mirrored(frequency: float, sample_rate: float) -> float:
    return frequency if frequency <= sample_rate / 2 else abs(sample_rate - frequency)


def _stopped(frequency: float, sample_rate: float) -> float:
    return min(frequency, sample_rate / 2)


def _twice(audio: Tensor) -> float:
    return 20 * math.log10(float(audio.square().mean()))


def _silence_forgotten(audio: Tensor) -> float:
    return 10 * math.log10(float(audio.square().mean()))


def _peak(audio: Tensor) -> float:
    return 20 * math.log10(float(audio.abs().max()))


def _deviation(audio: Tensor) -> float:
    power = float(audio.double().var(correction=0))
    return 10 * math.log10(power) if power else -math.inf


def _no_window(frame: Tensor) -> Tensor:
    return torch.fft.rfft(frame).abs()


def _cosines_only(frame: Tensor) -> Tensor:
    return torch.fft.rfft(frame * torch.hann_window(len(frame), dtype=torch.float64)).real


def _ready_made(frame: Tensor) -> Tensor:
    return torch.fft.rfft(frame * torch.hann_window(len(frame), dtype=torch.float64)).abs()


def _too_many(frame: Tensor) -> Tensor:
    return torch.fft.fft(frame * torch.hann_window(len(frame), dtype=torch.float64)).abs()


WRONG: dict[str, list[tuple[Any, str]]] = {
    "size": [
        ((7938000, 15876000), "stereo"),
        ((15876000, 31752000), "both channels"),
        ((7938000, 31752044), "header"),
        ((7938000, 254016000), "8 of them"),
    ],
    "alias": [(_not_mirrored, "mirror"), (_once_mirrored, "repeats"), (_stopped, "comes down again")],
    "level": [(_twice, "twice"), (_silence_forgotten, "stopped"), (_peak, "peak"), (_deviation, "offset")],
    "magnitudes": [(_no_window, "window"), (_cosines_only, "sines"), (_too_many, "shape"), (_ready_made, "ruled out")],
}
