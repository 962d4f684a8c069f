"""Evaluation of a model: distances, pitch, level and attacks, held latents, cost, and the model card that reports them."""

from . import metrics, preset_table, tracks
from .card import model_card
from .held import Held, HeldSound, Stillness, held_sounds, stillness
from .latent_use import dimensions_used
from .melody import PitchAccuracy, pitch_accuracy
from .metrics import Closeness, Evaluation, closeness, evaluate, through
from .onsets import OnsetAccuracy, onset_accuracy
from .preset_table import as_text, table
from .recordings import gather
from .scores import score_rows, score_table
from .similarity import frechet_distance, heard_distance, spectral_distance
from .tracks import level_following, pitch_following

__all__ = [
    "Closeness",
    "Evaluation",
    "Held",
    "HeldSound",
    "OnsetAccuracy",
    "PitchAccuracy",
    "Stillness",
    "as_text",
    "closeness",
    "dimensions_used",
    "evaluate",
    "frechet_distance",
    "gather",
    "heard_distance",
    "held_sounds",
    "level_following",
    "metrics",
    "model_card",
    "onset_accuracy",
    "pitch_accuracy",
    "pitch_following",
    "preset_table",
    "score_rows",
    "score_table",
    "spectral_distance",
    "stillness",
    "table",
    "through",
    "tracks",
]
