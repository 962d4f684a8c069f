"""What a model is, its discriminator and how both are trained: frozen records, their presets, and their JSON.

Notebook: 03 (models), 04 and 06 (training).
"""

import dataclasses
import json
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from ravecourse.errors import RaveCourseError

LARGEST_BATCH = 1 << 26  # samples


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the shape of a model; two models with equal records can share weights.

    Source: RAVE (arXiv 2111.05011), sections 3 and 4, for `v1`; the published `v2` settings for `v2`. Notebook: 03.
    """

    preset: str
    architecture: str  # "v1" or "v2": which encoder and decoder blocks
    ratios: tuple[int, ...]  # the encoder's strides, first to last
    capacity: int  # channels after the encoder's first convolution
    latent_size: int
    sample_rate: int = 48000  # Hz
    channels: int = 1  # 1 mono, 2 stereo
    causal: bool = False
    n_bands: int = 16
    pqmf: str = "refined"  # which prototype filter: "kaiser" (the paper's) or "refined"
    dilations: tuple[tuple[int, ...], ...] = ()  # v2: the dilated units of each stage, in the encoder's order
    noise_bands: int = 0  # noise synthesiser: filter bands per sub-band, 0 for none
    noise_strides: tuple[int, ...] = ()
    noise_capacity: int = 64
    bias: bool = False  # biases in encoder and decoder (the published models have none)
    # Transposed convolutions centred (True) or causal. Causal models as published have True, and strided convolutions
    # that end at the first sample of their group; the kit's own see the whole group, which costs no delay.
    lookahead_upsampling: bool = True

    def __post_init__(self) -> None:
        problems = [
            (self.architecture not in ("v1", "v2"), f"architecture is {self.architecture!r}; use 'v1' or 'v2'"),
            (not 1 <= self.channels <= 64, f"channels is {self.channels}; use 1 for mono, 2 for stereo"),
            (self.n_bands not in (4, 8, 16), f"n_bands is {self.n_bands}; use 4, 8 or 16"),
            (self.pqmf not in ("kaiser", "refined"), f"pqmf is {self.pqmf!r}; use 'kaiser' or 'refined'"),
            (not self.ratios or min(self.ratios) < 2, f"ratios is {self.ratios}; every stage divides by 2 or more"),
            (
                self.architecture == "v2" and len(self.dilations) != len(self.ratios),
                f"dilations has {len(self.dilations)} stages and ratios {len(self.ratios)}; give one list a stage",
            ),
            (self.latent_size < 1, f"latent_size is {self.latent_size}; use 1 or more"),
            (self.sample_rate < 8000, f"sample_rate is {self.sample_rate} Hz; use 8000 or more"),
            (
                bool(self.noise_bands) and prod(self.ratios) % prod(self.noise_strides) != 0,
                f"noise_strides {self.noise_strides} must divide the {prod(self.ratios)} sub-band samples of a frame",
            ),
            (
                self.noise_bands != 0 and not 2 <= self.noise_bands <= 1 + prod(self.noise_strides) // 2,
                f"noise_bands is {self.noise_bands}; use 0 for no noise, or 2 to {1 + prod(self.noise_strides) // 2}, "
                f"whose filters fit a noise frame of {prod(self.noise_strides)}",
            ),
        ]
        for wrong, message in problems:
            if wrong:
                raise RaveCourseError(f"The model configuration cannot be built: {message}.")
        if self.hop_length & (self.hop_length - 1):
            raise RaveCourseError(f"The hop is {self.hop_length} samples; nn~ needs a power of two. Change `ratios`.")

    @property
    def hop_length(self) -> int:
        """Samples per latent frame."""
        return self.n_bands * prod(self.ratios)

    def to_json(self) -> str:
        """The record as JSON, as every checkpoint stores it. Notebook: 03."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Read `to_json` back, also from files that kept the discriminator's sizes beside the model's.

        Raises:
            RaveCourseError: a field is unknown or missing (the file is of another version).
        Notebook: 03.
        """
        values = json.loads(text)
        return _from_values(cls, {name: v for name, v in values.items() if name not in DISCRIMINATOR_FIELDS})


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The sizes of the discriminators of phase two. They shape a training, and no weight of the model.

    Source: RAVE (arXiv 2111.05011), section 3.2; the published `v2` settings. Notebook: 06.
    """

    scales: int = 3  # multi-scale: at full rate, half, a quarter ...
    scale_capacity: int = 16
    scale_layers: int = 4
    scale_strides: int = 4
    periods: tuple[int, ...] = ()  # multi-period: one for each
    period_capacity: int = 32


