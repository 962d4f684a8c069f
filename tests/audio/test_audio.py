"""Sound files in and out, and how loud they are."""

import math
import os
import resource
import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from ravecourse import audio
from ravecourse.audio.decode import BrokenOff, UnreadableSound
from ravecourse.audio.discover import scan
from ravecourse.audio.loudness import Meter, gated_lufs, k_weighting
from ravecourse.errors import RaveCourseError

RATE = 48000


def noise(channels: int, samples: int, seed: int = 0, level: float = 0.1) -> torch.Tensor:
    return level * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def sine(hertz: float, seconds: float, amplitude: float = 1.0, rate: int = RATE) -> torch.Tensor:
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return (amplitude * torch.sin(2 * math.pi * hertz * time)).float()[None]  # [1, T]


@pytest.fixture
def stand_in_ffmpeg(tmp_path, monkeypatch):
    """A program named ffmpeg: it writes 3 s of a stereo ramp at 22050 Hz, or fails, by the file's name."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "ffmpeg"
    # A first line for the kernel cannot hold a space, which the path of the environment may.
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{folder}/ffmpeg.py' \"$@\"\n")
    (folder / "ffmpeg.py").write_text("""import struct, sys
name = sys.argv[sys.argv.index("-i") + 1]
assert name.startswith("file:/"), name
if "damaged" in name:
    sys.stderr.write("something: Invalid data found when processing input\\n")
    sys.exit(1)
out = sys.stdout.buffer
out.write(struct.pack(">4s5I", b".snd", 32, 0xffffffff, 6, 22050, 2) + b"\\0" * 8)
for i in range(3 * 22050):
    out.write(struct.pack(">ff", i / 66150, -i / 66150))
