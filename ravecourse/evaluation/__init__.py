"""Evaluation of a model: distances, pitch and level, cost, and the model card that reports them."""

from . import metrics, preset_table, tracks
from .card import model_card
from .metrics import evaluate, through
from .preset_table import as_text, table
from .tracks import level_following, pitch_following

__all__ = [
    "as_text",
    "evaluate",
    "level_following",
    "metrics",
    "model_card",
    "pitch_following",
    "preset_table",
    "table",
    "through",
    "tracks",
]