DISCRIMINATOR_FIELDS = {field.name for field in dataclasses.fields(DiscriminatorConfig)}


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained: two phases, their losses and their pace.

    Source: RAVE (arXiv 2111.05011), section 4; the published `v1` and `v2` settings. Notebooks: 04, 06.
    """

    phase_one_steps: int  # VAE stage
    phase_two_steps: int  # adversarial fine-tuning, counted after phase one
    batch_size: int = 8
    crop_samples: int = 131072
    learning_rate: float = 1e-4
    adversarial_learning_rate: float = 1e-4  # generator and discriminator in phase two
    adam_betas: tuple[float, float] = (0.5, 0.9)
    warmup_steps: int = 0  # learning rate from 0 up
    cosine_decay: bool = False  # learning rate down to a tenth over phase one
    beta: float = 0.1  # weight of the KL divergence at the end of its ramp
    beta_start: float = 0.1
    beta_ramp_steps: int = 0  # geometric ramp from beta_start to beta
    waveform_steps: int = 0  # the first steps compare waveforms, which lets a small model find pitch
    stft_scales: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    band_stft_scales: tuple[int, ...] = (2048, 1024, 512, 256, 128)
    adversarial_weight: float = 1.0
    feature_matching_weight: float = 10.0
    relative_feature_matching: bool = False  # v2: divide by the size of the feature, leave out the first
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    discriminator_every: int = 2  # phase two: each n-th step updates the discriminator, the others the generator
    gain_db: float = 6.0  # augmentations: largest change; 0 switches one off
    phase_probability: float = 0.5
    pitch_semitones: float = 0.0
    validation_every: int = 1000
    checkpoint_every: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "phase_one_steps",
            "batch_size",
            "crop_samples",
            "learning_rate",
            "validation_every",
            "checkpoint_every",
        ):
            if getattr(self, name) <= 0:
                raise RaveCourseError(f"{name} is {getattr(self, name)}; give a number above 0.")
        for name in ("phase_two_steps", "waveform_steps"):
            if getattr(self, name) < 0:
                raise RaveCourseError(f"{name} is {getattr(self, name)}; give 0 (none) or more.")
        if not 0 <= self.seed < 2**63:
            raise RaveCourseError(f"seed is {self.seed}; use a whole number from 0 to 2^63 - 1.")
        if self.batch_size * self.crop_samples > LARGEST_BATCH:
            raise RaveCourseError(
                f"batch_size {self.batch_size} times crop_samples {self.crop_samples} is more sound than any memory "
                f"can train on at once; use at most {LARGEST_BATCH} samples in a batch."
            )
        if self.discriminator_every < 2:
            raise RaveCourseError(
                f"discriminator_every is {self.discriminator_every}; from 2 on, "
                "or the generator is never updated in phase two."
            )

    def to_json(self) -> str:
        """The record as JSON. Notebook: 04."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str, model_text: str = "{}") -> "TrainingConfig":
        """Read `to_json` back.

        Args:
            model_text: the model's JSON beside it, where earlier versions kept the sizes of the discriminator.
        Raises:
            RaveCourseError: a field is unknown or missing.
        Notebook: 04.
        """
        values = json.loads(text)
        earlier = {name: v for name, v in json.loads(model_text).items() if name in DISCRIMINATOR_FIELDS}
        discriminator = _from_values(DiscriminatorConfig, values.pop("discriminator", earlier))
        return replace(_from_values(cls, values), discriminator=discriminator)


def _from_values(cls: type, values: dict[str, Any]) -> Any:
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise RaveCourseError(
            f"A stored {cls.__name__} has fields that this version does not know: "
            f"{', '.join(unknown)}. It was written by another version of ravecourse."
        )
    try:
        return cls(**{name: _tuples(value) for name, value in values.items()})
    except TypeError as error:
        raise RaveCourseError(
            f"A stored {cls.__name__} is incomplete ({error}). It was written by another version of ravecourse."
        ) from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


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
    ),
    # For playing against one's own sound: half the bands and half the hop of `tiny`, and it never looks ahead.
    "low_latency": ModelConfig(
        preset="low_latency",
        architecture="v2",
        ratios=(4, 4),
        capacity=32,
        latent_size=16,
        causal=True,
        lookahead_upsampling=False,
        n_bands=8,
        dilations=((1,), (1, 3, 9)),
        noise_bands=5,
        noise_strides=(4, 2),
        noise_capacity=32,
        bias=True,
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

TRAINING_PRESETS: dict[str, TrainingConfig] = {
    "tiny": TrainingConfig(
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
        waveform_steps=300,
        band_stft_scales=(256, 128, 64, 32),
        discriminator=DiscriminatorConfig(scale_capacity=8),
        validation_every=500,
        checkpoint_every=250,
    ),
    "low_latency": TrainingConfig(
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
        waveform_steps=300,
        band_stft_scales=(512, 256, 128, 64),
        discriminator=DiscriminatorConfig(scale_capacity=8),
        validation_every=500,
        checkpoint_every=250,
    ),
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
    return replace(config, causal=causal, channels=channels, **{"lookahead_upsampling": not causal, **overrides})


def training_preset(name: str, **overrides: Any) -> TrainingConfig:
    """The training configuration that belongs to the preset `name`; keyword arguments replace fields.

    Raises:
        RaveCourseError: no such preset, or a value out of range.
    Source: see TrainingConfig. Notebook: 04.
    """
    return replace(_named(TRAINING_PRESETS, name), **overrides)


def _named(presets: dict[str, Any], name: str) -> Any:
    if name not in presets:
        raise RaveCourseError(f"There is no preset {name!r}. Choose one of: {', '.join(presets)}.")
    return presets[name]
