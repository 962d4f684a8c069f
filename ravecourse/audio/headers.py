"""Headers that do not say how long a sound is: recorders that died, streams of unknown length, joined MP3s.

A recorder writes the length when it closes a file. Where the power fails first, the header says 0 and the sound is
behind it. This module finds such files and opens them with the length that they have.

Notebook: 01.
"""

import io
import mmap
import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

PRINTABLE = range(32, 127)
LONGEST_RIFF = 2**32 - 9  # bytes that a RIFF header can count


class Repaired(NamedTuple):
    """A sound file to be read through a mended beginning. Notebook: 01."""

    start: bytes  # what stands in place of the file's first bytes
    skip: int  # how many of them
    notice: str  # what was found, the middle of a sentence


class Spliced(io.RawIOBase):
    """A file for reading whose first `skip` bytes are replaced by `start`. Notebook: 01."""

    def __init__(self, path: Path, start: bytes, skip: int) -> None:
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115
        self._start, self._skip, self._at = start, skip, 0
        self._size = len(start) + os.fstat(self._file.fileno()).st_size - skip

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at < len(self._start):
            part = self._start[self._at : self._at + len(buffer)]
        else:
            self._file.seek(self._at - len(self._start) + self._skip)
            part = self._file.read(len(buffer))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        self._file.close()
        super().close()


