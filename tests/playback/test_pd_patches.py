"""The patches that a student opens: each sounds, each knob does something, and each looks as it should."""

import math
import os
from pathlib import Path

import pytest
import torch
from pd_patches import NAMES, picture, render, text_of, why_no_pictures
from pd_patches import beside as put_beside
from torch import Tensor

from ravecourse import audio as sound
from ravecourse.evaluation import tracks
from ravecourse.export import torchscript
from ravecourse.playback import patch_assets
from ravecourse.playback.player import Player
from ravecourse.playback.puredata import RATE, PdRun
from ravecourse.training import log_mel_distance

OURS = ("INFO: ", "heard.wav: biggest", "nn~: noise: ")  # lines of the console that the tests ask for


@pytest.fixture(scope="session")
def materials(project: Path) -> Path:
    """The folder with the models and sounds that the patches use."""
    patch_assets.materials(project / "build" / "patches")
    return project / "build" / "patches"


@pytest.fixture
def heard(tmp_path: Path, materials: Path, externals: Path):
    """Play a patch: heard(1, [(0, "p1-mix 0")], 2.0) is [T], what goes to both sides of the sound card."""

    def play(number: int, messages: list[tuple[float, str]], seconds: float, listen: str = "") -> tuple[Tensor, PdRun]:
        ran = render(number, messages, seconds, tmp_path, materials, externals, listen)
        said = [line for line in ran.console.splitlines() if not line.startswith(OURS)]
        assert ran.status == 0 and not said and ran.audio is not None, ran.console
        assert torch.isfinite(ran.audio).all() and torch.equal(ran.audio[0], ran.audio[1])
        return ran.audio[0], ran

    return play


