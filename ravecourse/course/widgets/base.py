"""What the widgets share: when they are live, and how they become a picture and a sound.

Notebook: 05.
"""

import asyncio
import base64
import html
import io
import os
import sys
import time
import wave
from collections.abc import Callable
from typing import Any

import ipywidgets
import torch
from IPython.core.getipython import get_ipython
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ravecourse.audio import decibels, loudness_lufs
from ravecourse.errors import RaveCourseError

from ..listening import LISTENING_LUFS, listen

SETTING = "RAVECOURSE_WIDGETS"  # environment variable: "live" or "static"
DPI = 80
PEAK = 0.988  # -0.1 dBFS
FULL_SCALE = 32767
BURST_SECONDS = 0.05  # changes that follow each other faster are drawn once
LONGEST_BURST_SECONDS = 0.5  # without a drawing, however fast they come
WIDE = "8em"  # of a control's label
NOTES = (36.0, 96.0)  # MIDI note numbers that a slider or a trace of the pitch spans
LOUDNESSES = (40.0, 100.0)  # dB, of the loudness
ROW = ipywidgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0.5em")


def live() -> bool:
    """Whether somebody is there to move the controls; if not, widgets show their static form.

    The first of these that holds decides: the environment variable RAVECOURSE_WIDGETS says `live` or `static`; there
    is no notebook kernel: static; the kernel belongs to a notebook that is open in JupyterLab (its server sets
    JPY_SESSION_NAME), VS Code or Colab: live; anything else (nbconvert, nbval, `make book`): static.

    Notebook: 05.
    """
    wanted = os.environ.get(SETTING, "")
    if wanted in ("live", "static"):
        return wanted == "live"
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return False
    return "JPY_SESSION_NAME" in os.environ or "__vsc_ipynb_file__" in shell.user_ns or "google.colab" in sys.modules


class CourseWidget:
    """The frame of a widget: `box` holds its controls, `image` its picture, both made by the subclass.

    Notebook: 05.
    """

    box: ipywidgets.Widget
    image: ipywidgets.Image
    sample_rate: int

    def static(self) -> Figure:
        """The still picture. Notebook: 05."""
        raise NotImplementedError

    def sounds(self) -> dict[str, Tensor]:
        """Sounds that belong to the still picture: label -> `[C, T]`. Notebook: 05."""
        return {}

    def show(self) -> None:
        """Show the widget, or its static form where it cannot be moved (see `live`).

        Notebook: 05.
        """
        if live():  # the picture goes along for readers that know no widgets
            bundle = {kind: data for kind, data in self.box._repr_mimebundle_().items() if kind != "text/plain"}
            picture = base64.b64encode(self.image.value).decode()
            display({**bundle, "image/png": picture, "text/plain": repr(self)}, raw=True)
            return
        display(self.static())
        if self.sounds():
            listen(self.sounds(), self.sample_rate)

    def _ipython_display_(self) -> None:
        self.show()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def png(figure: Figure) -> bytes:
    """The figure as PNG, on white, so that it reads on a dark page too. Notebook: 05."""
    buffer = io.BytesIO()
    figure.set_dpi(DPI)
    figure.set_facecolor("white")
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def picture(drawn: Figure | bytes) -> ipywidgets.Image:
    """An image that is redrawn in place: giving it new bytes does not flicker, as a new output would.

    It has no tooltip: with one, ipywidgets 8.1 fails to show images and players. Words stand beside each picture.
    Notebook: 05.
    """
    return ipywidgets.Image(
        value=png(drawn) if isinstance(drawn, Figure) else drawn,
        format="png",
        layout=ipywidgets.Layout(max_width="100%", object_fit="contain"),
    )


def wav(audio: Tensor, sample_rate: int) -> bytes:
    """Audio `[C, T]`, -1 to 1, as the bytes of a 16-bit WAV file; what is beyond is clipped.

    Notebook: 05.
    """
    samples = (audio.detach().cpu().float().clamp(-1, 1) * FULL_SCALE).round().to(torch.int16)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.T.contiguous().numpy().astype("<i2").tobytes())
    return buffer.getvalue()


