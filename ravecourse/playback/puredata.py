"""Run a model in a real Pure Data without a screen: write a patch, play signals through nn~, get what comes out.

`pd_setup/check_nn.sh` calls `main([FOLDER, MODEL.ts])`, which verifies that the nn~ in FOLDER plays what Python computes.

Notebook: 08.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ravecourse import audio as sound
from ravecourse.errors import RaveCourseError
from ravecourse.export import Model, buffer_size, load
from ravecourse.runtime import threads

from .pd_text import Sheet
from .player import Player, play_blocks

RATE = 48000
MOST_TABLES = 60  # of one sound file: Pd reads and writes up to 64


def program() -> str:
    """The path of Pd: the environment's PD, or what is installed.

    Raises:
        RaveCourseError: there is none.
    Notebook: 08.
    """
    places = [os.environ.get("PD"), shutil.which("pd"), shutil.which("puredata")]
    places += [str(path) for path in sorted(Path("/Applications").glob("Pd*.app/Contents/Resources/bin/pd"))]
    for place in places:
        if place and Path(place).is_file():
            return place
    raise RaveCourseError("There is no Pure Data here. Install it: `make pd-install` does, or says how.")


def symbol(path: Path | str) -> str:
    """A path as a patch spells it: one word, whatever it holds.

    Notebook: 08.
    """
    return re.sub(r"([ ,;$\\])", r"\\\1", str(path))


@dataclass
class Patch:
    """A patch that plays a sound through one nn~ and records each of its outlets.

    Args:
        arguments: of nn~: model, method, buffer.
        ins, outs: signal inlets and outlets; with `multichannel`, channels of the one inlet and the one outlet. Of more than
            60 the first 60 are played and recorded.
        block: samples that Pd computes at a time.
        messages: pairs of milliseconds and a text, sent to nn~ at that time; a text that begins with ";" names its
            receiver, as in Pd. Receivers beside Pd's own: "nn", "block" (its block~), "pd-player" (its canvas).
        rate: of the sound and of Pd, in Hz.
        multichannel: -m is among the arguments (Pd 0.54 or newer).
    Notebook: 08.
    """

    arguments: str
    ins: int = 1
    outs: int = 1
    block: int = 64
    messages: Sequence[tuple[float, str]] = ()
    rate: int = RATE
    multichannel: bool = False

    @property
    def played(self) -> int:
        """Inlets that get a signal."""
        return min(self.ins, MOST_TABLES)

    @property
    def recorded(self) -> int:
        """Outlets that are recorded."""
        return min(self.outs, MOST_TABLES)

    @property
    def begins_at(self) -> str:
        """The receiver that gets the names of the sound file to play and of the one to write."""
        return "render"

    def text(self, samples: int) -> str:
        """The patch as Pd reads it, for a sound of `samples` samples."""
        parts = "".join(sheet.subpatch(name) for name, sheet in self._subpatches().items())
        return f"#N canvas 50 50 800 600 12;\n{self._outer(samples).text()}{parts}"

    def _subpatches(self) -> dict[str, Sheet]:
        return {"player": self._player()}

    def _outer(self, samples: int) -> Sheet:
        """What loads the sound, starts, and writes what was recorded; `begins_at` sends it the names of both files."""
        outer = Sheet()
        tables_in = " ".join(f"src{i}" for i in range(self.played))
        tables_out = " ".join(f"dst{i}" for i in range(self.recorded))
        names = outer.add(f"obj r {self.begins_at}")
        order = outer.add("obj t b b a")
        begin = outer.add("obj t b b")
        split = outer.add("obj unpack s s")
        read = outer.add(f"msg read -resize -maxsize 1e+09 \\$1 {tables_in}")
        reader = outer.add("obj soundfiler")
        target = outer.add("obj symbol")
        write = outer.add(f"msg write -wave -bytes 4 \\$1 {tables_out}")
        writer = outer.add("obj soundfiler")
        start = outer.add("msg \\; pd dsp 1 \\; go bang")
        wait = outer.add(f"obj delay {1000 * samples / self.rate + 50:g}")
        end = outer.add("obj t b b")
        leave = outer.add("msg \\; pd quit")
        outer.connect(
            (names, 0, order, 0),
            (order, 2, split, 0),
            (split, 0, read, 0),
            (read, 0, reader, 0),
            (split, 1, target, 1),
            (order, 0, begin, 0),
            (begin, 1, start, 0),
            (begin, 0, wait, 0),
            (wait, 0, end, 0),
            (end, 1, target, 0),
            (target, 0, write, 0),
            (write, 0, writer, 0),
            (end, 0, leave, 0),
        )
        _send(outer, outer.add("obj r go"), [message for message in self.messages if message[1].startswith(";")])
        for i in range(self.played):
            outer.add(f"obj table src{i} 1")
        for i in range(self.recorded):
            outer.add(f"obj table dst{i} {samples}")
        return outer

    _info: ClassVar[tuple[str, ...]] = ("print INFO",)  # the objects that get what nn~ says of itself

    def _player(self) -> Sheet:
        sheet = Sheet()
        go = sheet.add("obj r go")
        nn = sheet.add(f"obj nn~ {self.arguments}")
        listeners = [sheet.add(f"obj {what}") for what in self._info]
        sheet.connect((sheet.add("obj r nn"), 0, nn, 0))
        sheet.connect(*((nn, 1 if self.multichannel else self.outs, listener, 0) for listener in listeners))
        gather = sheet.add(f"obj snake~ in {self.ins}") if self.multichannel else nn
        spread = sheet.add(f"obj snake~ out {self.outs}") if self.multichannel else nn
        if self.multichannel:
            sheet.connect((gather, 0, nn, 0), (nn, 0, spread, 0))
        for i in range(self.played):
            player = sheet.add(f"obj tabplay~ src{i}")
            sheet.connect((go, 0, player, 0), (player, 0, gather, i))
        for i in range(self.recorded):
            recorder = sheet.add(f"obj tabwrite~ dst{i}")
            sheet.connect((go, 0, recorder, 0), (spread, i, recorder, 0))
        _send(sheet, go, [message for message in self.messages if not message[1].startswith(";")], nn)
        sheet.connect((sheet.add("obj r block"), 0, sheet.add(f"obj block~ {self.block}"), 0))
        return sheet


def _send(sheet: Sheet, go: int, messages: list[tuple[float, str]], to: int | None = None) -> None:
    for when, what in messages:
        later = sheet.add(f"obj delay {when:g}")
        message = sheet.add("msg " + re.sub(r"([;,$])", r"\\\1", what))
        sheet.connect((go, 0, later, 0), (later, 0, message, 0))
        if to is not None:
            sheet.connect((message, 0, to, 0))


@dataclass(frozen=True, eq=False)
class PdRun:
    """What Pd did: `audio` [outs, T], None if it wrote none; its console; its exit status, negative if it crashed.

    Notebook: 08.
    """

    audio: Tensor | None
    console: str
    status: int

    def info(self, word: str) -> list[list[str]]:
        """The rest of each message to nn~'s info outlet that begins with `word`, oldest first."""
        lines = [line.split()[1:] for line in self.console.splitlines() if line.startswith("INFO: ")]
        return [words[1:] for words in lines if words[0] == word]

    @property
    def errors(self) -> list[str]:
        """The lines of the console that are errors."""
        lines = self.console.splitlines()
        return [line for line in lines if line.startswith("error") or "couldn't create" in line]


