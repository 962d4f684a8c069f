"""Files that are either whole or not there at all."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ravecourse.errors import RaveCourseError


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, flush it to disk and rename it into place.

    The temporary name keeps the suffix of `path`, since sound and archive writers choose their format by it.

    Raises:
        RaveCourseError: the folder cannot be written or the disk is full. `path` is then left as it was.

    Source: this course. Notebook: 09.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise RaveCourseError(
            f"Could not write {path}: {error.strerror or error}. Free some disk space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8 through `replacing`. Source: this course. Notebook: 09."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON through `replacing`. Source: this course. Notebook: 09."""
    write_text(path, json.dumps(value, indent=2) + "\n")
