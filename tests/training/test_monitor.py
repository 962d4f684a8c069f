"""What a training shows while it runs and when it ends."""

from pathlib import Path

import pytest
import torch
import tqdm.notebook

from ravecourse.training.monitor import TrainingLog


@pytest.mark.parametrize("failed, colour", [(False, "info"), (True, "danger")])
def test_a_training_that_was_stopped_leaves_no_bar_in_the_colour_of_failure(
    failed: bool, colour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ravecourse.training.monitor.tqdm", tqdm.notebook.tqdm)
    log = TrainingLog(tmp_path, start=0, phase_two_start=5, end=10, tensorboard=False)
    log.note(1, 1, {"spectral": torch.tensor(1.0)})
    log.close(failed=failed)
    assert log._bar.container.children[1].bar_style == colour
    log.close()
    assert log._bar.container.children[1].bar_style == colour
