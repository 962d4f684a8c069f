"""A source with a time of its own: harmonics of a pitch, whose phase runs on while the latent stands still.

Notebook: 04.
"""

import math

import torch
from torch import Tensor, nn

from ravecourse.config import ModelConfig

from .controls import FULL_SCALE_DB, note_to_hertz
from .layers import Conv, activation, conv, mod_sigmoid

LOWEST_HZ = 20.0  # the source is silent below: a note of 0 is none
HIGHEST_SHARE = 0.45  # of the sample rate, for harmonics
HEADROOM = 4.0  # of the bands over the loudness; with 1 the first steps of strings went slowly, with 8 those of a voice
FIRST_AMPLITUDE = 0.5  # of the first harmonic before training, relative to the loudness; harmonic h has 1 / h of it


def scaled(latents: Tensor) -> Tensor:
    """Latents with pitch and loudness brought to the size of the learned ones: [..., D] to the same, D last. Notebook: 04."""
    note = (latents[..., :1] - 60.0) / 24.0  # two octaves around the middle C
    loudness = (latents[..., 1:2] - 70.0) / 20.0  # 20 dB around -30 dBFS
    return torch.cat([note, loudness, latents[..., 2:]], -1)


def audible_hertz(note: Tensor, lowest_hz: float = LOWEST_HZ) -> Tensor:
    """MIDI note numbers to Hz, any shape, with 0 for all below 20 Hz, where the source is silent. Notebook: 04."""
    hertz = note_to_hertz(note)
    return torch.where(hertz < lowest_hz, torch.zeros_like(hertz), hertz)


def rms_of(loudness: Tensor, full_scale_db: float = FULL_SCALE_DB) -> Tensor:
    """Loudness in dB, as `Controls` counts, to the RMS of a sound, any shape; 0 dB is silence and not 1e-5.

    Notebook: 04.
    """
    return torch.expm1(loudness * (math.log(10.0) / 20.0)).clamp(min=0.0) * 10.0 ** (-full_scale_db / 20.0)


def ramp_of(steps: int) -> Tensor:
    """From just above 0 to 1 in so many steps: [steps]. Notebook: 04."""
    return torch.arange(1, steps + 1) / steps


def swell(rms: Tensor, before: Tensor, ramp: Tensor, headroom: float = HEADROOM) -> Tensor:
    """What the decoder's bands are multiplied by, so that they follow the latent's loudness and are silent at 0 dB.

    Args:
        rms: [B, F], of the loudness, reached at the end of each frame in a straight line.
        before: [B, 1], at the end of the frame before them.
        ramp: [S], `ramp_of` the values in a frame.
    Returns:
        [B, F * S].
    Source: DDSP (arXiv 2001.04643), section 3, where loudness drives all that sounds. Notebook: 04.
    """
    ends = headroom * rms[..., None]  # [B, F, 1]
    starts = torch.cat([headroom * before[..., None], ends[:, : ends.size(1) - 1]], 1)
    return torch.lerp(starts, ends, ramp).flatten(1)


