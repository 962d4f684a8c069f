"""nn~ in a real Pd plays what Python computes, sample for sample: kit's exports and others, every kind of buffer."""

import os
from pathlib import Path

import pytest
import torch
from helpers import realistic
from pd_models import Analyse, Echo, Keeps, Settings, Wrong, save
from torch import Tensor

from ravecourse.config import preset
from ravecourse.export import torchscript
from ravecourse.export.exporter import export_model
from ravecourse.model.rave import RAVE
from ravecourse.playback import puredata
from ravecourse.playback.puredata import Patch, expected, play

OTHERS = os.environ.get("NN") == "upstream"  # the well-known nn~, which does not say how late it is
QUIET = {"noise": 0.0, "variation": 0.0}
BUFFERS = [0, 512, 1024, 2048, 4096, 8192, 16384]
METHODS = ["encode", "decode", "forward"]
EXPORTS = [
    (method, buffer, 1 + (i + j) % 2)
    for i, method in enumerate(METHODS)
    for j, buffer in enumerate([0, 512, 4096, 16384])
]
EXPORTS += [(method, 2048, channels) for method in METHODS for channels in (1, 2)]
EXPORTS += [("forward", 1024, 1), ("forward", 8192, 2)]


def noise(channels: int, samples: int = 40000, seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def compare(
    path: Path,
    method: str,
    buffer: int,
    folder: Path,
    externals: Path,
    *,
    block: int = 64,
    rate: int = 48000,
    tolerance: float = 0.0,
    random: bool = False,
) -> int:
    """Play noise in Pd and in Python; every sample must be the same. Returns by how much it was late."""
    model = torchscript.load(path)
    what = model.method(method)
    quiet = {name: value for name, value in QUIET.items() if name in model.attributes and not random}
    audio = noise(what.in_channels)
    if what.in_ratio > 1:  # what a latent is: one value for the whole frame
        audio = 3 * audio[:, :: what.in_ratio].repeat_interleave(what.in_ratio, -1)[:, : audio.shape[1]]
        if model.metadata.get("named_latents"):
            audio[:2] = 5 * audio[:2] + 65  # a pitch, and a loudness
    messages = [(0.0, f"set {name} {value:g}") for name, value in quiet.items()]
    messages += [] if OTHERS else [(30.0, "bang")]
    patch = Patch(f"{path} {method} {buffer}", what.in_channels, what.out_channels, block, messages, rate)
    ran = play(patch, audio, folder, externals)
    assert ran.status == 0 and not ran.errors, ran.console
    assert ran.audio is not None, ran.console
    used = torchscript.buffer_size(model, buffer)
    late = used - block + used * (buffer > 0) if OTHERS else int(ran.info("latency")[0][0])
    wanted = expected(model, audio, method, buffer, late, quiet)
    assert late < audio.shape[1] - 5000 and wanted[:, late:].abs().max() > 0.01, "silence proves nothing"
    torch.testing.assert_close(ran.audio, wanted, rtol=0, atol=tolerance)
    assert OTHERS or ran.info("late") == [["0"]]
    return late


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The kit's own export of a causal model, mono and stereo, with weights that all matter."""
    folder = tmp_path_factory.mktemp("exported")
    for channels in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(channels)
            model = realistic(RAVE(preset("tiny", causal=True, channels=channels)), seed=channels)
        export_model(model, folder / f"{channels}.ts", about={}, latent_size=8)
    return {channels: folder / f"{channels}.ts" for channels in (1, 2)}


@pytest.mark.parametrize("method, buffer, channels", EXPORTS)
def test_an_export_of_the_course_sounds_in_pd_as_in_python(exported, method, buffer, channels, tmp_path, externals):
    late = compare(exported[channels], method, buffer, tmp_path, externals, tolerance=1e-6)
    used = max(buffer, 256)
    assert late == (used - 64 if buffer == 0 else 2 * used - 64)


def test_random_numbers_too(exported, tmp_path, externals):
    """In batch mode the noise of a model is drawn from a fixed seed."""
    compare(exported[2], "forward", 1024, tmp_path, externals, tolerance=1e-6, random=True)


@pytest.mark.parametrize("buffer", BUFFERS)
def test_a_model_with_memory_is_bit_exact(buffer, tmp_path, externals):
    compare(save(Echo(), tmp_path / "echo.ts"), "forward", buffer, tmp_path, externals)


@pytest.mark.parametrize(
    "buffer, block",
    [(0, 1), (0, 128), (0, 4096), (256, 16), (256, 256), (256, 1024), (2048, 1), (2048, 1024), (2048, 4096)],
)
def test_every_block_size_of_pd(buffer, block, tmp_path, externals):
    compare(save(Echo(2), tmp_path / "echo.ts"), "forward", buffer, tmp_path, externals, block=block)


@pytest.mark.parametrize(
    "method, channels, buffer",
    [("encode", 1, 0), ("encode", 3, 1024), ("decode", 2, 0), ("decode", 1, 4096), ("forward", 2, 256)],
)
def test_ratios_of_other_exporters(method, channels, buffer, tmp_path, externals):
    compare(save(Analyse(channels), tmp_path / "analyse.ts"), method, buffer, tmp_path, externals)


def test_buffers_that_are_not_possible_become_the_next_that_is(tmp_path, externals):
    save(Analyse(1), tmp_path / "a.ts")
    for asked, used in [(100, 256), (257, 512), (1e9, 1 << 20), (-3, 256)]:
        ran = play(Patch(f"a.ts forward {asked:g}", messages=[(1, "bang")]), noise(1, 500), tmp_path, externals)
        assert ran.info("buffer") == [[f"{used}"]] or ran.info("buffer") == [[f"{used:g}"]], ran.console
        assert ran.status == 0 and not ran.errors


@pytest.mark.parametrize("name", ["with a space", "a, comma", "semi;colon", "cost $1", "two  spaces"])
def test_a_model_in_a_folder_of_any_name(name, tmp_path, externals):
    folder = tmp_path / name
    folder.mkdir()
    save(Analyse(1), folder / "a.ts")
    ran = play(Patch(f"{puredata.symbol(folder / 'a.ts')} forward 256"), noise(1, 2000), tmp_path, externals)
    assert ran.status == 0 and not ran.errors and ran.audio.abs().max() > 0, ran.console


def test_a_run_is_the_same_every_time(tmp_path, externals):
    save(Echo(), tmp_path / "echo.ts")
    patch = Patch("echo.ts forward 256", messages=[(100, "bufsize 512"), (200, "load echo.ts"), (300, "bufsize 0")])
    first, second = (play(patch, noise(1), tmp_path, externals) for _ in range(2))
    assert first.status == 0 and torch.equal(first.audio, second.audio) and first.audio.abs().max() > 0.1


def test_what_a_model_is_given_is_its_own(tmp_path, externals):
    compare(save(Wrong("in place"), tmp_path / "in_place.ts"), "forward", 0, tmp_path, externals)
    compare(save(Keeps(), tmp_path / "keeps.ts"), "forward", 64, tmp_path, externals)


@pytest.mark.parametrize("what", ["double", "strided"])
def test_other_forms_of_good_answers(what, tmp_path, externals):
    patch = Patch("w.ts forward 256")
    save(Wrong(what), tmp_path / "w.ts")
    ran = play(patch, audio := noise(1), tmp_path, externals)
    assert torch.equal(ran.audio[:, 448:], audio[:, :-448]) and not ran.errors


def test_attributes_are_set_in_the_middle_of_the_sound(tmp_path, externals):
    save(Settings(), tmp_path / "settings.ts")
    audio = noise(1)
    ran = play(
        Patch("settings.ts forward 0", messages=[(400, "set gain 0.25"), (401, "get gain")]), audio, tmp_path, externals
    )
    change = int(48000 * 0.4)
    assert ran.info("gain") == [["0.25"]]
    assert torch.equal(ran.audio[:, : change - 64], audio[:, : change - 64])
    assert torch.equal(ran.audio[:, change + 64 :], 0.25 * audio[:, change + 64 :])


def test_enable_and_methods_by_message(tmp_path, externals):
    save(Analyse(1), tmp_path / "a.ts")
    audio = noise(1)
    messages = [(0, "method forward"), (200, "enable 0"), (400, "enable 1"), (600, "method encode"), (601, "bang")]
    ran = play(Patch("a.ts encode 256", 1, 2, messages=messages), audio, tmp_path, externals)
    heard = ran.audio[0].view(-1)
    late = 448
    wanted = expected(torchscript.load(tmp_path / "a.ts"), audio, "forward", 256, late)[0]
    assert torch.equal(heard[:9536], wanted[:9536])
    assert heard[9700:19100].abs().max() == 0
    assert heard[20000:28700].abs().min() >= 0 and heard[20000:28700].abs().max() > 0.1
    assert ran.audio[1, :28700].abs().max() == 0  # forward gives one signal
    held = ran.audio[:, 30000 : 30000 + 256 * 20]
    assert held[1].max() > 0.5 and (held[:, 1:] != held[:, :-1]).sum() <= 2 * 21  # each value is held
    assert ran.info("method")[-1][0] == "encode"


def test_the_info_outlet_says_what_a_player_needs(exported, tmp_path, externals):
    model = torchscript.load(exported[1])
    patch = Patch(f"{exported[1]} forward 2048", messages=[(500, "bang")], rate=44100)
    ran = play(patch, noise(1), tmp_path, externals)
    late = 2 * 2048 - 64
    assert [float(x) for x in ran.info("latency")[0]] == pytest.approx([late, 1000 * late / 44100], rel=1e-4)
    assert int(ran.info("delay")[0][0]) == model.delay_samples()
    assert ran.info("samplerate") == [["48000", "44100"]]
    assert ran.info("method") == [["forward", "1", "1", "1", "1"]]
    ranges = [float(x) for x in ran.info("ranges")[0]]
    assert len(ranges) == 6 and ranges == pytest.approx(model.metadata["latent_std"], rel=1e-4)
    assert 0 < float(ran.info("load")[0][0]) < 100
    assert "trained at 48000 Hz and Pd runs at 44100 Hz" in ran.console


def test_the_proof_of_pd_install_finds_a_difference(tmp_path, externals, monkeypatch):
    save(Echo(), tmp_path / "echo.ts")
    assert len(puredata.verify(tmp_path / "echo.ts", externals, tmp_path / "a")) == 2
    right = puredata.expected
    monkeypatch.setattr(puredata, "expected", lambda *args: right(*args) + 1e-5)
    with pytest.raises(puredata.RaveCourseError, match="differ"):
        puredata.verify(tmp_path / "echo.ts", externals, tmp_path / "b")


def test_wide_objects_where_pd_has_them(tmp_path, externals):
    """-m: one inlet and one outlet with all signals. Needs Pd 0.54; older ones must say so and play on."""
    save(Echo(3), tmp_path / "echo.ts")
    audio = noise(3)
    ran = play(Patch("-m echo.ts forward 256", 3, 3, multichannel=True), audio, tmp_path, externals)
    if "needs Pd 0.54" in ran.console:
        ran = play(Patch("-m echo.ts forward 256", 3, 3), audio, tmp_path, externals)
    wanted = expected(torchscript.load(tmp_path / "echo.ts"), audio, "forward", 256, 448)
    assert ran.status == 0 and torch.equal(ran.audio, wanted)
