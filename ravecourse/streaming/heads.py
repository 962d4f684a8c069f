"""The end of a streaming decoder: waveform, loudness or amplitude, and noise, which wait for each other.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.model import DecoderV1, DecoderV2, NoiseSynth, filter_frames, mod_sigmoid

from .convert import convert_conv, convert_sequence
from .layers import Delay, StreamConv, StreamNothing


class StreamNoise(nn.Module):
    """The noise synthesiser over rows; `fixed_noise` replaces the random draw by one fixed frame. Notebook: 07."""

    transform: Tensor
    fixed: Tensor

    def __init__(self, synth: NoiseSynth, delay: int) -> None:
        super().__init__()
        self.net, delay_frames = convert_sequence(synth.net, delay)
        self.delay_out = delay_frames * synth.frame
        self.bands, self.n_filter, self.frame = synth.bands, synth.n_filter, synth.frame
        self.first_lag = synth.first_lag
        self.register_buffer("transform", synth.transform.clone())
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("fixed", 2 * torch.rand(synth.bands, synth.frame, generator=generator) - 1)
        self.fixed_noise = False

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.net.reset()

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, channels] -> filtered noise [B, F, bands]."""
        y = self.net(x)  # [B, frames, bands * n_filter]
        frames = y.size(1)
        amplitude = mod_sigmoid(y - 5)
        response = torch.matmul(amplitude.view(-1, self.bands, self.n_filter), self.transform)
        if self.fixed_noise:
            noise = self.fixed.expand(response.size(0), self.bands, self.frame)
        else:
            noise = 2 * torch.rand([response.size(0), self.bands, self.frame], device=x.device) - 1
        filtered = filter_frames(response, noise, self.first_lag)
        return filtered.transpose(1, 2).reshape(x.size(0), frames * self.frame, self.bands)


class StreamHeads(nn.Module):
    """The decoder after its trunk: waveform, loudness or amplitude, and noise, all waiting for the latest.

    Notebook: 07.
    """

    noise_scale: Tensor

    def __init__(self, decoder: DecoderV1 | DecoderV2, noise_level: float, delay: int) -> None:
        super().__init__()
        self.shared_amplitude = isinstance(decoder, DecoderV1)
        self.wave = convert_conv(decoder.wave, delay)
        bands = decoder.wave.out_channels if isinstance(decoder, DecoderV1) else decoder.wave.out_channels // 2
        self.loudness: StreamConv | StreamNothing = StreamNothing()
        self.noise: StreamNoise | StreamNothing = StreamNothing()
        wave_delay = loudness_delay = noise_delay = self.wave.delay_out
        if isinstance(decoder, DecoderV1):
            self.loudness = convert_conv(decoder.loudness, delay)
            loudness_delay = self.loudness.delay_out
        if decoder.noise is not None and noise_level > 0:
            self.noise = StreamNoise(decoder.noise, delay)
            noise_delay = self.noise.delay_out
        self.noisy = isinstance(self.noise, StreamNoise)
        self.delay_out = max(wave_delay, loudness_delay, noise_delay)
        self.wave_wait = Delay(self.delay_out - wave_delay, decoder.wave.out_channels)
        self.loudness_wait = Delay(self.delay_out - loudness_delay, 1)
        self.noise_wait = Delay(self.delay_out - noise_delay, bands)
        self.register_buffer("noise_scale", torch.ones(1))

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.wave.reset()
        self.loudness.reset()
        self.noise.reset()
        self.wave_wait.reset()
        self.loudness_wait.reset()
        self.noise_wait.reset()

    def forward(self, x: Tensor, swell: Tensor | None = None) -> Tensor:
        """[B, F, channels], and factors [B, F, 1] that are as late as the output, to bands [B, F, bands]."""
        wave = self.wave_wait(self.wave(x))
        if self.shared_amplitude:
            loudness = self.loudness_wait(self.loudness(x))
            bands = torch.tanh(wave) * mod_sigmoid(loudness)
        else:
            wave, amplitude = wave.chunk(2, 2)
            bands = wave * torch.sigmoid(amplitude)
        if self.noisy:
            bands = bands + self.noise_scale * self.noise_wait(self.noise(x))
        if swell is not None:
            bands = bands * swell
        return bands if self.shared_amplitude else torch.tanh(bands)
