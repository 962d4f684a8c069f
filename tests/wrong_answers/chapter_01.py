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


def _amplitude(audio: Tensor, of: float, target_db: float) -> float:
    return 1.0 if of == 0 else min(10 ** (target_db / 20) / of, 1 / float(audio.abs().max()))


def _rms(audio: Tensor) -> float:
    return float(audio.double().square().mean().sqrt())


def _as_power(audio: Tensor, target_db: float) -> float:
    return _amplitude(audio, _rms(audio), 2 * target_db)


def _clipping(audio: Tensor, target_db: float) -> float:
    return 10 ** (target_db / 20) / _rms(audio) if audio.any() else 1.0


def _positive_peak(audio: Tensor, target_db: float) -> float:
    return min(10 ** (target_db / 20) / _rms(audio), 1 / float(audio.max())) if audio.any() else 1.0


def _silence_forgotten(audio: Tensor, target_db: float) -> float:
    return min(10 ** (target_db / 20) / _rms(audio), 1 / float(audio.abs().max()))


def _silence_muted(audio: Tensor, target_db: float) -> float:
    return _amplitude(audio, _rms(audio), target_db) if audio.any() else 0.0


def _deviation(audio: Tensor, target_db: float) -> float:
    return _amplitude(audio, float(audio.double().std(correction=0)), target_db)


def _in_db(audio: Tensor, target_db: float) -> float:
    return 20 * math.log10(_amplitude(audio, _rms(audio), target_db)) if audio.any() else 0.0


def _hann(frame: Tensor) -> Tensor:
    return torch.hann_window(len(frame), dtype=torch.float64)


def _sums(frame: Tensor, hertz: float, sample_rate: float) -> tuple[float, float]:
    angle = 2 * torch.pi * hertz / sample_rate * torch.arange(len(frame), dtype=torch.float64)
    return float((frame * torch.cos(angle)).sum()), float((frame * torch.sin(angle)).sum())


def _no_window(frame: Tensor, hertz: float, sample_rate: float) -> float:
    return 2 * math.hypot(*_sums(frame, hertz, sample_rate)) / len(frame)


def _unscaled(frame: Tensor, hertz: float, sample_rate: float) -> float:
    return math.hypot(*_sums(frame * _hann(frame), hertz, sample_rate))


def _by_length(frame: Tensor, hertz: float, sample_rate: float) -> float:
    return 2 * math.hypot(*_sums(frame * _hann(frame), hertz, sample_rate)) / len(frame)


def _cosine_only(frame: Tensor, hertz: float, sample_rate: float) -> float:
    return 2 * abs(_sums(frame * _hann(frame), hertz, sample_rate)[0]) / float(_hann(frame).sum())


def _nearest_bin(frame: Tensor, hertz: float, sample_rate: float) -> float:
    nearest = round(hertz * len(frame) / sample_rate) * sample_rate / len(frame)
    return 2 * math.hypot(*_sums(frame * _hann(frame), nearest, sample_rate)) / float(_hann(frame).sum())


def _ready_made(frame: Tensor, hertz: float, sample_rate: float) -> float:
    """Padded with zeros until the frequency is a bin: right, but by torch.fft."""
    spectrum = torch.fft.rfft(frame * _hann(frame), n=10 * int(sample_rate)).abs()
    return float(2 * spectrum[round(10 * hertz)] / _hann(frame).sum())


WRONG: dict[str, list[tuple[Any, str]]] = {
    "size": [
        ((7938000, 15876000), "stereo"),
        ((15876000, 31752000), "both channels"),
        ((7938000, 31752044), "header"),
        ((7938000, 254016000), "8 of them"),
    ],
    "alias": [(_not_mirrored, "mirror"), (_once_mirrored, "repeats"), (_stopped, "comes down again")],
    "gain_for": [
        (_as_power, "as for a power"),
        (_clipping, "clip"),
        (_positive_peak, "negative ones"),
        (_silence_forgotten, "stopped"),
        (_silence_muted, "silence"),
        (_deviation, "offset"),
        (_in_db, "in dB"),
    ],
    "amplitude_at": [
        (_no_window, "window is missing"),
        (_unscaled, "scale it"),
        (_by_length, "not to N"),
        (_cosine_only, "only the cosine"),
        (_nearest_bin, "nearest"),
        (_ready_made, "ruled out"),
    ],
}
