"""Wrong answers to the exercises of chapter 00, each with a word that its feedback must hold."""

from typing import Any


def _seconds(delay_samples: int, buffer: int, buffers: int, sample_rate: int) -> float:
    return (delay_samples + buffers * buffer) / sample_rate


def _one_buffer(delay_samples: int, buffer: int, buffers: int, sample_rate: int) -> float:
    return 1000 * (delay_samples + buffer) / sample_rate


def _model_forgotten(delay_samples: int, buffer: int, buffers: int, sample_rate: int) -> float:
    return 1000 * buffers * buffer / sample_rate


def _as_in_pd(delay_samples: int, buffer: int, buffers: int, sample_rate: int) -> float:
    return 1000 * (delay_samples + buffers * buffer - 64) / sample_rate


WRONG: dict[str, list[tuple[Any, str]]] = {
    "how_few": [
        ((23.4375, 256), "each brings 8"),
        ((187.5, 2048), "not one"),
        ((3000.0, 16), "128"),
        ((187.5, 1 / 256), "other way round"),
    ],
    "wait_ms": [
        (_seconds, "seconds"),
        (_one_buffer, "even where there are two"),
        (_model_forgotten, "delay of the model"),
        (_as_in_pd, "chapter 08"),
    ],
}
