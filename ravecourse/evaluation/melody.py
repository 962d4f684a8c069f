"""Whether an output has the melody of its recording, as melody extraction is judged, with librosa's pyin as the listener.

Notebook: 10.
"""

from dataclasses import dataclass

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ravecourse.audio import resample
from ravecourse.errors import RaveCourseError

from .tracks import FEWEST_FRAMES, FLOOR_DB, NEAR_OCTAVES, PITCHED_RANGE_DB

SAMPLE_RATE, WINDOW, HOP = 22050, 2048, 512  # of the analysis: 93 ms every 23 ms
LOWEST_HZ, HIGHEST_HZ = 50.0, 2100.0
GRID_SEMITONES = 0.2  # of pyin: at most 10 cents of rounding, and a quarter of the time that its 0.1 takes
PIECE_SECONDS = 5.0  # a long sound is judged in pieces of this length


@dataclass(frozen=True)
class PitchAccuracy:
    """How well an output has the pitch of its recording; all are shares of frames, 0 to 1.

    Attributes:
        raw_pitch: of the frames in which the recording has a pitch, those in which the output has the same one, within
            half a semitone; an output without a pitch counts as wrong. None where the recording has fewer than 20.
        raw_chroma: the same with octaves ignored: what it has more than `raw_pitch` are octave errors.
        voicing_recall: of the frames in which the recording has a pitch, those in which the output has any; None as above.
        voicing_false_alarm: of the frames in which the recording has no pitch, those in which the output has one; None
            where there are fewer than 20 of these.
        pitched_frames: of the recording, 23 ms apart.
        seconds: of sound that were compared.
    Notebook: 10.
    """

    raw_pitch: float | None
    raw_chroma: float | None
    voicing_recall: float | None
    voicing_false_alarm: float | None
    pitched_frames: int
    seconds: float


def pitch_accuracy(reference: Tensor, output: Tensor, sample_rate: int, seconds: float = 30.0) -> PitchAccuracy:
    """Compare the melody of an output with that of its recording.

    Args:
        reference, output: `[C, T]`, of one length, 0.1 s or more; channels are mixed.
        sample_rate: Hz.
        seconds: the most to compare, above 0: of a longer sound, pieces of 5 s that are spread over it.
    Raises:
        RaveCourseError: another length or number of channels, or too short.
    Source: Salamon et al., Melody Extraction from Polyphonic Music Signals, IEEE Signal Processing Magazine 31(2), 2014,
        whose measures are those of `mir_eval.melody`. Notebook: 10.
    """
    if reference.shape != output.shape:
        raise RaveCourseError(
            f"The recording has the shape {list(reference.shape)}, the output {list(output.shape)}. Give two of one shape."
        )
    reference, output = (spread(sound, sample_rate, seconds) for sound in (reference, output))
    asked, heard = pyin_track(reference, sample_rate), pyin_track(output, sample_rate)
    return melody_scores(asked, heard, reference.shape[-1] / sample_rate)


def melody_scores(reference: Tensor, output: Tensor, seconds: float = 0.0) -> PitchAccuracy:
    """The measures from two tracks of pitch.

    Args:
        reference, output: `[N]` in Hz, 0 where there is no pitch.
        seconds: of sound that they cover.
    Source: as `pitch_accuracy`. Notebook: 10.
    """
    asked, heard = reference > 0, output > 0
    octaves = torch.log2(output.clamp(min=1.0) / reference.clamp(min=1.0))
    same = heard & (octaves.abs() <= NEAR_OCTAVES)
    same_chroma = heard & ((octaves - octaves.round()).abs() <= NEAR_OCTAVES)

    def share(what: Tensor, among: Tensor) -> float | None:
        return float(what[among].float().mean()) if int(among.sum()) >= FEWEST_FRAMES else None

    return PitchAccuracy(
        share(same, asked),
        share(same_chroma, asked),
        share(heard, asked),
        share(heard, ~asked),
        int(asked.sum()),
        seconds,
    )


def pyin_track(sound: Tensor, sample_rate: int) -> Tensor:
    """Pitch every 23 ms by librosa's pyin, `[C, T]` to `[N]` in Hz, 0 where there is none, channels mixed.

    pyin hears a pitch in some noise; frames 40 dB below the loudest one, or below -60 dBFS, are left without one.

    Raises:
        RaveCourseError: shorter than 0.1 s.
    Source: Mauch and Dixon, pYIN, ICASSP 2014. Notebook: 10.
    """
    if sound.shape[-1] < 0.1 * sample_rate:
        raise RaveCourseError(
            f"The sound has {sound.shape[-1]} samples; {round(0.1 * sample_rate)} or more have a pitch."
        )
    mono = resample(sound.mean(0, keepdim=True), sample_rate, SAMPLE_RATE)[0].numpy()
    hertz, voiced, _ = librosa.pyin(
        mono,
        fmin=LOWEST_HZ,
        fmax=HIGHEST_HZ,
        sr=SAMPLE_RATE,
        frame_length=WINDOW,
        hop_length=HOP,
        resolution=GRID_SEMITONES,
        fill_na=0.0,
    )
    level: NDArray[np.float32] = 20 * np.log10(
        librosa.feature.rms(y=mono, frame_length=WINDOW, hop_length=HOP)[0] + 1e-9
    )
    heard = voiced & (level > max(level.max() - PITCHED_RANGE_DB, FLOOR_DB))
    return torch.from_numpy(np.where(heard, hertz, 0.0)).float()


def spread(sound: Tensor, sample_rate: int, seconds: float) -> Tensor:
    """At most `seconds` of a sound `[C, T]`: pieces of 5 s, evenly spread over it, one after the other.

    Notebook: 10.
    """
    most, length = round(seconds * sample_rate), sound.shape[-1]
    if length <= most:
        return sound
    count = max(1, round(seconds / PIECE_SECONDS))
    piece = most // count
    starts = [(length - piece) * k // max(1, count - 1) if count > 1 else 0 for k in range(count)]
    return torch.cat([sound[..., start : start + piece] for start in starts], -1)
