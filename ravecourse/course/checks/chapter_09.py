"""Exercises of chapter 09: latents for a fidelity, deadline and latency, method parameters, a safe buffer.

Notebook: 09.
"""

from collections.abc import Callable
from typing import Any

import torch

from ravecourse.config import preset
from ravecourse.export import ExportedRAVE
from ravecourse.model import RAVE, size_for

from .feedback import Verdict, ask, compare, exercise

SHARES = (0.48, 0.26, 0.14, 0.09, 0.03)  # of exercise 9.1: the learned latents,
NAMED = 2  # beside pitch and loudness
RATE = 48000  # Hz


@exercise(
    "09",
    "Add up the shares, the largest first, and stop as soon as the sum is 90 % or more. Then count all latents of the file.",
)
def number_of_latents(answer: Any) -> Verdict:
    """Check the predicted number of latents at a fidelity of 0.9. Notebook: 09."""
    expected = NAMED + size_for(torch.tensor(SHARES).cumsum(0), 0.9)
    on_top = "Pitch and loudness come on top: they have no share of the variance, and every file keeps them."
    usual = {
        on_top: 4,
        "Three learned latents keep 88 %, which is less than 90 %. Fidelity is a lower bound.": 5,
        f"Three learned latents keep 88 %, which is less than 90 %. {on_top}": 3,
        "Seven are all latents: a fidelity of 1.": 7,
    }
    return compare(answer, expected, "the number of latents", usual=usual)


