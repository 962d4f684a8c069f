"""What the latent dimensions carry: which are alive, how many are needed, and whether the latent has
collapsed.

Notebook: 05.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError

if TYPE_CHECKING:
    from .rave import RAVE

ALIVE_NATS = 0.01  # KL divergence above which a dimension counts as used
FIDELITIES = (80, 90, 95, 99)  # percent


def kl_divergence(mean: Tensor, std: Tensor) -> Tensor:
    """How far each latent dimension's Gaussian is from the standard normal, in nats, averaged over batch and
    time.

    Args:
        mean, std: `[B, D, F]`; std above 0.
    Returns:
        `[D]`, each 0 or more; near 0 where a dimension says nothing about the sound.
    Source: VAE (arXiv 1312.6114), appendix B. Notebook: 04.
    """
    return 0.5 * (mean.square() + std.square() - 2 * std.log() - 1).mean(dim=(0, 2))


class LatentStatistics:
    """Sums over many latents, from which principal directions and the KL of each dimension follow; memory
    stays flat.

    Args:
        size: latent dimensions D.
    Notebook: 05.
    """

    def __init__(self, size: int) -> None:
        self.frames = 0
        self._sum = torch.zeros(size, dtype=torch.float64)
        self._products = torch.zeros(size, size, dtype=torch.float64)
        self._draws = torch.zeros(size, dtype=torch.float64)  # variances of the draws around the means
        self._kl = torch.zeros(size, dtype=torch.float64)

    def add(self, mean: Tensor, std: Tensor) -> None:
        """Take in the latents `[B, D, F]` of one batch. Notebook: 05."""
        rows = mean.transpose(1, 2).flatten(0, 1).cpu().double()  # [B*F, D]
        self.frames += len(rows)
        self._sum += rows.sum(0)
        self._products += rows.T @ rows
        self._draws += std.square().sum((0, 2)).cpu().double()
        self._kl += kl_divergence(mean, std).cpu().double() * len(rows)

    @property
    def kl(self) -> Tensor:
        """KL divergence of each dimension in nats, `[D]` float32. Notebook: 05."""
        return (self._kl / max(self.frames, 1)).float()

    def principal(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Centre, principal directions, spread and fidelity of the latents seen so far.

        Returns:
            mean `[D]`; directions `[D, D]`, one a row, orthonormal, by falling variance, the largest entry of each
            positive; standard deviation `[D]` along each; fidelity `[D]`: the share of variance that the first
            1 ... D directions hold, ending at 1.
        Raises:
            RaveCourseError: fewer than two frames were seen, or a latent was not a finite number.
        Source: RAVE (arXiv 2111.05011), section 4.3 (it uses the singular values). Notebook: 05.
        """
        if self.frames < 2:
            raise RaveCourseError(
                f"Principal directions need 2 latent frames or more, not {self.frames}. "
                "Use longer crops or more of them."
            )
        mean = self._sum / self.frames
        covariance = self._products / self.frames - torch.outer(mean, mean)
        if not bool(covariance.isfinite().all()):
            raise RaveCourseError(
                "The model gives latents that are not finite numbers: its training has diverged. "
                "Go back to an earlier checkpoint, or train again with a lower learning rate."
            )
        variances, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
        variances, directions = variances.flip(0).clamp(min=0), vectors.flip(1).T
        largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
        directions = directions * torch.where(largest < 0, -1.0, 1.0)
        total = variances.sum()
        fidelity = variances.cumsum(0) / total if total > 0 else torch.ones_like(variances)
        fidelity[-1] = 1.0
        return mean.float(), directions.float(), variances.sqrt().float(), fidelity.clamp(max=1.0).float()

    def draw_std(self) -> Tensor:
        """Standard deviation of drawn latents (mean + std * noise) along each principal direction, `[D]`.

        This is how far the latents that the decoder is trained on spread; where a direction says nothing about the
        sound it is near 1, the prior's.
        Raises:
            RaveCourseError: as `principal`.
        Notebook: 05.
        """
        _, directions, spread, _ = self.principal()
        around = directions.double().square() @ (self._draws / self.frames)
        return (spread.double().square() + around).sqrt().float()


