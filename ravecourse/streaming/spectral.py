"""The log-mel spectrum that the encoder hears, block by block.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.model import spectral_encoder

from .convert import convert_sequence
from .layers import StreamWindows


class StreamSpectralEncoder(nn.Module):
    """What a `SpectralEncoder` says, over blocks.

    Args:
        offline: of the model.
    Attributes:
        delay_out: frames that the output runs behind, which is how far the windows look ahead.
    Notebook: 07.
    """

    hann: Tensor
    filters: Tensor

    def __init__(self, offline: spectral_encoder.SpectralEncoder) -> None:
        super().__init__()
        self.windows = StreamWindows(offline.window, offline.hop_length, offline.channels)
        self.net, self.delay_out = convert_sequence(offline.net, offline.lookahead_frames)
        self.register_buffer("hann", offline.hann.clone())
        self.register_buffer("filters", offline.filters.clone())

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.windows.reset()
        self.net.reset()

    def forward(self, audio: Tensor) -> Tensor:
        """[B, C, T], T a multiple of the hop, to rows [B, T / hop, D]."""
        heard = spectral_encoder.log_mel(self.windows(audio), self.hann, self.filters)  # [B, C, F, mels]
        return self.net(heard.transpose(1, 2).flatten(2))
