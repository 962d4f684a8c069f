"""Held latents: models that are known to hold a note, or to buzz, drift, or swell in its place."""

import math

import pytest
import torch
from torch import Tensor

from ravecourse.config import preset
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import held as still
from ravecourse.model import RAVE
from tests.helpers import steady

RATE = 48000
HOP = 256
FRAME_RATE = RATE / HOP
PITCHES = (123.0, 220.0, 311.0)


class Sings(RAVE):
    """Its latent is the pitch in Hz and the level; its sound is made from them by `play`."""

    def __init__(self, buzz: float = 0.0, semitones: float = 0.0, swell_db: float = 0.0, noise: float = 0.0) -> None:
        super().__init__(preset("tiny", capacity=8, harmonics=0))
        self.buzz, self.ratio, self.swell_db, self.noise = buzz, 2 ** (semitones / 12), swell_db, noise

    def encode(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        level = audio.unfold(-1, HOP, HOP).square().mean(-1).sqrt()  # [B, 1, F]
        pitch = torch.repeat_interleave(torch.tensor(PITCHES), level.shape[-1] // len(PITCHES))
        latents = torch.cat([pitch.expand(len(audio), 1, -1), level], 1)
        return latents, torch.zeros_like(latents)

    def decode(self, z: Tensor, noise: bool = True, generator: torch.Generator | None = None) -> Tensor:
        pitch, level = z.repeat_interleave(HOP, -1).split(1, 1)
        phase = 2 * math.pi * torch.cumsum(pitch.double() * self.ratio / RATE, -1)
        time = 2 * math.pi * torch.arange(pitch.shape[-1]) / RATE
        sound = level * sum((k * phase).sin() / k for k in range(1, 7)).float()
        sound = sound * 10 ** (self.swell_db / 20 * (time / time[-1] - 0.5))
        sound = sound + self.buzz * level * sum((k * FRAME_RATE * time + k).sin() for k in range(1, 9))
        if noise:
            sound = sound + self.noise * level * torch.randn(sound.shape, generator=generator)
        return sound


def melody() -> Tensor:
    sound = torch.cat([steady(hertz, noise=0.0) for hertz in PITCHES], 1)
    return sound[:, : sound.shape[1] // (3 * HOP) * 3 * HOP]


def judged(**kind: float) -> still.Stillness:
    found = still.stillness(Sings(**kind).eval(), melody(), frames=12, seconds=0.5)
    assert found.frames == 12 and found.held is not None and found.without_noise is not None
    return found


def test_a_model_that_holds_its_note_is_still() -> None:
    held = judged().held
    assert held.pitch == held.steady == held.near == held.clean == held.still == 1
    assert held.comb_db < -60 and held.ripple_db < 1 and abs(held.level_difference_db) < 4


def test_noise_is_no_comb() -> None:
    found = judged(noise=0.3)
    assert found.held.clean == 1 and found.held.pitch == 1
    assert found.held.comb_db < -30


@pytest.mark.parametrize("buzz", [0.3, 3.0])
def test_a_buzz_at_the_frame_rate_is_found(buzz: float) -> None:
    held = judged(buzz=buzz).held
    assert held.clean == held.still == 0 and held.comb_db > still.COMB_DB
    assert held.steady == 1


def test_a_buzz_alone_has_neither_the_pitch_nor_anything_but_comb() -> None:
    held = judged(buzz=300.0).held
    assert held.pitch == held.near == held.still == 0 and held.comb_db > -3


@pytest.mark.parametrize(("semitones", "share"), [(0.3, 1), (0.8, 0), (12, 0)])
def test_the_pitch_is_the_frames_within_half_a_semitone(semitones: float, share: float) -> None:
    assert judged(semitones=semitones).held.pitch == share


def test_a_swell_is_not_steady() -> None:
    held = judged(swell_db=30.0).held
    assert held.steady == held.still == 0 and held.ripple_db > 3


def test_a_model_without_a_source_repeats_itself_every_hop() -> None:
    model = RAVE(preset("tiny", capacity=8, harmonics=0)).eval()
    sound = still.hold(model, torch.randn(2, 16, generator=torch.Generator().manual_seed(0)), 0.25, noise=False)
    assert sound.shape == (2, 1, RATE // 4)
    assert torch.allclose(sound[..., HOP:], sound[..., :-HOP], atol=1e-6)
    periods = sound[0, 0] - sound[0, 0].mean()
    assert still.comb_level(periods, RATE, FRAME_RATE, 237.3) > still.COMB_DB


def test_a_source_alone_holds_the_pitch_that_the_model_hears() -> None:
    model = RAVE(preset("tiny", capacity=8)).eval()
    assert model.source is not None
    model.decode_bands = lambda z, noise, generator: torch.zeros(len(z), 16, z.shape[-1] * HOP // 16)  # type: ignore[method-assign]
    held = still.stillness(model, melody(), frames=12, seconds=0.5).held
    assert held is not None and held.pitch == held.steady == held.clean == 1 and held.comb_db < -40


@pytest.mark.parametrize("part_db", [0.0, -10.0, -30.0])
def test_the_comb_is_measured_in_decibels_of_the_whole(part_db: float) -> None:
    note, buzz = steady(237.3, noise=0.0)[0], steady(FRAME_RATE, noise=0.0)[0]
    share = 10 ** (part_db / 10)
    sound = note * math.sqrt(1 - share) + buzz * math.sqrt(share)
    assert still.comb_level(sound, RATE, FRAME_RATE, 239.0) == pytest.approx(part_db, abs=0.3)


def test_frames_are_spread_over_what_is_steady() -> None:
    model = RAVE(preset("tiny", capacity=8)).eval()
    gliding = 150 * 2 ** torch.linspace(0, 4, RATE)
    glide = 0.2 * torch.sin(2 * math.pi * torch.cumsum(gliding.double() / RATE, 0)).float()[None]
    sound = torch.cat([steady(220), glide, torch.zeros(1, RATE // 2), steady(311)], 1)
    frames, pitches = still.steady_frames(model, sound, 20)
    times = (frames + 0.5) / FRAME_RATE
    assert len(frames) == 20 and bool(((times < 1.0) | (times > 2.5)).all())
    assert bool((times < 1.0).any()) and bool((times > 2.5).any())
    wanted = torch.where(times < 1.0, 220.0, 311.0)
    assert bool((torch.log2(pitches / wanted).abs() < 0.02).all())


def test_where_a_buzz_would_pass_for_the_note_nothing_is_asked() -> None:
    model = RAVE(preset("tiny", capacity=8)).eval()
    for hertz in (FRAME_RATE, FRAME_RATE / 2, FRAME_RATE * 1.02):
        assert not len(still.steady_frames(model, steady(hertz), 20)[0])
    noise = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    assert still.stillness(model, noise) == still.Stillness(0, None, None)


def test_what_cannot_be_held_is_refused() -> None:
    with pytest.raises(RaveCourseError, match="0 frames of 1 s"):
        still.stillness(Sings().eval(), melody(), frames=0)
