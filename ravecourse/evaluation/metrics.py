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

from .held import Stillness, stillness
from .latent_use import dimensions_used
from .melody import PitchAccuracy, pitch_accuracy
from .onsets import OnsetAccuracy, onset_accuracy
from .similarity import frechet_distance, heard_distance, spectral_distance
from .tracks import level_following, pitch_following


@dataclass(frozen=True)
class Closeness:
    """How close a sound is to the recording that it reproduces.

    Attributes:
        seconds: of sound that was measured.
        log_mel, silence: log-mel distances from the recording (1 is 20 dB per band) of the output, and of silence.
        heard: the log-mel distance with a floor at what can be heard, see `heard_distance`.
        spectral: the multi-scale spectral distance, see `spectral_distance`.
        frechet: of the log-mel frames as distributions, see `frechet_distance`.
        melody: whether the output has the recording's pitch, by librosa's pyin.
        pitch_followed: the same, within half a semitone, by this course's own quicker tracker, which finds fewer frames
            with a pitch where notes overlap; None where the recording has too few such frames.
        level_correlation: of the levels in dB, -1 to 1.
        level_difference_db: how much louder the output is, on average.
        onsets: whether attacks come when they should; None where the recording has none.
    Notebook: 10.
    """

    seconds: float
    log_mel: float
    silence: float
    heard: float
    spectral: float
    frechet: float
    melody: PitchAccuracy
    pitch_followed: float | None
    level_correlation: float
    level_difference_db: float
    onsets: OnsetAccuracy | None


@dataclass(frozen=True)
class Evaluation(Closeness):
    """How a model reproduces a recording, and what its latent is good for.

    Attributes:
        untrained: log-mel distance from the recording of the output of the same architecture with random weights.
        stillness: whether latents that are held hold their sound.
        latents_used, latent_size: learned latent dimensions that say something about the sound, see
            `latent_use.dimensions_used`, and all of them.
        sizes: fidelity in percent -> latent dimensions that an export needs for it.
        alarm: a sentence where the latent is (close to) collapsed, else None.
    Notebook: 10.
    """

    untrained: float
    stillness: Stillness
    latents_used: int
    latent_size: int
    sizes: dict[int, int]
    alarm: str | None


def evaluate(model: RAVE, sound: Tensor, frames: int = 60) -> Evaluation:
    """Measure how a model reproduces a recording.

    Args:
        model: in evaluation mode.
        sound: `[C, T]` at the model's sample rate, half a second or more, held out of its training.
        frames: latents that are held for a second, at most, to see whether they hold their sound.
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
    whole = sound[None, :, : sound.shape[1] // model.hop_length * model.hop_length]
    statistics = latent.gather_statistics(model, [whole])
    fidelity = statistics.principal()[3]
    return Evaluation(
        **vars(closeness(sound, through(model, sound), rate)),
        untrained=float(log_mel_distance(sound, through(RAVE(model.config).eval(), sound), rate)),
        stillness=stillness(model, sound, frames),
        latents_used=dimensions_used(model, sound),
        latent_size=model.config.latent_size,
        sizes=latent.fidelity_table(fidelity),
        alarm=latent.collapse_alarm(statistics.kl, fidelity),
    )


def closeness(sound: Tensor, output: Tensor, sample_rate: int) -> Closeness:
    """Measure how close an output, of whatever model, is to the recording that it reproduces.

    Args:
        sound, output: `[C, T]`, of one shape, half a second or more, lined up in time.
        sample_rate: Hz.
    Raises:
        RaveCourseError: other shapes, or too short.
    Notebook: 10.
    """
    correlation, louder = level_following(sound, output, sample_rate)
    return Closeness(
        seconds=sound.shape[1] / sample_rate,
        log_mel=float(log_mel_distance(sound, output, sample_rate)),
        silence=float(log_mel_distance(sound, torch.zeros_like(sound), sample_rate)),
        heard=heard_distance(sound, output, sample_rate),
        spectral=spectral_distance(sound, output),
        frechet=frechet_distance(sound, output, sample_rate),
        melody=pitch_accuracy(sound, output, sample_rate),
        pitch_followed=pitch_following(sound, output, sample_rate),
        level_correlation=correlation,
        level_difference_db=louder,
        onsets=onset_accuracy(sound, output, sample_rate),
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
