"""What a sound file can hold: values beyond full scale, more than 4 GiB, blocks that arrive one by one."""

import pytest
import torch

from ravecourse import audio
from ravecourse.audio import writing
from ravecourse.errors import RaveCourseError


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    """White noise, mono, at 48000 Hz: [1, T]."""
    return 0.1 * torch.randn(1, round(48000 * seconds), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3"])
def test_values_beyond_full_scale_are_not_clipped_without_a_word(tmp_path, suffix):
    with pytest.raises(RaveCourseError, match="go beyond it. Use .wav"):
        audio.write(tmp_path / f"latents{suffix}", 3 * noise(0.1), 48000, "FLOAT")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".au", ".w64", ".rf64", ".caf"])
def test_values_beyond_full_scale_are_kept(tmp_path, suffix):
    latents = 5 * noise(0.1, 1).repeat(3, 1)
    audio.write(tmp_path / f"latents{suffix}", latents, 48000, "FLOAT")
    assert torch.equal(audio.read(tmp_path / f"latents{suffix}")[0], latents)


def test_a_long_wav_becomes_rf64_and_reads_back(tmp_path, monkeypatch):
    """Above 4 GiB, which is put lower here; what a WAV cannot count is never written as one."""
    monkeypatch.setattr(writing, "LARGEST", {"WAV": 40000, "AIFF": 40000})
    sound = noise(0.5, 2)
    audio.write(tmp_path / "long.wav", sound, 48000, "FLOAT")
    assert (tmp_path / "long.wav").read_bytes()[:4] == b"RF64"
    assert torch.equal(audio.read(tmp_path / "long.wav")[0], sound)
    audio.write(tmp_path / "short.wav", sound[:, :5000], 48000, "FLOAT")
    assert (tmp_path / "short.wav").read_bytes()[:4] == b"RIFF"
    for name in ("long.aiff", "streamed.wav"):
        with (
            pytest.raises(RaveCourseError, match="would pass 4 GiB"),
            audio.writer(tmp_path / name, 48000, 1, "FLOAT") as file,
        ):
            for block in sound.split(3000, 1):
                file.write(block)
        assert not (tmp_path / name).exists() and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_written_in_blocks_is_written_whole(tmp_path, suffix):
    sound = 0.2 * noise(0.5, 4).repeat(2, 1)
    audio.write(tmp_path / f"whole{suffix}", sound, 48000)
    with audio.writer(tmp_path / f"blocks{suffix}", 48000, 2) as file:
        for block in sound.split(777, 1):
            file.write(block)
    assert file.samples == sound.shape[1]
    assert (tmp_path / f"blocks{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
