"""Pitch and loudness of each frame, and the source that they drive."""

import math

import numpy as np
import pytest
import torch
from helpers import realistic, tone

from ravecourse.config import preset
from ravecourse.model import RAVE, Controls, source
from ravecourse.model import controls as analysis
from ravecourse.model.controls import hold, note_to_hertz

RATE, HOP = 48000, 256


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def model(**options: object) -> RAVE:
    return realistic(RAVE(preset("tiny", **{"capacity": 8, "latent_size": 6, **options}), 3), 3)


def steady(note: float, frames: int, loudness: float = 80.0, seed: int = 0) -> torch.Tensor:
    """Latents [1, 8, F] that stand still at a note."""
    learned = torch.randn(1, 6, 1, generator=torch.Generator().manual_seed(seed))
    return torch.cat([torch.tensor([[[note], [loudness]]]), learned], 1).repeat(1, 1, frames)


@pytest.mark.parametrize(("name", "causal"), [("tiny", False), ("tiny", True), ("low_latency", True), ("small", False)])
@pytest.mark.parametrize("note", [34, 45.3, 57, 69, 81, 94])
def test_pitch_and_loudness_of_a_tone(note: float, name: str, causal: bool) -> None:
    controls = Controls(preset(name, causal=causal))
    filled = controls.window // controls.hop_length + 2  # frames, until a window lies in the tone as a whole
    for gain in (1.0, 0.05):
        sound = gain * tone(note_to_hertz(torch.full((controls.hop_length * 80,), float(note))), noise=0.0)
        found = controls(sound[None])[0, :, filled:-8]
        assert (found[0] - note).abs().max() < 0.05
        wanted = 100 + 10 * math.log10(float(sound.square().mean()))
        assert (found[1] - wanted).abs().max() < 1.0


def test_what_has_no_pitch_keeps_the_last_one_and_silence_is_zero() -> None:
    noise = 0.1 * torch.randn(1, HOP * 40, generator=torch.Generator().manual_seed(1))
    sound = torch.cat([noise, tone(torch.full((HOP * 40,), 220.0)), noise, torch.zeros(1, HOP * 40)], 1)
    notes, loudness = Controls(preset("tiny"))(sound[None])[0]
    assert (notes[:30] == 0).float().mean() > 0.9
    assert (notes[46:76] - 57).abs().max() < 0.05
    assert ((notes[86:] - 57).abs() < 0.5).float().mean() > 0.9
    assert (loudness[130:] == 0).all() and (loudness[:120] > 70).all()


def test_hold() -> None:
    notes = torch.tensor([[0.0, 5, 0, 0, 7, 0], [0, 0, 0, 3, 0, 4]])
    assert hold(notes, torch.tensor([[2.0], [0]])).tolist() == [[2, 5, 5, 5, 7, 7], [0, 0, 0, 3, 3, 4]]


def test_a_causal_analysis_never_looks_ahead_and_another_sees_the_middle() -> None:
    sound = tone(torch.full((HOP * 60,), 200.0))
    for causal in (True, False):
        controls = Controls(preset("tiny", causal=causal))
        changed = sound.clone()
        changed[:, HOP * 30 :] = tone(torch.full((HOP * 30,), 320.0))
        different = (controls(sound[None]) != controls(changed[None])).any(1)[0].nonzero()[:, 0]
        assert int(different.min()) == 30 - controls.lookahead_frames
        assert (controls.lookahead_frames == 0) == causal
        centre = controls.lookahead - controls.window // 2
        assert causal or abs(centre) < HOP


@pytest.mark.parametrize("note", [40.0, 57.3, 69.0, 88.0])
def test_a_held_latent_is_a_steady_tone_of_its_note(note: float) -> None:
    rave = model()
    sung = rave.source(steady(note, 400))[0, 0, HOP * 4 :]
    spectrum = torch.fft.rfft(sung * torch.hann_window(len(sung))).abs()
    hertz = float(note_to_hertz(torch.tensor(note)))
    width = RATE / len(sung)
    bins = torch.arange(len(spectrum)) * width
    near = ((bins / hertz - (bins / hertz).round()).abs() * hertz) < 8 * width
    assert spectrum[~near].square().sum() < 1e-5 * spectrum.square().sum()
    first = (bins - hertz).abs() < 3 * width
    peak = float((bins[first] * spectrum[first]).sum() / spectrum[first].sum())
    assert abs(12 * math.log2(peak / hertz)) < 0.05
    levels = sung.unfold(0, 4800, 4800).square().mean(1)
    assert levels.max() / levels.min() < 1.1  # windows hold no whole periods


def test_amplitude_follows_loudness_and_zero_is_silence() -> None:
    rave = model()
    quiet, loud = (rave.source.amplitudes(steady(60, 4, level)) for level in (60.0, 80.0))
    wanted = rave.source.net(source.scaled(steady(60, 4, 80.0).transpose(1, 2)).transpose(1, 2))
    torch.testing.assert_close(loud, (0.1 - 1e-5) * source.mod_sigmoid(wanted))
    assert quiet.max() < loud.max()
    assert not rave.source(torch.zeros(1, 8, 6)).any()
    assert not rave.source(steady(10, 6)).any()  # 14.6 Hz


