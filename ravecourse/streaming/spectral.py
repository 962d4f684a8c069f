"""The log-mel spectrum that the encoder hears, block by block.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.model import spectral_encoder

from .convert import convert_sequence


class StreamSpectralEncoder(nn.Module):
    """What a `SpectralEncoder` says, over blocks; it remembers the sound of one window.

    Args:
        offline: of the model.
    Attributes:
        delay_out: frames that the output runs behind, which is how far the windows look ahead.
    Notebook: 07.
    """

    past: Tensor
    hann: Tensor
    filters: Tensor

    def __init__(self, offline: spectral_encoder.SpectralEncoder) -> None:
        super().__init__()
        self.hop_length, self.window = offline.hop_length, offline.window
        self.net, self.delay_out = convert_sequence(offline.net, offline.lookahead_frames)
        self.keep = max(self.window - self.hop_length, 0)
        self.register_buffer("past", torch.zeros(1, offline.channels, self.keep))
        self.register_buffer("hann", offline.hann.clone())
        self.register_buffer("filters", offline.filters.clone())

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.past = torch.zeros_like(self.past)
        self.net.reset()

    def forward(self, audio: Tensor) -> Tensor:
        """[B, C, T], T a multiple of the hop, to rows [B, T / hop, D]."""
        if self.past.size(0) != audio.size(0):
            self.past = torch.zeros([audio.size(0), audio.size(1), self.keep], dtype=audio.dtype, device=audio.device)
        audio = torch.cat([self.past, audio], 2)
        self.past = audio[..., audio.size(2) - self.keep :]
        windows = audio.unfold(2, self.window, self.hop_length)  # [B, C, F, W]
        heard = spectral_encoder.log_mel(windows, self.hann, self.filters)
        return self.net(heard.transpose(1, 2).flatten(2))
