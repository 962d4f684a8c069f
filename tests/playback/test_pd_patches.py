"""The patches that a student opens: each sounds, each knob does something, and each looks as it should."""

import os
from pathlib import Path

import pytest
import torch
from pd_patches import NAMES, picture, render, text_of, why_no_pictures
from pd_patches import beside as put_beside
from torch import Tensor

from ravecourse import audio as sound
from ravecourse.export import torchscript
from ravecourse.playback import patch_assets
from ravecourse.playback.player import Player
from ravecourse.playback.puredata import RATE, PdRun

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


def constant(path: Path, latents: list[float], frames: int = 200) -> Tensor:
    """The last frame of what a model makes of latents that do not change, in Python."""
    model = torchscript.load(path)
    player = Player(model, "decode", 0)
    player._module.set_noise(0.0)
    z = torch.tensor(latents)[None, :, None].expand(1, 8, player.buffer)
    return torch.cat([player.process(z)[0, 0] for _ in range(frames)])[-player.buffer :]


def test_sliders_are_the_latents(heard, materials):
    """Position, centre and range, times the deviation that the model tells: the sound equals Python's."""
    deviations = torchscript.read_metadata(materials / "strings.ts")["latent_std"]
    positions, ranges, centres = [0.5, -0.25, 1, 0, -1, 0.1, 0.75, 0.2], [3] * 8, [0.0] * 8
    ranges[1], centres[2], ranges[7], centres[0] = 1.5, -0.5, 6, 0.25
    messages = [(0, "p2-nn set noise 0"), (0, "p2-nn set variation 0"), (0, "p2-out-level 1"), (0, "p2-gliding 1")]
    for i in range(8):
        messages += [
            (5, f"p2-range-{i + 1} {ranges[i]}"),
            (5, f"p2-centre-{i + 1} {centres[i]}"),
            (6, f"p2-slider-{i + 1} {positions[i]}"),
        ]
    audio, _ = heard(2, messages, 2.0)
    latents = [d * (c + r * x) for d, c, r, x in zip(deviations, centres, ranges, positions, strict=True)]
    wanted = constant(materials / "strings.ts", latents)
    end = audio[-4096:]
    assert torch.allclose(end[:256], end[256:512], atol=1e-3), "constant latents give a tone of one frame"
    matches = min(float((end[k : k + 256] - wanted.clamp(-1, 1)).abs().max()) for k in range(256))
    assert matches < 2e-3 and wanted.std() > 1e-4


def test_every_slider_changes_the_sound(heard):
    still = [(0, "p2-nn set noise 0"), (0, "p2-gliding 1")]
    middle, _ = heard(2, still, 1.0)
    for i in range(1, 9):
        moved, _ = heard(2, [*still, (10, f"p2-slider-{i} 1")], 1.0)
        assert (moved - middle)[RATE // 2 :].abs().max() > 1e-4, i


def test_rest_random_and_wander(heard):
    messages = [
        (0, "p2-nn set noise 0"),
        (0, "p2-gliding 1"),
        (0, "p2-every 100"),
        (500, "p2-random bang"),
        (1000, "p2-rest bang"),
        (1500, "p2-wander 1"),
    ]
    audio, _ = heard(2, messages, 2.5)
    rest, random, again, one, two = (audio[int(at * RATE) :][:4096] for at in (0.4, 0.9, 1.4, 2.01, 2.41))
    assert torch.allclose(rest[:256], again[:256], atol=1e-3) or abs(loudness(rest) - loudness(again)) < 1e-3
    assert (random - rest).abs().max() > 0.002 and (one - two).abs().max() > 0.002


# --- 3 ---------------------------------------------------------------------------------------------------------------

LOOP = [
    (0, "p3-nn-a set noise 0"),
    (0, "p3-nn-b set noise 0"),
    (600, "p3-record 1"),
    (1400, "p3-record 0"),
    (1410, "p3-play 1"),
]


def similar(x: Tensor, y: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(x, y, 0))


def test_a_recorded_loop_comes_again(heard):
    audio, ran = heard(3, LOOP, 4.6, "p3-length")
    length = round(float(ran.console.split()[1]) * 48)
    assert length == 38400, "800 ms"
    first, second, third = (audio[int(1.9 * RATE) + k * length :][:length] for k in range(3))
    assert loudness(first) > 0.003 and similar(first, second) > 0.98 and similar(first, third) > 0.98
    assert similar(first, audio[int(1.9 * RATE) + length // 3 :][:length]) < 0.9
    live, _ = heard(3, LOOP[:-1], 4.6)
    assert similar(live[int(1.9 * RATE) :][:length], live[int(1.9 * RATE) + length :][:length]) < 0.9


def test_speed_and_position_of_the_loop(heard):
    plain, _ = heard(3, LOOP, 4.0)
    length = int(38400 // 256 * 256)
    slow, _ = heard(3, [*LOOP, (1420, "p3-speed 0.5")], 5.4)
    first, second = (slow[int(2.0 * RATE) + k * 2 * length :][: 2 * length - 6000] for k in range(2))
    assert similar(first[:60000], second[:60000]) > 0.9, "at half the speed it takes twice the time"
    assert abs(similar(slow[int(2.0 * RATE) :][:length], slow[int(2.0 * RATE) + length :][:length])) < 0.9
    other, _ = heard(3, [*LOOP, (1420, "p3-position 0.5")], 4.0)
    at = int(2.2 * RATE)
    assert similar(other[at:][:length], plain[at + length // 2 :][:length]) > 0.9
    still, _ = heard(3, [*LOOP, (1420, "p3-speed 0")], 4.0)
    assert torch.allclose(still[-512:-256], still[-256:], atol=1e-3), "held"


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
    quick, _ = heard(3, [*same, (0, "p3-crossfade 1"), *other("b")], 2.0)
    middle, _ = heard(3, [*same, (0, "p3-crossfade 0.5"), *other("b")], 2.0)
    assert (quick - a)[RATE:].abs().max() > 0.003
    torch.testing.assert_close(middle[RATE:], 0.5**0.5 * (a + quick)[RATE:], rtol=0, atol=1e-2)


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
