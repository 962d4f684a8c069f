"""The material of the benchmarks: scores are music for their instruments, and sound is what the score says."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from benchmarks import material, score
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation.tracks import pitch_track


def sounds() -> None:
    try:
        material.soundfont()
    except RaveCourseError as error:
        pytest.skip(str(error))


def notes(found: score.Score) -> list[tuple[int, int, int, int]]:
    """(start, end, channel, pitch) of each note, in ms and in order."""
    sounding: dict[tuple[int, int], int] = {}
    out = []
    for time, _, message in sorted(found.events):
        key = (message[0] & 15, message[1])
        if message[0] >> 4 == 9:
            sounding[key] = time
        elif message[0] >> 4 == 8 and key in sounding:
            out.append((sounding.pop(key), time, *key))
    assert not sounding
    return sorted(out)


def parse(data: bytes) -> list[tuple[int, bytes]]:
    """(ms, message) of a file with one track, without its tempo and its end."""
    assert data[:14] == b"MThd\0\0\0\6\0\0\0\1\x03\xe8" and data[14:18] == b"MTrk"
    track = data[22:]
    assert int.from_bytes(data[18:22], "big") == len(track)
    assert track.startswith(b"\0\xff\x51\x03\x0f\x42\x40") and track.endswith(b"\xff\x2f\0")
    out, place, now = [], 7, 0
    while place < len(track) - 3:
        wait = 0
        while True:
            byte, place = track[place], place + 1
            wait = wait << 7 | byte & 127
            if byte < 128:
                break
        now += wait
        if track[place] == 0xFF:
            break
        size = 2 if track[place] >> 4 == 0xC else 3
        out.append((now, track[place : place + size]))
        place += size
    assert now == 20000
    return out


@pytest.mark.parametrize("instrument", material.SAMPLED)
def test_a_score_survives_its_file(instrument: str) -> None:
    found = score.compose(instrument, 20.0, np.random.default_rng(3))
    assert parse(found.file(20.0)) == [(time, message) for time, _, message in sorted(found.events)]
    assert all(byte < 128 for _, _, message in found.events for byte in message[1:])
    assert max(end for _, end, _, _ in notes(found)) < 20000
    starts = [start for start, *_ in notes(found)]
    assert max(np.diff(starts)) > 600  # there are rests
    assert len({message[2] for _, _, message in found.events if message[0] >> 4 == 9}) > 5  # and dynamics


@pytest.mark.parametrize("name", score.VOICES)
def test_a_voice_plays_one_note_at_a_time_in_its_range(name: str) -> None:
    voice = score.VOICES[name]
    for seed in range(5):
        played = notes(score.compose(name, 30.0, np.random.default_rng(seed)))
        assert all(voice.low <= pitch <= voice.high for *_, pitch in played)
        assert all(end <= start + 20 for (_, end, *_), (start, *_) in zip(played, played[1:], strict=False))


def test_a_long_note_swells_and_wavers() -> None:
    """Over some phrases: expression moves, and the wheel moves both ways but never further than a semitone."""
    found = score.compose("violin", 60.0, np.random.default_rng(1))
    expression = [message[2] for _, _, message in found.events if message[:2] == bytes([0xB0, 11])]
    wheel = np.array([message[1] + 128 * message[2] - 8192 for _, _, message in found.events if message[0] == 0xE0])
    assert max(expression) - min(expression) > 40
    assert wheel.min() < -200 and wheel.max() > 200 and abs(wheel).max() <= 4096


@pytest.mark.parametrize("instrument", ["clarinet", "drums", "mixture"])
def test_a_seed_is_a_sound(instrument: str) -> None:
    sounds()
    one, again, other, next_one = (
        material.render(instrument, 4.0, seed, index) for seed, index in ((7, 0), (7, 0), (8, 0), (7, 1))
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other) and not np.array_equal(one, next_one)
    assert len(one) == 4 * 48000
    for sound in (one, other, next_one):
        assert 20 * np.log10(abs(sound).max()) == pytest.approx(-3.0, abs=0.01)
        assert np.isclose(abs(sound), abs(sound).max()).sum() < 5  # the top of one wave, not a clipped stretch


@pytest.mark.parametrize("instrument", ["cello", "flute", "trumpet"])
def test_what_is_heard_is_what_is_written(instrument: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sounds()
    composed = []
    monkeypatch.setattr(material, "compose", lambda *given: composed.append(score.compose(*given)) or composed[-1])
    sound = torch.from_numpy(material.render(instrument, 30.0, 5))[None]
    hertz, _ = pitch_track(sound, 48000, 60.0, 2100.0)
    held = [(start, end, pitch) for start, end, _, pitch in notes(composed[0]) if end - start > 300]
    heard = torch.tensor([float(hertz[int((0.4 * start + 0.6 * end) / 10) - 2]) for start, end, _ in held])
    wanted = torch.tensor([440 * 2 ** ((pitch - 69) / 12) for *_, pitch in held])
    assert len(held) >= 4
    assert ((heard.clamp(min=1) / wanted).log2().abs() < 0.5 / 12).float().mean() > 0.9


def test_a_folder_is_kept_and_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sounds()
    command = [str(tmp_path), "--instruments", "drums", "bars", "--seed", "4", "--minutes"]
    assert material.main([*command, "0.55"]) == 0
    drums, bars = (sorted((tmp_path / name).glob("*.wav")) for name in ("drums", "bars"))
    assert [soundfile.info(path).frames for path in drums] == [30 * 48000, 3 * 48000]
    assert len(bars) == 2 and soundfile.info(drums[0]).channels == 1
    before = drums[0].stat().st_mtime_ns
    assert material.main([*command, "0.55"]) == 0 and drums[0].stat().st_mtime_ns == before
    assert material.main([*command, "0.05"]) == 0
    assert [path.name for path in sorted((tmp_path / "drums").glob("*.wav"))] == ["drums_000.wav"]
    assert soundfile.info(drums[0]).frames == 3 * 48000


def test_what_cannot_be_rendered_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert material.main(["nowhere", "--instruments", "kazoo"]) == 2
    assert "'kazoo'" in capsys.readouterr().err
    monkeypatch.setenv("SOUNDFONT", "nowhere.sf2")
    monkeypatch.setattr(material.shutil, "which", lambda name: "/usr/bin/" + name)
    with pytest.raises(RaveCourseError, match="nowhere.sf2.*fluid-soundfont-gm"):
        material.render("cello", 1.0, 0)
