"""Files that are either whole or not there at all."""

import errno
import glob
import json
import os
import platform
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ravecourse.errors import RaveCourseError

HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # this machine, in the names of temporary files


def check_not_input(target: Path | str, *inputs: Path | str) -> None:
    """Refuse to write where it would destroy what is read, by whatever name, link or spelling the two are given.

    Raises:
        RaveCourseError: `target` is one of the inputs.
    Notebook: 09.
    """
    for path in map(Path, inputs):
        with suppress(OSError):
            if os.path.samefile(path, target):
                raise RaveCourseError(f"{target} is the same file as the input {path}. Choose another name for it.")


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, flush it to disk and rename it into place.

    The temporary name keeps the suffix of `path`, since sound and archive writers choose their format by it.

    Raises:
        RaveCourseError: the folder cannot be written or the disk is full. `path` is then left as it was.

    Notebook: 09.
    """
    path = Path(path)
    writer = f"{HOST}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.stem}.{writer}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        advice = "Free some disk space" if full else "Check that the folder can be written"
        raise RaveCourseError(f"Could not write {path}: {reason}. {advice}, or choose another folder.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove what writers of the same file left that were killed on this machine."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}.{HOST}-*.part{glob.escape(path.suffix)}"):
        process = left.name.removeprefix(f".{path.stem}.{HOST}-").split("-")[0]
        if process.isdigit() and not _is_alive(int(process)):
            left.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8 through `replacing`. Notebook: 09."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON through `replacing`. Notebook: 09."""
    write_text(path, json.dumps(value, indent=2) + "\n")
