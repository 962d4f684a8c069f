"""Training through both phases: losses, discriminator, one step, the loop around it, and its log."""

from . import discriminator, losses, spectra
from .discriminator import Discriminator
from .finetuning import Base, load_base
from .learner import Learner, learning_rate
from .loop import Result, train
from .losses import beta_at
from .monitor import Progress, flat_steps
from .run_state import PHASE_ONE_NAME
from .sound_fit import fit_to_sound, pitched_share
from .spectra import SpectralDistance, log_mel_distance, magnitudes
from .table import LOSSES_NAME, read_losses
from .thread_choice import ThreadWatch, choose_threads

__all__ = [
    "LOSSES_NAME",
    "PHASE_ONE_NAME",
    "Base",
    "Discriminator",
    "Learner",
    "Progress",
    "Result",
    "SpectralDistance",
    "ThreadWatch",
    "beta_at",
    "choose_threads",
    "discriminator",
    "fit_to_sound",
    "flat_steps",
    "learning_rate",
    "log_mel_distance",
    "load_base",
    "losses",
    "spectra",
    "magnitudes",
    "pitched_share",
    "read_losses",
    "train",
]
