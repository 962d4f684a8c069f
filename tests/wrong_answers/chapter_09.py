"""Typical wrong answers to the exercises of chapter 09, each with a word that the feedback must hold."""

from torch import Tensor


def latency_in_the_callback(buffer: int, sample_rate: int, delay_samples: int, threaded: bool) -> tuple[float, float]:
    deadline = 1000 * buffer / sample_rate
    return deadline, deadline + 1000 * delay_samples / sample_rate


def latency_without_the_model(buffer: int, sample_rate: int, delay_samples: int, threaded: bool) -> tuple[float, float]:
    deadline = 1000 * buffer / sample_rate
    return deadline, deadline * (2 if threaded else 1)


def ratios_exchanged(channels: int, latents: int, hop_length: int) -> dict[str, list[int]]:
    return {
        "encode": [channels, hop_length, latents, 1],
        "decode": [latents, 1, channels, hop_length],
        "forward": [channels, 1, channels, 1],
    }


def always_mono(channels: int, latents: int, hop_length: int) -> dict[str, list[int]]:
    return {"encode": [1, 1, latents, hop_length], "decode": [latents, hop_length, 1, 1], "forward": [1, 1, 1, 1]}


def by_the_average(times: dict[int, Tensor], sample_rate: int, margin: float) -> int:
    return min((size for size in times if times[size].mean() < margin * 1000 * size / sample_rate), default=0)


def without_margin(times: dict[int, Tensor], sample_rate: int, margin: float) -> int:
    return min((size for size in times if times[size].quantile(0.99) < 1000 * size / sample_rate), default=0)


def the_first_that_comes(times: dict[int, Tensor], sample_rate: int, margin: float) -> int:
    for size, spent in times.items():
        if spent.quantile(0.99) < margin * 1000 * size / sample_rate:
            return size
    return 0


def by_the_slowest(times: dict[int, Tensor], sample_rate: int, margin: float) -> int:
    return min((size for size in times if times[size].max() < margin * 1000 * size / sample_rate), default=0)


def always_48000(times: dict[int, Tensor], sample_rate: int, margin: float) -> int:
    return min((size for size in times if times[size].quantile(0.99) < margin * 1000 * size / 48000), default=0)


def down_from_the_largest(times: dict[int, Tensor], sample_rate: int, margin: float) -> int:
    found = 0
    for size in sorted(times, reverse=True):
        if times[size].quantile(0.99) >= margin * 1000 * size / sample_rate:
            return found
        found = size
    return found


def one_above_the_last_unsafe(times: dict[int, Tensor], sample_rate: int, margin: float) -> int:
    unsafe = [size for size in times if times[size].quantile(0.99) >= margin * 1000 * size / sample_rate]
    return min((size for size in times if size > max(unsafe, default=0)), default=0)


def the_largest_where_none_is_safe(times: dict[int, Tensor], sample_rate: int, margin: float) -> int:
    return min(
        (size for size in times if times[size].quantile(0.99) < margin * 1000 * size / sample_rate), default=max(times)
    )


def latency_at_48000(buffer: int, sample_rate: int, delay_samples: int, threaded: bool) -> tuple[float, float]:
    return buffer / 48, ((1 + threaded) * buffer + delay_samples) / 48


def without_the_tick(buffer: int, sample_rate: int, delay_samples: int, threaded: bool) -> tuple[float, float]:
    deadline = 1000 * buffer / sample_rate
    return deadline, (1 + threaded) * deadline + 1000 * (delay_samples - 64) / sample_rate


WRONG = {
    "number_of_latents": [(4, "come on top"), (5, "lower bound"), (3, "88 %"), (7, "fidelity of 1")],
    "latency": [
        (latency_in_the_callback, "second buffer"),
        (latency_without_the_model, "model's own delay"),
        (latency_at_48000, "44100 Hz"),
        (without_the_tick, "64 samples"),
    ],
    "method_params": [(ratios_exchanged, "swapped"), (always_mono, "two audio channels")],
    "choose_buffer": [
        (by_the_average, "mean hides"),
        (without_margin, "margin is missing"),
        (the_first_that_comes, "differs"),
        (by_the_slowest, "too strict"),
        (always_48000, "not always 48000"),
        (down_from_the_largest, "every buffer"),
        (one_above_the_last_unsafe, "every buffer"),
        (the_largest_where_none_is_safe, "return 0"),
    ],
}
