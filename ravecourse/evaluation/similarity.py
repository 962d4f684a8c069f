"""How far an output is from its recording: band by band, at several scales, and as a whole without regard to time.

Notebook: 10.
"""

import torch
from torch import Tensor

from ravecourse.config import TrainingConfig
from ravecourse.errors import RaveCourseError
from ravecourse.training import SpectralDistance, magnitudes, spectra

MELS, WINDOW = 80, 2048
HEARD_DB = 60.0  # below the loudest band of the recording, a band counts as silent
SHRINKAGE = 0.1  # of the covariances towards their diagonals: few frames give a poor estimate


def heard_distance(reference: Tensor, output: Tensor, sample_rate: int) -> float:
    """The log-mel distance with a floor at what can be heard: 60 dB below the loudest band of the recording.

    `training.log_mel_distance` has its floor at -100 dB; in a recording with rests, most of it is what happens in them.

    Args:
        reference, output: `[C, T]`, of one shape.
        sample_rate: Hz.
    Returns:
        mean absolute difference of log10 mel magnitudes, 0 where equal; 1 is 20 dB a band.
    Raises:
        RaveCourseError: other shapes.
    Notebook: 10.
    """
    one, two = log_mels(reference, output, sample_rate)
    return float((one - two).abs().mean())


def spectral_distance(reference: Tensor, output: Tensor) -> float:
    """The multi-scale spectral distance that training minimises, at its usual scales (windows of 2048 to 128 samples).

    Args:
        reference, output: `[C, T]`, of one shape.
    Raises:
        RaveCourseError: other shapes.
    Source: RAVE (arXiv 2111.05011), equation 4. Notebook: 10.
    """
    _check_shapes(reference, output)
    return float(SpectralDistance(TrainingConfig.stft_scales)(reference, output))


def frechet_distance(reference: Tensor, output: Tensor, sample_rate: int) -> float:
    """How far the log-mel frames of an output are from those of recordings as a distribution, whatever their order.

    The Frechet distance of two Gaussians, with the frames themselves in the place of a network's features: the root of
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), a band. Covariances are shrunk by a tenth towards their diagonals.
    Two halves of one recording of the bundled instruments, 3.5 to 30 s each, give .25 to .75, since they have not the same
    notes: a reconstruction below that is as close as more of the same music.

    Args:
        reference, output: `[C, T]`, of any lengths; the floor of both is 60 dB below the loudest band of `reference`.
        sample_rate: Hz.
    Returns:
        in log10 units a band, 0 where equal: 1 is 20 dB.
    Raises:
        RaveCourseError: shorter than 0.2 s.
    Source: Kilgour et al., Frechet Audio Distance (arXiv 1812.08466). Notebook: 10.
    """
    if min(reference.shape[-1], output.shape[-1]) < 0.2 * sample_rate:
        raise RaveCourseError(
            f"{reference.shape[-1]} and {output.shape[-1]} samples are too few to compare as distributions; "
            f"{round(0.2 * sample_rate)} are the fewest."
        )
    frames = _mels(reference, sample_rate)
    floor = _floor(frames)
    one, two = (
        x.clamp(min=floor).log10().flatten(0, 1).double() for x in (frames, _mels(output, sample_rate))
    )  # [N, 80]
    first, second = _shrunken(one), _shrunken(two)
    root = _root(first)
    shared = _root(root @ second @ root).trace()
    square = (one.mean(0) - two.mean(0)).square().sum() + first.trace() + second.trace() - 2 * shared
    return float((square.clamp(min=0) / MELS).sqrt())


def log_mels(reference: Tensor, output: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Log10 mel magnitudes of both, `[C, frames, 80]`, with one floor 60 dB below the loudest band of the reference.

    Args:
        reference, output: `[C, T]`, of one shape.
    Raises:
        RaveCourseError: other shapes.
    Notebook: 10.
    """
    _check_shapes(reference, output)
    one, two = _mels(reference, sample_rate), _mels(output, sample_rate)
    floor = _floor(one)
    return one.clamp(min=floor).log10(), two.clamp(min=floor).log10()


def _mels(sound: Tensor, sample_rate: int) -> Tensor:
    return magnitudes(sound, WINDOW) @ spectra.mel_filters(MELS, WINDOW, sample_rate)


def _floor(mels: Tensor) -> float:
    return max(1e-5, float(mels.max()) * 10 ** (-HEARD_DB / 20))


def _shrunken(frames: Tensor) -> Tensor:
    covariance = frames.T.cov()
    return (1 - SHRINKAGE) * covariance + SHRINKAGE * covariance.diagonal().diag()


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def _check_shapes(reference: Tensor, output: Tensor) -> None:
    if reference.shape != output.shape:
        raise RaveCourseError(
            f"The recording has the shape {list(reference.shape)}, the output {list(output.shape)}. Give two of one shape."
        )