def test_bands_are_as_loud_as_the_latent_says() -> None:
    """A straight line from the level of each frame to the next, from silence on; the bands' own amplitudes beside it."""
    rave = model()
    latents = steady(60, 6)
    latents[0, 1] = torch.tensor([80.0, 40, 0, 100, 120, 60])
    heard = []
    rave.decoder.wave.register_forward_hook(lambda layer, inputs, made: heard.append(made))
    made = rave.decode_bands(latents, noise=False)
    wave, amplitude = heard[0].chunk(2, 1)
    rms = np.array([0, *(10 ** (np.array([80.0, 40, 0, 100, 120, 60]) / 20) - 1) * 1e-5])
    steps = HOP // 16
    wanted = torch.from_numpy(np.interp(np.arange(1, 6 * steps + 1) / steps, np.arange(7), rms)).float()
    torch.testing.assert_close(made, torch.tanh(4 * wave * torch.sigmoid(amplitude) * wanted))
    assert made.abs().max() > 0.01 and made[..., 2 * steps :].abs().max(1)[0][0, steps - 1] == 0


def test_a_loudness_of_0_is_silent_with_its_noise() -> None:
    rave = model()
    latents = steady(60, 40)
    latents[0, 1, 10:] = 0.0
    made = rave.decode(latents)[0, 0]
    assert made[HOP * 2 : HOP * 9].abs().mean() > 1e-3
    assert not made[HOP * 20 : HOP * 38].any()


def test_no_harmonic_folds_back() -> None:
    rave = model()
    for note in (60.0, 84.0, 96.0):
        amplitudes = rave.source.amplitudes(steady(note, 3))[0, :, 1]
        number = torch.arange(1, len(amplitudes) + 1)
        high = note_to_hertz(torch.tensor(note)) * number > 0.45 * RATE
        assert not amplitudes[high].any() and amplitudes[~high].all()


def test_a_jump_of_pitch_makes_no_click() -> None:
    """The steepest step between neighbouring samples at the jump is that of the tones themselves."""
    rave = model()
    latents = torch.cat([steady(45, 40), steady(71, 40), steady(38, 40)], 2)
    sung = rave.source(latents)[0, 0]
    change = sung.diff().diff().abs()
    inside = torch.cat([change[HOP * 8 : HOP * 36], change[HOP * 48 : HOP * 76], change[HOP * 88 :]]).max()
    for jump in (40, 80):
        assert change[HOP * (jump - 3) : HOP * (jump + 5)].max() < 1.5 * inside


def test_the_source_does_not_move_what_has_none() -> None:
    plain = RAVE(preset("tiny", harmonics=0), 5).state_dict()
    assert not any(name.startswith(("source", "controls")) for name in plain)
    driven = RAVE(preset("tiny"), 5).state_dict()
    same = [name for name in plain if name.startswith("encoder")]
    assert same and all(torch.equal(plain[name], driven[name]) for name in same)


def two_periods(advantage: torch.Tensor) -> torch.Tensor:
    """Heights of peaks [1, F, 960] at the lags 200 and 300, the second higher by `advantage` [F]."""
    height = torch.zeros(1, len(advantage), 960)
    height[..., 199] = 0.8
    height[..., 299] = 0.8 + advantage
    return height


def chosen(height: torch.Tensor, last: torch.Tensor | None = None) -> tuple[list[int], torch.Tensor]:
    ear = Controls(preset("tiny"))
    heard = torch.ones(height.shape[:2], dtype=torch.bool)
    last = torch.zeros(1, 1) if last is None else last
    place, pitched, last = analysis.follow(height, heard, ear.cost, ear.notes, last)
    assert pitched.all()
    return (place[0] + 1).tolist(), last


def test_two_periods_that_are_about_equally_good_do_not_flicker() -> None:
    equal = float(analysis.OCTAVE_COST * math.log2(300 / 200))
    sway = equal + 0.8 * analysis.STAYS * torch.tensor([-1.0, 1.0] * 20)
    lags, _ = chosen(two_periods(sway))
    assert lags == [200] * 40
    lags, _ = chosen(two_periods(sway.flip(0)))
    assert lags == [300] * 40
    lags, _ = chosen(two_periods(equal + 1.2 * analysis.STAYS * torch.tensor([-1.0, 1.0] * 20)))
    assert lags == [200, 300] * 20  # where another is clearly better, it is taken


@pytest.mark.parametrize("cut", [1, 7, 39])
def test_the_choice_goes_on_where_it_was(cut: int) -> None:
    height = two_periods(0.05 * torch.randn(40, generator=torch.Generator().manual_seed(0)))
    whole, end = chosen(height)
    first, last = chosen(height[:, :cut])
    second, last = chosen(height[:, cut:], last)
    assert first + second == whole and torch.equal(last, end)
    assert set(whole) == {200, 300}


def test_what_is_no_pitch_leaves_the_last_note() -> None:
    ear = Controls(preset("tiny"))
    height = two_periods(torch.zeros(4))
    height[:, 1] *= 0.1  # not periodic
    heard = torch.tensor([[True, True, False, True]])
    _, pitched, last = analysis.follow(height, heard, ear.cost, ear.notes, torch.zeros(1, 1))
    assert pitched.tolist() == [[True, False, False, True]]
    assert float(last) == pytest.approx(69 + 12 * math.log2(48000 / 200 / 440), abs=1e-4)
