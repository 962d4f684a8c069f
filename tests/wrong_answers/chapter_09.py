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


WRONG = {
    "number_of_latents": [(3, "88 %"), (5, "fidelity of 1")],
    "latency": [(latency_in_the_callback, "two buffers"), (latency_without_the_model, "model's own delay")],
    "method_params": [(ratios_exchanged, "exchanged"), (always_mono, "two audio channels")],
    "choose_buffer": [(by_the_average, "average"), (without_margin, "margin"), (the_first_that_comes, "largest")],
}
