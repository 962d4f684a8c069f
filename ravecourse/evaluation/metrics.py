"""Evaluate a trained model: its distance from recordings, whether it follows pitch and level, its latents, its speed.

Notebook: 10.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.export import playable
from ravecourse.model import RAVE, latent
from ravecourse.playback import Measurement, measure
from ravecourse.training import log_mel_distance

from .tracks import level_following, pitch_following


@dataclass(frozen=True)
class Evaluation:
    """How a model reproduces a recording.

    Attributes:
        seconds: of sound that was measured.
        log_mel, silence, untrained: distances from the recording (1 is 20 dB per band) of the model's output, of
            silence, and of the output of the same architecture with random weights.
        pitch_followed: share of the frames with a pitch in which the output has the same pitch, within half a
            semitone; None where the recording has too few such frames.
        level_correlation: of the levels in dB, -1 to 1.
        level_difference_db: how much louder the output is, on average.
        alive, latent_size: latent dimensions that carry information, and all of them.
        sizes: fidelity in percent -> latent dimensions that an export needs for it.
        alarm: a sentence where the latent is (close to) collapsed, else None.
    Notebook: 10.
    """

    seconds: float
    log_mel: float
    silence: float
    untrained: float
    pitch_followed: float | None
    level_correlation: float
    level_difference_db: float
    alive: int
    latent_size: int
    sizes: dict[int, int]
    alarm: str | None


def evaluate(model: RAVE, sound: Tensor) -> Evaluation:
    """Measure how a model reproduces a recording.

    Args:
        model: in evaluation mode.
        sound: `[C, T]` at the model's sample rate, half a second or more, held out of its training.
    Raises:
        RaveCourseError: other channels than the model's, or too short.
    Notebook: 10.
    """
    if sound.shape[0] != model.channels or sound.shape[1] < model.sample_rate // 2:
        raise RaveCourseError(
            f"The sound has the shape {list(sound.shape)}; an evaluation needs {model.channels} channels "
            f"and {model.sample_rate // 2} samples or more. "
            "Use audio.read(path, sample_rate, channels)."
        )
    rate = model.sample_rate
    output = through(model, sound)
    whole = sound[None, :, : sound.shape[1] // model.hop_length * model.hop_length]
    statistics = latent.gather_statistics(model, [whole])
    fidelity = statistics.principal()[3]

    def distance(other: Tensor) -> float:
        return float(log_mel_distance(sound, other, rate))

    correlation, louder = level_following(sound, output, rate)
    return Evaluation(
        seconds=sound.shape[1] / rate,
        log_mel=distance(output),
        silence=distance(torch.zeros_like(sound)),
        untrained=distance(through(RAVE(model.config).eval(), sound)),
        pitch_followed=pitch_following(sound, output, rate),
        level_correlation=correlation,
        level_difference_db=louder,
        alive=latent.alive(statistics.kl),
        latent_size=model.config.latent_size,
        sizes=latent.fidelity_table(fidelity),
        alarm=latent.collapse_alarm(statistics.kl, fidelity),
    )


@torch.no_grad()
def through(model: RAVE, sound: Tensor, seed: int = 0) -> Tensor:
    """The offline reconstruction of a recording, `[C, T]` to `[C, T]`, with the decoder's noise from a fixed seed.

    Notebook: 10.
    """
    padded = torch.nn.functional.pad(sound, (0, -sound.shape[1] % model.hop_length))
    return model(padded[None], generator=torch.Generator().manual_seed(seed))[0, :, : sound.shape[1]]


def speed(model: RAVE, buffer: int = 2048, seconds: float = 1.0) -> Measurement:
    """How fast the exported model runs on this machine, block by block, with one thread.

    Args:
        buffer: samples of a block.
        seconds: of timing, above 0.
    Notebook: 10.
    """
    return measure(playable(model), "forward", buffer, seconds)
