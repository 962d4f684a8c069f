"""Exercises of chapter 00: how few numbers describe a sound, and the latency of a player.

Notebook: 00.
"""

from collections.abc import Callable
from typing import Any

from ravecourse.config import preset

from .feedback import Verdict, ask, compare, exercise, together

KEPT = 8  # latents in exercise 0.1
PD_BLOCK = 64  # samples: exercise 8.1 counts them, this chapter does not
WAITS = (
    (2000, 1024, 1, 48000),
    (2000, 1024, 2, 48000),
    (0, 64, 1, 44100),
    (446, 256, 1, 48000),
    (24736, 4096, 2, 44100),
)


@exercise("00", "There is one frame for every 2048 samples. How many frames is that per second? Each holds 8 numbers.")
def how_few(numbers_a_second: Any, times_fewer: Any) -> Verdict:
    """Judge the two numbers of exercise 0.1. Notebook: 00."""
    config = preset("v2")
    rate, hop, size = config.sample_rate, config.hop_length, config.latent_size
    frames = rate / hop
    return together(
        compare(
            numbers_a_second,
            KEPT * frames,
            "the numbers per second",
            tolerance=1e-3,
            usual={
                "That is the number of frames; each brings 8 numbers.": frames,
                "That counts all 128 latents; the export keeps 8 of them.": size * frames,
                "You divided by 8. Each frame brings 8 numbers, so there are more numbers than frames.": frames / KEPT,
                "You rounded the number of frames before multiplying; do not round.": KEPT * round(frames),
            },
        ),
        compare(
            times_fewer,
            hop / KEPT,
            "the factor",
            tolerance=1e-3,
            usual={
                "That is the hop length; 8 numbers are written per hop, not one.": float(hop),
                "That is the other way round: divide the samples by the numbers.": KEPT / hop,
                "That counts all 128 latents; the export keeps 8 of them.": hop / size,
            },
        ),
    )


@exercise(
    "00",
    "Add up samples first: the delay once, and the buffer once or twice. One sample lasts 1 / sample_rate seconds, "
    "and a second has 1000 ms.",
)
def wait_ms(answer: Callable[..., Any]) -> Verdict:
    """Judge `wait_ms(delay_samples, buffer, buffers, sample_rate)`. Notebook: 00."""
    answers = [ask(answer, *case) for case in WAITS]

    def with_all(formula: Callable[[int, int, int, int], float]) -> list[float]:
        return [formula(*case) for case in WAITS]

    return compare(
        answers,
        with_all(lambda delay, buffer, buffers, rate: 1000 * (delay + buffers * buffer) / rate),
        f"the latency for (delay, buffer, buffers, rate) = {', '.join(map(str, WAITS))}",
        tolerance=1e-6,
        unit="ms",
        usual={
            "Your result is in seconds; multiply by 1000.": with_all(
                lambda delay, buffer, buffers, rate: (delay + buffers * buffer) / rate
            ),
            "You count one buffer even where there are two.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * (delay + buffer) / rate
            ),
            "The delay of the model is missing.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * buffers * buffer / rate
            ),
            "The buffers are missing.": with_all(lambda delay, buffer, buffers, rate: 1000 * delay / rate),
            "The fraction is upside down: samples divided by samples per second are seconds.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * rate / (delay + buffers * buffer)
            ),
            "That is right only at 48000 Hz: use sample_rate.": with_all(
                lambda delay, buffer, buffers, rate: (delay + buffers * buffer) / 48
            ),
            "You multiplied the model's delay by the number of buffers; it counts once.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * buffers * (delay + buffer) / rate
            ),
            "Leave out the 64 samples that Pd saves; they come in chapter 08.": with_all(
                lambda delay, buffer, buffers, rate: 1000 * (delay + buffers * buffer - PD_BLOCK) / rate
            ),
        },
    )
