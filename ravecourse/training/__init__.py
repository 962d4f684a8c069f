"""Training through both phases: losses, discriminator, one step, the loop around it, and its log."""

from . import discriminator, losses
from .discriminator import Discriminator
from .learner import Learner, learning_rate
from .loop import PHASE_ONE_NAME, Result, train
from .losses import SpectralDistance, beta_at, log_mel_distance, magnitudes
from .monitor import LOSSES_NAME, Progress, flat_steps
from .setup import choose_threads

__all__ = [
    "LOSSES_NAME",
    "PHASE_ONE_NAME",
    "Discriminator",
    "Learner",
    "Progress",
    "Result",
    "SpectralDistance",
    "beta_at",
    "choose_threads",
    "discriminator",
    "flat_steps",
    "learning_rate",
    "log_mel_distance",
    "losses",
    "magnitudes",
    "train",
]
