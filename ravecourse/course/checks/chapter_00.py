"""Exercises of chapter 00: how few numbers a sound becomes, and how long a player waits.

Notebook: 00.
"""

from collections.abc import Callable
from typing import Any

from ravecourse.config import preset

from .feedback import Verdict, ask, compare, exercise, together

KEPT = 8  # latents in exercise 0.1
WAITS = (
    (2000, 1024, 1, 48000),
    (2000, 1024, 2, 48000),
    (0, 64, 1, 44100),
    (446, 256, 1, 48000),
    (24736, 4096, 2, 44100),
)


@exercise(
    "00", "A frame comes every 2048 samples. How many such stretches are there in 48000 samples? Each brings 8 numbers."
)
def how_few(numbers_a_second: Any, times_fewer: Any) -> Verdict:
    """Judge the two numbers of exercise 0.1. Notebook: 00."""
    config = preset("v2")
    rate, hop, size = config.sample_rate, config.hop_length, config.latent_size
    frames = rate / hop
    return together(
        compare(
            numbers_a_second,
            KEPT * frames,
            "the numbers a second",
            tolerance=1e-3,
            usual={
                "That is the frames; each brings 8 numbers.": frames,
                "That is with all 128 latents; the export keeps 8 of them.": size * frames,
                "That is divided by 8. Each frame brings 8 numbers, so there are more numbers than frames.": frames
                / KEPT,
                "That is half a frame short or over: do not round the frames before you multiply.": KEPT
                * round(frames),
            },
        ),
        compare(
            times_fewer,
            hop / KEPT,
            "times fewer",
            tolerance=1e-3,
            usual={
                "That is the hop, in which 8 numbers are written, not one.": float(hop),
                "That is the other way round: samples divided by numbers.": KEPT / hop,
                "That is with all 128 latents; the export keeps 8 of them.": hop / size,
            },
        ),
    )


@exercise(
    "00",
    "Add up samples first: the delay, and the buffer once or twice. A sample lasts 1 / sample_rate "
    "seconds, and a second has 1000 ms.",
)
def wait_ms(answer: Callable[..., Any]) -> Verdict:
    """Judge `wait_ms(delay_samples, buffer, buffers, sample_rate)`. Notebook: 00."""
    answers = [ask(answer, *case) for case in WAITS]

    def with_all(formula: Callable[[int, int, int, int], float]) -> list[float]:
        return [formula(*case) for case in WAITS]

    return compare(
        answers,
        with_all(lambda delay, buffer, buffers, rate: 1000 * (delay + buffers * buffer) / rate),
        f"the wait for (delay, buffer, buffers, rate) = {', '.join(map(str, WAITS))}",
        tolerance=1e-6,
        unit="ms",
        usual={
            "Yours is in seconds: a thousand of what was asked for make one of them.": with_all(
                lambda delay, buffer, buffers, rate: (delay + buffers * buffer) / rate
            ),
            "Yours waits for one buffer, also where there are two.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * (delay + buffer) / rate
            ),
            "Yours forgets the delay of the model.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * buffers * buffer / rate
            ),
            "Yours forgets the buffers.": with_all(lambda delay, buffer, buffers, rate: 1000 * delay / rate),
            "Yours has the sample rate upside down: samples divided by samples a second are seconds.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * rate / (delay + buffers * buffer)
            ),
            "Yours is right at 48000 Hz only: use sample_rate.": with_all(
                lambda delay, buffer, buffers, rate: (delay + buffers * buffer) / 48
            ),
            "Yours multiplies the delay by the buffers too: the model is late once.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * buffers * (delay + buffer) / rate
            ),
        },
    )
