"""What a model is: everything that fixes the shapes of its weights.

Notebook: 03.
"""

import dataclasses
import json
from dataclasses import dataclass
from math import prod

from ravecourse.errors import RaveCourseError

from .discriminator import DISCRIMINATOR_FIELDS
from .records import WIDEST, check_types, from_values

MOST_HARMONICS = 512
MOST_MEL_BANDS = 256


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the shape of a model; two models with equal records can share weights.

    Source: RAVE (arXiv 2111.05011), sections 3 and 4, for `v1`; the published `v2` settings for `v2`. Notebook: 03.
    """

    preset: str
    architecture: str  # "v1" or "v2": which encoder and decoder blocks
    ratios: tuple[int, ...]  # the encoder's strides, first to last
    capacity: int  # channels after the encoder's first convolution
    latent_size: int  # learned dimensions; with a source, pitch and loudness come before them
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
    # A causal model padded as the published ones: transposed convolutions are centred and look ahead, and strided ones
    # end at the first sample of their group. The kit's own never look ahead, and see the whole group at no delay.
    published_causal: bool = False
    harmonics: int = 0  # of the source that pitch drives, 0 for none
    source_capacity: int = 64
    lowest_hz: float = 50.0  # range of the pitch analysis
    highest_hz: float = 2000.0
    mel_bands: int = 0  # of the spectrum that the encoder hears beside the waveform, 0 for none

    def __post_init__(self) -> None:
        check_types(self)
        wide = max(
            self.capacity << min(len(self.ratios), 20), self.latent_size, self.noise_capacity, self.source_capacity
        )
        problems = [
            (self.architecture not in ("v1", "v2"), f"architecture is {self.architecture!r}; use 'v1' or 'v2'"),
            (self.published_causal and not self.causal, "published_causal is of causal models; set causal too"),
            (not 1 <= self.channels <= 64, f"channels is {self.channels}; use 1 for mono, 2 for stereo"),
            (self.n_bands not in (4, 8, 16), f"n_bands is {self.n_bands}; use 4, 8 or 16"),
            (self.pqmf not in ("kaiser", "refined"), f"pqmf is {self.pqmf!r}; use 'kaiser' or 'refined'"),
            (not self.ratios or min(self.ratios) < 2, f"ratios is {self.ratios}; every stage divides by 2 or more"),
            (
                self.architecture == "v2" and len(self.dilations) != len(self.ratios),
                f"dilations has {len(self.dilations)} stages and ratios {len(self.ratios)}; give one list a stage",
            ),
            *(
                (getattr(self, name) < 1, f"{name} is {getattr(self, name)}; use 1 or more")
                for name in ("capacity", "latent_size", "noise_capacity", "source_capacity")
            ),
            (not 0 <= self.harmonics <= MOST_HARMONICS, f"harmonics is {self.harmonics}; use 0 to {MOST_HARMONICS}"),
            (not 0 <= self.mel_bands <= MOST_MEL_BANDS, f"mel_bands is {self.mel_bands}; use 0 to {MOST_MEL_BANDS}"),
            (wide > WIDEST, f"its widest layer has {wide} channels; {WIDEST} is the most"),
            (
                not 8000 <= self.sample_rate <= 768000,
                f"sample_rate is {self.sample_rate} Hz; use 8000 to 768000",
            ),
            (
                self.harmonics > 0 and not 20 <= self.lowest_hz <= self.highest_hz / 2 <= self.sample_rate / 8,
                f"pitch from {self.lowest_hz:g} to {self.highest_hz:g} Hz at {self.sample_rate} Hz; begin at 20 or "
                "above, end an octave higher or more, at a quarter of the sample rate or below",
            ),
            (
                min((d for stage in self.dilations for d in stage), default=1) < 1,
                f"dilations are {self.dilations}; each must be 1 or more",
            ),
            (
                bool(self.noise_bands) and (not self.noise_strides or min(self.noise_strides) < 1),
                f"noise_strides are {self.noise_strides}; each must be 1 or more",
            ),
            (
                bool(self.noise_bands) and prod(self.ratios) % (prod(self.noise_strides) or 1) != 0,
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

    @property
    def named(self) -> int:
        """Latent dimensions that have a name, before the learned ones: pitch and loudness, or none."""
        return 2 if self.harmonics else 0

    @property
    def latents(self) -> int:
        """All latent dimensions, named and learned."""
        return self.named + self.latent_size

    @property
    def frame_in_words(self) -> str:
        """What one latent frame is, like "18 numbers (pitch, loudness and 16 learned ones)"."""
        named = f" (pitch, loudness and {self.latent_size} learned ones)" if self.named else ""
        return f"{self.latents} numbers{named}"

    def to_json(self) -> str:
        """The record as JSON, as every checkpoint stores it. Notebook: 03."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Read `to_json` back, also from files of earlier versions.

        Those kept the discriminator's sizes beside the model's, and said `lookahead_upsampling` of models that are
        not causal, and of causal ones that are padded as published.

        Raises:
            RaveCourseError: a field is unknown or missing (the file is of another version).
        Notebook: 03.
        """
        values = json.loads(text)
        looks_ahead = values.pop("lookahead_upsampling", None)
        if looks_ahead is not None:
            values["published_causal"] = looks_ahead and values.get("causal")
        return from_values(cls, {name: v for name, v in values.items() if name not in DISCRIMINATOR_FIELDS})
