"""Figures show what they say: axes with units, one panel for each sound or curve, values where they belong."""

import math
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest
import torch

from ravecourse.course import plots
from ravecourse.errors import RaveCourseError


def labelled(figure) -> bool:  # noqa: ANN001
    panels = [axis for axis in figure.axes if axis.get_visible() and axis.get_label() != "<colorbar>"]
    return all(axis.get_ylabel() for axis in panels) and any(axis.get_xlabel() for axis in panels)


@pytest.mark.parametrize("frequency", [200, 1000, 8000])
def test_a_sine_is_a_line_at_its_frequency_and_level(frequency: int) -> None:
    rate, level = 48000, 0.5
    sine = level * torch.sin(2 * math.pi * frequency * torch.arange(rate) / rate)
    figure = plots.spectrograms({"sine": sine, "noise": torch.randn(2, rate // 2)}, rate, "title")
    assert labelled(figure) and "(s)" in figure.axes[1].get_xlabel() and "(kHz)" in figure.axes[0].get_ylabel()
    image = figure.axes[0].images[0]
    values = np.asarray(image.get_array())
    row = int(values[:, values.shape[1] // 2].argmax())
    assert row * rate / 2048 == pytest.approx(frequency, abs=rate / 2048)
    assert values.max() == pytest.approx(20 * math.log10(level), abs=1.5)  # dB re a full-scale sine
    assert image.get_extent()[1] == pytest.approx(1.0)
    assert figure.axes[0].get_title(loc="left") == "sine"


def test_waveforms_and_short_or_empty_sounds() -> None:
    figure = plots.waveforms({"a": torch.randn(1, 500), "b": torch.zeros(2, 10)}, 8000)
    assert labelled(figure) and len(figure.axes) == 2
    plots.spectrograms({"short": torch.zeros(1, 3)}, 48000)
    for nothing in (plots.waveforms, plots.spectrograms):
        with pytest.raises(RaveCourseError, match="no sound"):
            nothing({}, 48000)


def curves(path: Path, steps: int) -> Path:
    lines = ["step,phase,seconds,loss,discriminator,note"]
    lines += [
        f"{i},{1 if i <= steps // 2 else 2},{i / 10},{100 / i},{i % 7 if i > steps // 2 else ''},x"
        for i in range(1, steps + 1)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("steps", [10, 200])
def test_losses_draw_each_curve_with_the_border_of_the_phases(steps: int, tmp_path: Path) -> None:
    figure = plots.losses(curves(tmp_path / "losses.csv", steps))
    shown = {axis.get_title(loc="left"): axis for axis in figure.axes if axis.get_visible()}
    assert set(shown) == {"loss", "discriminator"} and labelled(figure)
    line = shown["loss"].lines[0]
    np.testing.assert_allclose(line.get_xdata(), range(1, steps + 1))
    np.testing.assert_allclose(line.get_ydata(), [100 / i for i in range(1, steps + 1)])
    assert list(shown["discriminator"].lines[0].get_xdata())[0] == steps // 2 + 1  # empty cells are no points
    borders = [drawn for drawn in shown["loss"].lines if drawn.get_linestyle() == "--"]
    assert list(borders[0].get_xdata()) == [steps // 2 + 1] * 2
    only = plots.losses(tmp_path / "losses.csv", ["discriminator"])
    assert [axis.get_title(loc="left") for axis in only.axes if axis.get_visible()] == ["discriminator"]


def test_losses_of_no_training_are_told(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    for name in ("gone.csv", "other.csv", "empty.csv"):
        with pytest.raises(RaveCourseError, match=name):
            plots.losses(tmp_path / name)
    with pytest.raises(RaveCourseError, match="colour.*loss"):
        plots.losses(curves(tmp_path / "l.csv", 5), ["colour"])


@pytest.mark.parametrize("columns", [None, ["loss"], ["kl", "loss"]])
def test_losses_of_a_training_that_was_stopped_at_once(columns: list[str] | None, tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("step,phase,seconds,loss,kl\n")
    figure = plots.losses(tmp_path / "losses.csv", columns)
    panels = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title(loc="left") for axis in panels] == (columns or ["loss"])
    assert all([text.get_text() for text in axis.texts] == ["no values yet"] for axis in panels)


def test_a_quantity_that_has_not_begun_is_an_empty_panel(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("step,phase,loss,kl\n25,1,3.0,\n50,1,2.0,\n")
    loss, kl = plots.losses(tmp_path / "losses.csv", ["loss", "kl"]).axes
    assert len(loss.lines) == 1 and not kl.lines and kl.texts[0].get_text() == "no values yet"


def test_saving_writes_a_picture_and_leaves_the_backend_alone(tmp_path: Path) -> None:
    backend = matplotlib.get_backend()
    plots.save(plots.waveforms({"a": torch.randn(100)}, 100), tmp_path / "a.png")
    picture = matplotlib.image.imread(tmp_path / "a.png")
    assert picture.shape[1] == 1100 and picture.std() > 0.01
    assert matplotlib.get_backend() == backend and list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_trainings_are_compared_in_one_figure(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("step,phase,loss,kl\n1,1,5,2\n2,1,4,2\n3,2,3,\n")
    (tmp_path / "b.csv").write_text("step,phase,loss,extra\n1,1,7,1\n2,1,6,3\n")
    figure = plots.compared_losses({"a": tmp_path / "a.csv", "b": tmp_path / "b.csv"})
    panels = {axis.get_title(loc="left"): axis for axis in figure.axes if axis.get_visible()}
    assert list(panels) == ["loss", "extra"] and labelled(figure)  # kl never changes
    drawn = [list(line.get_ydata()) for line in panels["loss"].lines]
    assert drawn == [[5, 4, 3], [7, 6]] and len({line.get_color() for line in panels["loss"].lines}) == 2
    only_b = panels["extra"].lines[0]
    assert only_b.get_color() == panels["loss"].lines[1].get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    (tmp_path / "none.csv").write_text("step,phase,loss\n")
    assert plots.compared_losses({"none": tmp_path / "none.csv"}).axes[0].texts[0].get_text() == "no values yet"
    with pytest.raises(RaveCourseError, match="no curves"):
        plots.compared_losses({})
