"""Exercises of chapter 02, many bands.

Notebook: 02.
"""

from collections.abc import Callable, Sequence

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
    "The width of a band is half the sample rate divided by 16. How many whole widths fit below the tone? "
    "And a band keeps one sample out of 16.",
)
def where(band: float, frames: float) -> Verdict:
    """Judge the band that holds a sine, and the number of frames in two seconds."""
    width = RATE / 2 / BANDS
    expected, count = int(TONE_HZ // width), SECONDS * RATE // BANDS
    return together(
        compare(
            band,
            expected,
            "the band",
            usual={
                "You counted from 1. The lowest band is band 0.": expected + 1,
                "Sound reaches only half the sample rate: the bands are 1500 Hz wide, not 3000.": expected // 2,
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
    "The borders are the multiples of the band width: which one is nearest? The bands below and above it hold the tone. "
    "A band mirrors frequencies at its borders.",
)
def at_border(function: Callable[[float, int, float], Sequence[float]]) -> Verdict:
    """Judge `at_border(hertz, n_bands, sample_rate)`: both bands of a tone near a border, and its alias."""
    for hertz, n_bands, rate in ((2980, 16, 48000), (1550, 16, 48000), (6100, 8, 48000), (10900, 4, 44100)):
        width = rate / 2 / n_bands
        upper = round(hertz / width)
        alias, inside = 2 * upper * width - hertz, int(hertz // width)
        verdict = compare(
            ask(function, hertz, n_bands, rate),
            [upper - 1, upper, alias],
            f"bands and alias for {hertz} Hz with {n_bands} bands at {rate} Hz",
            usual={
                "Those are the two bands beside the one that holds the tone; the tone is in one of the two asked for.": [
                    inside - 1,
                    inside + 1,
                    alias,
                ],
                "A tone just above a border is in the upper band, too: the other band is the one below.": [
                    inside,
                    inside + 1,
                    alias,
                ],
                "A tone just below a border is in the lower band, too: the other band is the one above.": [
                    inside - 1,
                    inside,
                    alias,
                ],
                "You counted the bands from 1. The lowest is band 0.": [upper, upper + 1, alias],
                "The first band is the lower one.": [upper, upper - 1, alias],
                "The bands are right. That is the tone itself; its alias is on the other side of the border.": [
                    upper - 1,
                    upper,
                    hertz,
                ],
                "The bands are right. That is the frequency inside a band, before the bands are joined.": [
                    upper - 1,
                    upper,
                    hertz % width,
                ],
                "The bands are right. You mirrored at half the sample rate of the sound, not at the border.": [
                    upper - 1,
                    upper,
                    rate - hertz,
                ],
                "The bands are right. That is the distance from the border; the alias lies that far beyond it.": [
                    upper - 1,
                    upper,
                    abs(hertz - upper * width),
                ],
            },
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Tones above and below a border, of 4, 8 and 16 bands.")


@exercise(
    "02",
    "Pad the sound with taps // 2 zeros at both ends. Then `padded.unfold(0, taps, K)` has a row of `taps` samples for "
    "each frame. What is left is a product with the bank, and the signs.",
)
def band_split(function: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """Judge `band_split(sound, bank)` for 4, 8 and 16 bands against the package."""
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
    return Verdict(True, "Equal to the package with 4, 8 and 16 bands.")


def _usual(sound: Tensor, bank: Tensor, expected: Tensor) -> dict[str, Tensor]:
    """The results of usual mistakes, all [K, T/K]."""
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
        "All is right but the signs: in odd bands, negate frames 0, 2, 4 and so on.": bands,
        "The signs are on the wrong frames: negate 0, 2, 4 and so on.": bands * odd_frames,
        "The signs are on the wrong bands: negate frames of bands 1, 3, 5 and so on.": bands * even_bands,
        "You changed signs in all bands; change them only in the odd ones.": bands * all_bands,
        "The filters are backwards: do not flip them; multiply weights and samples in the same order.": plain(
            bank.flip(1)
        )
        * signs,
        "Your frames are late: the middle tap has to be on sample f K, not the last one. Put half of the zeros in front.": plain(
            bank, -reach
        )
        * signs,
        "Your frames are early: the middle tap has to be on sample f K. Put half of the zeros in front.": plain(
            bank, reach
        )
        * signs,
    }


@exercise(
    "02",
    "A symmetric filter has to wait for the taps after its middle one: (taps - 1) / 2 samples, once for the split and "
    "once for the join. Then insert the taps of each number of bands.",
)
def design(delay_ms: Callable[[int, float], float], most_bands: float) -> Verdict:
    """Judge the delay of split and join, and the largest number of bands that fits the allowed delay."""
    for taps, rate in ((377, 48000), (189, 48000), (95, 44100), (5, 1000)):
        whole = 1000 * (taps - 1) / rate
        verdict = compare(
            ask(delay_ms, taps, rate),
            whole,
            f"the delay with {taps} taps at {rate} Hz",
            unit="ms",
            usual={
                "That is one way; split and join are two filters.": whole / 2,
                "You counted each filter from its first tap to its last. It waits only for the half after its middle.": 2
                * whole,
                "The sample at the middle tap is there already; there is no need to wait for it.": 1000 * taps / rate,
                "That is in seconds.": whole / 1000,
                "That is in samples.": taps - 1,
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
            f"16 bands are too slow: their delay is {fits[16]:.1f} ms, and {ALLOWED_MS:.0f} ms are allowed.": 16,
            f"4 bands fit, with {fits[4]:.1f} ms, but more bands fit as well.": 4,
        },
    )