out.flush()
sys.exit(1 if "broken" in name else 0)
""")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}")
    return folder


@pytest.fixture
def no_ffmpeg(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    "subtype, step",
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-23),
        ("FLOAT", 0.0),
        ("DOUBLE", 0.0),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 5, 8])
def test_every_sample_width_reads_back_to_half_a_step(tmp_path, subtype, step, channels):
    original = noise(channels, 1001)
    audio.write(tmp_path / "x.wav", original, 44100, subtype)
    found, rate = audio.read(tmp_path / "x.wav")
    assert rate == 44100 and found.shape == original.shape and found.dtype == torch.float32
    assert (found - original).abs().max() <= step
    assert audio.info(tmp_path / "x.wav") == audio.AudioInfo(1001 / 44100, 44100, channels, "WAV")


@pytest.mark.parametrize(
    "suffix, closeness",
    [
        (".flac", 1e-6),
        (".aiff", 1e-6),
        (".aif", 1e-6),
        (".au", 1e-6),
        (".w64", 1e-6),
        (".caf", 1e-6),
        (".ogg", 0.02),
        (".mp3", 0.02),
    ],
)
def test_formats(tmp_path, suffix, closeness):
    original = sine(440, 1.0, 0.5)
    audio.write(tmp_path / f"x{suffix}", original, RATE)
    found, rate = audio.read(tmp_path / f"x{suffix}")
    assert rate == RATE and found.shape == original.shape
    assert (found - original).abs().mean() < closeness
    assert audio.info(tmp_path / f"x{suffix}").duration_seconds == pytest.approx(1.0, abs=0.06)


def test_above_full_scale_is_kept_in_float_and_clipped_in_integers(tmp_path):
    hot = sine(440, 0.1, 2.5)
    audio.write(tmp_path / "float.wav", hot, RATE, "FLOAT")
    audio.write(tmp_path / "integer.wav", hot, RATE)
    assert torch.equal(audio.read(tmp_path / "float.wav")[0], hot)
    assert (audio.read(tmp_path / "integer.wav")[0] - hot.clamp(-1, 1)).abs().max() < 2**-22


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 88200, 96000, 192000])
@pytest.mark.parametrize("target", [44100, 48000])
def test_blocks_have_no_seams(tmp_path, rate, target):
    original = noise(2, int(rate * 1.37) + 3, seed=rate)
    soundfile.write(tmp_path / "x.wav", original.T.numpy(), rate, "FLOAT")
    whole = audio.resample(original, rate, target)
    assert abs(whole.shape[1] - original.shape[1] * target / rate) <= 1
    for seconds in (0.001, 0.0313, 0.5, 10.0):
        pieces = list(audio.blocks(tmp_path / "x.wav", target, 2, seconds))
        joined = torch.cat(pieces, dim=1)
        assert joined.shape == whole.shape
        assert (joined - whole).abs().max() < 1e-6
        assert max(piece.shape[1] for piece in pieces) < (2 * seconds + 0.25) * target  # flat: no block piles up


@pytest.mark.parametrize("from_rate, to_rate", [(8000, 48000), (44100, 48000), (96000, 44100), (48000, 47999)])
def test_resampling_keeps_pitch_level_and_time(from_rate, to_rate):
    there = audio.resample(sine(1000, 1.0, 0.5, from_rate), from_rate, to_rate)
    ideal = sine(1000, 1.0, 0.5, to_rate)
    n, edge = min(there.shape[1], ideal.shape[1]), to_rate // 10
    assert (there[:, :n] - ideal[:, :n])[:, edge:-edge].abs().max() < 1e-5


@pytest.mark.parametrize("name", ["x.mp3", "x.ogg", "x.flac", "x.opus"])
def test_compressed_formats_have_no_seams_either(tmp_path, name):
    """Frames of an MP3 lean on the ones before: a decoder that is made to seek leaves clicks."""
    path = tmp_path / name
    how = {"format": "OGG", "subtype": "OPUS"} if name == "x.opus" else {}
    soundfile.write(path, noise(2, 5 * RATE).T.numpy(), RATE, **how)
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)  # in one go
    for seconds in (0.01, 0.3, 10.0):
        found = torch.cat(list(audio.blocks(path, block_seconds=seconds)), dim=1)
        assert np.array_equal(found.T.numpy(), whole)


def test_resampling_removes_what_does_not_fit():
    assert audio.rms_db(audio.resample(sine(15000, 1.0), RATE, 16000)[:, 1000:-1000]) < -100


def test_mixing():
    channels = torch.arange(1, 9).float()[:, None].expand(8, 5)
    assert torch.equal(audio.to_channels(channels[:2], 1), torch.full((1, 5), 1.5))
    assert torch.equal(audio.to_channels(channels, 1), torch.full((1, 5), 4.5))
    assert torch.equal(audio.to_channels(channels[:1], 2), torch.ones(2, 5))
    assert audio.to_channels(channels[:2], 2) is not None and torch.equal(
        audio.to_channels(channels[:2], 2), channels[:2]
    )
    assert audio.to_channels(channels[:3], 2)[:, 0].tolist() == [2.0, 2.5]
    assert audio.to_channels(channels[:4], 2)[:, 0].tolist() == [2.0, 3.0]
    assert audio.to_channels(channels[:6], 2)[:, 0].tolist() == [13 / 4, 15 / 4]
    for count in range(1, 9):  # never louder, and every channel is heard
        for target in (1, 2):
            full = torch.ones(count, 4)
            assert audio.to_channels(full, target).tolist() == torch.ones(target, 4).tolist()
            for one in range(count):
                alone = torch.zeros(count, 4)
                alone[one] = 1
                assert audio.to_channels(alone, target).abs().max() > 0
    with pytest.raises(RaveCourseError, match="3 channels from 2"):
        audio.to_channels(channels[:2], 3)


def test_mixing_and_resampling_in_blocks(tmp_path):
    audio.write(tmp_path / "x.wav", noise(6, 30001), 44100, "FLOAT")
    original, _ = audio.read(tmp_path / "x.wav")
    for channels in (1, 2):
        found, rate = audio.read(tmp_path / "x.wav", 48000, channels)
        ideal = audio.to_channels(audio.resample(original, 44100, 48000), channels)
        assert rate == 48000 and found.shape == ideal.shape and (found - ideal).abs().max() < 1e-6


def test_empty_and_tiny(tmp_path):
    (tmp_path / "nothing.wav").touch()
    with pytest.raises(UnreadableSound, match="empty"):
        audio.read(tmp_path / "nothing.wav")
    audio.write(tmp_path / "header.wav", torch.zeros(1, 0), RATE)
    assert audio.read(tmp_path / "header.wav", 44100, 2)[0].shape == (2, 0)
    for n in (1, 2, 3, 7):
        audio.write(tmp_path / "tiny.wav", torch.full((1, n), 0.5), 44100)
        assert audio.read(tmp_path / "tiny.wav", 48000)[0].shape == (1, round(n * 48 / 44.1))


def test_damaged_files_say_so(tmp_path, no_ffmpeg):
    (tmp_path / "text.wav").write_text("this is a shopping list, not a recording\n" * 50)
    with pytest.raises(UnreadableSound, match="text.wav is damaged.*ffmpeg.*Install ffmpeg"):
        audio.read(tmp_path / "text.wav")
    (tmp_path / "film.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
    with pytest.raises(UnreadableSound, match="Install ffmpeg or convert"):
        audio.info(tmp_path / "film.m4a")
    with pytest.raises(UnreadableSound, match="is not there"):
        audio.read(tmp_path / "missing.wav")
    with pytest.raises(UnreadableSound, match="is not there"):
        audio.read(tmp_path)


def test_a_flac_that_breaks_off_gives_what_is_good_then_says_where(tmp_path):
    original = noise(1, 10 * RATE)
    audio.write(tmp_path / "x.flac", original, RATE)
    data = (tmp_path / "x.flac").read_bytes()
    (tmp_path / "x.flac").write_bytes(data[: len(data) // 2])
    good = []
    with pytest.raises(BrokenOff, match=r"damaged after [45]\.\d+ s"):
        for block in audio.blocks(tmp_path / "x.flac", block_seconds=0.5):
            good.append(block)
    found = torch.cat(good, dim=1)
    assert found.shape[1] > 4 * RATE and (found - original[:, : found.shape[1]]).abs().max() < 1e-6


def test_a_truncated_wav_gives_what_is_there(tmp_path):
    original = noise(2, RATE)
    audio.write(tmp_path / "x.wav", original, RATE, "FLOAT")
    data = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "x.wav").write_bytes(data[: len(data) // 2 + 3])
    found = torch.cat(list(audio.blocks(tmp_path / "x.wav")), dim=1)
    assert found.shape[1] > 0.49 * RATE and torch.equal(found, original[:, : found.shape[1]])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_numbers(tmp_path, bad):
    samples = noise(1, RATE)
    samples[0, RATE // 2] = bad
    soundfile.write(tmp_path / "x.wav", samples.T.numpy(), RATE, "FLOAT")
    with pytest.raises(UnreadableSound, match="not numbers"):
        audio.read(tmp_path / "x.wav")
    with pytest.raises(RaveCourseError, match="not numbers"):
        audio.write(tmp_path / "y.wav", samples, RATE)
    assert not (tmp_path / "y.wav").exists()


def test_wrong_name_same_sound(tmp_path):
    original = noise(1, 5000)
    audio.write(tmp_path / "x.wav", original, RATE)
    for name in ("x.mp3", "x.flac", "x.raw", "x.m4a", "x", "naïve – 音 (1).WAV", "-x.wav"):
        shutil.copy(tmp_path / "x.wav", tmp_path / name)
        assert torch.equal(audio.read(tmp_path / name)[0], audio.read(tmp_path / "x.wav")[0])


def test_writing_refuses_clearly_and_leaves_nothing(tmp_path):
    for name, samples, message in [
        ("x.xyz", noise(1, 10), "cannot be written"),
        ("x", noise(1, 10), "cannot be written"),
        ("x.wav", torch.zeros(10), r"not \[10\]"),
        ("x.mp3", noise(7, 10), "could not be written"),
    ]:
        with pytest.raises(RaveCourseError, match=message):
            audio.write(tmp_path / name, samples, RATE)
    assert list(tmp_path.iterdir()) == []


def test_writing_to_a_full_disk_is_one_clear_sentence(tmp_path, monkeypatch):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(100, 100, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        with pytest.raises(RaveCourseError, match="Could not write .*No space left on device. Free some disk"):
            audio.write(tmp_path / "x.wav", noise(1, 60_000), RATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(tmp_path.iterdir()) == []


def test_ffmpeg_is_asked_for_what_libsndfile_cannot_read(tmp_path, stand_in_ffmpeg):
    for name in ("film.m4a", "broken.m4a", "damaged.m4a", "-with: odd%d name.wma"):
        (tmp_path / name).write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
    for name in ("film.m4a", "-with: odd%d name.wma"):
        found, rate = audio.read(tmp_path / name)
        ramp = torch.arange(66150) / 66150
        assert rate == 22050 and (found - torch.stack([ramp, -ramp])).abs().max() < 1e-6
    assert audio.info(tmp_path / "film.m4a") == audio.AudioInfo(3.0, 22050, 2, "ffmpeg")
    assert audio.read(tmp_path / "film.m4a", 44100, 1)[0].shape == (1, 132300)
    assert sum(block.shape[1] for block in audio.blocks(tmp_path / "film.m4a", block_seconds=0.01)) == 66150
    next(iter(audio.blocks(tmp_path / "film.m4a", block_seconds=0.01))).sum()  # left early: the program is ended
    with pytest.raises(UnreadableSound, match="ffmpeg says: Invalid data found"):
        audio.read(tmp_path / "damaged.m4a")
    with pytest.raises(BrokenOff, match="damaged after 3.00 s"):
        audio.read(tmp_path / "broken.m4a")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("name", ["x.m4a", "x.mp4", "x.wma", "x.mka", "x.aac", "x.ac3"])
def test_the_real_ffmpeg(tmp_path, name):
    audio.write(tmp_path / "x.wav", sine(440, 1.0, 0.5).expand(2, -1), RATE)
    subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-i",
            tmp_path / "x.wav",
            "-metadata",
            "title=" + "long " * 60,
            tmp_path / name,
        ],
        check=True,
    )
    found, rate = audio.read(tmp_path / name)
    assert rate == RATE and found.shape[0] == 2 and abs(found.shape[1] - RATE) < 5000
    assert audio.rms_db(found[:, 12000:36000]) == pytest.approx(-9.03, abs=0.2)
    assert audio.info(tmp_path / name).duration_seconds == found.shape[1] / RATE
    (tmp_path / name).write_bytes(os.urandom(5000))
    with pytest.raises(UnreadableSound, match=name):
        audio.read(tmp_path / name)


def test_k_weighting_is_the_standards_table():
    shelf, rumble = k_weighting(48000)
    assert shelf == pytest.approx(
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        abs=1e-9,
    )
    assert rumble == pytest.approx([1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], abs=1e-9)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000, 192000])
def test_loudness_of_reference_tones(rate):
    tone = sine(997, 5.0, rate=rate)
    assert audio.loudness_lufs(tone, rate) == pytest.approx(-3.01, abs=0.05)  # BS.1770: 0 dBFS in one channel
    assert audio.loudness_lufs(tone.expand(2, -1), rate) == pytest.approx(0.0, abs=0.05)
    assert audio.loudness_lufs(tone * 0.1, rate) == pytest.approx(-23.01, abs=0.05)
    assert audio.loudness_lufs(tone[:, : rate // 5], rate) == pytest.approx(-3.01, abs=0.3)  # shorter than a window


def test_loudness_gates_pauses():
    """EBU Tech 3341, cases 3 and 4: quiet passages and pauses do not lower the loudness."""

    def stereo(*parts):
        return torch.cat([sine(1000, seconds, 10 ** (db / 20)) for db, seconds in parts], dim=1).expand(2, -1)

    assert audio.loudness_lufs(stereo((-36, 10), (-23, 60), (-36, 10)), RATE) == pytest.approx(-23.0, abs=0.1)
    assert audio.loudness_lufs(stereo((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), RATE) == pytest.approx(
        -23.0, abs=0.1
    )
    assert audio.loudness_lufs(torch.zeros(1, RATE), RATE) == -math.inf
    assert audio.loudness_lufs(torch.zeros(1, 0), RATE) == -math.inf


def test_meter_in_blocks_is_the_meter_in_one():
    samples = noise(2, 3 * RATE + 17).numpy()
    whole, parts = Meter(RATE, 2), Meter(RATE, 2)
    whole.add(samples)
    rng = np.random.default_rng(0)
    at = 0
    while at < samples.shape[1]:
        size = int(rng.integers(0, 9000))
        parts.add(samples[:, at : at + size])
        at += size
    assert parts.samples == whole.samples and parts.peak == whole.peak
    assert np.allclose(parts.windows(), whole.windows(), rtol=1e-9)
    assert gated_lufs(parts.windows()) == pytest.approx(gated_lufs(whole.windows()))


def test_levels():
    assert audio.peak_db(sine(1000, 1.0, 0.5)) == pytest.approx(-6.02, abs=0.01)
    assert audio.rms_db(sine(1000, 1.0)) == pytest.approx(-3.01, abs=0.01)
    for measure in (audio.peak_db, audio.rms_db):
        assert measure(torch.zeros(1, 100)) == measure(torch.zeros(1, 0)) == -math.inf


def test_match_loudness_reaches_the_target_or_stops_before_clipping():
    for target in (-40.0, -23.0, -16.0):
        for level in (0.001, 0.05, 2.0):
            assert audio.loudness_lufs(
                audio.match_loudness(noise(2, RATE, level=level), RATE, target), RATE
            ) == pytest.approx(target, abs=0.01)
    clicks = torch.zeros(1, 2 * RATE)
    clicks[0, ::4800] = 0.3
    loud = audio.match_loudness(clicks, RATE, 0.0)
    assert audio.peak_db(loud) == pytest.approx(-0.1, abs=1e-3)
    assert (loud - clicks * (loud.max() / clicks.max())).abs().max() < 1e-6  # only scaled
    silence = torch.zeros(1, RATE)
    assert torch.equal(audio.match_loudness(silence, RATE), silence)


def test_find(tmp_path):
    folder = tmp_path / "sounds"
    (folder / "a b").mkdir(parents=True)
    for name in ("z.wav", "a b/é.WAV", ".hidden.wav", ".DS_Store", "notes.txt", "a b/film.M4A"):
        (folder / name).write_bytes(b"x")
    audio.write(folder / "take.wav", noise(1, 100), RATE)
    shutil.copy(folder / "take.wav", folder / "unnamed")
    (folder / "a b" / "up").symlink_to(folder)
    (folder / "link.wav").symlink_to(folder / "z.wav")
    (folder / "nowhere.wav").symlink_to(folder / "gone.wav")
    os.mkfifo(folder / "pipe.wav")
    expected = ["a b/film.M4A", "a b/é.WAV", "link.wav", "take.wav", "unnamed"]
    assert [path.relative_to(folder).as_posix() for path in audio.find(folder)] == expected
    assert audio.find(folder, folder, folder / "a b", folder / "link.wav") == audio.find(folder)
    reasons = {path.name: reason for path, reason in scan(folder)[1]}
    assert reasons["notes.txt"] == "not sound" and reasons["nowhere.wav"] == reasons["pipe.wav"] == "leads to no file"
    assert reasons[".hidden.wav"].startswith("hidden")
    with pytest.raises(RaveCourseError, match="There is no folder .*/gone"):
        audio.find(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RaveCourseError, match="no sound file in .*/empty.*WAV, FLAC, OGG"):
        audio.find(tmp_path / "empty")
