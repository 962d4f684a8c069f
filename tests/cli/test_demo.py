"""The demo goes the whole way, for the bundled instruments and for a person's own mixed recordings."""

import re
from pathlib import Path

import matplotlib.image
import pytest
import torch

from ravecourse import audio
from ravecourse.cli import demo
from ravecourse.config import preset
from ravecourse.dataset.preparation import prepare
from ravecourse.dataset.store import Dataset
from ravecourse.evaluation import tracks
from ravecourse.export import contract
from ravecourse.playback import player
from ravecourse.synth import render

SMALL = preset("tiny", capacity=8)
NUMBER = r"\d+\.\d+"


def results(out: Path) -> str:
    """Check what the demo left behind; returns the report."""
    wanted, rate = audio.read(out / "input.wav")
    played, same_rate = audio.read(out / "output.wav")
    assert rate == same_rate == 48000 and played.shape == wanted.shape and float(wanted.abs().max()) > 0.01
    model = contract.load(out / "model.ts")
    assert contract.violations(model) == []
    again = player.render(model, wanted, rate, buffer=demo.PLAY_BUFFER).audio
    assert float((again - played).abs().max()) < 1e-5  # output.wav is what model.ts plays
    for name in ("spectrograms.png", "losses.png"):
        assert matplotlib.image.imread(out / name).std() > 0.05
    report = (out / "report.md").read_text()
    for line in ("silence", "untrained", "after phase one", "after phase two", "model.ts, block by block"):
        assert re.search(rf"\| {line} \| {NUMBER} \| {NUMBER} \|", report), line
    assert f"{model.metadata['delay_samples']} samples = {model.metadata['delay_ms']:.1f} ms" in report
    followed, said = tracks.pitch_following(wanted, played, rate), re.search(r"a semitone, (\d+)% of the time", report)
    assert (said is None) == (followed is None)
    assert said is None or abs(int(said[1]) - 100 * followed) <= 1
    assert re.search(rf"{NUMBER} times real time", report) and "What to do next" in report
    return report


def test_bundled_instruments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert demo.run(None, out, training_minutes=0.02, render_minutes=0.5, model_config=SMALL) == 0
    printed = capsys.readouterr().out
    assert [n for n in range(1, 7) if f"[{n}/6]" in printed] == list(range(1, 7))
    assert "'voice'" in results(out) and contract.load(out / "model.ts").metadata["licence"] == "CC0-1.0"
    rendered = sorted((tmp_path / "instruments").rglob("*.wav"))
    assert {path.parent.name for path in rendered} == {"strings", "bars", "voice"}

    before = {path: path.stat().st_mtime_ns for path in rendered}
    first = (out / "run" / "checkpoint.pt").stat().st_mtime_ns
    assert demo.run(None, out, training_minutes=0.02, render_minutes=0.5, model_config=SMALL) == 0
    assert {path: path.stat().st_mtime_ns for path in rendered} == before  # kept
    assert (out / "run" / "checkpoint.pt").stat().st_mtime_ns > first  # trained anew


def test_own_recordings_in_mixed_formats_and_rates(tmp_path: Path) -> None:
    mine = tmp_path / "my sounds"
    for i, (name, rate, channels) in enumerate(
        [("a.wav", 44100, 2), ("b.flac", 22050, 1), ("c.ogg", 48000, 2), ("sub/d.aiff", 32000, 1)]
    ):
        sound = render("voice", 2, seed=i, sample_rate=rate)
        audio.write(mine / name, sound.expand(channels, -1), rate, "PCM_16")
    (mine / "notes.txt").write_text("not a sound")
    (mine / "broken.wav").write_bytes(b"RIFFxxxx")
    assert demo.run(mine, tmp_path / "demo", training_minutes=0.01, model_config=SMALL) == 0
    report = results(tmp_path / "demo")
    assert "your recordings" in report and "broken.wav" in report
    assert (
        "licence" not in contract.load(tmp_path / "demo" / "model.ts").metadata
        or contract.load(tmp_path / "demo" / "model.ts").metadata["licence"] != "CC0-1.0"
    )


def test_step_counts_fill_the_time(tmp_path: Path) -> None:
    audio.write(tmp_path / "s" / "a.wav", render("bars", 5), 48000)
    prepare([tmp_path / "s"], tmp_path / "d", progress=False)
    store = Dataset(tmp_path / "d")
    short, long = (demo.choose_steps(store, SMALL, seconds) for seconds in (20, 200))
    for plan, seconds in ((short, 20), (long, 200)):
        one, two = plan.seconds_per_step
        assert plan.seconds == pytest.approx(seconds, rel=0.1)
        assert plan.config.phase_one_steps * one + plan.config.phase_two_steps * two < seconds
        assert plan.config.beta_ramp_steps <= plan.config.phase_one_steps
        assert 1 <= plan.threads <= torch.get_num_threads()
    assert long.config.phase_one_steps > 3 * short.config.phase_one_steps


def test_distances_know_silence_and_equality() -> None:
    sound = render("strings", 2)
    equal, silence = (demo.distances_of(sound, other, 48000) for other in (sound, torch.zeros_like(sound)))
    assert equal.log_mel == 0 and equal.spectral == 0 and silence.log_mel > 0.5
    quieter = demo.distances_of(sound, 0.5 * sound, 48000)
    assert 0 < quieter.log_mel < silence.log_mel


@pytest.mark.parametrize(
    "words, message",
    [
        (["--data", "/no/such/folder"], "no folder"),
        (["--training-minutes", "0"], "training-minutes"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main([*words, "--out", str(tmp_path / "demo")]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_an_interrupt_is_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "render_folder", interrupt)
    assert demo.main(["--out", str(tmp_path / "demo")]) == 130
    err = capsys.readouterr().err
    assert "same command" in err and "Traceback" not in err