def harmonic_amplitudes(
    features: Tensor,
    hertz: Tensor,
    rms: Tensor,
    number: Tensor,
    sample_rate: int,
    highest_share: float = HIGHEST_SHARE,  # TorchScript reads constants of a module as arguments only
) -> Tensor:
    """The amplitude of each harmonic, as the network and the loudness ask.

    Args:
        features: [B, F, C * harmonics], the network's output.
        hertz: [B, F, 1], the pitch, 0 for none; rms: [B, F, 1], of the loudness.
        number: [harmonics], 1 and on.
    Returns:
        [B, F, C * harmonics]; 0 for harmonics above .45 times the sample rate, and where there is no pitch.
    Notebook: 04.
    """
    harmonics = hertz * number
    heard = (harmonics > 0) & (harmonics < highest_share * sample_rate)  # [B, F, harmonics]
    return mod_sigmoid(features) * (rms * heard).repeat(1, 1, features.size(2) // number.size(0))


def glide_times(hop_length: int, sample_rate: int) -> tuple[Tensor, Tensor]:
    """What `glide` multiplies a pitch by, and the change of a pitch: [hop_length] each, in seconds, float64. Notebook: 04."""
    sample = torch.arange(1, hop_length + 1, dtype=torch.float64)
    return sample / sample_rate, sample * (sample + 1.0) / (2.0 * hop_length * sample_rate)


def glide(hertz: Tensor, before: Tensor, time: Tensor, bend: Tensor) -> Tensor:
    """Cycles since the end of the frame before, at each sample, of a pitch that moves in a straight line.

    Args:
        hertz: [B, F], reached at the end of each frame, float64: a phase adds up for as long as a stream runs.
        before: [B, 1], at the end of the frame before them. Out of 0, which is silence, a pitch does not glide.
        time, bend: `glide_times`.
    Returns:
        [B, F, hop_length], float64.
    Notebook: 04.
    """
    start = torch.cat([before, hertz[:, : hertz.size(1) - 1]], 1)
    start = torch.where(start > 0, start, hertz)
    return start[..., None] * time + (hertz - start)[..., None] * bend


def sum_of_harmonics(cycles: Tensor, before: Tensor, amplitudes: Tensor, number: Tensor, ramp: Tensor) -> Tensor:
    """Sines at the multiples of a phase, with amplitudes that move in a straight line through each frame.

    Args:
        cycles: [N, hop], the phase of the fundamental at each sample, in periods.
        before, amplitudes: [N, C * harmonics], at the end of the frame before and of this one.
        number: [harmonics], 1 and on; ramp: [hop], `ramp_of` the samples in a frame.
    Returns:
        [N, C, hop].
    Notebook: 04.
    """
    sines = (2.0 * math.pi * number[:, None] * cycles[:, None]).sin_()  # [N, harmonics, hop]
    ends = torch.stack([before, amplitudes], 1).view(cycles.size(0), -1, number.size(0))  # [N, 2 C, harmonics]
    old, new = torch.bmm(ends, sines).chunk(2, 1)
    return torch.lerp(old, new, ramp)


class Source(nn.Module):
    """Harmonics of the latent's pitch, with amplitudes that a small network reads from the whole latent.

    Pitch and amplitudes reach the values of a frame at its end, in a straight line from those of the frame before. The
    phase is integrated sample by sample and never jumps, so a pitch that does makes no click.

    Args:
        config: of a model with a source.
    Source: DDSP (arXiv 2001.04643), section 3; NSF (arXiv 1904.12088), section 3. Notebook: 03, 04.
    """

    number: Tensor
    ramp: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.sample_rate, self.hop_length = config.sample_rate, config.hop_length
        self.harmonics, self.channels = config.harmonics, config.channels
        self.register_buffer("number", torch.arange(1.0, config.harmonics + 1), persistent=False)
        self.register_buffer("ramp", ramp_of(config.hop_length), persistent=False)
        width = config.source_capacity
        last = Conv(width, config.channels * config.harmonics, 1, bias=True)
        with torch.no_grad():
            last.weight.mul_(0.1)
            first = FIRST_AMPLITUDE / self.number
            share = (first / 2) ** (1 / 2.3)  # what `mod_sigmoid` undoes
            assert last.bias is not None
            last.bias.copy_(torch.logit(share).repeat(config.channels))
        self.net = nn.Sequential(
            conv(config.latents, width, 3, bias=True, causal=config.causal),
            activation(),
            conv(width, width, 1, bias=True),
            activation(),
            last,
        )

    def amplitudes(self, latents: Tensor) -> Tensor:
        """[B, D, F] to the amplitude of each harmonic at the end of each frame, [B, C * harmonics, F]."""
        rows = latents.transpose(1, 2)
        features = self.net(scaled(rows).transpose(1, 2)).transpose(1, 2)
        hertz, rms = audible_hertz(rows[..., :1]), rms_of(rows[..., 1:2])
        return harmonic_amplitudes(features, hertz, rms, self.number, self.sample_rate).transpose(1, 2)

    def cycles(self, latents: Tensor) -> Tensor:
        """The phase of the fundamental at each sample, in periods from 0 to 1: [B, D, F] to [B, F, hop]."""
        notes = latents[:, 0].cpu() if latents.device.type == "mps" else latents[:, 0]  # which has no float64
        hertz = audible_hertz(notes.double())  # [B, F]
        time, bend = (times.to(hertz.device) for times in glide_times(self.hop_length, self.sample_rate))
        inside = glide(hertz, torch.zeros_like(hertz[:, :1]), time, bend)
        ends = inside[..., -1].cumsum(1)
        begins = torch.cat([torch.zeros_like(ends[:, :1]), ends[:, :-1]], 1)
        return ((begins[..., None] + inside) % 1.0).to(latents.device, latents.dtype)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents [B, D, F] to sound [B, C, F * hop_length]; it starts from silence at phase 0. Notebook: 04."""
        amplitudes = self.amplitudes(latents).transpose(1, 2)  # [B, F, C * harmonics]
        before = torch.cat([torch.zeros_like(amplitudes[:, :1]), amplitudes[:, :-1]], 1)
        with torch.no_grad():
            cycles = self.cycles(latents.detach())
        ends = before.flatten(0, 1), amplitudes.flatten(0, 1)
        sung = sum_of_harmonics(cycles.flatten(0, 1), *ends, self.number, self.ramp)
        sung = sung.view(*latents.shape[::2], self.channels, -1)  # [B, F, C, hop]
        return sung.transpose(1, 2).flatten(2)
