"""How good a model is: distances, pitch and level, what it costs, and the card that says so."""

from . import metrics, preset_table
from .card import model_card
from .metrics import judge, pitch_following, through
from .preset_table import as_text, table

__all__ = ["as_text", "judge", "metrics", "model_card", "pitch_following", "preset_table", "table", "through"]
