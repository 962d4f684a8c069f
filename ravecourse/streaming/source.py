"""Pitch, loudness and the source that they drive, block by block: the same functions as offline, with their state.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.model import Controls, Source, controls, source

from .convert import convert_sequence
from .layers import Delay, StreamWindows


class StreamControls(nn.Module):
    """Pitch and loudness over blocks; what is remembered is the sound of one window and the last pitch.

    Args:
        offline: of the model.
    Attributes:
        delay_out: frames that the output runs behind, which is how far the analysis looks ahead.
    Notebook: 07.
    """

    followed: Tensor
    last: Tensor
    weights: Tensor
    cost: Tensor
    notes: Tensor
    treble: Tensor
    taper: Tensor
    near: Tensor

    def __init__(self, offline: Controls) -> None:
        super().__init__()
        self.hop_length = offline.hop_length
        self.n_fft, self.highest_note = offline.n_fft, offline.highest_note
        self.delay_out = offline.lookahead_frames
        self.windows = StreamWindows(offline.window, offline.hop_length, 2)  # of the mixed sound and its power
        self.register_buffer("followed", torch.zeros(1, 1))  # what the choice of the next period begins with
        self.register_buffer("last", torch.zeros(1, 1))  # note number of the last pitch
        self.register_buffer("weights", offline.weights.clone())
        self.register_buffer("cost", offline.cost.clone())
        self.register_buffer("notes", offline.notes.clone())
        self.register_buffer("treble", offline.treble.clone())
        self.register_buffer("taper", offline.taper.clone())
        self.register_buffer("near", offline.near.clone())
        self.pending = self.delay_out  # frames still to come that stand before the start

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.windows.reset()
        self.followed = torch.zeros_like(self.followed)
        self.last = torch.zeros_like(self.last)
        self.pending = self.delay_out

    def forward(self, audio: Tensor) -> Tensor:
        """[B, C, T], T a multiple of the hop, to rows [B, T / hop, 2]: MIDI note and loudness in dB."""
        batch, frames = audio.size(0), audio.size(2) // self.hop_length
        if self.last.size(0) != batch:
            self.followed = torch.zeros([batch, 1], dtype=audio.dtype, device=audio.device)
            self.last = torch.zeros([batch, 1], dtype=audio.dtype, device=audio.device)
            self.pending = self.delay_out
        before = min(self.pending, frames)  # windows of which offline has none: nothing may be remembered of them
        self.pending -= before
        windows = self.windows(torch.stack([audio.mean(1), audio.square().mean(1)], 1))[:, :, before:]  # [B, 2, F, W]
        found, self.followed = controls.pitch_and_loudness(
            windows[:, 0],
            windows[:, 1],
            self.weights,
            self.cost,
            self.notes,
            self.treble,
            self.taper,
            self.near,
            self.n_fft,
            self.highest_note,
            self.followed,
        )
        if before > 0:
            found = torch.cat([torch.zeros([batch, before, 2], dtype=found.dtype, device=found.device), found], 1)
        notes = controls.hold(found[..., 0], self.last)
        self.last = notes[:, frames - 1 :]
        return torch.stack([notes, found[..., 1]], 2)


class StreamSwell(nn.Module):
    """What the bands are multiplied by, over blocks; its state is the RMS of the last frame.

    Args:
        steps: band samples in a frame.
        delay: of the bands, in band samples.
    Notebook: 07.
    """

    rms: Tensor
    ramp: Tensor

    def __init__(self, steps: int, delay: int) -> None:
        super().__init__()
        self.register_buffer("ramp", source.ramp_of(steps))
        self.wait = Delay(delay, 1)
        self.register_buffer("rms", torch.zeros(1, 1))

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.wait.reset()
        self.rms = torch.zeros_like(self.rms)

    def forward(self, rms: Tensor) -> Tensor:
        """RMS of the loudness, [B, F], to factors as rows [B, F * steps, 1]."""
        if self.rms.size(0) != rms.size(0):
            self.rms = torch.zeros([rms.size(0), 1], dtype=rms.dtype, device=rms.device)
        factors = source.swell(rms, self.rms, self.ramp)
        self.rms = rms[:, rms.size(1) - 1 :]
        return self.wait(factors[..., None])


class StreamSource(nn.Module):
    """The harmonics over blocks of latents; its state is the phase, and the pitch and amplitudes of the last frame.

    Args:
        offline: of the model.
    Attributes:
        delay_out: samples that the sound runs behind, which is how far the network of the amplitudes looks ahead.
    Notebook: 07.
    """

    number: Tensor
    ramp: Tensor
    time: Tensor
    bend: Tensor
    phase: Tensor
    hertz: Tensor
    amplitudes: Tensor

    def __init__(self, offline: Source) -> None:
        super().__init__()
        self.sample_rate, self.hop_length = offline.sample_rate, offline.hop_length
        self.harmonics, self.channels = offline.harmonics, offline.channels
        self.net, delay = convert_sequence(offline.net, 0)
        self.delay_out = delay * self.hop_length
        self.wait = Delay(delay, 2)
        time, bend = source.glide_times(self.hop_length, self.sample_rate)
        self.register_buffer("time", time)
        self.register_buffer("bend", bend)
        self.register_buffer("number", offline.number.clone())
        self.register_buffer("ramp", offline.ramp.clone())
        self.register_buffer("phase", torch.zeros(1, 1, dtype=torch.float64))  # in periods, 0 to 1
        self.register_buffer("hertz", torch.zeros(1, 1, dtype=torch.float64))
        self.register_buffer("amplitudes", torch.zeros(1, 1, self.channels * self.harmonics))

    @torch.jit.export
    def reset(self) -> None:
        """Forget the past. Notebook: 07."""
        self.net.reset()
        self.wait.reset()
        self.phase = torch.zeros_like(self.phase)
        self.hertz = torch.zeros_like(self.hertz)
        self.amplitudes = torch.zeros_like(self.amplitudes)

    def forward(self, scaled: Tensor, note: Tensor, rms: Tensor) -> Tensor:
        """Rows of `source.scaled` latents [B, F, D], the note and the RMS of the loudness [B, F, 1], to sound [B, C, F * hop]."""
        batch, frames = scaled.size(0), scaled.size(1)
        if self.phase.size(0) != batch:
            self.phase = torch.zeros([batch, 1], dtype=torch.float64, device=scaled.device)
            self.hertz = torch.zeros([batch, 1], dtype=torch.float64, device=scaled.device)
            self.amplitudes = torch.zeros([batch, 1, self.channels * self.harmonics], device=scaled.device)
        features = self.net(scaled)
        note, rms = self.wait(torch.cat([note, rms], 2)).chunk(2, 2)
        hertz = source.audible_hertz(note[..., 0].double())
        amplitudes = source.harmonic_amplitudes(
            features, hertz[..., None].to(rms.dtype), rms, self.number, self.sample_rate
        )
        inside = source.glide(hertz, self.hertz, self.time, self.bend)
        ends = self.phase + inside[..., -1].cumsum(1)
        begins = torch.cat([self.phase, ends[:, : frames - 1]], 1)
        cycles = ((begins[..., None] + inside) % 1.0).to(rms.dtype)
        before = torch.cat([self.amplitudes, amplitudes[:, : frames - 1]], 1)
        sung = source.sum_of_harmonics(
            cycles.flatten(0, 1), before.flatten(0, 1), amplitudes.flatten(0, 1), self.number, self.ramp
        )
        self.phase = ends[:, frames - 1 :] % 1.0
        self.hertz = hertz[:, frames - 1 :]
        self.amplitudes = amplitudes[:, frames - 1 :]
        sung = sung.view(batch, frames, self.channels, self.hop_length)
        return sung.transpose(1, 2).reshape(batch, self.channels, frames * self.hop_length)


class StreamNoSource(nn.Module):
    """Stands where a model has no source. Notebook: 07."""

    @torch.jit.export
    def reset(self) -> None:
        """There is nothing to forget. Notebook: 07."""

    def forward(self, scaled: Tensor, note: Tensor, rms: Tensor) -> Tensor:
        """As `StreamSource.forward`: no channel of sound."""
        return torch.zeros([scaled.size(0), 0, 0], dtype=scaled.dtype, device=scaled.device)
