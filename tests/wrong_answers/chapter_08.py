"""Typical wrong answers to the exercises of chapter 08, each with a word that the feedback must hold."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad


def process_all(process: Callable[[Tensor], Tensor], sound: Tensor, buffer: int) -> Tensor:
    padded = pad(sound, (0, -len(sound) % buffer))
    return torch.cat([process(block) for block in padded.split(buffer)])


def delayed(sound: Tensor, by: int, length: int) -> Tensor:
    return pad(sound, (by, 0))[:length]


def input_delayed(process: Callable[[Tensor], Tensor], sound: Tensor, buffer: int) -> Tensor:
    return process_all(process, pad(sound, (2 * buffer - 64, 0)), buffer)[: len(sound)]


def two_blocks_of_silence_first(process: Callable[[Tensor], Tensor], sound: Tensor, buffer: int) -> Tensor:
    return process_all(process, pad(sound, (2 * buffer, 0)), buffer)[64:][: len(sound)]


def filled_at_the_front(process: Callable[[Tensor], Tensor], sound: Tensor, buffer: int) -> Tensor:
    gap = -len(sound) % buffer
    return delayed(process_all(process, pad(sound, (gap, 0)), buffer)[gap:], 2 * buffer - 64, len(sound))


def each_block_alone(seconds: Tensor, buffer: int) -> int:
    return int((seconds > buffer / 48000).sum())


def on_average(seconds: Tensor, buffer: int) -> int:
    return len(seconds) if len(seconds) and float(seconds.mean()) > buffer / 48000 else 0


def one_block_less(seconds: Tensor, buffer: int) -> int:
    free, late = 0.0, 0
    for n, spent in enumerate(seconds.tolist()):
        free = max(free, (n + 1) * buffer / 48000) + spent
        late += free > (n + 1) * buffer / 48000
    return late


def never_waits(seconds: Tensor, buffer: int) -> int:
    free, late = 0.0, 0
    for n, spent in enumerate(seconds.tolist()):
        free += spent
        late += free > (n + 2) * buffer / 48000
    return late


def slow_ones_push_one_block(seconds: Tensor, buffer: int) -> int:
    late = seconds > buffer / 48000
    return int((late | torch.cat([late[:0].new_zeros(1), late])[:-1]).sum())


WRONG = {
    "how_late": [
        (1000 * (1024 - 64 + 2000) / 48000 + 10, "twice"),
        (1000 * (2048 + 2000) / 48000 + 10, "64 samples less"),
        (1000 * (2048 - 64) / 48000 + 10, "model's own"),
        (1000 * (2048 - 64 + 2000) / 48000, "sound card"),
        (2048 - 64 + 2000 + 480, "samples"),
        (50, "differs"),
    ],
    "through_nn": [
        (lambda process, sound, buffer: process_all(process, sound, buffer)[: len(sound)], "not delayed"),
        (
            lambda process, sound, buffer: delayed(process_all(process, sound, buffer), buffer - 64, len(sound)),
            "one buffer",
        ),
        (
            lambda process, sound, buffer: delayed(process_all(process, sound, buffer), 2 * buffer, len(sound)),
            "64 samples too",
        ),
        (lambda process, sound, buffer: delayed(sound, 2 * buffer - 64, len(sound)), "not called"),
        (
            lambda process, sound, buffer: delayed(process_all(process, sound, buffer), 2 * buffer - 64, 10**9),
            "came out",
        ),
        (lambda process, sound, buffer: process(sound), "whole blocks only"),
        (input_delayed, "silence came first"),
        (two_blocks_of_silence_first, "silence came first"),
        (filled_at_the_front, "came first"),
    ],
    "late_blocks": [
        (each_block_alone, "alone"),
        (on_average, "average"),
        (one_block_less, "one more block of time"),
        (never_waits, "before the block is full"),
        (slow_ones_push_one_block, "differs"),
        (lambda seconds, buffer: 0, "differs"),
    ],
}
