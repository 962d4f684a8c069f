"""What the chapters are made with: plots, players, widgets, and checks of the exercises."""

from . import plots
from .listening import LISTENING_LUFS, listen
from .plots import COLOURS, finish_losses, legend_above, save, spectrogram_on, spectrograms

from . import checks, widgets  # isort: skip: they use the plots above

__all__ = [
    "COLOURS",
    "LISTENING_LUFS",
    "checks",
    "finish_losses",
    "legend_above",
    "listen",
    "plots",
    "save",
    "spectrogram_on",
    "spectrograms",
    "widgets",
]
