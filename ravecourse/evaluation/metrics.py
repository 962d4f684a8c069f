"""Judge a trained model by numbers: how close, does it follow pitch and level, is its latent used, can it be played.

Notebook: 10.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE, latent
from ravecourse.playback import Measurement, measure, playable
from ravecourse.training import log_mel_distance

WINDOW_SECONDS, HOP_SECONDS = 0.05, 0.01  # of the level and pitch tracks
FLOOR_DB = -60.0  # levels below count as this
PERIODIC = 0.8  # from this likeness of neighbouring periods on, a frame has a pitch
HEARD_DB = 40.0  # frames that are softer than the loudest by more have none
NEAR_OCTAVES = 0.5 / 12  # a pitch is followed when it is within half a semitone
FEWEST_FRAMES = 20  # with a pitch, to say anything about following it
BEST_SHARE = 0.9  # the first period that is nearly as good as the best one is taken: else octaves too low are


@dataclass(frozen=True)
class Judgement:
    """What a model does with a recording that it should be able to say.

    Attributes:
        seconds: of sound that it was judged on.
        log_mel, silence, untrained: distances from the recording (1 is 20 dB a band): the model's, that of silence,
            and that of the same model before training.
        pitch_followed: share of the frames with a pitch in which the output has the same pitch, within half a
            semitone; None where the recording has too few such frames.
        level_correlation: of the levels in dB, -1 to 1.
        level_difference_db: how much louder the output is, on average.
        alive, latent_size: latent dimensions that say something, and all of them.
        sizes: percent of fidelity -> dimensions that an export needs for it.
        alarm: a sentence where the latent is (close to) collapsed, else None.
    Source: this course. Notebook: 10.
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


