"""Which latent dimensions say something about the sound: those that the decoder misses when they say it at another time.

Whether a dimension's KL divergence is above zero does not tell: every dimension of an untrained model has one.

Notebook: 10.
"""

import torch
from torch import Tensor

from ravecourse.model import ALIVE_NATS, RAVE, latent

from .similarity import heard_distance

MISSED = 0.01  # of the distance: a dimension that makes it this much larger when it is moved says something
DIMENSION_SECONDS = 160.0  # of sound that are decoded for all dimensions together


@torch.no_grad()
def missed(model: RAVE, sound: Tensor) -> Tensor:
    """By how much the distance from the recording grows when one learned latent dimension is moved by half its length.

    The dimension keeps all its values, at another time. Where it described the sound, the sound is now described wrongly;
    an untrained model's output is as far from the recording as before. Dimensions whose KL divergence is (almost) 0 reach
    the decoder as noise only, and count as not missed.

    Args:
        model: in evaluation mode.
        sound: `[C, T]` at the model's sample rate; of a long one, the beginning.
    Returns:
        `[D]`: 0.1 is a distance larger by a tenth; with a source, pitch and loudness are not among the D.
    Source: permutation importance: Breiman, Random Forests, 2001, section 10. Notebook: 10.
    """
    hop, size = model.hop_length, model.config.latent_size
    frames = max(2, min(sound.shape[-1], round(DIMENSION_SECONDS / size * model.sample_rate)) // hop)
    sound = torch.nn.functional.pad(sound, (0, max(0, 2 * hop - sound.shape[-1])))[:, : frames * hop]
    latents = model.encode(sound[None])[0]  # [1, named + D, F]
    named = latents.shape[1] - size
    kl = latent.gather_statistics(model, [sound[None]]).kl

    def distance(z: Tensor) -> float:
        return heard_distance(sound, model.decode(z, noise=False)[0], model.sample_rate)

    whole = distance(latents)
    grown = torch.zeros(size)
    for d in (kl > ALIVE_NATS).nonzero()[:, 0].tolist():
        moved = latents.clone()
        moved[:, named + d] = latents[:, named + d].roll(frames // 2, -1)
        grown[d] = distance(moved) / max(whole, 1e-6) - 1
    return grown


def dimensions_used(model: RAVE, sound: Tensor) -> int:
    """How many learned latent dimensions say something about the sound: at most one percent is missed of the others.

    Args:
        model, sound: as `missed`.
    Notebook: 10.
    """
    return int((missed(model, sound) > MISSED).sum())
