"""Whether the attacks of a recording are there in the output, and at the same time.

Notebook: 10.
"""

from dataclasses import dataclass

import librosa
import numpy as np
from torch import Tensor

from ravecourse.audio import resample
from ravecourse.errors import RaveCourseError

SAMPLE_RATE, HOP = 22050, 256  # of the analysis: 12 ms
TOLERANCE_SECONDS = 0.05


@dataclass(frozen=True)
class OnsetAccuracy:
    """How well the onsets of an output are those of its recording, 0 to 1.

    Attributes:
        f_measure: the harmonic mean of the two below.
        precision: share of the output's onsets that the recording has, within 50 ms.
        recall: share of the recording's onsets that the output has, within 50 ms.
        onsets: of the recording.
    Notebook: 10.
    """

    f_measure: float
    precision: float
    recall: float
    onsets: int


def onset_accuracy(reference: Tensor, output: Tensor, sample_rate: int) -> OnsetAccuracy | None:
    """Compare the onsets of an output with those of its recording.

    Args:
        reference, output: `[C, T]`; channels are mixed.
        sample_rate: Hz.
    Returns:
        None where the recording has no onset.
    Raises:
        RaveCourseError: shorter than 0.1 s.
    Source: `librosa.onset.onset_detect` finds them, `mir_eval.onset` defines the measure. Notebook: 10.
    """
    return onset_scores(onset_times(reference, sample_rate), onset_times(output, sample_rate))


def onset_times(sound: Tensor, sample_rate: int) -> list[float]:
    """When something begins in a sound `[C, T]`, in seconds; nothing in silence.

    Raises:
        RaveCourseError: shorter than 0.1 s.
    Notebook: 10.
    """
    if sound.shape[-1] < 0.1 * sample_rate:
        raise RaveCourseError(
            f"The sound has {sound.shape[-1]} samples; {round(0.1 * sample_rate)} or more have onsets."
        )
    mono = resample(sound.mean(0, keepdim=True), sample_rate, SAMPLE_RATE)[0].numpy()
    if not np.abs(mono).max() > 1e-5:
        return []
    return [float(t) for t in librosa.onset.onset_detect(y=mono, sr=SAMPLE_RATE, hop_length=HOP, units="time")]


def onset_scores(reference: list[float], output: list[float]) -> OnsetAccuracy | None:
    """The measure from two rising lists of times in seconds; each onset counts for one of the other list at most.

    Source: as `onset_accuracy`. Notebook: 10.
    """
    if not reference:
        return None
    hits = i = j = 0
    while i < len(reference) and j < len(output):
        apart = output[j] - reference[i]
        if abs(apart) <= TOLERANCE_SECONDS:
            hits, i, j = hits + 1, i + 1, j + 1
        elif apart < 0:
            j += 1
        else:
            i += 1
    precision, recall = hits / max(1, len(output)), hits / len(reference)
    return OnsetAccuracy(2 * hits / (len(reference) + len(output)), precision, recall, len(reference))
