"""How a model is trained: two phases, their losses and their pace.

Notebooks: 04, 06.
"""

import dataclasses
import json
from dataclasses import dataclass, replace

from ravecourse.errors import RaveCourseError

from .discriminator import DISCRIMINATOR_FIELDS, DiscriminatorConfig
from .records import check_types, from_values

LARGEST_BATCH = 1 << 26  # samples
PARTS = ("encoder", "decoder")  # of a model, which a fine-tuning can train one without the other


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
    cosine_decay: bool = False  # learning rate down to a tenth over each phase
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
    trained_parts: tuple[str, ...] = PARTS  # a fine-tuning leaves the others as they are

    def __post_init__(self) -> None:
        check_types(self)
        for name in (
            "phase_one_steps",
            "batch_size",
            "crop_samples",
            "learning_rate",
            "adversarial_learning_rate",
            "validation_every",
            "checkpoint_every",
        ):
            if getattr(self, name) <= 0:
                raise RaveCourseError(f"{name} is {getattr(self, name)}; give a number above 0.")
        for name in (
            "phase_two_steps",
            "waveform_steps",
            "warmup_steps",
            "beta",
            "beta_start",
            "beta_ramp_steps",
            "adversarial_weight",
            "feature_matching_weight",
            "gain_db",
            "pitch_semitones",
        ):
            if getattr(self, name) < 0:
                raise RaveCourseError(f"{name} is {getattr(self, name)}; give 0 (none) or more.")
        if not all(0 <= value < 1 for value in self.adam_betas):
            raise RaveCourseError(f"adam_betas are {self.adam_betas}; give numbers from 0 to below 1.")
        if not 0 <= self.phase_probability <= 1:
            raise RaveCourseError(f"phase_probability is {self.phase_probability}; give a number from 0 to 1.")
        if not 0 <= self.seed < 2**63:
            raise RaveCourseError(f"seed is {self.seed}; use a whole number from 0 to 2^63 - 1.")
        if self.batch_size * self.crop_samples > LARGEST_BATCH:
            raise RaveCourseError(
                f"batch_size {self.batch_size} times crop_samples {self.crop_samples} is more sound than any memory "
                f"can train on at once; use at most {LARGEST_BATCH} samples in a batch."
            )
        if not self.trained_parts or self.trained_parts != tuple(p for p in PARTS if p in self.trained_parts):
            raise RaveCourseError(
                f"trained_parts are {', '.join(self.trained_parts) or 'none'}; give {', '.join(PARTS)}, or one of them."
            )
        if "decoder" not in self.trained_parts and self.phase_two_steps:
            raise RaveCourseError(
                f"phase_two_steps is {self.phase_two_steps}, and phase two trains the decoder alone, which is not among "
                "the trained parts. Give 0 steps of phase two, or train the decoder too."
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
        discriminator = from_values(DiscriminatorConfig, values.pop("discriminator", earlier))
        return replace(from_values(cls, values), discriminator=discriminator)
