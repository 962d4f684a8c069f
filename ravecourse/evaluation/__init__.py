"""Evaluation of a model: distances, pitch and level, cost, and the model card that reports them."""

from . import metrics, preset_table, tracks
from .card import model_card
from .held import Held, Stillness, stillness
from .melody import PitchAccuracy, pitch_accuracy
from .metrics import evaluate, through
from .preset_table import as_text, table
from .tracks import level_following, pitch_following

__all__ = [
    "Held",
    "PitchAccuracy",
    "Stillness",
    "as_text",
    "evaluate",
    "level_following",
    "metrics",
    "model_card",
    "pitch_accuracy",
    "pitch_following",
    "preset_table",
    "stillness",
    "table",
    "through",
    "tracks",
]