def run_patch(
    text: str,
    folder: Path,
    externals: Path,
    *,
    first_message: str = "",
    batch: bool = True,
    rate: int = RATE,
    seconds: float = 60,
    before: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> PdRun:
    """Open a patch in Pd and wait until it quits; `audio` is None.

    Args:
        text: the patch, written to `folder`/patch.pd.
        externals: where nn~ is.
        first_message: what Pd sends when the patch is open.
        batch: as fast as possible and the same every time; False: in real time.
        seconds: after which Pd is ended, with status 124.
        before: words in front of Pd's command line.
        environment: variables that are set for Pd beside those that there are.
    Notebook: 08.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "patch.pd").write_text(text)
    command = [
        *before,
        program(),
        "-nrt",
        "-nogui",
        "-noaudio",
        "-noprefs",
        "-stderr",
        "-r",
        str(rate),
        "-path",
        str(externals),
        "-path",
        str(folder),
    ]
    command += ["-batch"] * batch + (["-send", first_message] if first_message else []) + [str(folder / "patch.pd")]
    try:
        ran = subprocess.run(
            command,
            capture_output=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        )
        said, status = ran.stderr + ran.stdout, ran.returncode
    except subprocess.TimeoutExpired as late:
        said, status = (late.stderr or b"") + f"\nerror: Pd did not end within {seconds:g} s\n".encode(), 124
    return PdRun(None, said.decode(errors="replace"), status)


def play(
    patch: Patch, audio: Tensor, folder: Path, externals: Path, *, seconds: float = 60, batch: bool = True
) -> PdRun:
    """Play `audio` [ins, T] through a patch in Pd: T samples of each outlet come out, as late as nn~ is.

    Args as for `run_patch`; models are looked for in `folder` too.
    Notebook: 08.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "recorded.wav"
    target.unlink(missing_ok=True)
    sound.write(folder / "played.wav", audio[: patch.played], patch.rate, "FLOAT")
    ran = run_patch(
        patch.text(audio.shape[-1]),
        folder,
        externals,
        first_message="render played.wav recorded.wav",
        batch=batch,
        rate=patch.rate,
        seconds=seconds,
    )
    return PdRun(sound.read(target)[0] if target.is_file() else None, ran.console, ran.status)


def expected(
    model: Model, audio: Tensor, method: str, buffer: int, late: int, settings: dict[str, float] | None = None
) -> Tensor:
    """What `play` must give: `audio` [ins, T] through the model in Python, in blocks of `buffer`, `late` samples later.

    Random numbers inside the model are drawn from seed 0, as nn~ draws them in batch mode. `settings` are attributes of
    the model, set before the first block.
    Notebook: 08.
    """
    player = Player(model, method, buffer)
    for name, value in (settings or {}).items():
        getattr(player._module, f"set_{name}")(value)
    length = audio.shape[-1]
    with threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        out = torch.cat(list(play_blocks(player, [audio[None]], 0)), -1)[0]
    return torch.nn.functional.pad(out, (late, 0))[:, :length]


def verify(model: Path, externals: Path, folder: Path) -> list[str]:
    """Play a sound through every method of a model in Pd, with blocks inside Pd's thread and beside it, and compare
    every sample with Python's: one sentence for each comparison. Other builds of nn~ neither report how late they are nor
    draw their random numbers from a fixed seed: they are compared without noise, as late as they are known to be.

    Raises:
        RaveCourseError: Pd fails, or a sample differs.
    Notebook: 08.
    """
    loaded, found = load(model), []
    rate = loaded.sample_rate or RATE
    generator = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, folder / "model.ts")
    for method in loaded.methods.values():
        for buffer in (0, 4096):
            patch = Patch(
                f"model.ts {method.name} {buffer}",
                method.in_channels,
                method.out_channels,
                messages=[(20.0, "bang")],
                rate=rate,
            )
            audio = 0.2 * torch.randn(method.in_channels, rate // 2, generator=generator)
            audio[patch.played :] = 0
            settings: dict[str, float] = {}
            ran = play(patch, audio, folder, externals)
            if ran.status == 0 and not ran.info("latency") and "no method for 'bang'" in ran.console:
                settings = {name: 0.0 for name in ("noise", "variation") if name in loaded.attributes}
                patch = replace(patch, messages=[(0.0, f"set {name} 0") for name in settings])
                ran, used = play(patch, audio, folder, externals), buffer_size(loaded, buffer)
                late = used - 64 + used * (buffer > 0)
            elif ran.info("latency"):
                late = int(ran.info("latency")[0][0])
            else:
                late = None
            if ran.audio is None or ran.errors or late is None:
                said = (ran.errors or ran.console.splitlines() or ["it said nothing"])[-1]
                raise RaveCourseError(f"Pd could not play {model}: {said}")
            wanted = expected(loaded, audio, method.name, buffer, late, settings)[: patch.recorded]
            difference = float((ran.audio - wanted).abs().max())
            if not difference <= 1e-6:
                raise RaveCourseError(
                    f"Pd does not play what Python computes with `{method.name}` of {model}, buffer "
                    f"{buffer}: samples differ by up to {difference:.2g}."
                )
            found.append(
                f"{method.name}, buffer {buffer}: {ran.audio.numel()} samples, largest difference "
                f"{difference:.1g}, {late} samples late"
            )
    return found


def _fresh(folder: Path) -> Path:
    """A small model with random weights."""
    from ravecourse.config import preset
    from ravecourse.export import export_model
    from ravecourse.model import RAVE

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = RAVE(preset("tiny", causal=True)).eval()
    export_model(model, folder / "fresh.ts", about={})
    return folder / "fresh.ts"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 if Pd plays what Python computes. Notebook: 08."""
    parser = argparse.ArgumentParser(prog="verify nn~", description=__doc__.split("\n")[0])
    parser.add_argument("externals", type=Path, help="the folder with nn~")
    parser.add_argument("model", type=Path, nargs="?", help="an exported model; without it a small random one")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="ravecourse-pd-") as folder:
        try:
            model = asked.model or _fresh(Path(folder))
            for line in verify(model, asked.externals, Path(folder) / "patch"):
                print(line)
        except RaveCourseError as error:
            print(error, file=sys.stderr)
            return 1
    return 0
