"""Typical wrong answers to the exercises of chapter 08, each with a word that the feedback must hold."""

from collections.abc import Callable

import torch
from torch import Tensor


def through(process: Callable[[Tensor], Tensor], sound: Tensor, buffer: int) -> Tensor:
    padded = torch.nn.functional.pad(sound, (0, -len(sound) % buffer))
    return torch.cat([process(block) for block in padded.split(buffer)])


def later(sound: Tensor, by: int, length: int) -> Tensor:
    return torch.nn.functional.pad(sound, (by, 0))[:length]


WRONG = {
    "how_late": [
        (1000 * (1024 - 64 + 2000) / 48000 + 10, "twice"),
        (1000 * (2048 + 2000) / 48000 + 10, "64 samples less"),
        (1000 * (2048 - 64) / 48000 + 10, "model itself"),
        (1000 * (2048 - 64 + 2000) / 48000, "sound card"),
        (2048 - 64 + 2000 + 480, "samples"),
        (50, "expected"),
    ],
    "through_nn": [
        (lambda process, sound, buffer: through(process, sound, buffer)[: len(sound)], "How late"),
        (
            lambda process, sound, buffer: later(through(process, sound, buffer), buffer - 64, len(sound)),
            "one buffer late",
        ),
        (
            lambda process, sound, buffer: later(through(process, sound, buffer), 2 * buffer, len(sound)),
            "64 samples too",
        ),
        (lambda process, sound, buffer: later(sound, 2 * buffer - 64, len(sound)), "not asked"),
        (lambda process, sound, buffer: later(through(process, sound, buffer), 2 * buffer - 64, 10**9), "came out"),
        (lambda process, sound, buffer: process(sound), "whole blocks only"),
    ],
    "choose": [
        (
            lambda times, margin: next(
                (b for b in sorted(times) if times[b].median() < margin * b / 48000), max(times)
            ),
            "not at the middle",
        ),
        (
            lambda times, margin: next((b for b in sorted(times) if times[b].quantile(0.99) < b / 48000), max(times)),
            "no reserve",
        ),
        (lambda times, margin: max(times), "smaller one"),
        (lambda times, margin: min(times), "not at the middle"),
    ],
}
