"""Whatever a patch or a file does, Pd stays up: first the list of what ends Pd with other builds of nn~, then more."""

import os
import random
import shutil
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch
from pd_models import Analyse, Echo, Named, Pair, Params, Settings, Slow, Wrong, save
from torch import Tensor

from ravecourse.export.torchscript import load
from ravecourse.playback.puredata import Patch, PdRun, expected, play, run_patch


def noise(channels: int = 1, samples: int = 24000) -> Tensor:
    return 0.3 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(0))


def survived(ran: PdRun) -> PdRun:
    """Pd came to the end of the patch: it quit by itself, and had recorded the sound before."""
    assert ran.status == 0, f"Pd ended with {ran.status}\n{ran.console[-3000:]}"
    assert ran.audio is not None and torch.isfinite(ran.audio).all(), ran.console[-3000:]
    return ran


@pytest.fixture
def bad_files(tmp_path: Path) -> list[str]:
    """Names of files in `tmp_path` that are no models, each wrong in another way."""
    good = save(Echo(), tmp_path / "good.ts").read_bytes()
    (tmp_path / "empty.ts").write_bytes(b"")
    (tmp_path / "text.ts").write_text("this is no model\n" * 50)
    (tmp_path / "random.ts").write_bytes(random.Random(0).randbytes(5000))
    (tmp_path / "looks_like_zip.ts").write_bytes(b"PK\3\4" + random.Random(1).randbytes(5000))
    (tmp_path / "folder.ts").mkdir()
    os.mkfifo(tmp_path / "pipe.ts")
    (tmp_path / "loop.ts").symlink_to("loop.ts")
    (tmp_path / "dangling.ts").symlink_to("nowhere.ts")
    torch.save(Echo().state_dict(), tmp_path / "weights.ts")
    for share in (0.1, 0.5, 0.9, 0.99):
        (tmp_path / f"cut_{share}.ts").write_bytes(good[: int(share * len(good))])
    newer(tmp_path / "good.ts", tmp_path / "newer.ts")
    for name, params in {
        "floats": torch.tensor([1.5, 1, 1, 1]),
        "none": torch.tensor([]),
        "negative": torch.tensor([-1, 1, 1, 1]),
        "huge": torch.tensor([1 << 40, 1, 1, 1]),
        "three": torch.tensor([1, 3, 1, 3]),
        "zero": torch.tensor([1, 0, 1, 0]),
        "nan": torch.tensor([1, float("nan"), 1, 1]),
    }.items():
        save(Params(params), tmp_path / f"params_{name}.ts")
    names = [path.name for path in sorted(tmp_path.iterdir()) if path.name not in ("good.ts",)]
    return [*names, "missing.ts", "no/such/folder/x.ts", "/", "x" * 3000, "pd"]


