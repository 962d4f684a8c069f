"""Tracks of level and pitch, and how well one recording follows the tracks of another.

Notebook: 10.
"""

import math

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.model import periods

WINDOW_SECONDS, HOP_SECONDS = 0.05, 0.01  # of the level and pitch tracks
FLOOR_DB = -60.0  # levels below count as this
PERIODIC = 0.8  # least similarity of neighbouring periods in a frame with a pitch
PITCHED_RANGE_DB = 40.0  # frames further than this below the loudest one have no pitch
NEAR_OCTAVES = 0.5 / 12  # half a semitone: largest difference that counts as the same pitch
FEWEST_FRAMES = 20  # with a pitch, to say anything about following it
FRAMES_AT_ONCE = 1000  # of the analysis, which needs less than 100 MB for them
BEST_SHARE = 0.9  # take the shortest period nearly as good as the best: avoids octave errors


def level_track(sound: Tensor, sample_rate: int) -> Tensor:
    """The level every 10 ms, in dBFS of the RMS over 50 ms, -60 or above: `[C, T]` to `[N]`, channels mixed.

    Raises:
        RaveCourseError: shorter than one window.
    Notebook: 10.
    """
    power = _frames(sound, sample_rate).square().mean(1)  # [N]
    return (10 * torch.log10(power + 1e-12)).clamp(min=FLOOR_DB)


def level_following(reference: Tensor, output: Tensor, sample_rate: int) -> tuple[float, float]:
    """How well the level of the output follows that of the reference: correlation, and mean difference in dB.

    Args:
        reference, output: `[C, T]`, of one length.
    Returns:
        correlation from -1 to 1 (0 where either level never changes); mean level of `output` minus that of
        `reference`, in dB, where `reference` is above -60 dBFS.
    Raises:
        RaveCourseError: shorter than one window.
    Notebook: 10.
    """
    one, two = level_track(reference, sample_rate), level_track(output, sample_rate)
    sounding = one > FLOOR_DB
    louder = float((two - one)[sounding].mean()) if bool(sounding.any()) else 0.0
    one, two = one - one.mean(), two - two.mean()
    size = float(one.norm() * two.norm())
    return (float(one @ two) / size if size > 0 else 0.0), louder


def pitch_track(sound: Tensor, sample_rate: int, low: float = 60.0, high: float = 1000.0) -> tuple[Tensor, Tensor]:
    """Pitch every 10 ms, from the normalised autocorrelation of 50 ms of sound.

    `librosa.pyin` finds a pitch in 16 % of the frames of white noise (this function in none), is 20 times slower, and
    its grid of a tenth of a semitone rounds a steady tone by up to 13 cents.

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
    parts = [_periods(part, sample_rate, low, high) for part in _frames(sound, sample_rate).split(FRAMES_AT_ONCE)]
    hertz, periodicity = (torch.cat(column) for column in zip(*parts, strict=True))
    level = level_track(sound, sample_rate)
    pitched = (periodicity >= PERIODIC) & (level > level.max() - PITCHED_RANGE_DB) & (level > FLOOR_DB)
    return torch.where(pitched, hertz, 0.0), periodicity


def _periods(frames: Tensor, sample_rate: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    """The pitch that fits each frame `[N, window]` best, `[N]` in Hz, and its periodicity `[N]`."""
    longest, shortest = int(sample_rate / low), math.ceil(sample_rate / high)
    n_fft = 2 * frames.shape[1]
    frames = frames - frames.mean(1, keepdim=True)
    lags = torch.arange(longest + 2).expand(len(frames), -1)
    alike = periods.likeness(frames, periods.power_spectrum(frames, n_fft), lags, n_fft)
    height = periods.peaks(alike)
    height[:, : shortest - 1] = 0.0
    best = height.amax(1, keepdim=True)
    place = ((height > 0) & (height >= BEST_SHARE * best)).int().argmax(1, keepdim=True)
    beside = place + torch.arange(3)  # the lag at `place`, which is one longer, between two others
    hertz = sample_rate / periods.exact_period(alike.gather(1, beside), beside)
    return hertz.float(), height.gather(1, place)[:, 0]


def pitch_following(reference: Tensor, output: Tensor, sample_rate: int) -> float | None:
    """Share of the frames with a pitch in which `output` has the same pitch as `reference`, within half a semitone.

    Args:
        reference, output: `[C, T]`, of one length.
    Returns:
        0 to 1, or None where fewer than 20 frames of `reference` have a pitch.
    Raises:
        RaveCourseError: shorter than one window.
    Notebook: 10.
    """
    wanted, got = pitch_track(reference, sample_rate)[0], pitch_track(output, sample_rate)[0]
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
        raise RaveCourseError(f"The sound has {sound.shape[-1]} samples; {window} are the fewest that can be analysed.")
    return sound.mean(0).unfold(0, window, hop)
