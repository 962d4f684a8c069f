"""Training losses beside the spectral ones: waveforms, the schedule of the KL term, adversarial, feature matching.

Notebook: 04 (waveforms, KL divergence), 06 (adversarial losses).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .spectra import FLOOR


def waveform_distance(target: Tensor, estimate: Tensor) -> Tensor:
    """What is left after subtracting, as a share of the target's energy: 1 for silence, 0 where equal.

    Ears do not compare so: a partial that begins elsewhere in its period sounds the same and counts as wrong. But
    magnitudes alone do not tell a decoder where in its period a partial is, and a small one then repeats the same
    waveform every frame, at the pitch of its frames. A few hundred steps of this distance lead it out of there.

    Args:
        target, estimate: bands `[B, bands, T]`, equal shapes.
    Returns:
        a scalar, 0 or more.
    Notebook: 04.
    """
    return (target - estimate).square().mean() / (target.square().mean() + FLOOR)


def beta_at(step: int, start: float, end: float, ramp_steps: int) -> float:
    """The weight of the KL divergence at a step: a geometric ramp from `start` to `end`, then constant.

    Args:
        step: 0 or more.
        start, end: above 0 (a `start` of 0 stays 0 until the ramp ends).
        ramp_steps: length of the ramp; 0 for none.
    Source: the published `v2` settings of RAVE. Notebook: 04.
    """
    if step >= ramp_steps:
        return end
    return start * (end / start) ** (step / ramp_steps) if start > 0 else 0.0


def hinge_discriminator(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """The hinge loss of the discriminators: scores of recordings above 1 and of reconstructions below -1 cost nothing.

    Args:
        real, fake: one tensor of scores for each discriminator.
    Returns:
        a scalar, summed over the discriminators; 0 when they win outright.
    Source: geometric GAN (arXiv 1705.02894), section 3; RAVE, equation 6. Notebook: 06.
    """
    pairs = zip(real, fake, strict=True)
    return torch.stack([F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in pairs]).sum()


def hinge_generator(fake: list[Tensor]) -> Tensor:
    """The adversarial loss of the decoder: minus the mean score of its sound, summed over the discriminators.

    Source: geometric GAN (arXiv 1705.02894), section 3; RAVE, equation 7. Notebook: 06.
    """
    return -torch.stack([f.mean() for f in fake]).sum()


def feature_matching(real: list[list[Tensor]], fake: list[list[Tensor]], relative: bool = False) -> Tensor:
    """The distance between the discriminators' features of a recording and of its reconstruction.

    Unweighted: the training loop multiplies by `feature_matching_weight`, once.

    Args:
        real, fake: what `Discriminator.forward` returned.
        relative: divide each difference by the feature's size, and leave out each discriminator's first feature.
    Returns:
        a scalar: mean absolute difference, averaged over the features of each discriminator, then over them.
    Source: Larsen et al. (arXiv 1512.09300), section 3.3; RAVE, equation 8; relative as in RAVE's published
        `v2` settings. Notebook: 06.
    """
    first = 1 if relative else 0

    def distance(r: Tensor, f: Tensor) -> Tensor:
        difference = (r.detach() - f).abs().mean()
        return difference / (r.detach().abs().mean() + FLOOR) if relative else difference

    found = []
    for r, f in zip(real, fake, strict=True):
        pairs = zip(r[first:], f[first:], strict=True)
        found.append(torch.stack([distance(*pair) for pair in pairs]).mean())
    return torch.stack(found).mean()
