"""What a model is, how it and its discriminators are trained, and the presets of both."""

from .discriminator import DISCRIMINATOR_FIELDS, DiscriminatorConfig
from .model import ModelConfig
from .presets import PRESETS, TRAINING_PRESETS, preset, training_preset
from .training import LARGEST_BATCH, TrainingConfig

__all__ = [
    "DISCRIMINATOR_FIELDS",
    "LARGEST_BATCH",
    "PRESETS",
    "TRAINING_PRESETS",
    "DiscriminatorConfig",
    "ModelConfig",
    "TrainingConfig",
    "preset",
    "training_preset",
]
