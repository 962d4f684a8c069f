"""Changes to a crop that leave it the same instrument: louder or softer, other phases, a little higher or
lower.
"""

import math
from dataclasses import dataclass, fields

import numpy as np
import soxr
import torch
from scipy.signal import sosfilt
from torch import Tensor

from ravecourse.errors import RaveCourseError

LEAD_SECONDS = 0.02  # an all-pass has settled to 1e-5 after this long
NARROWEST_HERTZ = 200.0  # least bandwidth of an all-pass section: sets LEAD_SECONDS
MARGIN = 64  # samples read on either side of what is resampled


def gain(audio: Tensor, generator: torch.Generator, low_db: float = -12.0, high_db: float = 0.0) -> Tensor:
    """Make `audio` louder or softer by a random number of decibels, and nothing else.

    Args:
        audio: `[C, T]`.
        generator: where the randomness comes from.
        low_db: least gain.
        high_db: most gain; above 0 the result may pass full scale.

    Notebook: 01.
    """
    return audio * _gain_from(_uniform(generator, 1)[0], (low_db, high_db))


def allpass_phase(audio: Tensor, generator: torch.Generator, sample_rate: int = 48000, sections: int = 3) -> Tensor:
    """Send `audio` through random all-pass filters: every frequency keeps its strength, the waveform changes.

    Ears hardly notice, so the model should not care either. The filter starts from silence, so the first
    LEAD_SECONDS of the result are still settling; `CropSampler` reads that much more and cuts it off.

    Args:
        audio: `[C, T]`; all channels get the same filters.
        generator: where the randomness comes from.
        sample_rate: in Hz.
        sections: filters in a row, each turning the phase by 360 degrees around a random frequency.

    Source: second-order all-pass, Regalia, Mitra and Vaidyanathan 1988, "The digital all-pass filter".
    Notebook: 01.
    """
    return _filter(audio, _allpass_from(_uniform(generator, sections), sample_rate))


