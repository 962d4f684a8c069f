"""What comes with the kit: the folder of the project, the trained models and the clips in `data/`.

Notebook: 00.
"""

from pathlib import Path

from ravecourse.errors import RaveCourseError

PROJECT = Path(__file__).resolve().parent.parent


def model(name: str) -> Path:
    """The checkpoint of a bundled model.

    Args:
        name: strings, bars, voice, low_latency, cello, flute or base.
    Returns:
        the path of its checkpoint, for `checkpoint.load_model` and `ravecourse export`.
    Raises:
        RaveCourseError: there is no model of that name; the message lists those that there are.
    Notebook: 00.
    """
    return _file("checkpoints", name, ".pt", "model")


def clip(name: str) -> Path:
    """The recording of a bundled instrument.

    Args:
        name: strings, bars or voice.
    Returns:
        the path of a FLAC file, mono, 48000 Hz.
    Raises:
        RaveCourseError: there is no clip of that name; the message lists those that there are.
    Notebook: 00.
    """
    return _file("clips", name, ".flac", "clip")


def _file(folder: str, name: str, suffix: str, kind: str) -> Path:
    path = PROJECT / "data" / folder / f"{name}{suffix}"
    if path.is_file():
        return path
    names = sorted(found.stem for found in path.parent.glob(f"*{suffix}"))
    if not names:
        raise RaveCourseError(
            f"There is no folder of {kind}s at {path.parent}. Run from a clone of the kit, where it "
            "was installed with `make env`."
        )
    raise RaveCourseError(f"There is no bundled {kind} {name!r}. There are: {', '.join(names)}.")