@exercise("09", "A block of N samples lasts N / sample_rate seconds. Convert everything to ms before you add.")
def latency(answer: Callable[..., Any]) -> Verdict:
    """Check `latency(buffer, sample_rate, delay_samples, threaded)`. Notebook: 09."""
    cases = [(512, 48000, 2000, False), (512, 48000, 2000, True), (4096, 44100, 448, True), (256, 48000, 0, False)]
    mistakes = {  # in samples
        "A second thread adds a second buffer: one fills while the other is computed.": lambda n, rate, delay, threaded: (
            n,
            n + delay,
        ),
        "Leave out the 64 samples of Pd's block here: this is a rule of thumb for any player.": lambda n, rate, delay, threaded: (
            n,
            (1 + threaded) * n + delay - 64,
        ),
        "The model's own delay is missing.": lambda n, rate, delay, threaded: (n, (1 + threaded) * n),
        "The model's delay counts once, threaded or not.": lambda n, rate, delay, threaded: (
            n,
            (1 + threaded) * (n + delay),
        ),
        "The deadline is the length of one block, threaded or not.": lambda n, rate, delay, threaded: (
            (1 + threaded) * n,
            (1 + threaded) * n + delay,
        ),
        "The buffer is missing: a block has to fill before it can be computed.": lambda n, rate, delay, threaded: (
            n,
            delay,
        ),
        "That is in seconds; the answer must be in milliseconds.": lambda n, rate, delay, threaded: (
            n / 1000,
            ((1 + threaded) * n + delay) / 1000,
        ),
        "Those are samples; the answer must be in milliseconds.": lambda n, rate, delay, threaded: (
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
            f"(deadline, latency) for a buffer of {n} at {rate} Hz, model delay {delay}, threaded {threaded}",
            unit="ms",
            tolerance=1e-4,
            usual={sentence: milliseconds(rule, case) for sentence, rule in made.items()},
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Deadline and latency are correct, with and without a second thread.")


@exercise(
    "09",
    "There is one latent frame per hop, so its ratio is the hop length; audio has a ratio of 1. `decode` is "
    "`encode` the other way round.",
)
def method_params(answer: Callable[..., Any]) -> Verdict:
    """Check `method_params(channels, latents, hop_length)` against exported models. Notebook: 09."""
    for name, channels, latents in (("tiny", 1, 6), ("low_latency", 2, 4), ("tiny", 2, 16)):
        file = ExportedRAVE(RAVE(preset(name, channels=channels)).eval(), latents)
        hop = file.hop_length
        given = ask(answer, channels, latents, hop)
        if not isinstance(given, dict) or set(given) != set(file.methods):
            have = ", ".join(map(str, given)) if isinstance(given, dict) else type(given).__name__
            return Verdict(False, f"Return a dictionary with the keys {', '.join(file.methods)}; yours is: {have}.")
        for method in file.methods:
            expected = getattr(file, f"{method}_params").tolist()
            usual = {
                "The ratios are swapped: audio has one value per sample (1), a latent one per hop.": [
                    expected[0],
                    expected[3],
                    expected[2],
                    expected[1],
                ],
                "In and out are swapped.": expected[2:] + expected[:2],
                "The order is: channels in, ratio in, channels out, ratio out.": [
                    expected[0],
                    expected[2],
                    expected[1],
                    expected[3],
                ],
                "That is correct for mono. This model has two audio channels.": [
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
    return Verdict(True, "The same as in exported files, mono and stereo.")


@exercise(
    "09",
    "`times[buffer].quantile(0.99)` is the 99th percentile; the deadline of a buffer is 1000 * buffer / "
    "sample_rate ms. Go through `sorted(times)` and return the first buffer that is safe.",
)
def choose_buffer(answer: Callable[..., Any]) -> Verdict:
    """Check `choose_buffer(times, sample_rate, margin)` on made-up measurements. Notebook: 09."""
    rules: dict[str, _Rule] = {
        "The mean hides slow blocks: one late block in fifty clicks again and again. Use p99.": lambda times, rate, margin: (
            _smallest(times, rate, margin, lambda t: float(t.mean()))
        ),
        "The median hides the slow blocks. Use the 99th percentile.": lambda times, rate, margin: _smallest(
            times, rate, margin, lambda t: float(t.median())
        ),
        "The slowest block of all is too strict: one block in a hundred may be late.": lambda times, rate, margin: (
            _smallest(times, rate, margin, lambda t: float(t.max()))
        ),
        "The margin is missing: p99 must stay below margin * deadline.": lambda times, rate, margin: _smallest(
            times, rate, 1.0
        ),
        "The sample rate is not always 48000 Hz: use the argument.": lambda times, rate, margin: _smallest(
            times, RATE, margin
        ),
        "That is the largest safe buffer; the smallest one has the least latency.": lambda times, rate, margin: max(
            _safe(times, rate, margin), default=0
        ),
        "A larger buffer need not be safe where a smaller one is: look at every buffer.": _down_to_the_first_unsafe,
        "Where no buffer is safe, return 0.": lambda times, rate, margin: _smallest(times, rate, margin) or max(times),
    }
    machines = _machines()
    answers = [
        ask(answer, {size: values.clone() for size, values in times.items()}, rate, margin)
        for times, rate, margin in machines.values()
    ]
    made = {
        sentence: rule
        for sentence, rule in rules.items()
        if all(
            compare(given, rule(*machine), "the buffer").right
            for given, machine in zip(answers, machines.values(), strict=True)
        )
    }
    for given, (what, machine) in zip(answers, machines.items(), strict=True):
        times, rate, margin = machine
        p99 = ", ".join(
            f"{size}: {float(values.quantile(0.99)):.1f} of {1000 * size / rate:.1f} ms"
            for size, values in sorted(times.items())
        )
        verdict = compare(
            given,
            _smallest(*machine),
            f"the buffer for {what}",
            unit=f"samples (margin {margin:g}; p99 and deadline {p99})",
            usual={sentence: rule(*machine) for sentence, rule in made.items()},
        )
        if not verdict.right:
            return verdict
    return Verdict(True, f"Correct for all {len(machines)} machines, also where no buffer is safe.")


_Times = dict[int, torch.Tensor]  # buffer in samples -> milliseconds of each block
_Rule = Callable[[_Times, int, float], int]


def _machines() -> dict[str, tuple[_Times, int, float]]:
    """What is special about each machine; its times, sample rate and margin."""
    quiet = {size: _blocks(0.3 * size * 1000 / RATE, 0.0) for size in (1024, 256, 512)}
    jittery = {4096: _blocks(20.0, 15.0), 256: _blocks(1.0, 15.0), 1024: _blocks(3.0, 15.0), 512: _blocks(2.0, 15.0)}
    hopeless = {size: _blocks(2.0 * size * 1000 / RATE, 0.0) for size in (512, 256)}
    tight = {512: _blocks(0.5 * 512 * 1000 / RATE, 0.0), 256: _blocks(0.9 * 256 * 1000 / RATE, 0.0)}
    rare = {256: _blocks(1.0, 15.0, share=0.002), 512: _blocks(1.5, 15.0, share=0.002)}
    gap = {2048: _blocks(10.0, 0.0), 256: _blocks(5.0, 0.0), 1024: _blocks(18.0, 0.0), 512: _blocks(3.0, 0.0)}
    double_rate = {size: _blocks(0.6 * size * 1000 / RATE, 0.0) for size in (512, 2048, 1024)} | {
        4096: _blocks(8.0, 0.0)
    }
    return {
        "a quiet machine": (quiet, RATE, 0.8),
        "a machine with slow blocks now and then": (jittery, RATE, 0.5),
        "a machine near its limit": (tight, RATE, 0.8),
        "one slow block in 500": (rare, RATE, 0.8),
        "a buffer of 1024 that is slower than its neighbours": (gap, RATE, 0.8),
        "a sound card at 96000 Hz": (double_rate, 96000, 0.8),
        "a sound card at 44100 Hz": ({512: _blocks(8.8, 0.0), 1024: _blocks(9.0, 0.0)}, 44100, 0.8),
        "a machine that is too slow": (hopeless, RATE, 0.8),
    }


def _safe(
    times: _Times,
    rate: int,
    margin: float,
    statistic: Callable[[torch.Tensor], float] = lambda t: float(t.quantile(0.99)),
) -> list[int]:
    return [size for size, values in times.items() if statistic(values) < margin * 1000 * size / rate]


def _smallest(
    times: _Times,
    rate: int,
    margin: float,
    statistic: Callable[[torch.Tensor], float] = lambda t: float(t.quantile(0.99)),
) -> int:
    return min(_safe(times, rate, margin, statistic), default=0)


def _down_to_the_first_unsafe(times: _Times, rate: int, margin: float) -> int:
    found, safe = 0, _safe(times, rate, margin)
    for size in sorted(times, reverse=True):
        if size not in safe:
            break
        found = size
    return found


def _blocks(usual_ms: float, extra_ms: float, share: float = 0.02) -> torch.Tensor:
    """1000 block times; a share of them slower by `extra_ms`."""
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
