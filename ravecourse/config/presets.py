"""The presets: a model and a training under each name.

Notebook: 03 (models), 04 and 06 (training).
"""

from dataclasses import replace
from typing import Any

from ravecourse.errors import RaveCourseError

from .discriminator import DiscriminatorConfig
from .model import ModelConfig
from .training import PARTS, TrainingConfig

SHARE = 3  # a fine-tuning has a third of the steps and of the learning rate

PRESETS: dict[str, ModelConfig] = {
    "tiny": ModelConfig(
        preset="tiny",
        architecture="v2",
        ratios=(4, 4),
        capacity=32,
        latent_size=16,
        dilations=((1, 3), (1, 3)),
        noise_bands=5,
        noise_strides=(4, 2),
        noise_capacity=32,
        bias=True,
        harmonics=64,
        mel_bands=80,
    ),
    # For playing against one's own sound: half the bands and half the hop of `tiny`, and it never looks ahead.
    "low_latency": ModelConfig(
        preset="low_latency",
        architecture="v2",
        ratios=(4, 4),
        capacity=32,
        latent_size=16,
        causal=True,
        n_bands=8,
        dilations=((1,), (1, 3, 9)),
        noise_bands=5,
        noise_strides=(4, 2),
        noise_capacity=32,
        bias=True,
        harmonics=64,
        mel_bands=80,
    ),
    "small": ModelConfig(
        preset="small",
        architecture="v2",
        ratios=(4, 4, 4),
        capacity=48,
        latent_size=32,
        dilations=((1, 3, 9), (1, 3, 9), (1, 3)),
        noise_bands=5,
        noise_strides=(4, 4, 2),
        bias=True,
        harmonics=96,
        mel_bands=80,
    ),
    "v1": ModelConfig(
        preset="v1",
        architecture="v1",
        ratios=(4, 4, 4, 2),
        capacity=64,
        latent_size=128,
        pqmf="kaiser",
        noise_bands=5,
        noise_strides=(4, 4, 4),
    ),
    "v2": ModelConfig(
        preset="v2",
        architecture="v2",
        ratios=(4, 4, 4, 2),
        capacity=96,
        latent_size=128,
        pqmf="kaiser",
        dilations=((1, 3, 9), (1, 3, 9), (1, 3, 9), (1, 3)),
    ),
}

_TINY_TRAINING = TrainingConfig(
    phase_one_steps=6000,
    phase_two_steps=2000,
    batch_size=8,
    crop_samples=8192,
    learning_rate=3e-3,
    adversarial_learning_rate=3e-4,
    adam_betas=(0.8, 0.99),
    warmup_steps=100,
    cosine_decay=True,
    beta=1e-2,
    beta_start=1e-5,
    beta_ramp_steps=1500,
    band_stft_scales=(256, 128, 64, 32),
    discriminator=DiscriminatorConfig(scale_capacity=8),
    validation_every=500,
    checkpoint_every=250,
)

TRAINING_PRESETS: dict[str, TrainingConfig] = {
    "tiny": _TINY_TRAINING,
    "low_latency": replace(_TINY_TRAINING, band_stft_scales=(512, 256, 128, 64)),  # bands at twice the rate
    "small": TrainingConfig(
        phase_one_steps=100_000,
        phase_two_steps=100_000,
        batch_size=16,
        crop_samples=32768,
        learning_rate=5e-4,
        adversarial_learning_rate=1e-4,
        adam_betas=(0.8, 0.99),
        warmup_steps=500,
        cosine_decay=True,
        beta=5e-2,
        beta_start=1e-6,
        beta_ramp_steps=20_000,
        band_stft_scales=(512, 256, 128, 64, 32),
        feature_matching_weight=20.0,
        relative_feature_matching=True,
        discriminator=DiscriminatorConfig(periods=(2, 3, 5), period_capacity=16),
    ),
    "v1": TrainingConfig(
        phase_one_steps=1_500_000,
        phase_two_steps=1_500_000,
        learning_rate=1e-3,
        cosine_decay=True,
        discriminator=DiscriminatorConfig(scale_capacity=64),
    ),
    "v2": TrainingConfig(
        phase_one_steps=1_000_000,
        phase_two_steps=1_500_000,
        learning_rate=1e-3,
        cosine_decay=True,
        beta=0.05,
        beta_start=1e-6,
        beta_ramp_steps=20_000,
        feature_matching_weight=20.0,
        relative_feature_matching=True,
        discriminator=DiscriminatorConfig(scale_capacity=96, periods=(2, 3, 5, 7, 11), period_capacity=96),
        discriminator_every=4,
    ),
}


def preset(name: str, *, causal: bool | None = None, channels: int = 1, **overrides: Any) -> ModelConfig:
    """The model configuration called `name`: "tiny", "low_latency", "small", "v1" or "v2".

    A causal model looks at the past only (its transposed convolutions too), which costs quality and saves delay.

    Args:
        causal: None leaves it to the preset; `low_latency` is causal, the others are not.
        channels: 1 mono, 2 stereo.
        overrides: fields of `ModelConfig` to replace.

    Raises:
        RaveCourseError: no such preset, or a combination that cannot be built.
    Source: see ModelConfig. Notebook: 03.
    """
    config = _named(PRESETS, name)
    causal = config.causal if causal is None else causal
    return replace(config, causal=causal, channels=channels, **overrides)


def training_preset(name: str, **overrides: Any) -> TrainingConfig:
    """The training configuration that belongs to the preset `name`; keyword arguments replace fields.

    Raises:
        RaveCourseError: no such preset, or a value out of range.
    Source: see TrainingConfig. Notebook: 04.
    """
    return replace(_named(TRAINING_PRESETS, name), **overrides)


def fine_tuning_preset(name: str, own: TrainingConfig | None = None, **overrides: Any) -> TrainingConfig:
    """The training configuration for a model that has learned already and goes on with other recordings.

    A third of the steps, and of the learning rates at most; the warm-up is shorter, `beta` stands at its end value, and
    there are no waveform steps, since all of these are for weights that know nothing yet.

    Args:
        name: the model's preset.
        own: the settings that the model was trained with; crops, batch and losses are theirs. None takes the preset's.
        overrides: fields of `TrainingConfig` to replace.
    Raises:
        RaveCourseError: no such preset and no settings, or a value out of range.
    Notebook: 04.
    """
    own = own or _named(TRAINING_PRESETS, name)
    usual = TRAINING_PRESETS.get(name, own)
    decoder = "decoder" in overrides.get("trained_parts", PARTS)
    settings: dict[str, Any] = {
        "phase_one_steps": max(1, usual.phase_one_steps // SHARE),
        "phase_two_steps": usual.phase_two_steps // SHARE if decoder else 0,  # phase two is of the decoder alone
        "learning_rate": min(own.learning_rate, usual.learning_rate / SHARE),
        "adversarial_learning_rate": min(own.adversarial_learning_rate, usual.adversarial_learning_rate / SHARE),
        "warmup_steps": usual.warmup_steps // SHARE,
        "beta_start": own.beta,
        "beta_ramp_steps": 0,
        "waveform_steps": 0,
        "seed": 0,
        "trained_parts": PARTS,
    }
    return replace(own, **{**settings, **overrides})


def _named(presets: dict[str, Any], name: str) -> Any:
    if name not in presets:
        raise RaveCourseError(f"There is no preset {name!r}. Choose one of: {', '.join(presets)}.")
    return presets[name]
