"""Which files in a folder are sound."""

import os
from pathlib import Path

from ravecourse.errors import RaveCourseError

SOUNDFILE_SUFFIXES = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64".split()
)
FFMPEG_SUFFIXES = frozenset(
    ".m4a .m4b .aac .mp4 .m4v .mov .mkv .mka .webm .avi .wma .amr .ac3 .ape .wv .mpc .tta .3gp .dsf".split()
)
FORMATS_TEXT = (
    "Read are WAV, FLAC, OGG, Opus, MP3, AIFF, AU and CAF; and, where ffmpeg is installed, "
    "M4A, AAC, WMA, WebM and the sound of films."
)

LeftOut = tuple[Path, str]  # a file, and why it was left out


def is_sound(path: Path) -> bool:
    """Say whether `path` is a sound file by its name or, whatever its name, by its first bytes.

    Notebook: 01.
    """
    if path.suffix.lower() in SOUNDFILE_SUFFIXES | FFMPEG_SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    if head[:4] in (b"RIFF", b"RF64", b"FORM"):
        return head[8:12] in (b"WAVE", b"AIFF", b"AIFC")
    return head.startswith((b"fLaC", b"OggS", b"ID3", b"caff", b".snd"))


def scan(*sources: Path | str, exclude: Path | None = None) -> tuple[list[Path], list[LeftOut]]:
    """Return the sound files in folders, in a fixed order, and the files that were left out, with the reason.

    Links are followed, each folder and each file is taken once. Names that start with a dot are left out.
    A file that is named itself is taken whatever its name.

    Args:
        sources: folders or files.
        exclude: a folder that is passed over.

    Raises:
        RaveCourseError: a source does not exist.

    Notebook: 01.
    """
    taken: dict[Path, Path] = {}  # the real file -> the path that led there
    left_out: list[LeftOut] = []
    visited = {exclude.resolve()} if exclude else set()
    for source in map(Path, sources):
        if _real(source) is None:
            raise RaveCourseError(f"{source} is a symbolic link that leads back to itself. Remove or correct it.")
        if source.is_file():
            taken.setdefault(source.resolve(), source)
            continue
        if not source.is_dir():
            raise RaveCourseError(
                f"There is no folder {source}. Check the name, or give the folder that holds your sounds."
            )
        for path in _files_below(source, visited, left_out):
            real = _real(path)
            if real is None or not path.is_file():
                left_out.append((path, "leads to no file"))
            elif not is_sound(path):
                left_out.append((path, "not sound"))
            elif path.name.startswith("."):
                left_out.append((path, "hidden (the name starts with a dot)"))
            elif taken.setdefault(real, path) != path and path.is_symlink():
                left_out.append((path, f"the same file as {taken[real].name}"))
    return sorted(taken.values(), key=str), sorted(left_out, key=str)


def _files_below(folder: Path, visited: set[Path], left_out: list[LeftOut]) -> list[Path]:
    """Every file below `folder`; each real folder is entered once, so that a loop of links ends."""

    def unreadable(error: OSError) -> None:
        left_out.append((Path(error.filename), "folder cannot be opened"))

    files = []
    for here, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        real = _real(Path(here))
        if real is None or real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(here, name) for name in sorted(names)]
    return files


def _real(path: Path) -> Path | None:
    """Where a path leads, links followed; None for a loop of links."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop is a RuntimeError before Python 3.13
        return None


def find(*sources: Path | str) -> list[Path]:
    """Return the sound files in the given folders, with their subfolders, in a fixed order.

    Args:
        sources: folders or files.

    Raises:
        RaveCourseError: a source does not exist, or there is no sound file in any of them.

    Notebook: 01.
    """
    sounds, _ = scan(*sources)
    if not sounds:
        raise RaveCourseError(f"There is no sound file in {', '.join(map(str, sources))}. {FORMATS_TEXT}")
    return sounds
