"""What the patches for Pure Data need beside them: models to play, and sounds to play through them.

`pd_setup/install_nn.sh` calls `main([FOLDER])`, which writes them, and prints their names.

Notebook: 08.
"""

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ravecourse import audio as sound
from ravecourse import bundled, export, model, streaming
from ravecourse.errors import RaveCourseError
from ravecourse.export import export_model, torchscript
from ravecourse.files import replacing
from ravecourse.model import checkpoint, latent
from ravecourse.synth import INSTRUMENTS

LATENTS = 8  # of the models with sliders and tables; where there is a source, pitch and loudness are the first two
FINE, FIDELITY = "-fine", 0.95  # models for sound in and sound out, which need no sliders
QUICK = "low_latency"  # the preset that answers soonest, trained on the strings
KEYS = ("cello", "flute")  # sampled instruments, for the keyboard of the second patch
WRITTEN_BY = (export, model, streaming)  # the packages whose code decides what is in an exported file


def patches_folder() -> Path:
    """The folder with the course's patches.

    Notebook: 08.
    """
    return bundled.PROJECT / "pd_setup" / "patches"


def external() -> Path:
    """The folder with nn~, built from the course's source if need be (half a minute the first time).

    Raises:
        RaveCourseError: Pd, a compiler or CMake is missing; the message has the command to type.
    Notebook: 08.
    """
    ran = subprocess.run(["bash", "pd_setup/build_nn.sh"], cwd=bundled.PROJECT, capture_output=True, text=True)
    if ran.returncode != 0:
        said = (ran.stderr.strip() or ran.stdout.strip() or "it said nothing")[-1500:]
        raise RaveCourseError(f"nn~ could not be built. {said}\nThen type `make pd-install` in the project's folder.")
    return Path(ran.stdout.splitlines()[-1]).parent


def materials(folder: Path | str) -> list[Path]:
    """Write the models and sounds that the patches use into `folder`; what is there and current stays as it is.

    The models are the trained instruments, each exported with eight latents (`strings.ts`) and with as many as
    `ravecourse export` would take (`strings-fine.ts`), then `low_latency.ts`, strings too, and a cello and a flute with eight
    latents. The sounds are the instruments' clips as WAV files, which every Pd reads.

    Returns:
        the files.
    Raises:
        RaveCourseError: a checkpoint or a clip is missing or damaged.
    Notebook: 08.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with _alone(folder):
        for name in (*INSTRUMENTS, QUICK, *KEYS):
            written.append(_model(name, folder / f"{name}.ts", LATENTS))
        for name in INSTRUMENTS:
            written.append(_model(name, folder / f"{name}{FINE}.ts", None))
        for name in INSTRUMENTS:
            clip, target = bundled.clip(name), folder / f"{name}.wav"
            if not target.is_file() or target.stat().st_mtime < clip.stat().st_mtime:
                with replacing(target) as temporary:
                    audio, rate = sound.read(clip)
                    sound.write(temporary, audio, rate, "PCM_16")
            written.append(target)
    return written


def _model(name: str, target: Path, latents: int | None) -> Path:
    """Export the checkpoint called `name` with so many latents (None: by fidelity), unless `target` is that already."""
    source = bundled.model(name)
    made_from = _digest(source, latents)
    with contextlib.suppress(RaveCourseError):
        if target.is_file() and torchscript.read_metadata(target).get("made_from") == made_from:
            return target
    model = checkpoint.load_model(source)
    latents = latents or model.named + latent.size_for(model.fidelity, FIDELITY)
    export_model(model, target, latent_size=latents, about={"name": name, "made_from": made_from})
    return target


def _digest(source: Path, latents: int | None) -> str:
    code = [path for package in WRITTEN_BY for path in sorted(Path(package.__path__[0]).glob("*.py"))]
    digest = hashlib.sha256(f"{torch.__version__} {latents}".encode())
    for path in (source, Path(__file__), *code):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process writes there."""
    import fcntl  # not on Windows, where the rest of the package runs

    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Notebook: 08."""
    parser = argparse.ArgumentParser(prog="patch assets", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    try:
        for path in materials(parser.parse_args(arguments).folder):
            print(path)
    except RaveCourseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
