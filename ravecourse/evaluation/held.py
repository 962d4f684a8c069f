"""Whether a held latent holds its sound: pitch, level, and no buzz at the frame rate.

A decoder without a time of its own repeats itself every hop when its latent stands still: whatever the note was, what
sounds is a multiple of the frame rate.

Notebook: 10.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE, receptive_field

from .melody import HIGHEST_HZ, LOWEST_HZ
from .tracks import FLOOR_DB, HOP_SECONDS, NEAR_OCTAVES, WINDOW_SECONDS, level_track, pitch_track

AROUND_SECONDS = 0.06  # on either side of a frame that is held, the recording keeps its pitch
HELD_SHARE = 0.95  # of the time in which the pitch must be right; the rest is left to slips of the tracker
STEADY_DB = 3.0  # most between the loudest and the softest 50 ms of a steady sound
NEAR_DB = 6.0  # most between a held sound and the recording's frame: half or twice the amplitude
COMB_DB = -20.0  # a comb above this, one percent of the energy, is a buzz beside the note
LEAST_SECONDS = 0.2  # of a held sound
LEAST_LEAD_SECONDS = 0.2  # before what is judged; more where the receptive field is longer
LINE_BINS = 4  # half the width of a line in a spectrum under a Blackman-Harris window
LEAST_PERIODS = 12  # of the frame rate that are judged: its multiples are then lines apart
BATCH = 10  # sounds that are decoded at a time


@dataclass(frozen=True)
class Held:
    """What became of latents that were held, in one way of decoding; shares are 0 to 1.

    Attributes:
        pitch: share of the held sounds that have the frame's pitch, within half a semitone, all the time.
        steady: share whose level stays within 3 dB from one 50 ms to the next.
        near: share whose level is within 6 dB of the recording's frame.
        clean: share without a comb: less than -20 dB of the energy at multiples of the frame rate.
        still: share for which all four are true.
        ripple_db: between the loudest and the softest 50 ms, median.
        level_difference_db: of the held sound from the recording's frame, median; above 0 is louder.
        comb_db: energy at multiples of the frame rate that are no multiples of the pitch, in dB of the whole, median.
    Notebook: 10.
    """

    pitch: float
    steady: float
    near: float
    clean: float
    still: float
    ripple_db: float
    level_difference_db: float
    comb_db: float


@dataclass(frozen=True)
class Stillness:
    """Whether held latents hold their sound, with the decoder's noise, as it is played, and without.

    `held` and `without_noise` are None where the recording has no frame with a steady pitch.

    Notebook: 10.
    """

    frames: int
    held: Held | None
    without_noise: Held | None


@torch.no_grad()
def stillness(model: RAVE, sound: Tensor, frames: int = 60, seconds: float = 1.0, seed: int = 0) -> Stillness:
    """Hold single latent frames of a recording, and judge what the decoder makes of each.

    Args:
        model: in evaluation mode.
        sound: `[C, T]` at the model's sample rate, half a second or more; it is encoded as a whole.
        frames: the most that are held, 1 or more; they are spread over all those that have a steady pitch.
        seconds: how long each is judged, 0.2 or more and 12 latent frames or more.
        seed: of the decoder's noise.
    Raises:
        RaveCourseError: too few frames or seconds, or too little sound.
    Notebook: 05, 10.
    """
    least = max(LEAST_SECONDS, LEAST_PERIODS * model.hop_length / model.sample_rate)
    if frames < 1 or seconds < least:
        raise RaveCourseError(
            f"{frames} frames of {seconds:g} s cannot be held; use 1 or more, of {least:.2g} s or more."
        )
    chosen, wanted = steady_frames(model, sound, frames)
    if not len(chosen):
        return Stillness(0, None, None)
    latents = _encode(model, sound)[0, :, chosen].T  # [N, D]
    at = _windows_of(chosen, model, len(level_track(sound, model.sample_rate)))
    levels = level_track(sound, model.sample_rate)[at]
    held = _judge(hold(model, latents, seconds, True, seed), wanted, levels, model)
    quiet = _judge(hold(model, latents, seconds, False, seed), wanted, levels, model)
    return Stillness(len(chosen), held, quiet)


@dataclass(frozen=True)
class HeldSound:
    """One latent frame that was held: when in the recording, its pitch there, and what it sounds like, `[C, T]`.

    Notebook: 10.
    """

    at_seconds: float
    hertz: float
    sound: Tensor


@torch.no_grad()
def held_sounds(model: RAVE, sound: Tensor, count: int = 6, seconds: float = 1.0) -> list[HeldSound]:
    """Some latent frames of a recording held for a second, to listen to.

    Args:
        model, sound: as `stillness`.
        count: the most.
        seconds: of each.
    Notebook: 10.
    """
    chosen, pitches = steady_frames(model, sound, count)
    if not len(chosen):
        return []
    sounds = hold(model, _encode(model, sound)[0, :, chosen].T, seconds)
    times = (chosen + 0.5) * model.hop_length / model.sample_rate
    return [HeldSound(float(t), float(p), s) for t, p, s in zip(times, pitches, sounds, strict=True)]


def steady_frames(model: RAVE, sound: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The latent frames of a recording around which its pitch is steady, spread over it.

    Left out are pitches within a semitone of the frame rate divided by a whole number: there a buzz at the frame rate
    passes for the note.

    Args:
        sound: `[C, T]`.
        most: frames.
    Returns:
        indices `[N]` of latent frames, and their pitches `[N]` in Hz.
    Raises:
        RaveCourseError: shorter than 50 ms.
    Notebook: 10.
    """
    rate = model.sample_rate
    hertz, _ = pitch_track(sound, rate, LOWEST_HZ, HIGHEST_HZ)
    count = sound.shape[-1] // model.hop_length
    around = round(AROUND_SECONDS / HOP_SECONDS)
    if count == 0 or len(hertz) <= 2 * around:
        return torch.zeros(0, dtype=torch.long), torch.zeros(0)
    at = _windows_of(torch.arange(count), model, len(hertz))
    windows = torch.nn.functional.pad(hertz, (around, around)).unfold(0, 2 * around + 1, 1)[at]  # [count, windows]
    span = windows.amax(1).clamp(min=1.0).log2() - windows.amin(1).clamp(min=1.0).log2()
    parts = rate / model.hop_length / windows.median(1).values.clamp(min=1.0)
    off = torch.log2(parts / parts.round().clamp(min=1.0)).abs()
    steady = ((windows > 0).all(1) & (span <= NEAR_OCTAVES) & (off > 2 * NEAR_OCTAVES)).nonzero()[:, 0]
    if len(steady) > most:
        steady = steady[torch.linspace(0, len(steady) - 1, most).round().long()]
    return steady, hertz[at[steady]]


