"""Exercises of chapter 08: the latency of nn~, the object itself, late blocks.

Notebook: 08.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ravecourse.playback import RATE

from .feedback import Verdict, ask, compare, exercise

BLOCK = 64  # samples that Pd computes at a time
BUFFER, MODEL_DELAY, CARD_MS = 1024, 2000, 10.0  # exercise 8.1: the buffer, the model's delay, the sound card's


@exercise(
    "08",
    "Three parts add up: the buffering in nn~ (in samples; the table above has it), the model (in samples) "
    "and the sound card (in milliseconds).",
)
def how_late(milliseconds: Any) -> Verdict:
    """Check the predicted latency of exercise 8.1. Notebook: 08."""

    def in_ms(samples: float) -> float:
        return 1000 * samples / RATE

    expected = in_ms(2 * BUFFER - BLOCK + MODEL_DELAY) + CARD_MS
    return compare(
        milliseconds,
        expected,
        "the latency",
        tolerance=2e-3,
        unit="ms",
        usual={
            "The buffer counts twice: first it fills, then the second thread computes it while the next one fills.": in_ms(
                BUFFER - BLOCK + MODEL_DELAY
            )
            + CARD_MS,
            "Nearly. Pd writes its last block of 64 samples and reads the first one of the output in the same tick, so "
            "nn~ itself delays by 64 samples less.": in_ms(2 * BUFFER + MODEL_DELAY) + CARD_MS,
            "The model's own delay is missing.": in_ms(2 * BUFFER - BLOCK) + CARD_MS,
            "The latency of the sound card is missing.": in_ms(2 * BUFFER - BLOCK + MODEL_DELAY),
            "That is in samples; the answer must be in milliseconds.": 2 * BUFFER
            - BLOCK
            + MODEL_DELAY
            + CARD_MS * RATE / 1000,
            "That is in seconds; the answer must be in milliseconds.": (
                in_ms(2 * BUFFER - BLOCK + MODEL_DELAY) + CARD_MS
            )
            / 1000,
        },
    )


class _Model:
    """An echo whose gain rises within each block and with each call: it shows which blocks it was given, and when."""

    def __init__(self, buffer: int, delay: int = 100) -> None:
        self.buffer, self.memory, self.calls = buffer, torch.zeros(delay), 0

    def __call__(self, block: Tensor) -> Tensor:
        if tuple(block.shape) != (self.buffer,):
            raise ValueError(
                f"the model was given a block of shape {list(block.shape)} instead of "
                f"[{self.buffer}]. It takes whole blocks only: pad the end of the sound with zeros"
            )
        joined = torch.cat([self.memory, block])
        self.memory = joined[len(block) :]
        self.calls += 1
        return torch.linspace(0.5, 1, self.buffer) * (block + 0.5 * joined[: len(block)]) + 0.1 * self.calls


def _process(model: _Model, sound: Tensor, silence_first: int = 0) -> Tensor:
    sound = torch.nn.functional.pad(sound, (silence_first, 0))
    padded = torch.nn.functional.pad(sound, (0, -len(sound) % model.buffer))
    return torch.cat([model(block) for block in padded.split(model.buffer)])


@exercise("08", "sound.split(buffer) cuts; torch.nn.functional.pad(x, (before, after)) adds zeros at either end.")
def through_nn(answer: Callable[..., Any]) -> Verdict:
    """Check `through_nn(process, sound, buffer)` with a model whose output depends on where its blocks begin.

    Notebook: 08.
    """
    for seed, (length, buffer) in enumerate(((4096, 256), (5000, 512), (700, 1024))):
        sound = torch.randn(length, generator=torch.Generator().manual_seed(seed))
        latency = 2 * buffer - BLOCK

        def delayed(by: int, out: Tensor, length: int = length) -> Tensor:
            return torch.nn.functional.pad(out, (by, 0))[:length]

        out = _process(_Model(buffer), sound)
        given = ask(answer, _Model(buffer), sound, buffer)
        if isinstance(given, Tensor) and given.dim() == 1 and len(given) != length:
            return Verdict(
                False,
                f"{length} samples went in and {len(given)} came out. An object in Pd returns as "
                "many samples as it gets: cut off what is delayed beyond the end.",
            )
        gap = -length % buffer
        verdict = compare(
            given,
            delayed(latency, out),
            f"the sound for a buffer of {buffer}",
            draw=True,
            usual={
                "Your output is not delayed at all. What is the latency of nn~?": out[:length],
                "That is a delay of one buffer, as with buffer 0. The second thread adds another.": delayed(
                    buffer - BLOCK, out
                ),
                "That is 64 samples too late: Pd writes its last block and reads the first output in the same tick.": delayed(
                    2 * buffer, out
                ),
                "The delay is right, but the model was not called, or a new one was made for each block.": delayed(
                    latency, sound
                ),
                "The silence came first: you delayed what the model gets. Give it the sound from the first sample on, "
                "and delay what it returns.": _process(_Model(buffer), sound, latency)[:length],
                "The silence came first, in whole blocks: the model was called before there was any sound. Give it the "
                "sound from the first sample on, and delay what it returns.": _process(
                    _Model(buffer), sound, 2 * buffer
                )[BLOCK:][:length],
                "The zeros that fill the last block came first. Pad the end of the sound, not its beginning.": delayed(
                    latency, _process(_Model(buffer), sound, gap)
                ),
                "The zeros that fill the last block came first. Blocks must begin where the sound begins.": delayed(
                    latency, _process(_Model(buffer), sound, gap)[gap:]
                ),
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Your function returns what nn~ returns, with the same delay.")


@exercise(
    "08",
    "Walk through the blocks with one variable: the time at which the thread is free again. A block starts "
    "when it is full and the thread is free, whichever comes later.",
)
def late_blocks(answer: Callable[..., Any]) -> Verdict:
    """Check `late_blocks(seconds, buffer)` on machines with single slow blocks and on slow machines. Notebook: 08."""
    cases = {
        "a machine that is fast enough": (512, [0.002] * 6),
        "one slow block": (512, [0.002, 0.002, 0.012, 0.002, 0.002, 0.002]),
        "a slow block after which the thread has to catch up": (512, [0.002, 0.02, 0.006, 0.006, 0.006, 0.006]),
        "blocks that are fast enough on average": (1024, [0.015, 0.03, 0.014, 0.012, 0.03, 0.001, 0.001]),
        "a machine that is too slow": (256, [0.0062] * 12),
        "the first block": (2048, [0.05, 0.01, 0.01]),
        "no blocks": (512, []),
    }
    rules: dict[str, Callable[[list[float], int], int]] = {
        "You look at each block alone. A slow block also delays the next ones: the thread is busy.": lambda seconds, buffer: (
            sum(value > buffer / RATE for value in seconds)
        ),
        "You compare the average: single slow blocks disappear in it.": lambda seconds, buffer: (
            len(seconds) * (sum(seconds) > len(seconds) * buffer / RATE)
        ),
        "A block has one more block of time: block n is full at (n + 1) * T, and due at (n + 2) * T.": lambda seconds, buffer: (
            _late(seconds, buffer, deadline=1)
        ),
        "The thread cannot begin before the block is full.": lambda seconds, buffer: _late(
            seconds, buffer, waits=False
        ),
    }
    answers = [ask(answer, torch.tensor(seconds), buffer) for buffer, seconds in cases.values()]
    made = {
        sentence: rule
        for sentence, rule in rules.items()
        if all(
            compare(given, rule(seconds, buffer), "the number").right
            for given, (buffer, seconds) in zip(answers, cases.values(), strict=True)
        )
    }
    for given, (name, (buffer, seconds)) in zip(answers, cases.items(), strict=True):
        times = ", ".join(f"{1000 * value:g}" for value in seconds) or "no"
        verdict = compare(
            given,
            _late(seconds, buffer),
            f"the number of late blocks for {name}",
            unit=f"(buffer {buffer}, {1000 * buffer / RATE:.1f} ms a block; computed in {times} ms)",
            usual={sentence: rule(seconds, buffer) for sentence, rule in made.items()},
        )
        if not verdict.right:
            return verdict
    return Verdict(True, f"Correct for all {len(cases)} machines, also where late blocks delay others.")


def _late(seconds: list[float], buffer: int, deadline: int = 2, waits: bool = True) -> int:
    lasts, free, late = buffer / RATE, 0.0, 0
    for n, spent in enumerate(seconds):
        free = (max(free, (n + 1) * lasts) if waits else free) + spent
        late += free > (n + deadline) * lasts
    return late
