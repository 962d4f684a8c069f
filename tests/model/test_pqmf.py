"""The filter bank: reconstruction, alignment, selectivity, signs."""

import math

import numpy as np
import pytest
import torch
from helpers import signal
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.model.pqmf import PQMF, cosine_modulated_bank, kaiser_prototype, refined_prototype

BANDS = (4, 8, 16)
DESIGNS = ("kaiser", "refined")


def round_trip(bank: PQMF, x: Tensor) -> Tensor:
    return bank.synthesis(bank.analysis(x))


def edge(bank: PQMF) -> int:
    """Samples at each end that feel the zeros around the signal."""
    return 2 * (bank.analysis_left + bank.synthesis_left) * bank.n_bands


def error_db(x: Tensor, y: Tensor, margin: int) -> float:
    """Energy of the difference relative to the signal's, the ends left out."""
    x, y = x[..., margin:-margin].double(), y[..., margin:-margin].double()
    return float(10 * torch.log10((y - x).square().mean() / x.square().mean()))


def sweep(samples: int) -> Tensor:
    """A sine from 0 to the highest frequency: [1, 1, samples]."""
    time = torch.arange(samples, dtype=torch.float64)
    return torch.sin(math.pi / 2 * time**2 / samples).float()[None, None]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("n_bands", BANDS)
def test_reconstruction(n_bands: int, design: str) -> None:
    bank = PQMF(n_bands, design)
    noise = torch.randn(2, 1, 16384, generator=torch.Generator().manual_seed(0))
    for x in (noise, sweep(16384), signal(16384)):
        error = error_db(x, round_trip(bank, x), edge(bank))
        if design == "refined":
            assert error < -90
        else:
            assert -75 < error < -55


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("n_bands", BANDS)
def test_impulses_come_back_where_they_were(n_bands: int, design: str) -> None:
    bank = PQMF(n_bands, design)
    middle = 64 * n_bands
    x = torch.zeros(2 * n_bands, 1, 128 * n_bands)  # one impulse at each phase of two frames
    x[range(2 * n_bands), 0, [middle + phase for phase in range(2 * n_bands)]] = 1
    y = round_trip(bank, x)
    assert y.abs().argmax(-1)[:, 0].tolist() == [middle + phase for phase in range(2 * n_bands)]
    assert (y - x).abs().max() < (3e-5 if design == "refined" else 5e-3)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("n_bands", BANDS)
def test_no_offset(n_bands: int, design: str) -> None:
    bank = PQMF(n_bands, design)
    x = sweep(8192)
    y = round_trip(bank, x)
    spectrum = torch.fft.rfft(y, 16384) * torch.fft.rfft(x, 16384).conj()
    correlation = torch.fft.irfft(spectrum)[0, 0]
    assert int(correlation.argmax()) == 0
    assert (y - x)[..., edge(bank) : -edge(bank)].abs().max() < 5e-3


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("n_bands", BANDS)
def test_a_sine_lands_in_its_band(n_bands: int, design: str) -> None:
    bank = PQMF(n_bands, design)
    time = torch.arange(256 * n_bands, dtype=torch.float64)
    for band in range(n_bands):
        x = torch.sin((band + 0.5) * math.pi / n_bands * time).float()[None, None]
        bands = bank.analysis(x)[0, :, 64:-64]
        power = 10 * torch.log10(bands.square().mean(-1) + 1e-20)
        assert int(power.argmax()) == band
        others = [k for k in range(n_bands) if abs(k - band) > 1]
        assert (power[band] - power[others] > 40).all()
        assert math.sqrt(2 * 10 ** (float(power[band]) / 10)) == pytest.approx(1, abs=0.01)  # unit gain


@pytest.mark.parametrize("design", DESIGNS)
def test_higher_stays_higher_inside_a_band(design: str) -> None:
    """The signs of the odd bands turn their spectrum round: a rising tone rises in every band."""
    bank = PQMF(16, design)
    time = torch.arange(16384, dtype=torch.float64)
    for band in range(16):
        peaks = []
        for place in (0.3, 0.5, 0.7):
            x = torch.sin((band + place) * math.pi / 16 * time).float()[None, None]
            spectrum = torch.fft.rfft(bank.analysis(x)[0, band, 64:-64] * torch.hann_window(896)).abs()
            peaks.append(float(spectrum.argmax()) / (len(spectrum) - 1))
        assert peaks == pytest.approx([0.3, 0.5, 0.7], abs=0.01)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("n_bands", BANDS)
