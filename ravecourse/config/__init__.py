"""What a model is, how it and its discriminators are trained, and the presets of both."""

from .discriminator import DISCRIMINATOR_FIELDS, DiscriminatorConfig
from .model import ModelConfig
from .presets import PRESETS, TRAINING_PRESETS, fine_tuning_preset, preset, training_preset
from .training import LARGEST_BATCH, PARTS, TrainingConfig

__all__ = [
    "DISCRIMINATOR_FIELDS",
    "LARGEST_BATCH",
    "PARTS",
    "PRESETS",
    "TRAINING_PRESETS",
    "DiscriminatorConfig",
    "ModelConfig",
    "TrainingConfig",
    "fine_tuning_preset",
    "preset",
    "training_preset",
]
