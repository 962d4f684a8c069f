"""Headers that do not tell the truth: what is in the file is read, or one sentence says why not."""

import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from ravecourse import audio
from ravecourse.audio.decode import UnreadableSound
from ravecourse.audio.discover import scan
from ravecourse.errors import RaveCourseError


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    """White noise, mono, at 48000 Hz: [1, T]."""
    return 0.1 * torch.randn(1, round(48000 * seconds), generator=torch.Generator().manual_seed(seed))


def unclosed(path: Path) -> Path:
    """A copy as a recorder leaves it that dies: every length in the header is 0."""
    data = bytearray(path.read_bytes())
    if path.suffix == ".aiff":
        for name, offset in ((b"FORM", 4), (b"COMM", 10), (b"SSND", 4)):
            struct.pack_into(">I", data, data.find(name) + offset, 0)
    elif b"ds64" in data[:64]:
        struct.pack_into("<QQQ", data, data.find(b"ds64") + 8, 0, 0, 0)
    else:
        struct.pack_into("<I", data, 4, 0)
        struct.pack_into("<I", data, data.find(b"data") + 4, 0)
    target = path.with_name(f"unclosed_{path.name}")
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("container", "suffix", "subtype"),
    [
        *[("WAV", ".wav", subtype) for subtype in ("PCM_16", "PCM_24", "FLOAT")],
        ("WAVEX", ".wav", "PCM_16"),
        ("RF64", ".rf64", "PCM_24"),
        ("AIFF", ".aiff", "PCM_16"),
        ("AIFF", ".aiff", "PCM_24"),
    ],
)
def test_a_recorder_that_died_loses_no_sound(tmp_path, container, suffix, subtype, channels):
    path = tmp_path / f"take{suffix}"
    soundfile.write(
        path, 0.3 * np.random.default_rng(0).standard_normal((9000, channels)), 16000, subtype, format=container
    )
    whole, rate = audio.read(path)
    found = unclosed(path)
    again, again_rate = audio.read(found)
    assert again_rate == rate == 16000 and torch.equal(again, whole)
    told = audio.info(found)
    assert told.duration_seconds == 9000 / 16000 and "was not closed" in told.notice
    assert audio.info(path).notice == ""


@pytest.mark.parametrize("suffix", [".wav", ".aiff"])
def test_an_empty_recording_stays_empty(tmp_path, suffix):
    """A header of 0 samples is right where nothing, or only other chunks, follow."""
    path = tmp_path / f"empty{suffix}"
    soundfile.write(path, np.zeros((0, 1)), 16000, "PCM_16")
    assert audio.info(path).duration_seconds == 0 and audio.info(path).notice == ""
    if suffix == ".wav":
        with open(path, "ab") as file:
            file.write(b"LIST" + struct.pack("<I", 10) + b"INFOISFTab")
        assert audio.read(path)[0].shape == (1, 0) and audio.info(path).notice == ""


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path):
    """As an encoder writes it into a pipe: the number of samples in its header is 0."""
    path = tmp_path / "stream.flac"
    audio.write(path, noise(1.0, 3), 48000, "PCM_16")
    whole = audio.read(path)[0]
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the upper 4 of the 36 bits that hold the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert torch.equal(audio.read(path)[0], whole)
    assert audio.info(path).duration_seconds == pytest.approx(1.0)


@pytest.mark.parametrize("lengths", [(1.0, 2.0), (2.0, 0.5, 1.0)])
def test_joined_mp3s_are_read_to_the_last(tmp_path, lengths):
    parts = []
    for number, seconds in enumerate(lengths):
        audio.write(tmp_path / f"{number}.mp3", noise(seconds, number), 48000)
        parts.append((tmp_path / f"{number}.mp3").read_bytes())
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(b"".join(parts))
    length = audio.read(joined)[0].shape[1]
    assert 48000 * sum(lengths) <= length <= 48000 * sum(lengths) + 6000 * len(lengths)
    assert "read to its end" in audio.info(joined).notice and audio.info(tmp_path / "0.mp3").notice == ""
    last = audio.read(joined)[0][0, -60000:].numpy()
    alone = audio.read(tmp_path / f"{len(lengths) - 1}.mp3")[0][0, -20000:].numpy()
    match = scipy.signal.correlate(last, alone, "valid").max() / np.square(alone).sum()
    assert match > 0.95, "the last part is there"


def test_an_mp3_whose_header_counts_too_few_frames(tmp_path):
    path = tmp_path / "a.mp3"
    audio.write(path, noise(2.0, 5), 48000)
    whole = audio.read(path)[0]
    data = bytearray(path.read_bytes())
    mark = max(data.find(b"Xing"), data.find(b"Info"))
    struct.pack_into(">I", data, mark + 8, 10)
    path.write_bytes(data)
    assert audio.read(path)[0].shape[1] >= whole.shape[1]
    assert "says 10 frames" in audio.info(path).notice


@pytest.mark.parametrize("rate", [1, 10, 999, 1_000_000, 2**31 - 1])
def test_an_absurd_sample_rate_is_refused(tmp_path, rate):
    path = tmp_path / "a.wav"
    audio.write(path, noise(0.1), 48000, "PCM_16")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 24, rate)
    path.write_bytes(data)
    for call in (audio.info, audio.read):
        with pytest.raises(UnreadableSound, match="sample rate|damaged"):
            call(path)


def test_a_loop_of_links_is_left_out(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "b.wav")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    audio.write(tmp_path / "c.wav", noise(0.1), 48000)
    taken, left_out = scan(tmp_path)
    assert [path.name for path in taken] == ["c.wav"]
    assert {(path.name, reason) for path, reason in left_out} == {(f"{n}.wav", "leads to no file") for n in "ab"}
    with pytest.raises(RaveCourseError, match="leads back to itself"):
        scan(tmp_path / "a.wav")