def loudness(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


def lag(x: Tensor, y: Tensor, most: int = 16384) -> int:
    """By how many samples y is later than x."""
    n = 1 << (2 * len(x) - 1).bit_length()
    product = torch.fft.rfft(y, n) * torch.fft.rfft(x, n).conj()
    return int(torch.fft.irfft(product, n)[:most].abs().argmax())


@pytest.mark.parametrize("number", NAMES)
def test_each_patch_sounds_as_it_opens(number, heard):
    audio, _ = heard(number, [], 3.0)
    assert 0.003 < loudness(audio[RATE:]) < 0.5 and audio.abs().max() < 0.99, (loudness(audio), audio.abs().max())


@pytest.mark.parametrize("number", NAMES)
def test_sound_on_and_levels(number, heard):
    """The switch turns Pd's sound on and off, levels are levels."""
    p = f"p{number}"
    audio, _ = heard(
        number,
        [
            (0, f"{p}-out-level 0"),
            (600, f"{p}-out-level 1"),
            (1400, f"{p}-sound-on 1"),
            (1401, f"{p}-sound-on 0"),
            (1500, "pd dsp 1"),
        ],
        2.0,
    )
    assert audio[4000:28000].abs().max() == 0 and loudness(audio[40000:60000]) > 0.001


@pytest.mark.parametrize("number", [1, 3, 4])
def test_files_and_the_microphone(number, heard, tmp_path):
    p = f"p{number}"
    still = (0, f"{p}-nn{'-a' if number == 3 else ''} set noise 0")
    quiet = [(0, f"{p}-source 0"), still]
    nothing, _ = heard(number, quiet, 1.5)  # the microphone is silent here
    time = torch.arange(RATE) / RATE
    sound.write(tmp_path / "my tone.wav", 0.5 * torch.sin(2 * torch.pi * 330 * time)[None], RATE)
    tone, _ = heard(number, [(0, f"{p}-file symbol my\\ tone.wav"), still], 1.5)
    level, _ = heard(number, [(0, f"{p}-in-level 0"), still], 1.5)
    late = slice(RATE // 2, None)
    assert (tone - nothing)[late].abs().max() > 0.01
    torch.testing.assert_close(level[late], nothing[late], rtol=0, atol=1e-4)  # no level is as good as no sound


# --- 1 ---------------------------------------------------------------------------------------------------------------


def test_transfer_models_and_attributes(heard):
    plain, _ = heard(1, [], 1.5)
    for message in ("p1-model 1", "p1-noise 0", "p1-variation 2", "p1-in-level 0.2", "p1-buffer 0"):
        other, _ = heard(1, [(0, message)], 1.5)
        if message != "p1-model 1":  # models may be one another's copies
            least = 0 if message == "p1-noise 0" else 0.003  # how much noise a model needs, it learned
            assert (other - plain)[RATE:].abs().max() > least, message
    _, ran = heard(
        1,
        [
            (100, "p1-model 2"),
            (400, "p1-nn get noise"),
            (300, "p1-noise 1.5"),
            (600, "p1-model 0"),
            (1000, "p1-nn get noise"),
        ],
        1.4,
        "p1-info",
    )
    assert [Path(words[0]).name for words in ran.info("model")] == ["voice-fine.ts", "strings-fine.ts"]
    kept = [float(words[0]) for words in ran.info("noise")]
    assert kept == pytest.approx([1.5, 1.5], abs=0.02), "a new model is told what the slider says"


@pytest.mark.parametrize("buffer", range(4))
def test_your_own_sound_waits_for_the_model(buffer, heard, materials):
    dry, ran = heard(
        1, [(0, f"p1-buffer {buffer}"), (0, "p1-mix 0"), (0, "p1-out-level 1"), (900, "p1-nn bang")], 2.5, "p1-info"
    )
    clip = sound.read(materials / "voice.wav")[0][0]
    late = [int(float(ran.info(word)[-1][0])) for word in ("latency", "delay")]
    assert late[0] == 2 * (512 << buffer) - 64
    part = clip[RATE : 2 * RATE]
    found = lag(torch.nn.functional.pad(part, (RATE, len(dry) - 2 * RATE)), dry)
    assert abs(found - sum(late)) <= 128, (found, late)


# --- 2 ---------------------------------------------------------------------------------------------------------------

ALONE = [(0, "p2-play 0"), (0, "p2-out-level 1"), (0, "p2-nn set noise 0")]  # without the melody
SCALE = (48, 50, 52, 53, 55, 57, 59, 60)


def part(x: Tensor, start: float, end: float) -> Tensor:
    return x[int(start * RATE) : int(end * RATE)]


def decibels(x: Tensor) -> float:
    """As loudness counts: 100 for an RMS of 1."""
    return 100 + 20 * math.log10(loudness(x) + 1e-9)


def notes(x: Tensor) -> Tensor:
    """MIDI notes, of windows with a pitch."""
    hertz = tracks.pitch_track(x[None], RATE)[0]
    return 69 + 12 * (hertz[hertz > 0] / 440).log2()


def unlike(x: Tensor, y: Tensor) -> float:
    """The log-mel distance, which does not see the phases of harmonics."""
    return float(log_mel_distance(x[None], y[None], RATE))


def played(note: float, start: float, end: float, velocity: int = 100) -> list[tuple[float, str]]:
    return [(1000 * start, f"p2-note {note} {velocity}"), (1000 * end, f"p2-note {note} 0")]


def in_tune(x: Tensor, note: float, windows: int) -> bool:
    """Whether it has that note, within 20 cents, in so many windows at least, and no other."""
    found = notes(x)
    return len(found) >= windows and float((found - note).abs().max()) < 0.2


@pytest.mark.parametrize("model", [0, 1, 3, 4])
def test_a_scale_is_in_tune_and_between_its_notes_is_silence(model, heard):
    begin, apart = 1.0, 0.8
    score = [
        message for i, note in enumerate(SCALE) for message in played(note, begin + apart * i, begin + 0.5 + apart * i)
    ]
    audio, _ = heard(2, [*ALONE, (0, f"p2-model {model}"), *score], begin + apart * len(SCALE))
    for i, note in enumerate(SCALE):
        at = begin + apart * i
        assert in_tune(part(audio, at + 0.2, at + 0.5), note, 20), (note, notes(part(audio, at + 0.2, at + 0.5)))
        assert decibels(part(audio, at + 0.2, at + 0.5)) > 55
        assert decibels(part(audio, at - 0.04, at)) < 30, "silence"


def test_a_held_note_holds(heard):
    audio, _ = heard(2, [*ALONE, *played(55, 1, 4.5)], 4.5)
    held = part(audio, 1.4, 4.4)
    assert in_tune(held, 55, 280)
    levels = [decibels(x) for x in held.split(RATE // 4)]
    assert max(levels) - min(levels) < 3, levels


def test_computer_keys_and_a_key_that_repeats_itself(heard):
    """d is E; systems send up and down again and again while a key is held; x is an octave up."""
    again = [(1500 + 40 * i + j, f"#{'key' if j else 'keyup'} 100") for i in range(10) for j in range(2)]
    keys = [
        (1000, "#key 100"),
        *again,
        (2000, "#keyup 100"),
        (2600, "#key 120"),
        (2700, "#key 97"),
        (3200, "#keyup 97"),
    ]
    audio, _ = heard(2, [*ALONE, (0, "p2-octave 3"), *keys], 3.6)
    assert in_tune(part(audio, 1.3, 2.0), 52, 60)
    assert decibels(part(audio, 2.4, 2.6)) < 30 and decibels(part(audio, 3.5, 3.6)) < 30
    assert in_tune(part(audio, 2.95, 3.2), 60, 15)


def test_a_drawn_melody_and_its_rests(heard):
    drawn = [(0, "p2-out-level 1"), (0, "p2-step 100"), (1, "p2-melody const 57.4")]
    free = [(1600, "p2-semitones 0"), (2600, "p2-melody const 36")]
    audio, _ = heard(2, [*drawn, *free], 3.4)
    found = notes(part(audio, 1, 1.6))
    assert abs(float(found.median()) - 57) < 0.05, "rounded to the semitone"
    assert abs(float(notes(part(audio, 2, 2.6)).median()) - 57.4) < 0.05, "as drawn"
    assert decibels(part(audio, 3.2, 3.4)) < 30, "a rest"


def test_what_the_pitch_and_loudness_controls_do(heard):
    plain, _ = heard(2, [*ALONE, *played(55, 1, 2)], 2)
    high, _ = heard(2, [*ALONE, (0, "p2-transpose 7"), *played(55, 1, 2)], 2)
    assert in_tune(part(high, 1.3, 2), 62, 60)
    soft, _ = heard(2, [*ALONE, (0, "p2-loudness 60"), *played(55, 1, 2)], 2)
    assert 8 < decibels(part(plain, 1.3, 2)) - decibels(part(soft, 1.3, 2)) < 24
    struck, _ = heard(2, [*ALONE, *played(55, 1, 2, velocity=40)], 2)
    assert decibels(part(plain, 1.3, 2)) - decibels(part(struck, 1.3, 2)) > 5
    moving, _ = heard(2, [*ALONE, (0, "p2-depth 80"), *played(55, 1, 2)], 2)
    found = notes(part(moving, 1.3, 2)) - 55
    assert 0.6 < float(found.max()) < 1 and -1 < float(found.min()) < -0.6, "vibrato"
    kept, _ = heard(2, [*ALONE, (0, "p2-hold 1"), *played(55, 1, 1.2), (1800, "p2-hold 0")], 2.4)
    assert in_tune(part(kept, 1.4, 1.8), 55, 30) and decibels(part(kept, 2.3, 2.4)) < 30
    slow, _ = heard(2, [*ALONE, (0, "p2-slide 800"), *played(48, 1, 2), *played(60, 2, 3)], 2.5)
    assert 52 < float(notes(part(slow, 2.4, 2.5)).median()) < 57, "on its way"


def constant(path: Path, latents: list[float], seconds: float = 1.5) -> Tensor:
    """The end of what a model makes of latents that do not change, in Python, `[RATE / 2]`."""
    model = torchscript.load(path)
    player = Player(model, "decode", 0)
    player._module.set_noise(0.0)
    z = torch.tensor(latents)[None, :, None].expand(1, 8, player.buffer)
    return torch.cat([player.process(z)[0, 0] for _ in range(int(seconds * RATE / player.buffer))])[-RATE // 2 :]


def test_sliders_are_the_learned_latents(heard, materials):
    """Position and range, times the deviation that the model tells: it sounds as in Python."""
    deviations = torchscript.read_metadata(materials / "voice.ts")["latent_std"]
    positions, ranges = [0.5, -0.25, 1, 0, -1, 0.1], [3, 1.5, 3, 3, 2, 3]
    messages = [*ALONE, (0, "p2-gliding 1"), (0, "p2-sustain 1"), *played(57, 1, 3)]
    for i in range(6):
        messages += [(5, f"p2-range-{i + 1} {ranges[i]}"), (6, f"p2-slider-{i + 1} {positions[i]}")]
    audio, _ = heard(2, messages, 2.5)
    latents = [d * r * x for d, r, x in zip(deviations, ranges, positions, strict=True)]
    wanted = constant(materials / "voice.ts", [57, 76, *latents])
    plain = constant(materials / "voice.ts", [57, 76, *[0.0] * 6])
    length = RATE * 2 // 5
    held = audio[-length:]
    # where in its periods a steady sound is cut changes its spectrum: compare cuts over one period of the note, 218 samples
    closest = min(unlike(held, wanted[cut : cut + length]) for cut in range(0, 219, 18))
    assert closest < 0.05 < 0.1 < unlike(plain, wanted)


def test_every_slider_changes_the_sound(heard):
    still = [*ALONE, (0, "p2-gliding 1"), *played(55, 1, 7)]
    moves = [
        message
        for i in range(6)
        for message in ((1500 + 700 * i, f"p2-slider-{i + 1} 1"), (1850 + 700 * i, f"p2-slider-{i + 1} 0"))
    ]
    audio, _ = heard(2, [*still, *moves], 5.8)
    middle = part(audio, 1.3, 1.5)
    for i in range(6):
        at = 1.5 + 0.7 * i
        assert unlike(part(audio, at + 0.15, at + 0.35), middle) > 0.01, i


def test_rest_random_and_wander(heard):
    messages = [*ALONE, (0, "p2-gliding 1"), (0, "p2-every 400"), *played(55, 1, 6)]
    messages += [(1600, "p2-random bang"), (2100, "p2-rest bang"), (2600, "p2-wander 1")]
    audio, _ = heard(2, messages, 3.8)
    rest, random, again, one, two = (part(audio, at, at + 0.2) for at in (1.4, 1.9, 2.4, 2.8, 3.2))
    assert unlike(rest, again) < 0.03 < unlike(rest, random) and unlike(one, two) > 0.03


# --- 3 ---------------------------------------------------------------------------------------------------------------

TWO_NOTES = (57, 64)  # each for so many seconds in the file:
LASTS = 0.4
LOOP = [
    (0, "p3-file symbol notes.wav"),
    (0, "p3-nn-a set noise 0"),
    (0, "p3-nn-b set noise 0"),
    (1200, "p3-record 1"),
    (2000, "p3-record 0"),
    (2010, "p3-play 1"),
]


@pytest.fixture
def two_notes(tmp_path: Path) -> None:
    """notes.wav: two notes with ten harmonics, again and again."""
    time = torch.arange(int(LASTS * RATE)) / RATE
    fade = torch.minimum(torch.minimum(time, LASTS - time) / 0.02, torch.tensor(1.0))
    hertz = [440 * 2 ** ((note - 69) / 12) for note in TWO_NOTES]
    tones = [fade * sum(torch.sin(2 * torch.pi * h * k * time) / k for k in range(1, 11)) for h in hertz]
    sound.write(tmp_path / "notes.wav", 0.15 * torch.cat(tones)[None], RATE)


def share(x: Tensor, note: float) -> float:
    """Of windows with a pitch, those within 20 cents of a note."""
    return float(((notes(x) - note).abs() < 0.2).float().mean())


def comb(x: Tensor, hertz: float = RATE / 256) -> float:
    """Energy at multiples of the frame rate that no harmonic of the two notes comes near, in dB of the whole."""
    power = torch.fft.rfft(x * torch.blackman_window(len(x))).abs().square()
    at = torch.arange(len(power)) * RATE / len(x)

    def near(f0: float, width: float) -> Tensor:
        return ((at - (at / f0).round() * f0).abs() < width) & (at > f0 / 2)

    lines = near(hertz, 5)
    for note in TWO_NOTES:
        lines &= ~near(440 * 2 ** ((note - 69) / 12), 40)
    return 10 * math.log10(float(power[lines].sum() / power.sum()) + 1e-12)


def test_a_recorded_loop_comes_again(two_notes, heard):
    audio, ran = heard(3, LOOP, 5.0, "p3-length")
    length = round(float(ran.console.split()[1]) * 48)
    assert length % 256 == 0 and 38400 - 512 <= length <= 38400, "800 ms"
    first, second = (audio[int(2.6 * RATE) + k * length :][:length] for k in range(2))
    assert unlike(first, second) < 0.15 < unlike(first, audio[int(2.6 * RATE) + length // 2 :][:length])
    for note in TWO_NOTES:
        assert 0.3 < share(first, note) < 0.6, note


def test_a_loop_played_four_times_slower_keeps_its_pitches(two_notes, heard):
    slow, _ = heard(3, [*LOOP, (2020, "p3-speed 0.25")], 6.2)
    once = part(slow, 2.6, 5.8)  # 3.2 s are all of it
    for note in TWO_NOTES:
        assert 0.4 < share(once, note) < 0.6, (note, share(once, note))
    assert comb(once) < -30, comb(once)
    longest = max(len(run) for run in "".join("a" if abs(float(n) - 57) < 0.2 else " " for n in notes(once)).split())
    assert longest > 60, "a note of 0.4 s lasts longer than 0.6 s"


def test_transposing_speed_and_position_of_the_loop(two_notes, heard):
    plain, _ = heard(3, LOOP, 4.4)
    high, _ = heard(3, [*LOOP, (2020, "p3-transpose 5")], 3.6)
    assert all(share(part(high, 2.7, 3.5), note + 5) > 0.3 for note in TWO_NOTES)
    back, _ = heard(3, [*LOOP, (2020, "p3-speed -1")], 3.6)
    assert all(share(part(back, 2.7, 3.5), note) > 0.3 for note in TWO_NOTES)
    other, _ = heard(3, [*LOOP, (2020, "p3-position 0.5")], 3.6)
    half = 19200 / RATE
    assert unlike(part(other, 2.7, 3.5), part(plain, 2.7 + half, 3.5 + half)) < 0.3
    assert unlike(part(other, 2.7, 3.5), part(plain, 2.7, 3.5)) > 0.3
    still, _ = heard(3, [*LOOP, (2100, "p3-speed 0")], 4.4)
    end = part(still, 3.0, 4.4)
    levels = [decibels(x) for x in end.split(RATE // 5)]
    assert float(notes(end).std()) < 0.05 and max(levels) - min(levels) < 1, "held"


def test_the_ends_of_the_crossfade_are_one_model_alone(heard):
    """What the other model does makes no difference at an end."""
    same = [(0, "p3-nn-a set noise 0"), (0, "p3-nn-b set noise 0")]

    def other(name: str) -> list[tuple[float, str]]:
        return [(0, f"p3-nn-{name} load low_latency.ts"), (1, f"p3-nn-{name} set noise 0")]

    a, _ = heard(3, [*same, (0, "p3-crossfade 0")], 2.0)
    a_alone, _ = heard(3, [*same, (0, "p3-crossfade 0"), *other("b")], 2.0)
    assert torch.equal(a, a_alone) and loudness(a) > 0.003
    b, _ = heard(3, [*same, (0, "p3-fit 0"), (0, "p3-crossfade 1")], 2.0)
    b_alone, _ = heard(3, [*same, (0, "p3-fit 0"), (0, "p3-crossfade 1"), *other("a")], 2.0)
    assert torch.equal(b, b_alone) and loudness(b) > 0.003
    low = [*same, (0, "p3-gain-out 0.2")]  # at the patch's own 0.7 an attack is cut off at full scale in the recording
    sounds = []
    for events in (
        [(0, "p3-crossfade 0")],
        [(0, "p3-crossfade 1"), *other("b")],
        [(0, "p3-crossfade 0.5"), *other("b")],
    ):
        sound, _ = heard(3, [*low, *events], 2.0)
        assert sound[RATE:].abs().max() < 0.99
        sounds.append(sound[RATE:] * (0.7 / 0.2))
    one, quick, middle = sounds
    assert (quick - one).abs().max() > 0.003
    torch.testing.assert_close(middle, 0.5**0.5 * (one + quick), rtol=0, atol=1e-2)


def test_fit_makes_latents_as_large_as_the_models_own(heard, tmp_path, materials):
    """With fit, B gets each latent times its deviation over A's."""
    loud, _ = heard(
        3,
        [
            (0, "p3-nn-b set noise 0"),
            (0, "p3-crossfade 1"),
            (0, "p3-nn-b load low_latency.ts"),
            (1, "p3-nn-b set noise 0"),
        ],
        1.5,
    )
    as_is, _ = heard(
        3,
        [
            (0, "p3-nn-b set noise 0"),
            (0, "p3-crossfade 1"),
            (0, "p3-nn-b load low_latency.ts"),
            (1, "p3-nn-b set noise 0"),
            (2, "p3-fit 0"),
        ],
        1.5,
    )
    assert (loud - as_is)[RATE:].abs().max() > 1e-4


# --- 4 ---------------------------------------------------------------------------------------------------------------


def click() -> Tensor:
    """What the patch sends to measure: three waves of 1500 Hz, as Pd's sinesum makes them."""
    return 0.9 * torch.sin(2 * torch.pi * (torch.arange(96) - 1) / 32)


def answer(path: Path, method: str = "forward") -> int:
    """Where the loudest sample of a model's answer to the click is, in Python, as the patch measures it."""
    player = Player(torchscript.load(path), method, 0)
    if "noise" in player.model.attributes:
        player._module.set_noise(0.0)
    audio = torch.zeros(1, 1, 2 * RATE)
    audio[..., RATE : RATE + 96] = click()
    out = torch.cat([player.process(block) for block in audio.split(player.buffer, -1)], -1)[0, 0, RATE:]
    return int(out[: RATE // 2].abs().argmax()) - int(click().abs().argmax())


@pytest.mark.parametrize("buffer", [0, 1, 2, 4])
@pytest.mark.parametrize("model", [0, 1])
def test_measured_latency(model, buffer, heard, materials):
    messages = [(0, f"p4-model {model}"), (0, f"p4-buffer {buffer}"), (500, "p4-measure bang"), (1500, "p4-nn bang")]
    _, ran = heard(4, messages, 1.8, "p4-info")
    _, shown = heard(4, messages, 1.8, "p4-measured")
    buffers, own = (int(float(ran.info(word)[-1][0])) for word in ("latency", "delay"))
    path = materials / ("strings.ts", "low_latency.ts")[model]
    hop = torchscript.read_metadata(path)["hop_length"]
    assert own == torchscript.load(path).delay_samples()
    assert buffers == (hop - 64 if buffer == 0 else 2 * (128 << buffer) - 64)
    measured = [int(line.split()[1]) for line in shown.console.splitlines() if line.startswith("INFO: ")]
    assert measured == [measured[0]], "one click, one number"
    assert abs(measured[0] - (buffers + answer(path))) <= hop, "the clicks differ in where they meet the model's frames"
    assert abs(measured[0] - (buffers + own)) <= 3 * hop, (measured, buffers, own)


def test_measured_latency_of_a_model_that_delays_exactly(heard, tmp_path, materials):
    """To the sample, where the model gives back the click itself."""
    from pd_models import Delay, save

    put_beside(tmp_path, materials)
    save(Delay(1234), tmp_path / "exact.ts")
    for buffer, late in ((0, 0), (2, 960)):
        messages = [(0, "p4-nn load exact.ts"), (1, f"p4-buffer {buffer}"), (500, "p4-measure bang")]
        _, ran = heard(4, messages, 1.8, "p4-measured")
        assert ran.console.split()[:2] == ["INFO:", f"{1234 + late}"], ran.console


# --- how they look ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NAMES)
def test_each_opens_with_a_window_and_no_message(number, tmp_path, materials, externals, project):
    """With KEEP_PICTURES=1 the pictures are kept in docs/patches."""
    if reason := why_no_pictures():
        pytest.skip(f"Pd's windows cannot be seen here: {reason}")
    folder = tmp_path / "nn~" / "patches"
    put_beside(folder, materials)
    (folder / f"{NAMES[number]}.pd").write_text(text_of(number))
    (folder.parent / "nn~.pd_linux").symlink_to(externals / "nn~.pd_linux")
    target = tmp_path / f"{NAMES[number]}.png"
    console = picture(folder / f"{NAMES[number]}.pd", target, tmp_path / "nowhere", tmp_path)
    assert not console.strip(), console
    assert target.stat().st_size > 5000, "an empty window"
    if os.environ.get("KEEP_PICTURES"):
        kept = project / "docs" / "patches" / target.name
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(target.read_bytes())


@pytest.mark.parametrize("number", NAMES)
def test_what_a_patch_needs_is_beside_it(number, materials):
    text = text_of(number)
    named = {word for word in text.replace(";", " ").split() if word.endswith((".ts", ".wav"))}
    assert named and all((materials / name).is_file() for name in named), named
    assert "#X declare -path ..;" in text and " declare -path ..;" in text
    assert all(len(line) < 500 for line in text.splitlines()) and "$0" not in text
