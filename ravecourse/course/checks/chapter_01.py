"""Exercises of chapter 01, sound as data.

Notebook: 01.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .feedback import NotAllowed, Verdict, ask, compare, exercise, ruling_out, together

READY_MADE = ("torch.fft.fft", "torch.fft.rfft", "torch.stft", "numpy.fft.fft", "numpy.fft.rfft", "scipy.fft.rfft")
SECONDS, RATE, CHANNELS, BYTES = 180, 44100, 2, 2  # three minutes of stereo, 16 bits


@exercise("01", "Multiply seconds by samples per second; then count the channels. 8 bits are one byte.")
def size(samples: float, size_bytes: float) -> Verdict:
    """Judge the samples per channel and the size in bytes of exercise 1.1."""
    count = SECONDS * RATE
    whole = count * CHANNELS * BYTES
    return together(
        compare(
            samples,
            count,
            "the number of samples",
            tolerance=0,
            usual={
                "That is both channels together; count one.": count * CHANNELS,
                "That is three seconds; a minute has 60.": 3 * RATE,
                "That is one minute, not three.": count // 3,
            },
        ),
        compare(
            size_bytes,
            whole,
            "the size",
            unit="bytes",
            tolerance=0,
            usual={
                "Leave out the 44 bytes of the WAV header; they are not samples.": whole + 44,
                "That is one channel; stereo has two.": count * BYTES,
                "That is in bits; 8 of them are one byte.": whole * 8,
                "That is the number of samples; each takes 16 bits, which are two bytes.": count * CHANNELS,
            },
        ),
    )


@exercise(
    "01",
    "Frequencies that differ by one sample rate give the same samples, and so do f and -f. Subtract the nearest "
    "multiple of the sample rate; the absolute value of the rest is the answer.",
)
def alias(function: Callable[[float, float], float]) -> Verdict:
    """Judge `alias(frequency, sample_rate)`, for frequencies from 0 to far above the sample rate."""
    cases = [
        (1000, 8000),
        (7000, 8000),
        (4000, 8000),
        (5000, 8000),
        (9000, 8000),
        (18000, 8000),
        (15000, 8000),
        (47900, 48000),
        (20000, 11025),
        (100000, 44100),
        (0, 8000),
    ]
    for frequency, rate in cases:
        heard = abs(frequency - rate * round(frequency / rate))
        verdict = compare(
            ask(function, frequency, rate),
            heard,
            f"the alias of {frequency} Hz at {rate} Hz",
            unit="Hz",
            usual={
                "Above half the sample rate the frequency is mirrored; it does not stay where it was.": frequency,
                "The alias does not stay at half the sample rate; it comes down again.": rate / 2,
                "You removed whole multiples of the sample rate; now mirror what is above half of it.": frequency
                % rate,
                "Mirroring once is right only below the sample rate. Above it the pattern repeats.": abs(
                    rate - frequency
                ),
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, f"All {len(cases)} aliases are where they should be.")


@exercise(
    "01",
    "From dB to an amplitude: 10 ** (dB / 20). The factor is the amplitude that you want divided by the RMS that you have. "
    "A second factor brings the largest sample, positive or negative, to 1. Which of the two do you return?",
)
def gain_for(function: Callable[[Tensor, float], float]) -> Verdict:
    """Judge `gain_for(audio, target_db)`: the target RMS is reached, unless a sample would clip."""
    generator = torch.Generator().manual_seed(0)
    sine = torch.sin(2 * torch.pi * 440 * torch.arange(4800) / 48000)[None]  # [1, T]
    stereo = torch.randn(2, 4800, generator=generator) * torch.tensor([[0.02], [0.002]])  # [2, T]
    click = 0.3 * sine
    click[0, 2000] = -0.9  # the largest sample is negative
    for what, audio, target_db in (
        ("a sine that is to become louder", 0.05 * sine, -20.0),
        ("a sine that is to become softer", 0.8 * sine, -30.0),
        ("stereo noise", stereo, -26.0),
        ("a sine with a constant offset", 0.1 * sine + 0.2, -12.0),
        ("a sound with one high peak", click, -1.0),
        ("a recording that is beyond full scale", 3.0 * sine, -1.0),
    ):
        double = audio.double()
        power, peak = float(double.square().mean()), float(double.abs().max())
        deviation = math.sqrt(float(double.var(correction=0)))
        wanted = 10 ** (target_db / 20) / math.sqrt(power)
        expected = min(wanted, 1 / peak)
        channels = [10 ** (target_db / 20) / float(row.square().mean().sqrt()) for row in double]
        verdict = compare(
            ask(function, audio, target_db),
            expected,
            f"the factor for {what}",
            tolerance=1e-3,
            usual={
                "That factor makes the sound clip: its largest sample would be above full scale.": wanted,
                "That looks only at the largest positive sample; negative ones clip too.": min(
                    wanted, 1 / float(double.max())
                ),
                "That ignores the target; it brings the peak to full scale.": 1 / peak,
                "That is the larger of the two factors; only the smaller satisfies both conditions.": max(
                    wanted, 1 / peak
                ),
                "You converted dB as for a power. An amplitude is 10 ** (dB / 20).": min(
                    10 ** (target_db / 10) / math.sqrt(power), 1 / peak
                ),
                "You divided by the mean power; take its square root first.": min(
                    10 ** (target_db / 20) / power, 1 / peak
                ),
                "You divided by the standard deviation, which subtracts the mean. An offset counts in the RMS.": min(
                    10 ** (target_db / 20) / deviation, 1 / peak
                ),
                "That is in dB; a factor is asked for.": 20 * math.log10(expected),
                "That is the inverse: divide the target by the level, not the level by the target.": 1 / expected,
                "You averaged over the channels. Take the mean power of all samples together.": sum(channels)
                / len(channels),
            },
        )
        if not verdict.right:
            return verdict
    verdict = compare(ask(function, torch.zeros(1, 100), -20.0), 1.0, "the factor for silence")
    return (
        verdict
        if not verdict.right
        else Verdict(True, "Louder, softer, in stereo, with an offset, a peak, and silence.")
    )


@exercise(
    "01",
    "In the sums of this chapter, k / N is the frequency in periods per sample; any other number of periods per sample "
    "works as well. A sine of amplitude 1 gives half the sum of the window.",
)
def amplitude_at(function: Callable[[Tensor, float, float], float]) -> Verdict:
    """Judge `amplitude_at(frame, hertz, sample_rate)`: one frequency of a windowed frame, between the bins too."""
    for n, rate, hertz, phase in ((2048, 48000, 1000.3, 0.4), (1024, 44100, 441.7, 2.0), (4096, 48000, 5555.5, 4.0)):
        time = torch.arange(n, dtype=torch.float64) / rate
        frame = 0.5 * torch.sin(2 * torch.pi * hertz * time + phase)
        frame += 0.2 * torch.cos(2 * torch.pi * (hertz + 20 * rate / n) * time)  # a partial far away
        window = torch.hann_window(n, dtype=torch.float64)
        turning = torch.exp(-2j * torch.pi * hertz * time)
        whole = 2 * complex((window * frame * turning).sum()) / float(window.sum())
        expected = abs(whole)
        nearest = 2 * torch.fft.rfft(window * frame).abs()[round(hertz * n / rate)] / window.sum()
        verdict = compare(
            ask(function, frame, hertz, rate),
            expected,
            f"the amplitude at {hertz} Hz in {n} samples",
            tolerance=1e-4,
            usual={
                "That is the nearest frequency k * RATE / N, not the one that was asked for.": float(nearest),
                "The window is missing.": abs(2 * complex((frame * turning).sum()) / n),
                "That is the sum itself. Scale it so that a sine of amplitude 0.5 gives 0.5.": expected
                * float(window.sum())
                / 2,
                "That is half: a squared sine has a mean of one half, and the window sums to N / 2, not to N.": expected
                / 2,
                "That uses only the cosine; a partial of another phase is in the sine.": whole.real,
                "That uses only the cosine; a partial of another phase is in the sine, too.": abs(whole.real),
                "That uses only the sine; a partial of another phase is in the cosine.": abs(whole.imag),
                "Cosine and sine are perpendicular: add their squares and take the root.": abs(whole.real)
                + abs(whole.imag),
                "That is the square of the amplitude; take the root.": expected**2,
            },
        )
        if not verdict.right:
            return verdict
    try:
        with ruling_out(*READY_MADE):
            ask(function, frame, hertz, rate)
    except NotAllowed as error:
        return Verdict(False, f"The numbers are right, but {error}")
    return Verdict(True, "Three frequencies between the bins, of three phases.")