def newer(source: Path, target: Path) -> None:
    """Copy a .ts, and claim that a later version of TorchScript wrote it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = b"9999\n" if entry.filename.endswith("/version") else old.read(entry)
            new.writestr(entry.filename, data)


def test_files_that_are_no_models_when_the_object_is_made(bad_files, tmp_path, externals):
    objects = "".join(f"#X obj 10 {20 * i} nn~ {name} forward;\n" for i, name in enumerate(bad_files))
    patch = Patch("good.ts forward 0").text(24000) + objects
    audio = noise()
    (tmp_path / "played.wav").unlink(missing_ok=True)
    ran = play(_Text(patch), audio, tmp_path, externals)
    wanted = expected(load(tmp_path / "good.ts"), audio, "forward", 0, 0)
    assert torch.equal(survived(ran).audio, wanted)
    assert ran.console.count("couldn't create") == len(bad_files), ran.console
    assert "newer.ts is damaged, is not TorchScript, or was exported by a newer PyTorch" in ran.console
    assert "folder.ts is a folder" in ran.console and "there is no file" in ran.console
    assert "text.ts is not a TorchScript file" in ran.console


class _Text(Patch):
    """A patch whose text is given."""

    def __init__(self, text: str) -> None:
        super().__init__("")
        self.given = text

    def text(self, samples: int) -> str:
        return self.given


def test_files_that_are_no_models_by_message(bad_files, tmp_path, externals):
    messages = [(10 + 5 * i, f"load {name}") for i, name in enumerate(bad_files)]
    messages += [(400, "reload"), (410, "load"), (420, "load 1 2 3"), (430, "load /")]
    audio = noise()
    ran = survived(play(Patch("good.ts forward 0", messages=messages), audio, tmp_path, externals))
    first = int(48000 * 0.4) - 64  # the old model plays on as if nothing had happened
    wanted = expected(load(tmp_path / "good.ts"), audio, "forward", 0, 0)
    assert torch.equal(ran.audio[:, :first], wanted[:, :first])
    assert ran.console.count("The previous model keeps playing") >= len(bad_files)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run Pd as somebody else")
def test_a_file_that_may_not_be_read(externals):
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    with tempfile.TemporaryDirectory() as name:  # outside pytest's folders, which nobody else may enter
        folder = Path(name)
        folder.chmod(0o755)
        save(Echo(), folder / "secret.ts").chmod(0)
        text = Patch("secret.ts").text(2400)
        ran = run_patch(
            text,
            folder,
            externals,
            first_message="render list a b",
            before=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
        )
    if "can't open" in ran.console or "libtorch" in ran.console:
        pytest.skip("nn~ or Python's libtorch lies in a folder that nobody else may enter")
    assert ran.status == 0 and "secret.ts cannot be read" in ran.console, ran.console


def test_damage_anywhere_in_a_file(tmp_path, externals):
    """Each byte that is flipped gives a message or a model that plays; never the end of Pd."""
    good = save(Analyse(1), tmp_path / "good.ts").read_bytes()
    draw = random.Random(0)
    messages = []
    for i in range(120):
        data = bytearray(good)
        for _ in range(draw.choice((1, 1, 5, 200))):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        (tmp_path / f"damaged{i}.ts").write_bytes(data)
        messages.append((2 + 4 * i, f"load damaged{i}.ts"))
    ran = survived(play(Patch("good.ts forward 0", messages=messages), noise(), tmp_path, externals, seconds=120))
    assert ran.console.count("is damaged") > 10


SET_MESSAGES = [
    "set",
    "set 1",
    "set 5 6",
    "set gain",
    "set gain loud",
    "set gain 1 2 3",
    "set gain 1e+40",
    "set nonsense 1",
    "set on 1.000000",
    "set on true",
    "set on off",
    "set on maybe",
    "set steps 2.7 1",
    "set steps 1e+30 1",
    "set steps 1",
    "set label 3",
    "set label cold",
    "set curve 1 2 3",
    "set curve a b",
    "set offset 1 2",
    "set offset x",
    "set refuses 1",
    "set raises 1",
    "set answers 1",
    "set silent 0.5",
    "set absent 1",
    "set none 1",
    "set forward 1",
    "get",
    "get 7",
    "get nonsense",
    "get raises",
    "get answers",
    "get on",
    "get steps",
    "get label",
    "get curve",
    "get offset",
    "dump",
    "print",
    "bang",
]


@pytest.mark.parametrize("buffer", [0, 256])
def test_attributes_that_misbehave(buffer, tmp_path, externals):
    save(Settings(), tmp_path / "settings.ts")
    messages = [(5 + 5 * i, text) for i, text in enumerate(SET_MESSAGES)] + [(400, "set gain 0.5")]
    audio = noise()
    ran = survived(play(Patch(f"settings.ts forward {buffer}", messages=messages), audio, tmp_path, externals))
    late = 0 if buffer == 0 else 448
    end = ran.audio[:, 22000:]
    assert torch.equal(end, 0.5 * audio[:, 22000 - late : 24000 - late])
    assert ran.info("label")[0] == ["cold"] and ran.info("curve")[0] == ["1", "2", "3"]
    assert ran.info("offset")[0] == ["1", "2"] and ran.info("steps")[0] == ["9e+18", "0.5"]
    assert ran.info("answers")[0] == ["4"] and ran.info("on")[0] == ["0"]
    for told in (
        "the model rejected the value (-1)",
        "never that value",
        "no value today",
        "'loud' is not a number",
        "no attribute 'nonsense'",
        "the attribute 'absent' cannot be used",
        "expects 1 values, got 3",
    ):
        assert told in ran.console, told


@pytest.mark.parametrize("buffer", [4096, 8192, 65536])
def test_one_in_one_out_with_large_buffers(buffer, tmp_path, externals):
    save(Echo(), tmp_path / "echo.ts")
    audio = noise(1, 3 * buffer)
    ran = survived(play(Patch(f"echo.ts forward {buffer}"), audio, tmp_path, externals))
    assert torch.equal(ran.audio, expected(load(tmp_path / "echo.ts"), audio, "forward", buffer, 2 * buffer - 64))


def test_a_buffer_that_would_take_all_memory(tmp_path, externals):
    save(Named(["forward"], 900, 1, 900, 1), tmp_path / "many.ts")
    save(Echo(), tmp_path / "echo.ts")
    messages = [(50, "bufsize 1e+09"), (100, "bufsize 0"), (200, "load many.ts"), (250, "bufsize 1e+09")]
    ran = survived(play(Patch("echo.ts forward 256", messages=messages), noise(), tmp_path, externals))
    assert "more than a gigabyte" in ran.console and ran.audio[:, 13000:].abs().max() > 0.1
    ran = survived(play(Patch("many.ts forward 1e+09"), noise(), tmp_path, externals))
    assert "more than a gigabyte" in ran.console and ran.audio.abs().max() == 0


def test_an_unknown_method_is_told(tmp_path, externals):
    save(Echo(), tmp_path / "echo.ts")
    audio = noise()
    messages = [(100, "method other"), (110, "method"), (120, "method 3")]
    ran = survived(play(Patch("echo.ts nonsense 0", messages=messages), audio, tmp_path, externals))
    assert torch.equal(ran.audio, expected(load(tmp_path / "echo.ts"), audio, "forward", 0, 0))
    assert "no method 'nonsense' (it has: forward): playing 'forward'" in ran.console
    assert "no method 'other'" in ran.console


@pytest.mark.parametrize("buffer", [0, 256])
@pytest.mark.parametrize(
    "what", ["nan", "infinite", "raises", "later", "short", "long", "wide", "flat", "empty", "memory"]
)
def test_models_that_answer_wrong(what, buffer, tmp_path, externals):
    save(Wrong(what), tmp_path / "wrong.ts")
    save(Echo(), tmp_path / "echo.ts")
    audio = noise()
    patch = Patch(f"wrong.ts forward {buffer}", messages=[(300, "load echo.ts")])
    ran = survived(play(patch, audio, tmp_path, externals))
    assert ran.audio[:, 15500:].abs().max() > 0.1, "the next model plays"
    if what != "later":
        assert ran.audio[:, :14000].abs().max() == 0
    assert ("not finite" if what in ("nan", "infinite") else "the model failed, playing silence") in ran.console
    assert len(ran.errors) == 1, ran.errors  # told once, not once a block


def test_models_that_are_put_together_wrong(tmp_path, externals):
    files = [
        save(Pair(), tmp_path / "pair.ts"),
        save(Named(["forward", "nowhere"]), tmp_path / "nowhere.ts"),
        save(Named(["forward"], raises=True), tmp_path / "raises.ts"),
        save(Named(["get_methods"]), tmp_path / "itself.ts"),
        save(Named(["forward"], 900, 1, 1, 1), tmp_path / "many.ts"),
        save(Wrong("whole"), tmp_path / "whole.ts"),
    ]
    messages = [(20 + 40 * i, f"load {file.name}") for i, file in enumerate(files)]
    save(Echo(), tmp_path / "echo.ts")
    ran = survived(play(Patch("echo.ts forward 64", messages=messages), noise(), tmp_path, externals))
    assert "instead of a tensor" in ran.console and "'nowhere' cannot be used: there is no such method" in ran.console
    assert "no list today" in ran.console and "itself.ts has no method that nn~ can play" in ran.console
    assert "has 900 input and 1 output signals, this object has 1 and 1" in ran.console


@pytest.mark.parametrize("buffer", [0, 512, 4096])
def test_deleted_while_it_plays(buffer, tmp_path, externals):
    save(Echo(), tmp_path / "echo.ts")
    survived(
        play(
            Patch(f"echo.ts forward {buffer}", messages=[(5, "load echo.ts"), (100.5, "; pd-player clear")]),
            noise(),
            tmp_path,
            externals,
        )
    )


@pytest.mark.parametrize("buffer", [0, 256])
def test_replaced_by_models_with_other_channels(buffer, tmp_path, externals):
    for channels in (1, 2, 5):
        save(Echo(channels), tmp_path / f"echo{channels}.ts")
    save(Analyse(2), tmp_path / "analyse.ts")
    messages = [
        (100, "load echo5.ts"),
        (200, "load echo1.ts"),
        (250, "load analyse.ts"),
        (260, "method encode"),
        (270, "method decode"),
        (300, "load echo1.ts"),
        (400, "load echo2.ts"),
    ]
    audio = noise(2)
    ran = survived(play(Patch(f"echo2.ts forward {buffer}", 2, 2, messages=messages), audio, tmp_path, externals))
    seconds = [ran.audio[:, int(48000 * at) : int(48000 * (at + 0.03))] for at in (0.05, 0.15, 0.215, 0.35, 0.46)]
    assert [bool(part[0].abs().max() > 0.1) for part in seconds] == [True] * 5
    assert [bool(part[1].abs().max() > 0.1) for part in seconds] == [True, True, False, False, True]


def test_32_objects_at_once(tmp_path, externals):
    save(Echo(1, 10), tmp_path / "echo.ts")
    lines = [f"#X obj 10 {20 * i} nn~ echo.ts forward {64 << i % 6};" for i in range(32)]
    lines += ["#X obj 300 10 osc~ 440;", "#X obj 300 40 dac~;"]
    lines += [f"#X connect 32 0 {i} 0;\n#X connect {i} 0 33 0;" for i in range(32)]
    lines += ["#X obj 400 10 r go;", "#X msg 400 40 bang;", "#X connect 34 0 35 0;"]
    crowd = "#N canvas 0 0 500 500 crowd 0;\n" + "\n".join(lines) + "\n#X restore 500 500 pd crowd;\n"
    text = Patch("echo.ts forward 512", messages=[(300, "; pd-crowd clear")]).text(24000)
    audio = noise()
    ran = survived(play(_Text(text + crowd), audio, tmp_path, externals))
    assert torch.equal(ran.audio, expected(load(tmp_path / "echo.ts"), audio, "forward", 512, 960))
    assert not ran.errors


@pytest.mark.parametrize("buffer", [0, 64, 1024])
def test_block_sizes_and_dsp_while_it_plays(buffer, tmp_path, externals):
    save(Echo(2), tmp_path / "echo.ts")
    messages = [(30 * i + 20, f"; block set {size}") for i, size in enumerate((1, 4096, 16, 2048, 64, 8192, 32, 64))]
    for i in range(8):
        messages += [(270 + 20 * i, "; pd dsp 0"), (270.7 + 20 * i, "; pd dsp 1")]
    ran = survived(play(Patch(f"echo.ts forward {buffer}", 2, 2, messages=messages), noise(2), tmp_path, externals))
    assert not ran.errors and ran.audio.abs().max() > 0.1


@pytest.mark.parametrize("rate", [8000, 44100, 96000, 192000])
def test_other_sample_rates(rate, tmp_path, externals):
    save(Echo(), tmp_path / "echo.ts")
    audio = noise()
    ran = survived(play(Patch("echo.ts forward 256", rate=rate), audio, tmp_path, externals))
    assert torch.equal(ran.audio, expected(load(tmp_path / "echo.ts"), audio, "forward", 256, 448))


def test_without_a_model_and_with_strange_arguments(tmp_path, externals):
    save(Echo(), tmp_path / "echo.ts")
    messages = [
        (i, text)
        for i, text in enumerate(
            [
                "bang",
                "dump",
                "print",
                "reload",
                "get x",
                "set x 1",
                "method forward",
                "bufsize 0",
                "gpu 1",
                "enable x",
                "bufsize x",
                "gpu",
                "gpu x",
                "nonsense 1 2 3",
                "list 1 2 3",
                "symbol x",
                "1",
                "float 3",
                "bufsize -5",
            ]
        )
    ]
    messages += [(100, "load echo"), (110, "bufsize 0"), (200, "gpu 1")]
    ran = survived(play(Patch("", messages=messages), noise(), tmp_path, externals))
    assert ran.audio[:, :4000].abs().max() == 0 and ran.audio[:, 9000:].abs().max() > 0.1
    assert "there is no model: load one" in ran.console and "there is no message 'nonsense'" in ran.console
    for arguments in (
        "echo.ts forward 1e+30",
        "echo.ts forward -1e+30",
        "echo.ts 5 6 7",
        "echo.ts 512 forward",
        "echo forward 64 extra words -m 3",
        "-m",
        "5",
        "echo.ts forward nan",
    ):
        survived(play(Patch(arguments), noise(1, 2400), tmp_path, externals))


def random_messages(count: int, seed: int, models: list[str]) -> list[str]:
    """Messages of every kind, right and wrong, in an order that `seed` fixes."""
    draw = random.Random(seed)
    numbers = ["0", "1", "-1", "0.5", "1e+30", "-1e+30", "64", "3000", "1e-30", "99999999"]
    words = ["forward", "encode", "decode", "gain", "label", "on", "curve", "offset", "raises", "x", *numbers, *models]
    selectors = [
        "enable",
        "set",
        "get",
        "dump",
        "print",
        "bang",
        "gpu",
        "bufsize",
        "method",
        "load",
        "reload",
        "list",
        "symbol",
        "float",
        "nonsense",
    ]
    weights = [10, 40, 20, 4, 3, 8, 2, 1, 1, 1, 1, 5, 5, 5, 5]
    return [
        " ".join([draw.choices(selectors, weights)[0], *draw.choices(words, k=draw.randrange(4))]) for _ in range(count)
    ]


def flood(messages: list[str], folder: Path, arguments: str, samples: int) -> str:
    """A patch that sends thousands of messages to nn~, some in every block, from a file that Pd's qlist plays."""
    wait = 900 * samples / 48000 / len(messages)
    (folder / "flood.txt").write_text("".join(f"{wait:.6f} nn {text};\n" for text in messages))
    feed = """#N canvas 0 0 500 500 feed 0;
#X obj 10 10 r flood;
#X msg 10 40 read flood.txt \\, bang;
#X obj 10 70 qlist;
#X connect 0 0 1 0;
#X connect 1 0 2 0;
#X restore 500 500 pd feed;
"""
    return Patch(arguments, messages=[(0, "; flood bang")]).text(samples) + feed