@torch.no_grad()
def gather_statistics(model: "RAVE", batches: Iterable[Tensor]) -> LatentStatistics:
    """Encode batches of audio with the model at rest and gather what their learned latents look like.

    Args:
        model: left as it was found (training or evaluation mode, buffers, statistics).
        batches: audio `[B, C, T]` each, on any device.
    Returns:
        the statistics; `write_statistics` writes them into the model.
    Notebook: 05.
    """
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    statistics = LatentStatistics(model.latent_mean.numel())
    device = model.latent_mean.device
    try:
        for audio in batches:
            audio = audio.to(device, non_blocking=True)
            statistics.add(*model.encode_learned(audio, model.split(audio)))
    finally:
        for module, training in was_training.items():
            module.training = training
    return statistics


def write_statistics(model: "RAVE", statistics: LatentStatistics) -> None:
    """Write centre, directions, spread and fidelity into the model's buffers, where export finds them.

    Raises:
        RaveCourseError: too few frames; see `LatentStatistics.principal`.
    Notebook: 05.
    """
    mean, directions, spread, fidelity = statistics.principal()
    model.latent_mean.copy_(mean)
    model.latent_pca.copy_(directions)
    model.latent_std.copy_(spread)
    model.latent_draw_std.copy_(statistics.draw_std())
    model.fidelity.copy_(fidelity)


def size_for(fidelity: Tensor, share: float) -> int:
    """The smallest number of principal directions that hold `share` of the variance.

    Args:
        fidelity: `[D]`, cumulative shares, as `LatentStatistics.principal` gives it.
        share: above 0, up to 1.
    Returns:
        1 to D.
    Raises:
        RaveCourseError: `share` out of range.
    Source: RAVE, section 4.3. Notebook: 05.
    """
    if not 0 < share <= 1:
        raise RaveCourseError(f"A fidelity of {share} makes no sense: give a share between 0 and 1.")
    enough = fidelity >= share - 1e-6
    return int(enough.int().argmax()) + 1 if bool(enough.any()) else fidelity.numel()


def fidelity_table(fidelity: Tensor) -> dict[int, int]:
    """How many latent dimensions an export needs at 80, 90, 95 and 99 percent.

    Args:
        fidelity: `[D]`, cumulative shares.
    Returns:
        percent -> dimensions.
    Source: RAVE, section 4.3. Notebook: 05.
    """
    return {percent: size_for(fidelity, percent / 100) for percent in FIDELITIES}


def alive(kl: Tensor, threshold: float = ALIVE_NATS) -> int:
    """How many dimensions say something about the sound: their KL divergence is above `threshold` nats.

    Args:
        kl: `[D]` in nats.
    Source: Burda et al. (arXiv 1509.00519), section 4, by another measure. Notebook: 05.
    """
    return int((kl > threshold).sum())


def collapse_alarm(kl: Tensor, fidelity: Tensor | None = None) -> str | None:
    """A sentence when the latent carries (almost) nothing, else None.

    Args:
        kl: `[D]` in nats.
        fidelity: `[D]`, cumulative shares; with it, a latent that one direction explains counts as collapsed
            too.
    Notebook: 05.
    """
    size, used = kl.numel(), alive(kl)
    advice = "Lower beta, and check that the recordings are not silent."
    if used == 0:
        return f"The latent has collapsed: none of its {size} dimensions carries information. {advice}"
    if size >= 4 and used == 1:
        return f"The latent is close to collapse: 1 of {size} dimensions carries information. {advice}"
    if size >= 4 and fidelity is not None and size_for(fidelity, 0.99) == 1:
        return f"The latent is close to collapse: one direction of {size} holds 99 % of what varies. {advice}"
    return None
