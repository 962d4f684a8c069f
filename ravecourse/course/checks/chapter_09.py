"""Exercises of chapter 09: latents for a fidelity, delay for a buffer, a file's answers, a buffer for a machine.

Notebook: 09.
"""

from collections.abc import Callable
from typing import Any

import torch

from ravecourse.config import preset
from ravecourse.export import ExportedRAVE
from ravecourse.model import RAVE, size_for

from .feedback import Verdict, ask, compare, exercise

SHARES = (0.48, 0.26, 0.14, 0.09, 0.03)  # of exercise 9.1
RATE = 48000  # Hz


@exercise("09", "Add the shares from the strongest on, and stop as soon as the sum is 90 % or more.")
def number_of_latents(answer: Any) -> Verdict:
    """Judge the predicted number of latents at a fidelity of 0.9. Notebook: 09."""
    expected = size_for(torch.tensor(SHARES).cumsum(0), 0.9)
    usual = {
        "With three you keep 88 %: less than what was asked for. A fidelity is reached, not rounded.": 3,
        "Five is all of it; a fidelity of 1.": 5,
        "With two you keep 74 %.": 2,
    }
    return compare(answer, expected, "the number of latents", usual=usual)


@exercise("09", "A block of N samples lasts N / sample_rate seconds. Then put everything in ms before you add.")
def latency(answer: Callable[..., Any]) -> Verdict:
    """Judge `latency(buffer, sample_rate, delay_samples, threaded)`. Notebook: 09."""
    cases = [(512, 48000, 2000, False), (512, 48000, 2000, True), (4096, 44100, 448, True), (256, 48000, 0, False)]
    mistakes = {  # in samples
        "In a thread of its own, `nn~` is late by two buffers: one fills while the one before is computed.": lambda n, rate, delay, threaded: (
            n,
            n + delay,
        ),
        "The model's own delay is missing.": lambda n, rate, delay, threaded: (n, (1 + threaded) * n),
        "The model's delay is in the sound once, threaded or not.": lambda n, rate, delay, threaded: (
            n,
            (1 + threaded) * (n + delay),
        ),
        "The deadline is the length of one block, threaded or not.": lambda n, rate, delay, threaded: (
            (1 + threaded) * n,
            (1 + threaded) * n + delay,
        ),
        "The buffer is missing: a block has to fill before it can be answered.": lambda n, rate, delay, threaded: (
            n,
            delay,
        ),
        "That is in seconds; milliseconds are asked for.": lambda n, rate, delay, threaded: (
            n / 1000,
            ((1 + threaded) * n + delay) / 1000,
        ),
        "Those are samples; milliseconds are asked for.": lambda n, rate, delay, threaded: (
            n * rate / 1000,
            ((1 + threaded) * n + delay) * rate / 1000,
        ),
    }

    def milliseconds(rule: Callable[..., tuple[float, float]], case: tuple[int, int, int, bool]) -> list[float]:
        return [value * 1000 / case[1] for value in rule(*case)]

    answers = [ask(answer, *case) for case in cases]
    made = {
        sentence: rule
        for sentence, rule in mistakes.items()
        if all(_near(given, milliseconds(rule, case)) for case, given in zip(cases, answers, strict=True))
    }
    for case, given in zip(cases, answers, strict=True):
        n, rate, delay, threaded = case
        expected = milliseconds(lambda n, rate, delay, threaded: (n, (1 + threaded) * n + delay), case)
        verdict = compare(
            given,
            expected,
            f"(deadline, delay) for a buffer of {n} at {rate} Hz, model delay {delay}, threaded {threaded}",
            unit="ms",
            tolerance=1e-4,
            usual={sentence: milliseconds(rule, case) for sentence, rule in made.items()},
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Deadline and delay are right, in Pd's thread and beside it.")


@exercise(
    "09",
    "A latent comes once in a hop, so its ratio is the hop length; audio has a ratio of 1. `decode` is "
    "`encode` turned round.",
)
def method_params(answer: Callable[..., Any]) -> Verdict:
    """Judge `method_params(channels, latents, hop_length)` beside exported models. Notebook: 09."""
    for name, channels, latents in (("tiny", 1, 6), ("low_latency", 2, 4), ("tiny", 2, 16)):
        file = ExportedRAVE(RAVE(preset(name, channels=channels)).eval(), latents)
        hop = file.hop_length
        given = ask(answer, channels, latents, hop)
        if not isinstance(given, dict) or set(given) != set(file.methods):
            have = ", ".join(map(str, given)) if isinstance(given, dict) else type(given).__name__
            return Verdict(False, f"A dictionary with the keys {', '.join(file.methods)} is needed; yours has: {have}.")
        for method in file.methods:
            expected = getattr(file, f"{method}_params").tolist()
            usual = {
                "The ratios are exchanged: audio comes at every sample (1), a latent once in a hop.": [
                    expected[0],
                    expected[3],
                    expected[2],
                    expected[1],
                ],
                "In and out are exchanged.": expected[2:] + expected[:2],
                "The order is: channels in, ratio in, channels out, ratio out.": [
                    expected[0],
                    expected[2],
                    expected[1],
                    expected[3],
                ],
                "That is right for mono. This model has two audio channels.": [
                    1 if signal == "audio" else number
                    for signal, number in zip(_signals(method), expected, strict=True)
                ],
            }
            verdict = compare(
                given[method],
                expected,
                f"`{method}_params` for {channels} channels, {latents} latents, hop {hop}",
                usual=usual,
            )
            if not verdict.right:
                return verdict
    return Verdict(True, "As exported, mono and stereo.")


@exercise(
    "09",
    "`times[buffer].quantile(0.99)` is the 99th percentile; the deadline of a buffer is 1000 * buffer / "
    "sample_rate ms. Go through `sorted(times)` and return the first that is safe.",
)
def choose_buffer(answer: Callable[..., Any]) -> Verdict:
    """Judge `choose_buffer(times, sample_rate, margin)` on made-up measurements. Notebook: 09."""
    quiet = {size: _blocks(0.3 * size * 1000 / RATE, 0.0) for size in (1024, 256, 512)}
    jittery = {4096: _blocks(20.0, 15.0), 256: _blocks(1.0, 15.0), 1024: _blocks(3.0, 15.0), 512: _blocks(2.0, 15.0)}
    hopeless = {size: _blocks(2.0 * size * 1000 / RATE, 0.0) for size in (512, 256)}
    tight = {512: _blocks(0.5 * 512 * 1000 / RATE, 0.0), 256: _blocks(0.9 * 256 * 1000 / RATE, 0.0)}
    rare = {256: _blocks(1.0, 15.0, share=0.002), 512: _blocks(1.5, 15.0, share=0.002)}
    cases = {
        "a quiet machine": (quiet, 0.8),
        "a machine with slow blocks now and then": (jittery, 0.5),
        "a machine near its limit": (tight, 0.8),
        "one slow block in 500": (rare, 0.8),
        "a machine that is too slow": (hopeless, 0.8),
    }
    rules = {
        "The average hides the slow blocks: one late block in fifty is a click, again and again. Take p99.": lambda t: (
            float(t.mean())
        ),
        "The median hides the slow blocks. Take the 99th percentile.": lambda t: float(t.median()),
        "The slowest block of all is too strict: one block of a hundred may be late.": lambda t: float(t.max()),
    }
    for what, (times, margin) in cases.items():
        expected = _smallest(times, margin, lambda t: float(t.quantile(0.99)))
        usual = {sentence: _smallest(times, margin, rule) for sentence, rule in rules.items()}
        usual = {sentence: value for sentence, value in usual.items() if value != expected}
        without_margin = _smallest(times, 1.0, lambda t: float(t.quantile(0.99)))
        usual["The margin is missing: p99 must stay below margin * deadline."] = without_margin
        usual["That is the largest that is safe; the smallest has the least delay."] = max(
            (size for size in times if _smallest({size: times[size]}, margin, lambda t: float(t.quantile(0.99)))),
            default=0,
        )
        given = ask(answer, {size: values.clone() for size, values in times.items()}, RATE, margin)
        verdict = compare(given, expected, f"the buffer for {what}", usual=usual, unit="samples")
        if not verdict.right:
            return verdict
    return Verdict(True, f"Right for all {len(cases)} machines, also where no buffer is safe.")


def _smallest(times: dict[int, torch.Tensor], margin: float, statistic: Callable[[torch.Tensor], float]) -> int:
    safe = [size for size, values in times.items() if statistic(values) < margin * 1000 * size / RATE]
    return min(safe, default=0)


def _blocks(usual_ms: float, extra_ms: float, share: float = 0.02) -> torch.Tensor:
    """1000 block times; a share of them is slower by `extra_ms`."""
    times = torch.full((1000,), usual_ms)
    times[: round(1000 * share)] += extra_ms
    return times[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]


def _signals(method: str) -> list[str]:
    """For each of the four numbers, "audio" where it counts audio channels."""
    return ["audio" if method != "decode" else "", "", "audio" if method != "encode" else "", ""]


def _near(given: Any, wanted: list[float]) -> bool:
    try:
        return all(abs(float(a) - b) < 1e-3 for a, b in zip(given, wanted, strict=True))
    except (TypeError, ValueError):
        return False