def test_analysis_is_the_filters_kept_at_every_frame(n_bands: int, design: str) -> None:
    """Against the plain form: filter at the full rate, keep one sample of n_bands, flip signs."""
    bank = PQMF(n_bands, design)
    h = kaiser_prototype(n_bands) if design == "kaiser" else refined_prototype(n_bands)
    filters = cosine_modulated_bank(h, n_bands)
    x = torch.randn(64 * n_bands, generator=torch.Generator().manual_seed(1))
    reach = len(h) // 2
    padded = np.pad(x.numpy().astype(np.float64), reach + 1)
    frames = np.arange(64)
    wanted = np.empty((n_bands, 64))
    for f in frames:
        centre = f * n_bands + bank.centre + reach + 1
        wanted[:, f] = filters @ padded[centre - reach : centre + reach + 1]
    wanted[1::2, ::2] *= -1  # odd bands, even frames
    np.testing.assert_allclose(bank.analysis(x[None, None])[0].numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("design", DESIGNS)
def test_bands_share_the_power(design: str) -> None:
    bank = PQMF(16, design)
    noise = torch.randn(4, 1, 65536, generator=torch.Generator().manual_seed(2))
    power = bank.analysis(noise).square().mean((0, 2))
    assert power == pytest.approx([1 / 16] * 16, rel=0.06)


def test_the_published_prototype() -> None:
    """Numbers of the filter in published models of 16 bands."""
    h = kaiser_prototype(16)
    assert len(h) == 377
    np.testing.assert_array_equal(h, h[::-1])
    assert int(h.argmax()) == 188 and h.max() == pytest.approx(0.03422453, abs=2e-5)
    assert h.sum() == pytest.approx(0.99999833, abs=1e-6)
    terms = np.correlate(h, h, "full")[376::32]
    assert np.abs(terms[1:]).max() < 1.5e-5
    bank = PQMF(16, "kaiser")
    assert bank.centre == -1
    noise = torch.randn(1, 1, 65536, generator=torch.Generator().manual_seed(3))
    assert error_db(noise, round_trip(bank, noise), edge(bank)) == pytest.approx(-59.94, abs=1.0)


@pytest.mark.parametrize("n_bands", BANDS)
def test_refined_prototype(n_bands: int) -> None:
    kaiser, refined = kaiser_prototype(n_bands), refined_prototype(n_bands)
    assert len(kaiser) == len(refined) and len(refined) % 2 == 1
    np.testing.assert_allclose(refined, refined[::-1], atol=1e-15)
    terms = np.correlate(refined, refined, "full")[len(refined) - 1 :: 2 * n_bands]
    assert terms[0] == pytest.approx(0.5 / n_bands, abs=1e-9)
    assert np.abs(terms[1:]).max() < 1e-9
    response = np.abs(np.fft.rfft(refined, 65536))
    stop = response[int(65536 / 2 * 1.1 / n_bands) :]
    assert 20 * np.log10(stop.max() / response[0]) < -40


def test_linear_and_shared_by_a_batch() -> None:
    bank = PQMF(16)
    x = signal(4096, batch=3)
    together = bank.analysis(x)
    for i in range(3):
        torch.testing.assert_close(bank.analysis(x[i : i + 1]), together[i : i + 1], rtol=0, atol=1e-6)
    torch.testing.assert_close(bank.analysis(2 * x[:1] - x[1:2]), 2 * together[:1] - together[1:2], rtol=0, atol=1e-5)
    assert together.shape == (3, 16, 256) and bank.synthesis(together).shape == (3, 1, 4096)


def test_unknown_design() -> None:
    with pytest.raises(RaveCourseError, match="no PQMF design 'haar'. Choose one of: kaiser, refined"):
        PQMF(16, "haar")
