"""The computed table: the receptive field equals what gradients show, and the numbers are those of the
papers."""

import pytest
import torch
from helpers import tone

from ravecourse.config import ModelConfig, preset
from ravecourse.evaluation import preset_table
from ravecourse.model.rave import RAVE
from ravecourse.model.receptive_fields import receptive_field, receptive_interval
from ravecourse.streaming.model import StreamingRAVE

SHRUNKEN_V1 = {
    "ratios": (4, 2),
    "capacity": 4,
    "latent_size": 3,
    "noise_strides": (4, 2),
    "noise_capacity": 4,
}
MODELS = [
    preset("tiny", capacity=4, latent_size=3, harmonics=0),
    preset("tiny", capacity=4, latent_size=3, harmonics=0, causal=True, channels=2),
    preset("v1", **SHRUNKEN_V1),
    preset("v1", **SHRUNKEN_V1, causal=True),
    preset("v2", ratios=(4, 2), dilations=((1, 3), (1,)), capacity=4, latent_size=3),
]


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("config", MODELS, ids=lambda c: f"{c.preset}{'-causal' * c.causal}")
def test_receptive_field_equals_measured_gradients(config: ModelConfig, noise: float) -> None:
    model = RAVE(config).eval().double()
    model.noise_level.fill_(noise)
    hop = config.hop_length
    margin = -(-receptive_field(model) // hop) + 1
    generator = torch.Generator().manual_seed(0)
    length = 2 * margin * hop + hop
    x = torch.randn(1, config.channels, length, generator=generator, dtype=torch.float64, requires_grad=True)
    y = model(x, generator=generator)
    widest = 0
    places = torch.randperm(hop, generator=generator)[:24].tolist()
    for place in [0, hop - 1, *places]:
        sample = margin * hop + place
        (gradient,) = torch.autograd.grad(y[0, 0, sample], x, retain_graph=True)
        touched = gradient[0].abs().amax(0).nonzero()
        first, last = int(touched[0]), int(touched[-1])
        assert (first, last) == receptive_interval(model, sample)
        widest = max(widest, last - first + 1)
    assert widest <= receptive_field(model) <= widest + config.n_bands * 2


@pytest.mark.parametrize("causal", [False, True])
def test_a_source_hears_its_window_and_nothing_of_what_comes_later(causal: bool) -> None:
    model = RAVE(preset("tiny", capacity=4, latent_size=3, causal=causal)).eval()
    plain = RAVE(preset("tiny", capacity=4, latent_size=3, causal=causal, harmonics=0)).eval()
    sample = 20 * 256 + 77
    first, last = receptive_interval(model, sample)
    assert first <= receptive_interval(plain, sample)[0] and last >= receptive_interval(plain, sample)[1]
    sound = tone(torch.full((40 * 256,), 200.0))[None]
    changed = sound.clone()
    changed[..., last + 1 :] = 0.3
    with torch.no_grad():
        one, two = model(sound, noise=False), model(changed, noise=False)
    torch.testing.assert_close(one[..., sample], two[..., sample], rtol=0, atol=1e-6)
    assert (one - two).abs().max() > 1e-3


def test_heard_moves_with_the_hop_and_causal_models_hear_less_of_the_future() -> None:
    model, causal = (RAVE(preset("tiny", capacity=4, causal=c)) for c in (False, True))
    for sample in (0, 5, 255):
        first, last = receptive_interval(model, sample)
        assert receptive_interval(model, sample + 7 * 256) == (first + 7 * 256, last + 7 * 256)
    assert receptive_interval(causal, 0)[1] < receptive_interval(model, 0)[1]


def test_rows_hold_computed_numbers_and_the_published_counts() -> None:
    quick = {(r.name, r.causal): r for r in preset_table.table(["tiny", "v1"], seconds=0, progress=False)}
    assert len(quick) == 4 and all(r.speed is None for r in quick.values())
    v1 = quick["v1", False]
    assert v1.parameters == pytest.approx(4.83e6 + 12.78e6, rel=1e-3)
    assert v1.hop_length == 2048 and v1.latent_rate_hz == pytest.approx(48000 / 2048)
    assert v1.weight_bytes > 4 * 0.9 * v1.parameters
    tiny = RAVE(preset("tiny")).eval()
    assert quick["tiny", False].delay_ms == pytest.approx(StreamingRAVE(tiny).delay_samples / 48)
    assert quick["tiny", True].delay_ms < quick["tiny", False].delay_ms + 1000 * 256 / 48000
    text = preset_table.as_text(list(quick.values()))
    assert "v1 causal" in text and "17.6" in text and "2048" in text


def test_timing_is_taken_where_it_is_asked_for() -> None:
    row = preset_table.row(preset("tiny", capacity=8), seconds=0.05)
    assert row.speed is not None and row.speed.buffer == 256 and row.speed.real_time_factor > 0
    assert f"{row.speed.real_time_factor:.1f} x" in preset_table.as_text([row])
