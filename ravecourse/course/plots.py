"""The course's figures, all in one style: axes with units, colours that colour-blind eyes can distinguish.

Notebook: 00, 04.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import librosa
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.files import replacing
from ravecourse.training import read_losses

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito 2008
QUIETEST_DB = -90.0
WINDOW = 2048


def spectrograms(sounds: Mapping[str, Tensor], sample_rate: int, title: str = "") -> Figure:
    """One spectrogram under the other, at one scale of time, frequency and level.

    Args:
        sounds: label -> audio `[C, T]` or `[T]`; channels are averaged.
        sample_rate: Hz.
    Raises:
        RaveCourseError: no sounds.
    Notebook: 00.
    """
    if not sounds:
        raise RaveCourseError("There is no sound to show. Give at least one, with its label.")
    figure, axes = _figure(len(sounds), 10, 2.6 * len(sounds) + 0.6)
    longest = max(audio.shape[-1] for audio in sounds.values()) / sample_rate
    for axis, (label, audio) in zip(axes, sounds.items(), strict=True):
        drawn = spectrogram_on(axis, audio, sample_rate)
        axis.set_xlim(0, longest)
        axis.set_title(label, loc="left")
        figure.colorbar(drawn, ax=axis, label="level (dB)", pad=0.01)
    axes[-1].set_xlabel("time (s)")
    if title:
        figure.suptitle(title)
    return figure


def spectrogram_on(axis: Axes, audio: Tensor, sample_rate: int) -> AxesImage:
    """Draw the spectrogram of `[C, T]` or `[T]`, channels averaged, on an axis of a figure of your own.

    Notebook: 00.
    """
    seconds = audio.shape[-1] / sample_rate
    drawn = axis.imshow(
        _levels(audio),
        origin="lower",
        aspect="auto",
        cmap="cividis",
        vmin=QUIETEST_DB,
        vmax=0,
        extent=(0, seconds, 0, sample_rate / 2000),
        interpolation="nearest",
    )
    axis.set_yscale("symlog", linthresh=1, linscale=1)
    axis.set_yticks([0, 0.5, 1, 2, 5, 10, 20], ["0", "0.5", "1", "2", "5", "10", "20"])
    axis.set(ylim=(0, min(sample_rate / 2000, 20)), ylabel="frequency (kHz)")
    return drawn


def waveforms(sounds: Mapping[str, Tensor], sample_rate: int, title: str = "") -> Figure:
    """One waveform under the other, at one scale of time and amplitude; arguments as `spectrograms`.

    Notebook: 00.
    """
    if not sounds:
        raise RaveCourseError("There is no sound to show. Give at least one, with its label.")
    figure, axes = _figure(len(sounds), 10, 1.6 * len(sounds) + 0.6)
    for axis, (label, audio), colour in zip(axes, sounds.items(), _colours(len(sounds)), strict=True):
        mono = audio.detach().cpu().float().reshape(-1, audio.shape[-1]).mean(0)
        axis.plot(torch.arange(len(mono)).numpy() / sample_rate, mono.numpy(), color=colour, linewidth=0.5)
        axis.set(ylim=(-1, 1), ylabel="amplitude")
        axis.set_title(label, loc="left")
    axes[-1].set_xlabel("time (s)")
    if title:
        figure.suptitle(title)
    return figure


def losses(path: Path | str, columns: Sequence[str] | None = None) -> Figure:
    """Curves of a training: one panel for each quantity in a run's CSV, with a line where phase two begins.

    A training that was stopped before its first row shows panels that say so.

    Args:
        path: the CSV that training wrote, with a column `step`, and `phase` where there are two.
        columns: which to show; None shows all that change and are not times or rates.
    Raises:
        RaveCourseError: the file is missing or holds no such columns.
    Notebook: 04.
    """
    series, border = _read(Path(path))
    names = list(columns) if columns is not None else _changing(series) or ["loss"] * (not any(series.values()))
    missing = [name for name in names if name not in series]
    if missing or not names:
        have = ", ".join(series) or "none"
        raise RaveCourseError(f"{path} has no column {', '.join(missing) or 'with numbers'}. It has: {have}.")
    figure, axes = _figure(-(-len(names) // 2), 10, 2.1 * -(-len(names) // 2) + 0.8, across=2)
    for axis, name, colour in zip(axes, names, _colours(len(names)), strict=False):
        if not series[name]:
            _say_empty(axis, name)
            continue
        steps, values = zip(*series[name], strict=True)
        dense = len(values) > 60
        axis.plot(
            steps,
            values,
            color=colour,
            linewidth=0.6 if dense else 1.5,
            alpha=0.35 if dense else 1,
            marker="" if dense else "o",
            markersize=3,
        )
        if dense:
            axis.plot(steps, _smooth(values), color=colour, linewidth=1.8)
        finish_losses(axis, name, series[name], border)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    return figure


def compared_losses(paths: Mapping[str, Path]) -> Figure:
    """Curves of several trainings: a panel for each quantity that changes in any of them, a colour for each training.

    Args:
        paths: label -> the CSV that training wrote.
    Raises:
        RaveCourseError: no file, or one that holds no training curves.
    Notebook: 04.
    """
    read = {label: _read(Path(path)) for label, path in paths.items()}
    if not read:
        raise RaveCourseError("There are no curves to compare. Name one run folder or more.")
    names = list(dict.fromkeys(name for series, _ in read.values() for name in _changing(series))) or ["loss"]
    figure, axes = _figure(-(-len(names) // 2), 10, 2.1 * -(-len(names) // 2) + 1.1, across=2)
    for axis, name in zip(axes, names, strict=False):
        whole: list[tuple[float, float]] = []
        for (series, _), colour in zip(read.values(), _colours(len(read)), strict=True):
            points = series.get(name, [])
            if points:
                steps, values = zip(*points, strict=True)
                dense = len(values) > 60
                axis.plot(
                    steps, _smooth(values) if dense else values, color=colour, marker="" if dense else "o", markersize=3
                )
                whole += points
        if whole:
            finish_losses(axis, name, whole)
        else:
            _say_empty(axis, name)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    lines = [Line2D([], [], color=colour) for colour in _colours(len(read))]
    figure.legend(lines, list(read), frameon=False, loc="outside upper right", ncols=min(4, len(read)))
    return figure


def finish_losses(
    axis: Axes, name: str, points: Sequence[tuple[float, float]], phase_two_start: float | None = None
) -> None:
    """Title, units and scale for an axis on which the curve of a quantity was drawn, and a line where phase two begins.

    Args:
        points: (step, value) pairs of the curve, one or more.
    Notebook: 04.
    """
    steps, values = zip(*points, strict=True)
    if phase_two_start is not None and steps[0] < phase_two_start <= steps[-1]:
        axis.axvline(phase_two_start, color="0.4", linestyle="--", linewidth=1)
        axis.annotate(
            "phase two",
            (phase_two_start, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color="0.3",
        )
    if min(values) > 0 and max(values) > 20 * min(values):
        axis.set_yscale("log")
    axis.set_title(name.replace("_", " "), loc="left", fontsize=10)
    axis.set(xlabel="step", ylabel=_unit(name))
    axis.spines[["top", "right"]].set_visible(False)


def _say_empty(axis: Axes, name: str) -> None:
    axis.set_title(name.replace("_", " "), loc="left", fontsize=10)
    axis.text(0.5, 0.5, "no values yet", transform=axis.transAxes, ha="center", va="center", color="0.4")


def legend_above(axis: Axes) -> None:
    """A legend on one line above the axis, at the right: it hides no curve, and leaves the left to the title.

    Args:
        axis: its curves are labelled already.
    Notebook: 04.
    """
    count = len(axis.get_legend_handles_labels()[0])
    axis.legend(frameon=False, fontsize=8, ncols=count, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure as PNG or SVG, by the name of the file.

    Raises:
        RaveCourseError: the file cannot be written.
    Notebook: 00.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _figure(rows: int, width: float, height: float, across: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure that belongs to no window, so that it needs no screen and nothing keeps it alive."""
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, across, squeeze=False, sharex=across == 1)
    for axis in grid.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.title.set_fontsize(10)
    return figure, list(grid.flat)


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def _levels(audio: Tensor) -> np.ndarray:
    """Levels in dB, 0 for a full-scale sine: [frequencies, frames]."""
    mono = audio.detach().cpu().float().reshape(-1, audio.shape[-1]).mean(0)
    mono = torch.nn.functional.pad(mono, (0, max(0, WINDOW - len(mono))))
    hop = max(WINDOW // 4, len(mono) // 2000)
    spectrum = np.abs(librosa.stft(mono.numpy(), n_fft=WINDOW, hop_length=hop, window="hann"))
    full_scale = WINDOW / 4  # of a sine under a Hann window, whose mean is a half
    return librosa.amplitude_to_db(spectrum, ref=full_scale, amin=1e-7 * full_scale, top_db=None)


def _read(path: Path) -> tuple[dict[str, list[tuple[float, float]]], float | None]:
    """Columns of a CSV as (step, value) pairs, empty cells left out, and the step where phase two begins."""
    rows = read_losses(path)
    header = list(rows[0]) if rows else path.read_text(errors="replace").strip().split(",")
    if "step" not in header:
        raise RaveCourseError(f"{path} holds no training curves (no column `step`). Name the CSV of a run folder.")
    series: dict[str, list[tuple[float, float]]] = {name: [] for name in header if name not in ("step", "phase")}
    words: set[str | None] = set()
    for row in rows:
        for name, text in row.items():
            if name not in ("step", "phase", None) and text:
                try:
                    series.setdefault(name, []).append((float(row["step"]), float(text)))
                except ValueError:
                    words.add(name)  # a cell that is no number
    series = {name: points for name, points in series.items() if points or name not in words}
    second = [float(row["step"]) for row in rows if row.get("phase") in ("2", "2.0")]
    return series, min(second) if second else None


def _changing(series: Mapping[str, Sequence[tuple[float, float]]]) -> list[str]:
    """Which columns change, times and rates left out."""
    return [
        name
        for name, points in series.items()
        if len({value for _, value in points}) > 1 and not name.endswith(("seconds", "per_second", "rate", "beta"))
    ]


def _smooth(values: Sequence[float]) -> list[float]:
    """A running mean over a fiftieth of the curve, centred."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.tensor(values, dtype=torch.float64)
    half = max(1, len(x) // 100)
    sums = torch.nn.functional.pad(x.cumsum(0), (1, 0))
    index = torch.arange(len(x))
    low, high = (index - half).clamp(min=0), (index + half + 1).clamp(max=len(x))
    return ((sums[high] - sums[low]) / (high - low)).tolist()


def _unit(name: str) -> str:
    return {"kl": "2 x KL (nats)", "log_mel": "log10 units", "validation_log_mel": "log10 units"}.get(name, "loss")
