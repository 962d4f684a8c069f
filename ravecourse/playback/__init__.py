"""Models at play: block by block in Python, in Pure Data, and how fast they are."""

from . import benching, patch_assets, player, puredata, puredata_live
from .benching import playable, untrained
from .player import MARGIN, Measurement, Player, measure, measure_buffers, render, render_file, smallest_safe_buffer
from .puredata import RATE, Patch, expected, play, symbol
from .puredata_live import Live, live, processor

__all__ = [
    "MARGIN",
    "RATE",
    "Live",
    "Measurement",
    "Patch",
    "Player",
    "benching",
    "expected",
    "live",
    "measure",
    "measure_buffers",
    "patch_assets",
    "play",
    "playable",
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
