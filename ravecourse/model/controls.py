"""Pitch and loudness of each latent frame: the latent dimensions that have a name, measured and not learned.

Notebook: 03, 05.
"""

import math

import scipy.fft
import torch
from torch import Tensor, nn

from ravecourse.config import ModelConfig

from .layers import frame_windows
from .periods import evened_likeness, exact_period, likeness, peaks, power_spectrum

PERIODS = 2.5  # of the lowest pitch in a window
PERIODIC = 0.35  # least evened likeness of neighbouring periods in a frame with a pitch
STAYS = 0.03  # in likeness, the advantage of a period near the last one
OCTAVE_COST = 0.03  # in likeness, of a period twice as long: two periods repeat as exactly as one
TREBLE_HZ = 1000.0  # above it the pitch analysis hears 6 dB less an octave
FULL_SCALE_DB = 100.0  # of an RMS of 1, as Pd's env~ counts: 0 is silence
FAINTEST_DB = 30.0  # no pitch is looked for below
REACH = 8  # samples, at most, from the best period of the evened sound to that of the sound itself


def note_to_hertz(note: Tensor) -> Tensor:
    """MIDI note numbers to Hz, any shape: 69 is 440. Notebook: 03, 05."""
    return 440.0 * torch.exp2((note - 69.0) / 12.0)


