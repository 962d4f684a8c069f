"""A recording above, its latent below, and a cursor: its values as numbers, and the sound from there on.

Notebook: 03.
"""

import copy
import io

import ipywidgets
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from torch import Tensor

from ravecourse.model import RAVE
from ravecourse.runtime import threads

from ..plots import COLOURS, spectrogram_on
from .base import (
    DPI,
    LOUDNESSES,
    NOTES,
    ROW,
    CourseWidget,
    Latest,
    levelled,
    listening_gain,
    picture,
    player,
    slider,
    wav,
    whole_hops,
    words,
)

FADE_SECONDS = 0.005  # at both ends of the loop, so that it does not click


class TraceScrubber(CourseWidget):
    """Move a cursor over a recording and its latent: see the values at that moment and hear the sound from there on.

    The traces are pitch (MIDI note number) and loudness (dB), where the model has them, then the learned latent along
    its principal directions, in standard deviations of the training data; bars show them at the cursor.

    Args:
        model: a trained model; a copy of it is used.
        recording: `[C, T]` or `[T]` at the model's sample rate.
        directions: how many traces of learned directions, the strongest first.
        loop_seconds: of the sound that is played from the cursor on.
        seconds: of the recording, from its start.
    Raises:
        RaveCourseError: the recording is shorter than one latent frame, or has other channels than the model.
    Notebook: 03.
    """

    def __init__(
        self, model: RAVE, recording: Tensor, *, directions: int = 6, loop_seconds: float = 0.4, seconds: float = 7.0
    ) -> None:
        self.sample_rate, self.loop_seconds = model.sample_rate, loop_seconds
        self.hop_length = model.hop_length
        self.recording = whole_hops(recording[..., : round(seconds * model.sample_rate)], model.hop_length)  # [C, T]
        with torch.no_grad(), threads(1):
            mean = copy.deepcopy(model).cpu().eval().encode(self.recording[None])[0][0]  # [named + D, F]
        named = model.named
        centred = model.latent_pca.cpu() @ (mean[named:] - model.latent_mean.cpu()[:, None])
        learned = (centred / model.latent_std.cpu()[:, None].clamp(min=1e-9))[:directions]
        self.traces = torch.cat([mean[:named], learned])  # [named + directions, F]
        reach = float(learned.abs().max()) + 1e-6
        self.names = ["pitch", "loudness"][:named] + [str(i + 1) for i in range(len(learned))]
        self.spans = [NOTES, LOUDNESSES][:named] + [(-reach, reach)] * len(learned)  # of each lane
        low, high = torch.tensor(self.spans).T[..., None]
        self.placed = ((2 * self.traces - low - high) / (high - low)).clamp(-1, 1)  # -1 to 1 in its lane
        self._gain = listening_gain(self.recording, self.sample_rate)
        self._prepare()
        self.slider = slider(
            "time (s)",
            "where the cursor stands; arrow keys move it by one latent frame",
            0.0,
            0.0,
            self.recording.shape[1] / self.sample_rate - self.seconds_per_frame,
            self.seconds_per_frame,
        )
        self.slider.readout_format, self.slider.layout.max_width = ".3f", "100%"
        self.image = picture(self._picture(0))
        self.player = player(self.snippet(), self.sample_rate, loop=True)
        self.text = words(self._values())
        self.autoplay = ipywidgets.Checkbox(
            value=False,
            description="play from the cursor",
            indent=False,
            tooltip="play the sound from the cursor on, in a loop, and after each move from there",
        )
        self._redraw = Latest(self._draw)
        self.slider.observe(self._redraw, "value")
        self.autoplay.observe(self._play, "value")
        self.box = ipywidgets.VBox(
            [self.slider, self.image, self.text, ipywidgets.Box([self.player, self.autoplay], layout=ROW)]
        )

    @property
    def seconds_per_frame(self) -> float:
        """Of a latent frame. Notebook: 03."""
        return self.hop_length / self.sample_rate

    @property
    def frame(self) -> int:
        """The latent frame at the cursor. Notebook: 03."""
        return min(round(self.slider.value / self.seconds_per_frame), self.traces.shape[1] - 1)

    def snippet(self) -> Tensor:
        """The sound from the cursor on, `[C, n]`, faded at both ends. Notebook: 03."""
        start = self.frame * self.hop_length
        cut = self.recording[:, start : start + round(self.loop_seconds * self.sample_rate)].clone()
        fade = min(round(FADE_SECONDS * self.sample_rate), cut.shape[1] // 2)
        ramp = torch.linspace(0, 1, fade)
        cut[:, :fade] *= ramp
        cut[:, cut.shape[1] - fade :] *= ramp.flip(0)
        return levelled(cut, self._gain)

    def static(self, seconds: float | None = None) -> Figure:
        """The picture with the cursor at a time; in the middle if None. Notebook: 03."""
        frame = self.traces.shape[1] // 2 if seconds is None else round(seconds / self.seconds_per_frame)
        figure, cursors, bars = self._figure()
        self._place(min(max(frame, 0), self.traces.shape[1] - 1), cursors, bars)
        return figure

    def sounds(self) -> dict[str, Tensor]:
        """The recording. Notebook: 03."""
        return {"the recording": self.recording}

    def _figure(self) -> tuple[Figure, list[Line2D], list[Rectangle]]:
        layout = ConstrainedLayoutEngine(w_pad=0.08)
        figure = Figure(figsize=(10, 5), layout=layout, facecolor="white", dpi=DPI)
        grid = figure.add_gridspec(2, 2, width_ratios=(4, 1))
        upper, lanes, right = (figure.add_subplot(grid[place]) for place in ((0, 0), (1, 0), (1, 1)))
        spectrogram_on(upper, self.recording, self.sample_rate)
        upper.set_title("the recording", loc="left", fontsize=10)
        times = torch.arange(self.traces.shape[1]) * self.seconds_per_frame
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(self.traces))]
        places = list(range(len(self.traces)))
        for i, (trace, colour) in enumerate(zip(self.placed, colours, strict=True)):
            lanes.plot(times.numpy(), (i - 0.48 * trace).numpy(), color=colour, linewidth=0.6)
        units = {"pitch": " (note)", "loudness": " dB"}
        spans = {
            (name if name in units else "directions"): f"{low:.0f} to {high:.0f}{units.get(name, ' σ')}"
            for name, (low, high) in zip(self.names, self.spans, strict=True)
        }
        said = ", ".join(f"{name} {span}" for name, span in spans.items())
        lanes.set_title(f"the latent; lanes span {said}", loc="left", fontsize=10)
        lanes.set(xlabel="time (s)", xlim=upper.get_xlim())
        bars: list[Rectangle] = list(right.barh(places, [0.0] * len(places), color=colours))
        right.set(xlim=(-1, 1), xlabel="place in its lane")
        right.set_xticks([-1, 0, 1], ["low", "middle", "high"])
        right.set_title("at the cursor", loc="left", fontsize=10)
        right.axvline(0, color="0.4", linewidth=0.8)
        for axis in (lanes, right):
            axis.set_ylim(len(places) - 0.5, -0.5)
            axis.set_yticks(places, self.names)
            axis.spines[["top", "right"]].set_visible(False)
        cursors = [axis.axvline(0, color=colour, linewidth=1.5) for axis, colour in ((upper, "white"), (lanes, "0.2"))]
        return figure, cursors, bars

    def _place(self, frame: int, cursors: list[Line2D], bars: list[Rectangle]) -> None:
        seconds = frame * self.seconds_per_frame
        for cursor in cursors:
            cursor.set_xdata([seconds, seconds])
        for bar, value in zip(bars, self.placed[:, frame].tolist(), strict=True):
            bar.set_width(value)

    def _prepare(self) -> None:
        """Draw what does not move once, and keep it: a new position of the cursor is then drawn in milliseconds."""
        self._live, self._cursors, self._bars = self._figure()
        self._canvas = FigureCanvasAgg(self._live)
        for artist in (*self._cursors, *self._bars):
            artist.set_animated(True)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(self._live.bbox)

    def _picture(self, frame: int) -> bytes:
        self._place(frame, self._cursors, self._bars)
        self._canvas.restore_region(self._background)
        for artist in (*self._cursors, *self._bars):
            if artist.axes is not None:
                artist.axes.draw_artist(artist)
        buffer = io.BytesIO()
        imsave(buffer, self._canvas.buffer_rgba(), format="png")
        return buffer.getvalue()

    def _values(self) -> str:
        values = zip(self.names, self.traces[:, self.frame].tolist(), strict=True)
        told = [f"{name} {value:.1f}" if name in ("pitch", "loudness") else f"{value:+.1f}" for name, value in values]
        return f"frame {self.frame}: " + ", ".join(told)

    def _play(self, change: object = None) -> None:
        """A browser heeds `autoplay` when it loads a sound: load the same one again."""
        self.player.autoplay = self.autoplay.value
        self.player.send_state("value")

    def _draw(self) -> None:
        self.image.value = self._picture(self.frame)
        self.text.value = self._values()
        self.player.value = wav(self.snippet(), self.sample_rate)
