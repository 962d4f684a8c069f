"""Sounds to listen to in a notebook, one player under the other.

Notebook: 00.
"""

from collections.abc import Mapping

from IPython.display import Audio, Markdown, display
from torch import Tensor

from ravecourse.audio import match_loudness

LISTENING_LUFS = -23.0


class Player(Audio):
    """A player that is readable where no sound is shown: in a committed notebook, on a web page of code.

    Notebook: 00.
    """

    def __repr__(self) -> str:
        return "(run this cell to listen)"


def listen(sounds: Mapping[str, Tensor], sample_rate: int) -> None:
    """Show a player for each sound, all equally loud, so that ears compare the sound and not its level.

    Args:
        sounds: label -> audio `[C, T]` or `[T]`.
        sample_rate: in Hz.
    Source: EBU R 128 for the loudness. Notebook: 00.
    """
    for label, audio in sounds.items():
        channels = audio.detach().cpu().float().reshape(-1, audio.shape[-1])  # [C, T]
        matched = match_loudness(channels, sample_rate, LISTENING_LUFS).clamp(-1, 1)
        display(Markdown(f"**{label}**"), Player(matched.numpy(), rate=sample_rate, normalize=False))