def pitch_by_resampling(audio: Tensor, semitones: float, n_samples: int | None = None) -> Tensor:
    """Play `audio` faster or slower, which moves its pitch; vibrato and attacks change pace with it.

    There is no time-stretching, hence none of its artefacts. To get a crop of a given length, give a longer
    or shorter
    stretch: `stretch_samples` says how long.

    Args:
        audio: `[C, T]`.
        semitones: up if above 0, down if below; 0.01 is a cent.
        n_samples: keep this many from the middle of the result; None keeps all, `T / 2 ** (semitones / 12)`.

    Raises:
        RaveCourseError: `audio` is too short for `n_samples`.

    Notebook: 01.
    """
    moved = audio
    if semitones != 0.0:
        samples = np.ascontiguousarray(audio.detach().cpu().float().T.numpy())
        moved = torch.from_numpy(soxr.resample(samples, 2.0 ** (semitones / 12), 1.0, quality="HQ").T)
    if n_samples is None:
        return moved.contiguous()
    surplus = moved.shape[1] - n_samples
    if surplus < 0:
        raise RaveCourseError(
            f"{audio.shape[1]} samples moved by {semitones:.2f} semitones give {moved.shape[1]}, "
            f"not {n_samples}. Give at least {stretch_samples(n_samples, semitones)}."
        )
    return moved[:, surplus // 2 : surplus // 2 + n_samples].contiguous()


def stretch_samples(n_samples: int, semitones: float) -> int:
    """How many samples `pitch_by_resampling` needs to give `n_samples` untouched by the ends of its input.

    Notebook: 01.
    """
    return n_samples if semitones == 0.0 else math.ceil(n_samples * 2.0 ** (semitones / 12)) + 2 * MARGIN


@dataclass(frozen=True)
class Augment:
    """How often each change happens to a crop (probabilities 0 to 1), and how far it goes (lowest, highest).

    Raises:
        RaveCourseError: a probability outside 0 to 1, or a range that goes down.

    Source: gain and phase after RAVE, arXiv 2111.05011 and its code's options; pitch, this course.
    Notebook: 01.
    """

    gain_probability: float = 0.5
    gain_db: tuple[float, float] = (-12.0, 0.0)
    phase_probability: float = 0.5
    phase_sections: int = 3
    pitch_probability: float = 0.25
    pitch_semitones: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("probability") and not 0.0 <= value <= 1.0:
                raise RaveCourseError(f"{field.name} is {value}; a probability lies between 0 and 1.")
            if field.type == tuple[float, float]:
                if not value[0] <= value[1]:
                    raise RaveCourseError(f"{field.name} goes from {value[0]} to {value[1]}; put the lower first.")
                object.__setattr__(self, field.name, tuple(value))  # JSON has only lists

    @classmethod
    def none(cls) -> "Augment":
        """Crops as they are. Notebook: 01."""
        return cls(gain_probability=0.0, phase_probability=0.0, pitch_probability=0.0)

    def draw(self, generator: torch.Generator, sample_rate: int) -> "Change":
        """Draw what happens to one crop; it always takes the same number of draws.

        Notebook: 01.
        """
        does_gain, does_phase, does_pitch, level, pitch, *centres = _uniform(generator, 5 + self.phase_sections)
        low, high = self.pitch_semitones
        return Change(
            gain=_gain_from(level, self.gain_db) if does_gain < self.gain_probability else 1.0,
            allpass=_allpass_from(centres, sample_rate) if does_phase < self.phase_probability else None,
            semitones=low + (high - low) * pitch if does_pitch < self.pitch_probability else 0.0,
            lead=math.ceil(LEAD_SECONDS * sample_rate) if does_phase < self.phase_probability else 0,
        )


@dataclass(frozen=True, eq=False)
class Change:
    """What happens to one crop: drawn by `Augment.draw`, so that the crop can be read long enough.

    Notebook: 01.
    """

    gain: float
    allpass: np.ndarray | None  # second-order sections [sections, 6]
    semitones: float
    lead: int  # samples for the all-pass to settle in

    def reads(self, n_samples: int) -> int:
        """How many samples to read for a crop of `n_samples`. Notebook: 01."""
        return stretch_samples(n_samples + self.lead, self.semitones)

    def apply(self, audio: Tensor, n_samples: int) -> Tensor:
        """Turn `reads(n_samples)` samples `[C, T]` into the crop `[C, n_samples]`.

        Notebook: 01.
        """
        audio = pitch_by_resampling(audio, self.semitones, n_samples + self.lead)
        if self.allpass is not None:
            audio = _filter(audio, self.allpass)
        return audio[:, self.lead :] * self.gain


def _uniform(generator: torch.Generator, count: int) -> list[float]:
    return torch.rand(count, generator=generator).tolist()


def _gain_from(uniform: float, range_db: tuple[float, float]) -> float:
    return 10 ** ((range_db[0] + (range_db[1] - range_db[0]) * uniform) / 20)


def _allpass_from(uniforms: list[float], sample_rate: int) -> np.ndarray:
    """Sections whose centres lie anywhere from 50 Hz to 0.4 of the sample rate, evenly in octaves; an octave
    wide or more.
    """
    centres = 50.0 * (0.4 * sample_rate / 50.0) ** np.array(uniforms)
    radius = np.exp(-np.pi * np.maximum(0.7 * centres, NARROWEST_HERTZ) / sample_rate)
    first = -2 * radius * np.cos(2 * np.pi * centres / sample_rate)
    one = np.ones_like(radius)
    return np.stack([radius**2, first, one, one, first, radius**2], axis=1)  # numerator: denominator backwards


def _filter(audio: Tensor, sections: np.ndarray) -> Tensor:
    filtered = sosfilt(sections, audio.detach().cpu().double().numpy(), axis=1)
    return torch.from_numpy(filtered).to(audio.dtype)
