"""Exercises of chapter 02, many bands.

Notebook: 02.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ravecourse.model import PQMF, cosine_modulated_bank, refined_prototype

from .feedback import NotAllowed, Verdict, ask, compare, exercise, ruling_out, together

RATE, BANDS, TONE_HZ, SECONDS = 48000, 16, 4000, 2
ALLOWED_MS = 5.0
READY_MADE = ("torch.conv1d", "torch.nn.functional.conv1d")


@exercise(
    "02",
    "Half the sample rate, divided by 16, is the width of a band: how many whole widths fit below the "
    "tone? And a band keeps one sample in 16.",
)
def where(band: float, frames: float) -> Verdict:
    """The band that a sine falls in, and the frames that come out of two seconds."""
    width = RATE / 2 / BANDS
    expected, count = int(TONE_HZ // width), SECONDS * RATE // BANDS
    return together(
        compare(
            band,
            expected,
            "the band",
            usual={
                "Counted from 1. The lowest band is band 0.": expected + 1,
                "Sound reaches up to half the sample rate: the bands are 1500 Hz wide, not 3000.": expected // 2,
            },
        ),
        compare(
            frames,
            count,
            "the number of frames",
            usual={
                "That is all bands together, as many numbers as before. Count one band.": SECONDS * RATE,
                "That is one second; the sine lasts two.": RATE // BANDS,
            },
        ),
    )


@exercise(
    "02",
    "Subtract first. Then the mean of the squares, of the difference and of the original; 10 times log10 "
    "of their ratio.",
)
def error_in_db(function: Callable[[Tensor, Tensor], float]) -> Verdict:
    """The error of a reconstruction in dB, for errors of several sizes and sounds of several levels."""
    generator = torch.Generator().manual_seed(0)
    for level, size in ((0.5, 0.1), (0.5, 0.001), (0.01, 0.1), (0.01, 2.0)):
        original = level * torch.randn(1, 1, 4000, generator=generator)  # [1, 1, T]
        rebuilt = original + size * level * torch.randn(1, 1, 4000, generator=generator)
        wrong = float((rebuilt - original).double().square().mean())
        power = float(original.double().square().mean())
        expected = 10 * math.log10(wrong / power)
        verdict = compare(
            ask(function, original, rebuilt),
            expected,
            f"the error of a sound at {20 * math.log10(level):.0f} dB",
            unit="dB",
            tolerance=1e-3,
            usual={
                "The other way round: a small error is a negative number of dB.": -expected,
                "That is the error's own level. It has to be relative to the sound.": 10 * math.log10(wrong),
                "Twice as much: 10 times the logarithm of a power, 20 times that of an amplitude.": 2 * expected,
                "Half as much: 20 times the logarithm of an amplitude, 10 times that of a power.": expected / 2,
                "That compares the levels of both sounds. Take the difference of the sounds, then its level.": 10
                * math.log10(float(rebuilt.double().square().mean()) / power),
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Small errors, large errors, loud and soft sounds.")


@exercise(
    "02",
    "Pad the sound with taps // 2 zeros at both ends; then `padded.unfold(0, taps, K)` has a row of taps "
    "samples for each frame, and a product with the bank is all that is left, but the signs.",
)
def band_split(function: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """The bands of a sound, for 4, 8 and 16 bands, beside those of the package."""
    generator = torch.Generator().manual_seed(0)
    for n_bands in (4, 8, 16):
        bank = torch.tensor(cosine_modulated_bank(refined_prototype(n_bands), n_bands), dtype=torch.float32)
        sound = 0.1 * torch.randn(100 * n_bands, generator=generator)  # [T]
        expected = PQMF(n_bands).analysis(sound[None, None])[0]  # [K, T/K]
        verdict = compare(
            ask(function, sound, bank),
            expected,
            f"the split into {n_bands} bands",
            draw=True,
            tolerance=1e-4,
            usual=_usual(sound, bank, expected),
        )
        if not verdict.right:
            return verdict
    try:
        with ruling_out(*READY_MADE):
            ask(function, sound, bank)
    except NotAllowed as error:
        return Verdict(False, f"The bands are right, but {error}")
    return Verdict(True, "The same 4, 8 and 16 bands as the package's.")


def _usual(sound: Tensor, bank: Tensor, expected: Tensor) -> dict[str, Tensor]:
    """What comes out of the usual mistakes, all [K, T/K]."""
    n_bands, reach = len(bank), bank.shape[1] // 2

    def plain(taps: Tensor, shift: int = 0) -> Tensor:
        padded = F.pad(sound, (reach - shift, reach + shift))[None, None]
        return F.conv1d(padded, taps[:, None], stride=n_bands)[0]

    signs = torch.ones_like(expected)
    signs[1::2, ::2] = -1
    odd_frames = torch.ones_like(expected)
    odd_frames[1::2, 1::2] = -1
    even_bands = torch.ones_like(expected)
    even_bands[::2, ::2] = -1
    all_bands = torch.ones_like(expected)
    all_bands[:, ::2] = -1
    bands = plain(bank)
    return {
        "All but the signs: in odd bands, frames 0, 2, 4 and so on are turned over.": bands,
        "The signs are on the wrong frames: 0, 2, 4 and so on are turned over.": bands * odd_frames,
        "The signs are on the wrong bands: 1, 3, 5 and so on are turned over.": bands * even_bands,
        "Only the odd bands are turned over, not all.": bands * all_bands,
        "The filters lie backwards: no flip here, weights and samples stand side by side.": plain(bank.flip(1)) * signs,
        "It is late: the middle tap has to lie on sample f K, not the first. Pad half of the zeros in front.": plain(
            bank, -reach
        )
        * signs,
        "It is early: the middle tap has to lie on sample f K. Pad half of the zeros in front.": plain(bank, reach)
        * signs,
    }


@exercise(
    "02",
    "A symmetric filter waits for the taps that come after its middle one: (taps - 1) / 2 samples, "
    "once for the split and once for the join. Then put in the taps of each number of bands.",
)
def design(delay_ms: Callable[[int, float], float], most_bands: float) -> Verdict:
    """The delay of split and join, and the largest number of bands that an allowance leaves."""
    for taps, rate in ((377, 48000), (189, 48000), (95, 44100), (5, 1000)):
        whole = 1000 * (taps - 1) / rate
        verdict = compare(
            ask(delay_ms, taps, rate),
            whole,
            f"the delay with {taps} taps at {rate} Hz",
            unit="ms",
            usual={
                "That is one way. There and back are two filters.": whole / 2,
                "That is each filter from its first tap to its last. It waits for the half that is still to come.": 2
                * whole,
                "The middle tap is there already: it need not be waited for.": 1000 * taps / rate,
                "Those are seconds.": whole / 1000,
                "Those are samples.": taps - 1,
            },
        )
        if not verdict.right:
            return verdict
    fits = {n_bands: 1000 * (len(refined_prototype(n_bands)) - 1) / RATE for n_bands in (4, 8, 16)}
    best = max(n_bands for n_bands, delay in fits.items() if delay <= ALLOWED_MS)
    return compare(
        most_bands,
        best,
        "the largest number of bands",
        usual={
            f"Too slow: 16 bands wait {fits[16]:.1f} ms, and {ALLOWED_MS:.0f} ms are allowed.": 16,
            f"4 bands fit, with {fits[4]:.1f} ms. More do, too.": 4,
        },
    )
