"""Multiband split and its inverse: a pseudo quadrature mirror filter bank.

One low-pass prototype, shifted to `n_bands` neighbouring bands by cosines; each band is then kept at 1 / n_bands of
the rate. The phases of the cosines make the aliasing of neighbours cancel when the bands are added up again.

Notebook: 02.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import lstsq
from scipy.optimize import minimize_scalar
from scipy.signal import firwin, kaiserord
from torch import Tensor, nn

from ravecourse.errors import RaveCourseError

ATTENUATION_DB = 100.0  # stop band of the Kaiser prototype


def _reconstruction_terms(h: np.ndarray, n_bands: int) -> np.ndarray:
    """The prototype's autocorrelation at multiples of 2 * n_bands; all but the first should be zero."""
    return np.correlate(h, h, "full")[len(h) - 1 :: 2 * n_bands]


@lru_cache
def kaiser_prototype(n_bands: int) -> np.ndarray:
    """A Kaiser-windowed low-pass whose one free number, the cutoff, is chosen for the best reconstruction.

    Args:
        n_bands: number of bands, 2 or more.
    Returns:
        float64 [taps], symmetric, odd length (377 taps for 16 bands). Reconstruction ends near -60 dB of error.

    Source: Lin and Vaidyanathan 1998, as used by RAVE (arXiv 2111.05011, section 3.3). Notebook: 02.
    """

    def prototype(cutoff: float) -> np.ndarray:  # cutoff as a fraction of Nyquist
        order, beta = kaiserord(ATTENUATION_DB, cutoff)
        return firwin(2 * (order // 2) + 1, cutoff, window=("kaiser", beta), scale=False)

    def error(cutoff: float) -> float:
        return float(np.abs(_reconstruction_terms(prototype(cutoff), n_bands)[1:]).max())

    # The length of the filter jumps with the cutoff, so the error has kinks: scan first, then refine the best.
    ideal = 0.5 / n_bands
    coarse = np.linspace(ideal, 1.2 * ideal, 400)
    best = coarse[int(np.argmin([error(c) for c in coarse]))]
    step = coarse[1] - coarse[0]
    found = minimize_scalar(error, bounds=(best - step, best + step), method="bounded", options={"xatol": 1e-12})
    return prototype(found.x if found.fun < error(best) else best)


@lru_cache
def refined_prototype(n_bands: int, stop_band_weight: float = 1.0) -> np.ndarray:
    """The Kaiser prototype, moved to the nearest filter that reconstructs, with as little stop band as possible.

    Minimises the energy above pi / n_bands under the constraints that the autocorrelation at multiples of
    2 * n_bands is that of perfect reconstruction, by Newton steps on the Lagrange conditions.

    Args:
        n_bands: number of bands, 2 or more.
        stop_band_weight: 1 for the balanced filter; 0 keeps to the shape of the Kaiser prototype.
    Returns:
        float64 [taps], symmetric, of the Kaiser prototype's length. Reconstruction error below -90 dB.

    Source: the constraints are those of Lin and Vaidyanathan 1998; the optimisation is this course's. Notebook: 02.
    """
    start = kaiser_prototype(n_bands)
    taps, half = len(start), len(start) // 2 + 1
    unfold = np.zeros((taps, half))  # from one half, centre last, to the symmetric whole
    unfold[np.arange(taps), np.minimum(np.arange(taps), taps - 1 - np.arange(taps))] = 1.0

    frequencies = np.linspace(np.pi / n_bands, np.pi, 2048)
    response = np.cos(np.outer(frequencies, np.arange(taps) - taps // 2)) @ unfold
    anchor = 1e-9 * np.eye(half)
    energy = stop_band_weight * response.T @ response / len(frequencies) + anchor

    first = start[:half].copy()
    half_taps = first.copy()
    lags = 2 * n_bands * np.arange((taps - 1) // (2 * n_bands) + 1)
    wanted = np.zeros(len(lags))
    wanted[0] = 0.5 / n_bands
    for step in range(60):
        h = unfold @ half_taps
        miss = _reconstruction_terms(h, n_bands) - wanted
        slope = np.stack(
            [unfold.T @ (np.pad(h[lag:], (0, lag)) + np.pad(h[: taps - lag], (lag, 0))) for lag in map(int, lags)]
        )
        if step < 40:
            system = np.block([[energy, slope.T], [slope, np.zeros((len(lags), len(lags)))]])
            pull = energy @ half_taps - anchor @ first
            half_taps += np.linalg.solve(system, -np.concatenate([pull, miss]))[:half]
        else:  # the last steps only close the constraints, by the smallest change that does
            half_taps += lstsq(slope, -miss)[0]
    return unfold @ half_taps


def cosine_modulated_bank(prototype: np.ndarray, n_bands: int) -> np.ndarray:
    """Shift a low-pass prototype to `n_bands` bands of equal width.

    Args:
        prototype: float64 [taps], symmetric, odd length, cutoff pi / (2 n_bands).
    Returns:
        float64 [n_bands, taps]; band 0 is the lowest.

    Source: Nguyen 1994, near-perfect-reconstruction pseudo-QMF banks. Notebook: 02.
    """
    time = np.arange(len(prototype)) - len(prototype) // 2
    band = np.arange(n_bands)[:, None]
    phase = (-1.0) ** band * np.pi / 4
    return 2 * prototype * np.cos((2 * band + 1) * np.pi / (2 * n_bands) * time + phase)


class PQMF(nn.Module):
    """Split a signal into bands at a lower rate, and join them again, with no offset between input and output.

    Both directions are one dense convolution over frames of `n_bands` samples (the polyphase form): the filters are
    only evaluated where a sub-band sample is kept. Frame f of the bands is centred on sample
    `f * n_bands + centre`. Every second sample of the odd bands changes sign, which turns their mirrored spectrum
    the right way round.

    Args:
        n_bands: 4, 8 or 16.
        design: "kaiser" (the paper's prototype, -60 dB of reconstruction error, frames centred on sample -1 as in
            published models) or "refined" (below -90 dB, centred on sample 0).
        prototype: float64 [taps] that stands in for the one that `design` computes, as an imported model brings.
    Raises:
        RaveCourseError: unknown design.
    Source: RAVE (arXiv 2111.05011), section 3.3; polyphase form: Vaidyanathan 1993, chapter 4. Notebook: 02.
    """

    analysis_weight: Tensor
    synthesis_weight: Tensor

    def __init__(self, n_bands: int = 16, design: str = "refined", prototype: np.ndarray | None = None) -> None:
        super().__init__()
        designs = {"kaiser": (kaiser_prototype, -1), "refined": (refined_prototype, 0)}
        if design not in designs:
            raise RaveCourseError(f"There is no PQMF design {design!r}. Choose one of: {', '.join(designs)}.")
        compute, self.centre = designs[design]
        self.n_bands = n_bands
        h = compute(n_bands) if prototype is None else prototype
        bank = cosine_modulated_bank(h, n_bands)  # [bands, taps]
        reach = len(h) // 2
        distance = np.arange(-reach, reach + 1)  # of a tap from the centre of its filter

        # Analysis: band[k, f] = sum_d bank[k, d] x[f M + centre + d], and sample f M + i is phase i mod M of
        # frame f + i // M.
        frame, phase = np.divmod(self.centre + distance, n_bands)
        self.analysis_left, self.analysis_right = int(-frame.min()), int(frame.max())
        analysis = np.zeros((n_bands, n_bands, self.analysis_left + self.analysis_right + 1))
        analysis[:, phase, frame + self.analysis_left] = bank

        # Synthesis: x[f M + p] = M sum_k sum_n bank[k, (f - n) M + p - centre] band[k, n].
        frame, phase = np.divmod(distance + self.centre, n_bands)  # (f - n, p) of each tap
        self.synthesis_left, self.synthesis_right = int(frame.max()), int(-frame.min())
        synthesis = np.zeros((n_bands, n_bands, self.synthesis_left + self.synthesis_right + 1))
        synthesis[phase, :, self.synthesis_left - frame] = n_bands * bank.T
        self.register_buffer("analysis_weight", torch.tensor(analysis, dtype=torch.float32))
        self.register_buffer("synthesis_weight", torch.tensor(synthesis, dtype=torch.float32))

    def analysis(self, audio: Tensor) -> Tensor:
        """Split `audio` [B, 1, T], T a multiple of n_bands, into [B, n_bands, T / n_bands]. Notebook: 02."""
        frames = audio.reshape(len(audio), -1, self.n_bands).transpose(1, 2)  # [B, M, T/M]
        bands = F.conv1d(F.pad(frames, (self.analysis_left, self.analysis_right)), self.analysis_weight)
        return bands * self._signs(bands)  # [B, bands, T/M]

    def synthesis(self, bands: Tensor) -> Tensor:
        """Join `bands` [B, n_bands, F] into [B, 1, F * n_bands]. Notebook: 02."""
        bands = F.pad(bands * self._signs(bands), (self.synthesis_left, self.synthesis_right))
        frames = F.conv1d(bands, self.synthesis_weight)  # [B, M, F]
        return frames.transpose(1, 2).reshape(len(frames), 1, -1)  # [B, 1, F M]

    def _signs(self, bands: Tensor) -> Tensor:
        """-1 for odd bands on even frames, 1 elsewhere: [bands, F]."""
        signs = torch.ones(bands.shape[1:], dtype=bands.dtype, device=bands.device)
        signs[1::2, ::2] = -1
        return signs