def repair(path: Path) -> Repaired | None:
    """Look for a header that says less than the file holds.

    Returns:
        how to read the file to its end; None where the header is right, or of a kind that this does not know.
    Notebook: 01.
    """
    with open(path, "rb") as file:
        head = file.read(65536)
    size = path.stat().st_size
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _repair_wav(head, size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _repair_aiff(head, size)
    return _repair_mp3(path, head)


def notice(path: Path | str) -> str:
    """What a person should know about how a file's header was read, as the middle of a sentence; "" for nothing.

    Cheap: no sound is decoded. A file that cannot be opened has nothing to say here; reading it reports that.

    Notebook: 01.
    """
    try:
        repaired = repair(Path(path))
    except OSError:
        return ""
    return repaired.notice if repaired else ""


def _chunks(head: bytes, order: str) -> dict[bytes, tuple[int, int]]:
    """Name -> (where its contents begin, the size that it states), up to the first chunk that ends past `head`."""
    found: dict[bytes, tuple[int, int]] = {}
    at = 12
    while at + 8 <= len(head):
        name, length = struct.unpack_from(f"{order}4sI", head, at)
        found.setdefault(name, (at + 8, length))
        if name in (b"data", b"SSND"):
            break
        at += 8 + length + length % 2
    return found


def _whole(head: bytes, size: int, after: int, order: str) -> bool:
    """Whether what comes at `after` is nothing, or chunks that end where the file ends."""
    while after < size:
        if after + 8 > min(size, len(head)) or any(letter not in PRINTABLE for letter in head[after : after + 4]):
            return False
        after += 8 + struct.unpack_from(f"{order}I", head, after + 4)[0]
        after += after % 2
    return after - size <= 1


def _repair_wav(head: bytes, size: int) -> Repaired | None:
    chunks = _chunks(head, "<")
    if b"data" not in chunks or b"fmt " not in chunks or chunks[b"fmt "][1] < 16:
        return None
    begin, stated = chunks[b"data"]
    if b"ds64" in chunks and stated == 2**32 - 1:
        stated = struct.unpack_from("<Q", head, chunks[b"ds64"][0] + 8)[0]
    if stated or size <= begin or _whole(head, size, begin, "<"):
        return None
    block = max(1, struct.unpack_from("<H", head, chunks[b"fmt "][0] + 12)[0])
    length = (size - begin) // block * block
    start = bytearray(head[:begin])
    if b"ds64" in chunks:
        struct.pack_into("<QQQ", start, chunks[b"ds64"][0], size - 8, length, length // block)
        struct.pack_into("<I", start, begin - 4, 2**32 - 1)
    else:
        struct.pack_into("<I", start, 4, min(size - 8, LONGEST_RIFF))
        struct.pack_into("<I", start, begin - 4, min(length, LONGEST_RIFF - begin))
    return Repaired(bytes(start), begin, "was not closed by its recorder; it was read to its end") if length else None


def _repair_aiff(head: bytes, size: int) -> Repaired | None:
    chunks = _chunks(head, ">")
    if b"SSND" not in chunks or b"COMM" not in chunks:
        return None
    common, (begin, stated) = chunks[b"COMM"][0], chunks[b"SSND"]
    channels, frames, bits = struct.unpack_from(">hIh", head, common)
    if stated > 8 and frames or size <= begin + 8 or stated > 8 and _whole(head, size, begin + stated, ">"):
        return None
    block = max(1, channels * ((bits + 7) // 8))
    length = (size - begin - 8) // block * block
    start = bytearray(head[: begin + 8])
    struct.pack_into(">I", start, 4, min(size - 8, LONGEST_RIFF))
    struct.pack_into(">I", start, common + 2, length // block)
    struct.pack_into(">II", start, begin - 4, min(length + 8, LONGEST_RIFF), 0)
    notice = "was not closed by its recorder; it was read to its end"
    return Repaired(bytes(start), begin + 8, notice) if length else None


# --- MP3 --------------------------------------------------------------------------------------------------------------

BIT_RATES = {  # kbit/s, layer III
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
}
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _frame_length(data: bytes | mmap.mmap, at: int) -> int:
    """The length in bytes of the layer III frame at `at`; 0 if there is none."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return 0
    version, bit_rate, rate = data[at + 1] >> 3 & 3, data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or bit_rate in (0, 15) or rate == 3:
        return 0
    per_frame = 144000 if version == 3 else 72000
    padding = data[at + 2] >> 1 & 1
    return per_frame * BIT_RATES[3 if version == 3 else 2][bit_rate] // SAMPLE_RATES[version][rate] + padding


def _after_tag(data: bytes | mmap.mmap, at: int) -> int:
    """Past an ID3v2 tag at `at`, or `at`."""
    if data[at : at + 3] != b"ID3" or at + 10 > len(data):
        return at
    parts = data[at + 6 : at + 10]
    return at + 10 + sum((part & 127) << shift for part, shift in zip(parts, (21, 14, 7, 0), strict=True))


def _repair_mp3(path: Path, head: bytes) -> Repaired | None:
    """An MP3 whose first frame counts fewer frames than follow: it is read with the right number in its place.

    Players trust the count and stop there: after the first of two joined files, or at a count from a broken encoder.
    """
    if head[:3] != b"ID3" and not _frame_length(head, 0):
        return None
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _recount(data)


def _recount(data: mmap.mmap) -> Repaired | None:
    """Count the frames of a whole MP3 where its first frame states a number."""
    first = _after_tag(data, 0)
    length = _frame_length(data, first)
    if not length:
        return None
    frame = data[first : first + length]
    mark = max(frame.find(b"Xing"), frame.find(b"Info"))
    if mark < 0 or not struct.unpack_from(">I", frame, mark + 4)[0] & 1:
        return None
    stated, found, at = struct.unpack_from(">I", frame, mark + 8)[0], 0, first + length
    while at < len(data):
        step = _frame_length(data, at)
        if step:
            found, at = found + 1, at + step
        elif data[at : at + 3] == b"ID3":
            at = _after_tag(data, at)
        elif data[at : at + 3] == b"TAG":
            at += 128
        else:
            following = data.find(b"\xff", at + 1)
            at = following if following > 0 else len(data)
    if found <= stated + 1:
        return None
    start = bytearray(data[: first + length])
    struct.pack_into(">I", start, first + mark + 8, found)
    flags = frame[mark + 7]
    if flags & 2:  # the number of bytes follows
        struct.pack_into(">I", start, first + mark + 12, len(data) - first)
    # Behind these, a table and a quality stands the encoder's tag, with how much to cut off the end of the first part.
    cut = first + mark + 8 + sum(length for bit, length in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit) + 21
    if cut + 3 <= len(start):
        start[cut + 1] &= 0xF0
        start[cut + 2] = 0
    notice = f"says {stated} frames in its header and has {found}; it was read to its end"
    return Repaired(bytes(start), first + length, notice)