@torch.no_grad()
def hold(model: RAVE, latents: Tensor, seconds: float, noise: bool = True, seed: int = 0) -> Tensor:
    """The sound of latents that stand still, after and before the edges at which the decoder sees zeros.

    Args:
        latents: `[N, D]`, one of each sound.
        seconds: of sound, above 0.
        noise: False leaves the decoder's noise out.
        seed: of the noise.
    Returns:
        `[N, C, seconds * sample_rate]`.
    Notebook: 10.
    """
    hop, length = model.hop_length, round(seconds * model.sample_rate)
    field = receptive_field(model)
    lead = -(-max(field, round(LEAST_LEAD_SECONDS * model.sample_rate)) // hop)
    count = lead - (-(length + field) // hop)
    generator = torch.Generator().manual_seed(seed)
    sounds = [
        model.decode(part[:, :, None].expand(-1, -1, count), noise, generator)[..., lead * hop : lead * hop + length]
        for part in latents.split(BATCH)
    ]
    return torch.cat(sounds)


def comb_level(sound: Tensor, sample_rate: int, frame_rate: float, pitch: float) -> float:
    """How much of a steady sound lies at multiples of the frame rate that are no multiples of its pitch.

    What stands above the noise around each such multiple is counted, so that noise is no comb. Multiples closer to one of
    the pitch than two lines of the spectrum are wide are left out, since one hides the other.

    Args:
        sound: `[T]`, steady, of 12 periods of the frame rate or more.
        frame_rate: Hz.
        pitch: Hz, within half a semitone: the value that fits the spectrum best is found from there.
    Returns:
        dB of the sound's whole energy above 20 Hz, -100 or more; -100 for silence.
    Notebook: 10.
    """
    length = len(sound)
    phase = 2 * torch.pi * torch.arange(length, dtype=torch.float64) / length
    window = 0.35875 - 0.48829 * phase.cos() + 0.14128 * (2 * phase).cos() - 0.01168 * (3 * phase).cos()
    power = torch.fft.rfft(sound.double() * window).abs().square()  # [length/2 + 1]
    bins = length / sample_rate  # per Hz
    whole = float(power[round(20 * bins) :].sum())
    if whole <= 1e-12 * length:
        return -100.0
    tone = _sharpened(power, bins, pitch)
    multiples = torch.arange(1, int(sample_rate / 2 / frame_rate)) * frame_rate
    apart = (multiples - (multiples / tone).round().clamp(min=1) * tone).abs()
    multiples = multiples[apart > 2 * LINE_BINS / bins]
    if not len(multiples):
        return -100.0
    wide = round(frame_rate / 2 * bins)
    centres = (multiples * bins).round().long()
    offsets = torch.arange(-wide, wide + 1)
    near = power[(centres[:, None] + offsets).clamp(0, len(power) - 1)]  # [multiples, offsets]
    line = offsets.abs() <= LINE_BINS
    noise = near[:, ~line].median(1).values / torch.log(torch.tensor(2.0))  # the mean of a noise that has this median
    excess = (near[:, line].sum(1) - noise * int(line.sum())).sum()
    return max(-100.0, 10 * float(torch.log10(excess.clamp(min=1e-20) / whole)))


def _sharpened(power: Tensor, bins: float, pitch: float) -> float:
    """The pitch within half a semitone of `pitch` whose partials hold the most energy; `bins` of the spectrum per Hz."""
    partials = torch.arange(1, max(2, min(40, int(len(power) / bins / pitch / 1.05))))
    step = 0.25 / bins / len(partials)
    reach = pitch * (2**NEAR_OCTAVES - 1)
    tones = pitch + torch.arange(-reach, reach + step, step)
    index = (tones[:, None] * partials * bins).round().long().clamp(max=len(power) - 1)
    return float(tones[power[index].sum(1).argmax()])


def _judge(sounds: Tensor, wanted: Tensor, levels: Tensor, model: RAVE) -> Held:
    """Judge sounds `[N, C, T]` that should have the pitches `wanted` `[N]` in Hz and the `levels` `[N]` in dBFS."""
    rate, frame_rate = model.sample_rate, model.sample_rate / model.hop_length
    right, ripples, differences, combs = [], [], [], []
    for sound, pitch, level in zip(sounds, wanted, levels, strict=True):
        hertz, _ = pitch_track(sound, rate, LOWEST_HZ, HIGHEST_HZ)
        near = (hertz > 0) & (torch.log2(hertz.clamp(min=1.0) / pitch).abs() <= NEAR_OCTAVES)
        track = level_track(sound, rate)
        right.append(float(near.float().mean()) >= HELD_SHARE)
        ripples.append(track.max() - track.min())
        differences.append(track.mean() - level)
        combs.append(comb_level(sound.mean(0), rate, frame_rate, float(pitch)))
    pitched, ripple, difference = torch.tensor(right), torch.stack(ripples), torch.stack(differences)
    comb = torch.tensor(combs)
    sounding = difference + levels > FLOOR_DB
    steady, near_level, clean = (ripple <= STEADY_DB) & sounding, difference.abs() <= NEAR_DB, comb < COMB_DB

    def share(passed: Tensor) -> float:
        return float(passed.float().mean())

    return Held(
        share(pitched),
        share(steady),
        share(near_level),
        share(clean),
        share(pitched & steady & near_level & clean),
        float(ripple.median()),
        float(difference.median()),
        float(comb.median()),
    )


def _encode(model: RAVE, sound: Tensor) -> Tensor:
    whole = sound[None, :, : sound.shape[-1] // model.hop_length * model.hop_length]
    return model.encode(whole)[0]  # [1, D, F]


def _windows_of(frames: Tensor, model: RAVE, count: int) -> Tensor:
    """Which window of a pitch or level track of `count` has its middle nearest to that of each latent frame."""
    middles = (frames + 0.5) * model.hop_length / model.sample_rate
    return ((middles - WINDOW_SECONDS / 2) / HOP_SECONDS).round().long().clamp(0, count - 1)
