"""The encoder's second ear: the log-mel spectrum around each latent frame, beside the waveform of the bands.

Notebook: 03.
"""

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from ravecourse.config import ModelConfig

from .layers import Conv, activation, conv, frame_windows

WINDOW_SECONDS = 2048 / 48000  # long enough to tell the partials of a low note apart
WIDTH = 64
FIRST_SHARE = 0.1  # of its last weights, so that an untrained model does not pass spectra on by chance
FAINTEST = 1e-5  # amplitude: what is 100 dB below full scale is as good as nothing


def log_mel(windows: Tensor, hann: Tensor, filters: Tensor, faintest: float = FAINTEST) -> Tensor:
    """Log-mel spectra of windows of sound, brought to the range from -2 to 2.

    Args:
        windows: [..., W]; hann: [W], with a sum of 2, so that a sine of amplitude 1 has a magnitude of 1.
        filters: [W / 2 + 1, mels].
    Returns:
        [..., mels]; -2 for an amplitude of 1e-5 and below, 2 for full scale.
    Notebook: 03.
    """
    spectrum = torch.view_as_real(torch.fft.rfft(windows * hann))
    magnitude = (spectrum.square().sum(-1) + 1e-22).sqrt()  # so that silence has a gradient, 0
    return torch.log10(torch.matmul(magnitude, filters) + faintest) * 0.8 + 2.0


class SpectralEncoder(nn.Module):
    """A small network that reads the log-mel spectrum around a frame; what it says is added to what the encoder says.

    The encoder of RAVE has to learn a spectrum from the waveforms of the bands, through a field of some milliseconds.
    Here it is given one. A window ends half its length after its frame, and with it in a causal model.

    Args:
        config: of a model with `mel_bands`.
    Source: DDSP (arXiv 2001.04643), section 4.1.2, whose encoder reads MFCCs. Notebook: 03.
    """

    hann: Tensor
    filters: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hop_length, self.channels = config.hop_length, config.channels
        self.window = 2 * round(WINDOW_SECONDS * config.sample_rate / 2)
        self.lookahead_frames = 0 if config.causal else self.window // 2 // config.hop_length
        self.lookahead = self.lookahead_frames * config.hop_length
        hann = torch.hann_window(self.window + 2, periodic=False)[1:-1]  # without the zeros at its ends
        self.register_buffer("hann", 2.0 * hann / hann.sum(), persistent=False)
        filters = melscale_fbanks(
            self.window // 2 + 1, 0.0, config.sample_rate / 2, config.mel_bands, config.sample_rate
        )
        self.register_buffer("filters", filters, persistent=False)
        last = Conv(WIDTH, 2 * config.latent_size, 1, bias=True)
        with torch.no_grad():
            last.weight.mul_(FIRST_SHARE)
        self.net = nn.Sequential(
            conv(config.channels * config.mel_bands, WIDTH, 1, bias=True),
            activation(),
            conv(WIDTH, WIDTH, 1, bias=True),
            activation(),
            last,
        )

    def heard(self, audio: Tensor) -> Tensor:
        """The log-mel spectrum of each frame: [B, C, T], T a multiple of the hop, to [B, C * mels, F]. Notebook: 03."""
        windows = frame_windows(audio, self.window, self.hop_length, self.lookahead)  # [B, C, F, W]
        return log_mel(windows, self.hann, self.filters).transpose(2, 3).flatten(1, 2)

    def forward(self, audio: Tensor) -> Tensor:
        """[B, C, T], T a multiple of the hop, to [B, 2 * D, F], for mean and scale of the learned latents."""
        return self.net(self.heard(audio))
