"""Sound files in and out: read, write, resample, find them in folders, measure their level."""

from . import discover, loudness
from .decode import BrokenOff, UnreadableSound
from .discover import FORMATS_TEXT, find, scan
from .headers import notice as header_notice
from .io import AudioInfo, blocks, info, read, resample, to_channels
from .loudness import Meter, decibels, gated_lufs, loudness_lufs, match_loudness, peak_db, rms_db
from .writing import Writer, write, writer

__all__ = [
    "FORMATS_TEXT",
    "AudioInfo",
    "BrokenOff",
    "Meter",
    "UnreadableSound",
    "blocks",
    "decibels",
    "discover",
    "find",
    "gated_lufs",
    "header_notice",
    "info",
    "loudness",
    "loudness_lufs",
    "match_loudness",
    "peak_db",
    "read",
    "resample",
    "rms_db",
    "scan",
    "to_channels",
    "Writer",
    "write",
    "writer",
]