def follow(
    height: Tensor,
    heard: Tensor,
    cost: Tensor,
    notes: Tensor,
    last: Tensor,
    periodic: float = PERIODIC,  # TorchScript reads constants of a module as arguments only
    stays: float = STAYS,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best period of each frame, where one close to that of the frame before has an advantage.

    Without it the choice flickers where two periods are about equally good, and each flicker breaks the tone.

    Args:
        height: [B, F, longest], `peaks` of each frame; heard: [B, F], whether it is loud enough.
        cost: [longest], as `pitch_and_loudness`; notes: [longest], the MIDI note number of each period.
        last: [B, 1], the note of the frame before the first, 0 for none.
    Returns:
        the place of the best period [B, F], whether it is a pitch [B, F], and the last note [B, 1].
    Notebook: 05.
    """
    places: list[Tensor] = []
    pitched: list[Tensor] = []
    for f in range(height.size(1)):
        score = height[:, f] - cost + stays * ((notes - last).abs() < 0.5)
        place = score.argmax(1, keepdim=True)
        found = heard[:, f : f + 1] & (height[:, f].gather(1, place) >= periodic)
        last = torch.where(found, notes[place], last)
        places.append(place)
        pitched.append(found)
    return torch.cat(places, 1), torch.cat(pitched, 1), last


def pitch_and_loudness(
    windows: Tensor,
    power: Tensor,
    weights: Tensor,
    cost: Tensor,
    notes: Tensor,
    treble: Tensor,
    taper: Tensor,
    near: Tensor,
    n_fft: int,
    highest_note: float,
    last: Tensor,
    full_scale_db: float = FULL_SCALE_DB,
    faintest_db: float = FAINTEST_DB,
) -> tuple[Tensor, Tensor]:
    """The pitch and the loudness of windows of sound that follow one another.

    Pitch is the period after which the sound repeats itself most exactly, where a period twice as long has to be better
    by the cost of an octave, and another than that of the frame before by a little. Loudness is the weighted RMS.

    Args:
        windows: [B, F, W], the mixed sound; power: [B, F, W], its squares, averaged over channels.
        weights: [W], of the squares in the loudness, with a sum of 1.
        cost: [longest], of each period from 1 sample on, in likeness; notes: [longest], their MIDI note numbers.
        treble, taper: as `evened_likeness`.
        near: [L], how far from the best period of the evened sound its exact one is looked for, in samples.
        n_fft: W + longest + 2 + the last of `near`, or more, so that no lag that is read wraps around.
        highest_note: MIDI note number of a period of one sample.
        last: [B, 1], as `follow`.
    Returns:
        [B, F, 2]: MIDI note number, 0 where there is no pitch; dB from 0 (silence), 100 for an RMS of 1. And the `last`
        of the next windows.
    Source: the cost of an octave is Boersma's (IFA Proceedings 17, 1993). Notebook: 03, 05.
    """
    batch, frames = windows.size(0), windows.size(1)
    if frames == 0:
        return torch.zeros([batch, 0, 2], dtype=windows.dtype, device=windows.device), last
    level = 10.0 * torch.log10((power * weights).sum(2) + 1e-10) + full_scale_db
    sound = windows.flatten(0, 1)
    sound = sound - sound.mean(1, keepdim=True)
    spectrum = power_spectrum(sound, n_fft)
    height = peaks(evened_likeness(spectrum, treble, taper, n_fft))
    place, pitched, last = follow(height.view(batch, frames, -1), level > faintest_db, cost, notes, last)
    lags = place.view(-1, 1) + 1 + near
    period = exact_period(likeness(sound, spectrum, lags, n_fft), lags).view(batch, frames)
    note = torch.where(pitched, highest_note - 12.0 * torch.log2(period), 0.0)
    return torch.stack([note.to(level.dtype), level], 2), last


def hold(notes: Tensor, last: Tensor) -> Tensor:
    """Fill frames without a pitch with the last one before.

    Args:
        notes: [B, F], 0 where there is no pitch; last: [B, 1], the note before the first frame, 0 for none.
    Returns:
        [B, F]; 0 only where no pitch has come yet.
    Notebook: 03, 05.
    """
    if notes.size(1) == 1:  # a stream of single frames: quicker, and the same
        return torch.where(notes > 0, notes, last)
    notes = torch.cat([last, notes], 1)
    places = torch.arange(notes.size(1), device=notes.device)
    latest = torch.where(notes > 0, places, torch.zeros_like(places)).cummax(1)[0]
    return notes.gather(1, latest)[:, 1:]


class Controls(nn.Module):
    """Audio to pitch and loudness, one pair for each latent frame.

    A window of two and a half periods of the lowest pitch ends `lookahead` samples after its frame. In a model that
    looks ahead it is centred near the frame's end; in a causal one it ends with the frame.

    Args:
        config: of a model with a source.
    Notebook: 03, 05.
    """

    weights: Tensor
    cost: Tensor
    notes: Tensor
    treble: Tensor
    taper: Tensor
    near: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hop_length = config.hop_length
        self.longest = math.ceil(config.sample_rate / config.lowest_hz)
        shortest = max(int(config.sample_rate / config.highest_hz), 2)
        self.highest_note = 69.0 + 12.0 * math.log2(config.sample_rate / 440.0)
        self.window = math.ceil(PERIODS * config.sample_rate / config.lowest_hz)
        reach = min(REACH, shortest // 2) + 1
        self.n_fft = 2 * scipy.fft.next_fast_len(
            (self.window + self.longest + reach) // 2 + 1, real=True
        )  # odd lengths are slow
        self.lookahead_frames = 0 if config.causal else self.window // 2 // config.hop_length
        self.lookahead = self.lookahead_frames * config.hop_length

        hann = torch.hann_window(self.window, periodic=False)
        self.register_buffer("weights", hann / hann.sum(), persistent=False)
        octaves = torch.log2(torch.arange(1, self.longest + 1))
        octaves[: shortest - 1] = math.inf  # these periods are not looked for
        self.register_buffer("cost", OCTAVE_COST * octaves, persistent=False)
        self.register_buffer("near", torch.arange(-reach, reach + 1), persistent=False)
        notes = self.highest_note - 12.0 * torch.log2(torch.arange(1, self.longest + 1))
        self.register_buffer("notes", notes, persistent=False)
        hertz = torch.arange(self.n_fft // 2 + 1) * (config.sample_rate / self.n_fft)
        self.register_buffer("treble", 1.0 / (1.0 + hertz / TREBLE_HZ), persistent=False)
        shares = 1.0 - torch.arange(self.longest + 2) / self.window
        self.register_buffer("taper", shares, persistent=False)

    @torch.no_grad()
    def measure(self, audio: Tensor) -> Tensor:
        """[B, C, T], T a multiple of the hop, to [B, F, 2]: MIDI note, 0 where there is none, and loudness in dB.

        Notebook: 05.
        """
        both = torch.stack([audio.mean(1), audio.square().mean(1)], 1)  # [B, 2, T]
        if both.device.type == "mps":  # it has no float64
            both = both.cpu()
        windows = frame_windows(both, self.window, self.hop_length, self.lookahead)  # [B, 2, F, W]
        mixed, power = windows.unbind(1)  # [B, F, W] each
        found, _ = pitch_and_loudness(
            mixed,
            power,
            self.weights.to(both.device),
            self.cost.to(both.device),
            self.notes.to(both.device),
            self.treble.to(both.device),
            self.taper.to(both.device),
            self.near.to(both.device),
            self.n_fft,
            self.highest_note,
            torch.zeros_like(both[:, 0, :1]),
        )
        return found.to(audio.device)

    def forward(self, audio: Tensor) -> Tensor:
        """[B, C, T], T a multiple of the hop, to [B, 2, F]: MIDI note (held where there is none) and loudness in dB."""
        notes, loudness = self.measure(audio).unbind(2)
        return torch.stack([hold(notes, torch.zeros_like(notes[:, :1])), loudness], 1)

    def pitched_share(self, audio: Tensor) -> float:
        """Share of the frames within 40 dB of the loudest that have a pitch: [B, C, T] to 0 to 1.

        Notebook: 05.
        """
        notes, loudness = self.measure(audio).unbind(2)
        heard = (loudness > loudness.max() - 40.0) & (loudness > FAINTEST_DB)
        return float((notes[heard] > 0).float().mean()) if bool(heard.any()) else 0.0
