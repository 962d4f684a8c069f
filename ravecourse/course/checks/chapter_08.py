"""Exercises of chapter 08: how late an object is, the object itself, the choice of a buffer.

Notebook: 08.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ravecourse.playback import RATE

from .feedback import Verdict, ask, compare, exercise

BLOCK = 64  # samples that Pd computes at a time
ASKED, OWN, CARD_MS = 1024, 2000, 10.0  # exercise 8.1: the buffer, the model's delay, the sound card's


@exercise("08", "Three things add up: the buffers (in samples), the model (in samples), the card (in milliseconds).")
def how_late(milliseconds: Any) -> Verdict:
    """Judge the predicted delay of exercise 8.1. Notebook: 08."""

    def in_ms(samples: float) -> float:
        return 1000 * samples / RATE

    wanted = in_ms(2 * ASKED - BLOCK + OWN) + CARD_MS
    return compare(
        milliseconds,
        wanted,
        "the delay",
        tolerance=2e-3,
        unit="ms",
        usual={
            "The buffer counts twice: it is filled, and then it is computed while the next one fills.": in_ms(
                ASKED - BLOCK + OWN
            )
            + CARD_MS,
            "Nearly. Pd hands over its last block of 64 samples and plays on in the same turn: 64 samples less.": in_ms(
                2 * ASKED + OWN
            )
            + CARD_MS,
            "The model itself is late too.": in_ms(2 * ASKED - BLOCK) + CARD_MS,
            "The sound card is late too.": in_ms(2 * ASKED - BLOCK + OWN),
            "These are samples; milliseconds are asked for.": 2 * ASKED - BLOCK + OWN + CARD_MS * RATE / 1000,
            "Milliseconds were asked for; these are seconds.": (in_ms(2 * ASKED - BLOCK + OWN) + CARD_MS) / 1000,
        },
    )


class _Echo:
    """A model with a memory: each sample, and half of the one `delay` samples before it."""

    def __init__(self, buffer: int, delay: int = 100) -> None:
        self.buffer, self.memory = buffer, torch.zeros(delay)

    def __call__(self, block: Tensor) -> Tensor:
        if tuple(block.shape) != (self.buffer,):
            raise ValueError(
                f"the model was given a block of the shape {list(block.shape)} "
                f"in place of [{self.buffer}]: whole blocks only, with zeros behind the last one"
            )
        heard = torch.cat([self.memory, block])
        self.memory = heard[len(block) :]
        return block + 0.5 * heard[: len(block)]


def _through(process: Callable[[Tensor], Tensor], sound: Tensor, buffer: int) -> Tensor:
    padded = torch.nn.functional.pad(sound, (0, -len(sound) % buffer))
    return torch.cat([process(block) for block in padded.split(buffer)])


@exercise("08", "sound.split(buffer) cuts; torch.nn.functional.pad(x, (front, behind)) adds zeros on either side.")
def through_nn(answer: Callable[..., Any]) -> Verdict:
    """Judge `through_nn(process, sound, buffer)`, with a model that has an echo. Notebook: 08."""
    for seed, (length, buffer) in enumerate(((4096, 256), (5000, 512), (700, 1024))):
        sound = torch.randn(length, generator=torch.Generator().manual_seed(seed))
        late = 2 * buffer - BLOCK

        def put_off(by: int, out: Tensor, length: int = length) -> Tensor:
            return torch.nn.functional.pad(out, (by, 0))[:length]

        out = _through(_Echo(buffer), sound, buffer)
        given = ask(answer, _Echo(buffer), sound, buffer)
        wanted = put_off(late, out)
        if isinstance(given, Tensor) and given.dim() == 1 and len(given) != length:
            return Verdict(
                False,
                f"{length} samples went in and {len(given)} came out. An object has no end: as many "
                "come out as went in, and what is late at the end is not heard.",
            )
        verdict = compare(
            given,
            wanted,
            f"the sound for a buffer of {buffer}",
            draw=True,
            usual={
                "It comes out at once. How late is nn~?": out[:length],
                "That is one buffer late, as with buffer 0: a second thread takes one more.": put_off(
                    buffer - BLOCK, out
                ),
                "64 samples too late: the last block of Pd goes in, and the first comes out, in the same turn.": put_off(
                    2 * buffer, out
                ),
                "That is late enough, but the model was not asked, or its memory did not go on from block to block.": put_off(
                    late, sound
                ),
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "What goes in comes out, through the model, as late as in Pd.")


@exercise("08", "A block of `buffer` samples lasts buffer / 48000 seconds. Try the sizes in order: sorted(times).")
def choose(answer: Callable[..., Any]) -> Verdict:
    """Judge `choose(times, margin)` on machines of several speeds. Notebook: 08."""
    for seed, (per_block, worst, margin) in enumerate(
        ((0.002, 0.004, 0.8), (0.004, 0.03, 0.8), (0.0001, 0.0002, 0.5), (0.2, 0.3, 0.8), (0.004, 0.03, 0.3))
    ):
        times = _machine(per_block, worst, seed)
        good = {b: float(times[b].quantile(0.99)) < margin * b / RATE for b in times}
        wanted = min((b for b in good if good[b]), default=max(times))
        said = ", ".join(
            f"{b}: {1000 * float(t.quantile(0.99)):.1f} of {1000 * b / RATE:.1f} ms" for b, t in sorted(times.items())
        )
        given = ask(answer, dict(times), margin)
        largest = max((b for b in good if good[b]), default=max(times))
        median = min((b for b in times if float(times[b].median()) < margin * b / RATE), default=max(times))
        no_margin = min((b for b in times if float(times[b].quantile(0.99)) < b / RATE), default=max(times))
        unit = f"samples (margin {margin:g}; 99 of 100 take {said})"
        verdict = compare(
            given,
            wanted,
            "the buffer",
            unit=unit,
            usual={
                "That one is good, but a smaller one is too.": largest,
                "Usually that is enough. Look at 99 of 100 blocks, not at the middle one.": median,
                "That leaves no reserve: less than `margin` of the time may be used.": no_margin,
                "There, 99 of 100 blocks take too long.": min(times),
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "The smallest that holds, on five machines.")


def _machine(per_block: float, worst: float, seed: int) -> dict[int, Tensor]:
    """Times of 200 blocks for each buffer: some seconds a call and some a sample, and a few of them much worse."""
    generator = torch.Generator().manual_seed(seed)
    times = {}
    for buffer in (2048, 256, 8192, 512, 4096, 1024):  # in no order
        usual = per_block * (0.5 + 0.5 * buffer / 1024) * (1 + 0.1 * torch.rand(200, generator=generator))
        usual[::40] = worst * (0.5 + 0.5 * buffer / 4096)
        times[buffer] = usual
    return times