def judge(model: RAVE, sound: Tensor) -> Judgement:
    """Send a recording through a model and measure what comes out.

    Args:
        model: in evaluation mode.
        sound: `[C, T]` at the model's sample rate, half a second or more, held out of its training.
    Raises:
        RaveCourseError: other channels than the model's, or too short.
    Source: this course. Notebook: 10.
    """
    if sound.shape[0] != model.channels or sound.shape[1] < model.sample_rate // 2:
        raise RaveCourseError(
            f"The sound has the shape {list(sound.shape)}; judging needs {model.channels} channels "
            f"and {model.sample_rate // 2} samples or more. "
            "Use audio.read(path, sample_rate, channels)."
        )
    rate = model.sample_rate
    said = through(model, sound)
    whole = sound[None, :, : sound.shape[1] // model.hop_length * model.hop_length]
    statistics = latent.measure(model, [whole])
    fidelity = statistics.principal()[3]

    def distance(other: Tensor) -> float:
        return float(log_mel_distance(sound, other, rate))

    correlation, louder = level_following(sound, said, rate)
    return Judgement(
        seconds=sound.shape[1] / rate,
        log_mel=distance(said),
        silence=distance(torch.zeros_like(sound)),
        untrained=distance(through(RAVE(model.config).eval(), sound)),
        pitch_followed=pitch_following(sound, said, rate),
        level_correlation=correlation,
        level_difference_db=louder,
        alive=latent.alive(statistics.kl),
        latent_size=model.config.latent_size,
        sizes=latent.fidelity_table(fidelity),
        alarm=latent.collapse_alarm(statistics.kl, fidelity),
    )


@torch.no_grad()
def through(model: RAVE, sound: Tensor, seed: int = 0) -> Tensor:
    """A recording as the offline model says it, `[C, T]` to `[C, T]`, with the decoder's noise from a fixed seed.

    Source: this course. Notebook: 10.
    """
    padded = torch.nn.functional.pad(sound, (0, -sound.shape[1] % model.hop_length))
    return model(padded[None], generator=torch.Generator().manual_seed(seed))[0, :, : sound.shape[1]]


def speed(model: RAVE, buffer: int = 2048, seconds: float = 1.0) -> Measurement:
    """How fast the exported model runs on this machine, block by block, with one thread.

    Args:
        buffer: samples of a block.
        seconds: of timing, above 0.
    Source: this course. Notebook: 10.
    """
    return measure(playable(model), "forward", buffer, seconds)


def level_track(sound: Tensor, sample_rate: int) -> Tensor:
    """The level every 10 ms, in dBFS of the RMS over 50 ms, -60 or above: `[C, T]` to `[N]`, channels mixed.

    Raises:
        RaveCourseError: shorter than one window.
    Source: this course. Notebook: 10.
    """
    power = _frames(sound, sample_rate).square().mean(1)  # [N]
    return (10 * torch.log10(power + 1e-12)).clamp(min=FLOOR_DB)


def level_following(heard: Tensor, said: Tensor, sample_rate: int) -> tuple[float, float]:
    """Whether the output gets louder where the input does: correlation of the levels, and the mean difference in dB.

    Args:
        heard, said: `[C, T]`, of one length.
    Returns:
        correlation from -1 to 1 (0 where either level never changes); how much louder `said` is, where `heard` is
        above -60 dBFS.
    Raises:
        RaveCourseError: shorter than one window.
    Source: this course. Notebook: 10.
    """
    one, two = level_track(heard, sample_rate), level_track(said, sample_rate)
    sounding = one > FLOOR_DB
    louder = float((two - one)[sounding].mean()) if bool(sounding.any()) else 0.0
    one, two = one - one.mean(), two - two.mean()
    size = float(one.norm() * two.norm())
    return (float(one @ two) / size if size > 0 else 0.0), louder


def pitch_track(sound: Tensor, sample_rate: int, low: float = 60.0, high: float = 1000.0) -> tuple[Tensor, Tensor]:
    """Pitch every 10 ms, by comparing 50 ms of sound with itself, shifted.

    Args:
        sound: `[C, T]`, channels are mixed.
        low, high: the range that is searched, in Hz; `low` at least 40, two periods of which fill the window.
    Returns:
        hertz `[N]` (0 where there is no pitch) and periodicity `[N]`: 1 where each period repeats the last exactly.
    Raises:
        RaveCourseError: shorter than one window, or a range that cannot be searched.
    Source: McLeod and Wyvill, A smarter way to find pitch, ICMC 2005. Notebook: 10.
    """
    if not 2 / WINDOW_SECONDS <= low < high <= sample_rate / 4:
        raise RaveCourseError(
            f"A pitch cannot be searched from {low:g} to {high:g} Hz at {sample_rate} Hz: begin at "
            f"{2 / WINDOW_SECONDS:g} or above, end at {sample_rate / 4:g} or below."
        )
    frames = _frames(sound, sample_rate)
    frames = frames - frames.mean(1, keepdim=True)
    size = frames.shape[1]
    longest = int(sample_rate / low) + 2
    spectrum = torch.fft.rfft(frames, 2 * size)
    products = torch.fft.irfft(spectrum.abs().square())[:, :longest]  # [N, lags]: sum of x(t) x(t + lag)
    energy = torch.nn.functional.pad(frames.square().cumsum(1), (1, 0))  # [N, size + 1]
    lags = torch.arange(longest)
    both = energy[:, size - lags] + energy[:, -1:] - energy[:, lags]  # of the two stretches that are compared
    likeness = 2 * products / both.clamp(min=1e-9)  # [N, lags], -1 to 1

    inner = likeness[:, 1:-1]
    peak = (inner > likeness[:, :-2]) & (inner >= likeness[:, 2:])
    peak &= lags[1:-1] >= sample_rate / high
    peak &= (inner < 0).cumsum(1) > 0  # after it has been unlike once: the peak at lag 0 is no period
    height = torch.where(peak, inner, 0.0)
    best = height.amax(1, keepdim=True)
    first = (peak & (height >= BEST_SHARE * best)).int().argmax(1, keepdim=True)  # [N, 1], lag - 1
    before, at, after = (likeness.gather(1, first + i)[:, 0] for i in range(3))
    bend = before - 2 * at + after
    shift = torch.where(bend < 0, 0.5 * (before - after) / bend, 0.0).clamp(-0.5, 0.5)  # of the top of a parabola
    periodicity = torch.where(best[:, 0] > 0, at, 0.0)
    level = level_track(sound, sample_rate)
    pitched = (periodicity >= PERIODIC) & (level > level.max() - HEARD_DB) & (level > FLOOR_DB)
    return torch.where(pitched, sample_rate / (first[:, 0] + 1 + shift), 0.0), periodicity


def pitch_following(heard: Tensor, said: Tensor, sample_rate: int) -> float | None:
    """Share of the frames with a pitch in which `said` has the same pitch as `heard`, within half a semitone.

    Args:
        heard, said: `[C, T]`, of one length.
    Returns:
        0 to 1, or None where fewer than 20 frames of `heard` have a pitch.
    Raises:
        RaveCourseError: shorter than one window.
    Source: this course. Notebook: 10.
    """
    wanted, got = pitch_track(heard, sample_rate)[0], pitch_track(said, sample_rate)[0]
    asked = wanted > 0
    if int(asked.sum()) < FEWEST_FRAMES:
        return None
    wanted, got = wanted[asked], got[asked]
    near = torch.log2(got.clamp(min=1.0) / wanted).abs() <= NEAR_OCTAVES
    return float(near.float().mean())


def _frames(sound: Tensor, sample_rate: int) -> Tensor:
    """Windows of the mixed sound, `[N, window]`."""
    window, hop = round(WINDOW_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    if sound.shape[-1] < window:
        raise RaveCourseError(f"The sound has {sound.shape[-1]} samples; {window} are the least that can be judged.")
    return sound.mean(0).unfold(0, window, hop)
