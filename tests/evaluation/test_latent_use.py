"""Dimensions that say something are counted; those that say nothing, or nothing true, are not."""

import pytest
import torch
from torch import Tensor

from ravecourse.config import preset
from ravecourse.evaluation import latent_use
from ravecourse.model import RAVE
from ravecourse.synth import render

RATE, HOP = 48000, 256


class Levels(RAVE):
    """Its first dimensions are what is heard in as many pieces of each frame; the others vary, and reach no sound."""

    def __init__(self, honest: int) -> None:
        super().__init__(preset("tiny", capacity=8, harmonics=0))
        self.honest = honest

    def encode_learned(self, audio: Tensor, bands: Tensor) -> tuple[Tensor, Tensor]:
        mean = bands.abs().unfold(-1, 16, 16).mean(-1)  # [B, 16, F]
        return 100 * mean + 1, torch.full_like(mean, 0.1)

    def decode(self, z: Tensor, noise: bool = True, generator: torch.Generator | None = None) -> Tensor:
        levels = (z[:, :, None] - 1).div(100).expand(-1, -1, 16, -1).transpose(2, 3).flatten(2)  # [B, 16, 16 F]
        tones = torch.cos(0.7 * torch.arange(levels.shape[-1])) * levels
        tones[:, self.honest :] = 0.001
        return self.join(tones)


def sound(seconds: float = 2.0) -> Tensor:
    whole = render("strings", seconds, seed=3)
    return whole[:, : whole.shape[1] // HOP * HOP]


@pytest.mark.parametrize("honest", [0, 1, 3])
def test_what_the_decoder_hears_is_counted(honest: int) -> None:
    missed = latent_use.missed(Levels(honest).eval(), sound())
    assert missed.shape == (16,) and int((missed > latent_use.MISSED).sum()) == honest
    assert bool((missed[honest:].abs() < 1e-6).all())


@pytest.mark.parametrize("name", ["tiny", "low_latency"])
@pytest.mark.parametrize("seed", [0, 1])
def test_an_untrained_model_says_nothing(name: str, seed: int) -> None:
    assert latent_use.dimensions_used(RAVE(preset(name), seed=seed).eval(), sound()) == 0


def test_a_dimension_of_no_divergence_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(audio: Tensor, bands: Tensor) -> tuple[Tensor, Tensor]:
        return (one := torch.ones(1, 16, bands.shape[-1] // 16)) - 1, one

    model, calls = Levels(3).eval(), []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z, noise=True: calls.append(1) or decode(z, noise))
    monkeypatch.setattr(model, "encode_learned", silent)
    assert latent_use.dimensions_used(model, sound()) == 0 and len(calls) == 1