def test_10000_random_messages(tmp_path, externals):
    save(Settings(), tmp_path / "settings.ts")
    save(Analyse(2), tmp_path / "analyse.ts")
    (tmp_path / "broken.ts").write_bytes(b"PK\3\4nonsense")
    messages = random_messages(10000, 0, ["settings.ts", "analyse.ts", "broken.ts"])
    text = flood(messages, tmp_path, "settings.ts forward 256", 48000)
    ran = survived(play(_Text(text), noise(1, 48000), tmp_path, externals, seconds=200))
    heard = [ran.console.count(word) for word in ("wrong arguments. Usage", "has no attribute", "there is no message")]
    assert min(heard) > 50, heard


def test_pd_quits_while_a_block_is_computed(tmp_path, externals):
    """Pd deletes nothing when it quits: the thread beside it has to end before libtorch does."""
    save(Slow(), tmp_path / "slow.ts")
    for samples in (8192, 9000, 16384, 17000, 24600):
        survived(play(Patch("slow.ts forward 8192"), noise(1, samples), tmp_path, externals))


def test_the_help_patch_opens_without_a_message(project, tmp_path, externals):
    text = (project / "pd_setup" / "nn" / "nn~-help.pd").read_text()
    text += "#X obj 10 900 r leave;\n#X msg 10 920 \\; pd dsp 1;\n"
    text += "#X obj 10 940 delay 100;\n#X msg 10 960 \\; pd quit;\n"
    first = text.count("#X obj") + text.count("#X msg") + text.count("#X text") - 4
    wires = [(first, first + 1), (first, first + 2), (first + 2, first + 3)]
    text += "".join(f"#X connect {a} 0 {b} 0;\n" for a, b in wires)
    ran = run_patch(text, tmp_path, externals, first_message="leave bang")
    assert ran.status == 0 and not ran.console.strip(), ran.console


def test_in_real_time_nothing_is_waited_for(tmp_path, externals):
    """Not in batch mode: loading goes on behind the sound, and Pd keeps time."""
    save(Echo(), tmp_path / "echo.ts")
    save(Analyse(1), tmp_path / "analyse.ts")
    messages = [(300 + 50 * i, f"load {name}") for i, name in enumerate(["analyse.ts", "missing.ts", "echo.ts"] * 4)]
    messages += [(1000, "bufsize 2048"), (1100, "method encode"), (1200, "gpu 1"), (1900, "bang")]
    patch = Patch("echo.ts forward 1024", messages=messages)
    ran = survived(play(patch, noise(1, 96000), tmp_path, externals, batch=False))
    assert ran.audio[:, :90000].abs().max() > 0.1
    assert int(ran.info("blocks")[-1][0]) > 10 and ran.info("buffer")[-1] == ["2048"]
