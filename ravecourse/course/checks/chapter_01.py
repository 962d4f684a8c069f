"""Exercises of chapter 01, sound as data.

Notebook: 01.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ravecourse.audio import rms_db

from .feedback import NotAllowed, Verdict, ask, compare, exercise, ruling_out, together

READY_MADE = ("torch.fft.fft", "torch.fft.rfft", "torch.stft", "numpy.fft.fft", "numpy.fft.rfft", "scipy.fft.rfft")
SECONDS, RATE, CHANNELS, BYTES = 180, 44100, 2, 2  # three minutes of stereo, 16 bits


@exercise("01", "Seconds times samples a second; then channels, and 8 bits are a byte.")
def size(samples: float, size_bytes: float) -> Verdict:
    """How many samples a channel of three minutes has at 44100 Hz, and how many bytes stereo of 16 bits takes."""
    count = SECONDS * RATE
    whole = count * CHANNELS * BYTES
    return together(
        compare(
            samples,
            count,
            "the number of samples",
            tolerance=0,
            usual={
                "That is both channels together: count one.": count * CHANNELS,
                "That is three seconds. A minute has 60.": 3 * RATE,
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
                "The 44 bytes of a WAV file's header are no samples; leave them out.": whole + 44,
                "That is one channel; stereo has two.": count * BYTES,
                "Those are bits. 8 of them are a byte.": whole * 8,
                "Those are samples. Each takes 16 bits, which are two bytes.": count * CHANNELS,
            },
        ),
    )


@exercise(
    "01",
    "Frequencies a whole sample rate apart give the same samples, and so do f and -f. Take away the "
    "multiple of the sample rate that is nearest; what is left, without its sign, is the answer.",
)
def alias(function: Callable[[float, float], float]) -> Verdict:
    """Where a sine is heard that was sampled without a filter, for frequencies from 0 to far above the rate."""
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
                "Above half the sample rate it is mirrored; it does not stay where it was.": frequency,
                "It does not stop at half the sample rate: it comes down again.": rate / 2,
                "Whole multiples of the sample rate are gone; now mirror what is above half of it.": frequency % rate,
                "Once mirrored is right below the sample rate. Above it the pattern repeats.": abs(rate - frequency),
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, f"All {len(cases)} tones land where they are heard.")


@exercise(
    "01",
    "Square, mean, then 10 * log10 of that power (or the square root, and 20 times its logarithm). "
    "Ask whether the power is zero before you take a logarithm.",
)
def level(function: Callable[[Tensor], float]) -> Verdict:
    """The RMS of audio in dBFS, silence included."""
    generator = torch.Generator().manual_seed(0)
    sine = torch.sin(2 * torch.pi * 440 * torch.arange(4800) / 48000)[None]  # [1, T]
    stereo = torch.randn(2, 4800, generator=generator) * torch.tensor([[0.2], [0.02]])  # [2, T]
    for what, audio in (
        ("the level of a full-scale sine", sine),
        ("the level of a softer sine", 0.05 * sine),
        ("the level of noise in stereo", stereo),
        ("the level of a sine with a constant offset", 0.1 * sine + 0.3),
    ):
        power = float(audio.double().square().mean())
        verdict = compare(
            ask(function, audio),
            rms_db(audio),
            what,
            unit="dBFS",
            tolerance=1e-3,
            usual={
                "That is twice as many decibels: 10 times the logarithm of a power, 20 times that of an amplitude.": 20
                * math.log10(power),
                "That is half as many decibels: 20 times the logarithm of an amplitude.": 5 * math.log10(power),
                "That is the natural logarithm; decibels want log10.": 10 * math.log(power),
                "That is the standard deviation, which takes the mean away: an offset counts in the RMS.": 10
                * math.log10(float(audio.double().var(correction=0))),
                "That is the peak, not the mean power.": 20 * math.log10(float(audio.abs().max())),
                "That is the mean power itself; decibels are a logarithm of it.": power,
                "That is the mean of the two channels' decibels. Take the mean of the power first.": sum(
                    rms_db(row) for row in audio
                )
                / len(audio),
            },
        )
        if not verdict.right:
            return verdict
    silent = ask(function, torch.zeros(1, 100))
    if (
        not (isinstance(silent, (int, float)) or isinstance(silent, Tensor) and silent.numel() == 1)
        or float(silent) != -math.inf
    ):
        return Verdict(False, f"For silence, minus infinity was expected; yours is {silent!r:.80}.")
    return Verdict(True, "The sines, stereo noise, an offset and silence.")


@exercise(
    "01",
    "Make `angle` of the shape [N/2 + 1, N] from 2 pi k n / N. cos(angle) @ x and sin(angle) @ x are the "
    "two halves of each number; its magnitude is the root of the sum of their squares.",
)
def magnitudes(function: Callable[[Tensor], Tensor]) -> Verdict:
    """Magnitudes of the Fourier transform of one windowed frame, for several lengths."""
    generator = torch.Generator().manual_seed(0)
    for n in (64, 256, 1024):
        time = torch.arange(n, dtype=torch.float64)
        frame = torch.sin(0.3 * time) + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)
        windowed = frame * torch.hann_window(n, dtype=torch.float64)
        whole = torch.fft.rfft(windowed)
        verdict = compare(
            ask(function, frame),
            whole.abs(),
            f"the magnitudes of a frame of {n} samples",
            draw=True,
            tolerance=1e-4,
            usual={
                "The window is missing.": torch.fft.rfft(frame).abs(),
                "That is the power: take the root of the sum of squares.": whole.abs().square(),
                "Those are the cosines only; the sines belong to it.": whole.real,
                "Those are the cosines' sizes only; the sines belong to it.": whole.real.abs(),
                "These are complex numbers: take their magnitude.": whole,
                "Cosines and sines are two sides of a right angle: squares, sum, root.": whole.real.abs()
                + whole.imag.abs(),
            },
        )
        if not verdict.right:
            return verdict
    try:
        with ruling_out(*READY_MADE):
            ask(function, frame)
    except NotAllowed as error:
        return Verdict(False, f"The numbers are right, but {error}")
    return Verdict(True, "Frames of 64, 256 and 1024 samples.")