def player(audio: Tensor, sample_rate: int, **options: Any) -> ipywidgets.Audio:
    """A player for audio `[C, T]` as it is, that plays when it is asked to. Notebook: 05."""
    return ipywidgets.Audio(
        value=wav(audio, sample_rate), format="wav", **{"autoplay": False, "loop": False, **options}
    )


def listening_gain(audio: Tensor, sample_rate: int) -> float:
    """The factor that brings audio `[C, T]` to the loudness of `listen`; 1 for silence.

    One factor for all positions of a control keeps what the control does to the level.
    Source: EBU R 128. Notebook: 05.
    """
    loudness = loudness_lufs(audio, sample_rate)
    return 1.0 if loudness < decibels(1e-5) else 10 ** ((LISTENING_LUFS - loudness) / 20)


def levelled(audio: Tensor, gain: float) -> Tensor:
    """Audio times `gain`, or as much less as keeps it from clipping. Notebook: 05."""
    peak = float(audio.abs().max()) * gain
    return audio * (gain if peak <= PEAK else gain * PEAK / peak)


def slider(label: str, tooltip: str, value: float, low: float, high: float, step: float) -> ipywidgets.FloatSlider:
    """A labelled slider that reports when it is let go, and on each press of an arrow key.

    Notebook: 05.
    """
    return ipywidgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=label,
        tooltip=tooltip,
        continuous_update=False,
        readout_format=".2f" if step < 0.1 else ".1f",
        style={"description_width": WIDE},
        layout=ipywidgets.Layout(width="100%", max_width="44em"),
    )


def words(text: str) -> ipywidgets.HTML:
    """Text that breaks into lines where the page is narrow; set its `value` by `html.escape`.

    Notebook: 05.
    """
    return ipywidgets.HTML(value=html.escape(text))


def button(label: str, tooltip: str, icon: str = "") -> ipywidgets.Button:
    """A labelled button. Notebook: 05."""
    return ipywidgets.Button(description=label, tooltip=tooltip, icon=icon, layout=ipywidgets.Layout(width="auto"))


class Latest:
    """Calls a slow function once for a burst of changes, with the last of them, instead of once for each.

    A notebook delivers every click and key, one after the other; what was drawn for all but the last is never looked
    at. Where no event loop runs (a test, a script), the function is called at once.

    Args:
        function: called without arguments; reads the controls when it is called.
    Notebook: 05.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0

    def __call__(self, change: object = None) -> None:
        """Call the function soon. Notebook: 05."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._function()
            return
        now = time.monotonic()
        if self._timer is None:
            self._deadline = now + LONGEST_BURST_SECONDS
        else:
            self._timer.cancel()
        self._timer = loop.call_later(max(0.0, min(BURST_SECONDS, self._deadline - now)), self._run)

    def _run(self) -> None:
        self._timer = None
        self._function()


def hear_while_busy(control: ipywidgets.Widget) -> None:
    """Let a press of this control through while a cell runs; call it again after each change of the control.

    JupyterLab (4.4 or later) sends what is pressed to a second thread of the kernel, a subshell. ipykernel 7.4 leads it
    back to the thread that last changed the control: the one that is busy. Without that memory it stays where it was
    sent. In kernels without subshells nothing happens here, and a press waits for the end of the cell.
    Source: Jupyter enhancement proposal 91. Notebook: 04.
    """
    comm = getattr(control, "comm", None)
    if comm is not None:
        vars(comm).pop("_reply_subshell_id", None)


def whole_hops(audio: Tensor, hop: int) -> Tensor:
    """Audio `[C, T]`, or `[T]`, as float32 `[C, T]`, cut to a multiple of the hop.

    Raises:
        RaveCourseError: it is shorter than one.
    Notebook: 05.
    """
    channels = audio.detach().cpu().float().reshape(-1, audio.shape[-1])
    if channels.shape[1] < hop:
        raise RaveCourseError(
            f"The recording has {channels.shape[1]} samples; {hop} or more are needed. Take a longer one."
        )
    return channels[:, : channels.shape[1] // hop * hop]
