"""The benchmarks: what they count is right by hand, and each of them runs."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import endurance, floor
from ravecourse.config import preset
from ravecourse.model.rave import RAVE
from ravecourse.playback.benchmark import measure, untrained
from ravecourse.streaming.model import StreamingRAVE

SMALL = {
    "ratios": (4, 2),
    "dilations": ((1,), (1, 3)),
    "capacity": 4,
    "latent_size": 3,
    "noise_bands": 0,
    "noise_strides": (),
}
# For a hop of 128 samples, 8 rows of 16 bands: (rows, inputs, taps, outputs), layer by layer.
BANK = (8, 16, 24, 16)
ENCODER = [
    (8, 16, 7, 4),  # bands to 4 channels
    (8, 4, 3, 4),
    (8, 4, 1, 4),
    (2, 4, 8, 8),  # one unit, then 8 taps for a stride of 4
    (2, 8, 3, 8),
    (2, 8, 1, 8),
    (2, 8, 3, 8),
    (2, 8, 1, 8),
    (1, 8, 4, 16),  # two units, 4 taps for a stride of 2
    (1, 16, 3, 3),  # the means alone, without the standard deviations
]
EAR = [(1, 80, 1, 64), (1, 64, 1, 64), (1, 64, 1, 3)]  # 80 mel bands to the means of the learned latents
DECODER = [
    (1, 5, 3, 16),  # pitch, loudness and three learned latents
    (1, 16, 2, 8 * 2),  # a transposed convolution gives `stride` rows from two neighbours
    (2, 8, 3, 8),
    (2, 8, 1, 8),
    (2, 8, 3, 8),
    (2, 8, 1, 8),
    (2, 8, 2, 4 * 4),
    (8, 4, 3, 4),
    (8, 4, 1, 4),
    (8, 4, 7, 2 * 16),
]
SOURCE = [(1, 5, 3, 64), (1, 64, 1, 64), (1, 64, 1, 64)]  # up to the amplitudes of 64 harmonics


def test_layers_are_counted_as_by_hand() -> None:
    by_hand = [BANK, *ENCODER, *EAR, *DECODER, BANK, *SOURCE]
    for causal in (False, True):
        found = floor.layers(floor.untrained(preset("tiny", causal=causal, **SMALL)))
        assert [(x.rows, x.module.inputs, x.module.taps, len(x.module.bias)) for x in found] == by_hand
        assert [x.products for x in found] == [rows * i * taps * o for rows, i, taps, o in by_hand]
        assert [x.weight_bytes for x in found] == [4 * i * taps * o for _, i, taps, o in by_hand]


def test_stereo_runs_the_filter_bank_twice() -> None:
    mono, stereo = (floor.layers(floor.untrained(preset("tiny", channels=c, **SMALL))) for c in (1, 2))
    assert [x.products for x in (stereo[0], stereo[-1 - len(SOURCE)])] == [2 * mono[0].products] * 2
    assert stereo[0].weight_bytes == mono[0].weight_bytes


def test_bfloat16_halves_the_bytes_of_the_wide_layers() -> None:
    model = RAVE(preset("tiny", capacity=64)).eval()
    full, half = (floor.layers(StreamingRAVE(model, None, precision)) for precision in ("float32", "bfloat16"))
    assert [x.products for x in full] == [x.products for x in half]
    ratios = {a.weight_bytes / b.weight_bytes for a, b in zip(full, half, strict=True)}
    assert ratios == {1.0, 2.0}


def test_the_floor_is_the_longer_of_two_times() -> None:
    assert floor.floor_ms(20_000_000, 1_000_000, 10e9, 1e9) == pytest.approx((2.0, 3.0))
    assert floor.floor_ms(1_000_000, 5_000_000, 10e9, 1e9) == pytest.approx((5.0, 5.1))


def test_rates_are_rates() -> None:
    """In bytes and multiply-adds a second, of an ordinary machine."""
    assert 1e8 < floor.read_rate(1 << 22, 0.05) < 1e13
    assert 1e8 < floor.product_rate(0.05, size=256) < 1e13


def test_floor_prints_its_tables(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "read_rate", lambda n_bytes, seconds: 10e9)
    monkeypatch.setattr(floor, "product_rate", lambda seconds: 50e9)
    floor.main(["low_latency", "tiny", "--layers", "tiny", "--seconds", "0.05"])
    said = capsys.readouterr().out
    assert "low_latency" in said and "tiny causal" in said and "low_latency causal" not in said
    assert "trunk." in said and "all 34 layers" in said


def test_low_latency_is_low() -> None:
    """Delay of the model with the filter bank, under 15 ms, and under that of `tiny` in either form."""
    delays = {}
    for name, causal in (("low_latency", None), ("tiny", True), ("tiny", False)):
        stream = StreamingRAVE(RAVE(preset(name, causal=causal)).eval())
        delays[name, causal] = stream.delay_samples / 48
    low = delays.pop(("low_latency", None))
    assert low < 15 and low < min(delays.values())
    assert preset("low_latency").hop_length == 128 and preset("low_latency").causal


def test_low_latency_keeps_up() -> None:
    found = measure(untrained("low_latency"), "forward", 128, 0.3)
    assert found.deadline_ms == pytest.approx(128 / 48)
    assert found.median_ms < found.deadline_ms


def test_endurance_draws_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endurance.main(["low_latency", "--minutes", "0.03", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert (tmp_path / "endurance.png").read_bytes()[:4] == b"\x89PNG"
    assert "deadline 2.67 ms" in said and "% from start to end" in said and "MB" in said


def test_endurance_plays_all_of_it() -> None:
    course = endurance.play(untrained("low_latency"), 0.05, stretches=10)
    assert course.minutes[-1] == pytest.approx(0.05, rel=0.01) and (np.diff(course.minutes) > 0).all()
    assert (course.median_ms > 0).all() and (course.p99_ms >= course.median_ms).all()
    assert (course.memory_mb > 50).all()


def test_drift_and_growth_by_hand() -> None:
    minutes = np.arange(1.0, 61.0)
    course = endurance.Course(minutes, 2.0 + 0.1 * minutes / 60, np.full(60, 3.0), 100 + 0.5 * minutes)
    assert course.drift() == pytest.approx(0.1 * 53 / 60 / np.median(course.median_ms[6:]))
    assert course.growth_mb() == pytest.approx(0.5 * (60 - 7))


@pytest.mark.parametrize("path", sorted(Path(__file__).parents[2].glob("benchmarks/*.py")), ids=lambda p: p.name)
def test_commands_in_the_docstrings_exist(path: Path) -> None:
    """Every option that a docstring shows is one that the program takes."""
    text = path.read_text()
    said = ast.get_docstring(ast.parse(text)) or ""
    options = {
        word.strip("[]`.,")
        for line in said.splitlines()
        if line.startswith("    python")
        for word in line.split()
        if word.strip("[]").startswith("--")
    }
    assert not {option for option in options if text.count(f'"{option}"') != 1}


def test_threads_are_left_as_they_were() -> None:
    before = torch.get_num_threads()
    floor.product_rate(0.01, size=64)
    endurance.play(untrained("low_latency"), 0.001, stretches=2)
    assert torch.get_num_threads() == before
