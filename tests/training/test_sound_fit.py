"""A source where the recordings have a pitch, and none where they have none."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from helpers import tone

from ravecourse.config import preset, training_preset
from ravecourse.dataset import Dataset, prepare
from ravecourse.training import fit_to_sound, pitched_share

RATE = 48000


def dataset(folder: Path, share: float) -> Dataset:
    """Six seconds of which this share is a tone, the rest noise of the same level."""
    generator = np.random.default_rng(0)
    samples = 6 * RATE
    sung = tone(220 * 2 ** (torch.arange(samples) / RATE % 1.0)).numpy()[0]
    noise = sung.std() * generator.standard_normal(samples)
    turns = (np.arange(samples) // (RATE // 20) * 0.618) % 1.0
    sound = np.where(np.repeat(turns[:: RATE // 20], RATE // 20)[:samples] < share, sung, noise)
    (folder / "sounds").mkdir()
    soundfile.write(folder / "sounds" / "a.wav", 0.3 * sound, RATE)
    prepare([folder / "sounds"], folder / "data", validation=0.0, progress=False)
    return Dataset(folder / "data")


@pytest.mark.parametrize("channels", [1, 2])
def test_the_share_of_what_has_a_pitch(tmp_path: Path, channels: int) -> None:
    for share, low, high in ((0.0, 0.0, 0.1), (1.0, 0.9, 1.0)):
        folder = tmp_path / str(share)
        folder.mkdir()
        assert low <= pitched_share(dataset(folder, share), preset("tiny", channels=channels)) <= high


def test_noise_gets_no_source_and_a_tone_keeps_it(tmp_path: Path) -> None:
    model, training = preset("tiny"), training_preset("tiny")
    (tmp_path / "tone").mkdir(), (tmp_path / "noise").mkdir()
    assert fit_to_sound(model, training, dataset(tmp_path / "tone", 1.0)) == (model, training, "")
    store = dataset(tmp_path / "noise", 0.0)
    plain, settings, said = fit_to_sound(model, training, store)
    assert plain == preset("tiny", harmonics=0) and settings.waveform_steps == 300
    assert "% of what is heard has a pitch, so the model gets no source" in said
    assert fit_to_sound(plain, training, store) == (plain, training, "")
