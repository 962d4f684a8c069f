"""Models at play: block by block in Python, in Pure Data, and how fast they are."""

from . import benchmark, patch_assets, player, puredata, puredata_live
from .benchmark import (
    MARGIN,
    Measurement,
    measure,
    measure_buffers,
    smallest_safe_buffer,
    untrained,
)
from .player import Player, render, render_file
from .puredata import RATE, Patch, expected, play, symbol
from .puredata_live import Live, live, processor

__all__ = [
    "MARGIN",
    "RATE",
    "Live",
    "Measurement",
    "Patch",
    "Player",
    "benchmark",
    "expected",
    "live",
    "measure",
    "measure_buffers",
    "patch_assets",
    "play",
    "player",
    "processor",
    "puredata",
    "puredata_live",
    "render",
    "render_file",
    "smallest_safe_buffer",
    "symbol",
    "untrained",
]
