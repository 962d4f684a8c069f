"""A model that runs block by block, seen one block at a time: without memory, and with caches.

Notebook: 07.
"""

import copy

import ipywidgets
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE
from ravecourse.runtime import threads
from ravecourse.streaming import Delay, StreamingRAVE

from ..plots import COLOURS, legend_above
from .base import PEAK, ROW, CourseWidget, Latest, button, picture, player, png, whole_hops, words

AROUND = 2  # blocks that are shown before and after the one at hand
LONGEST = 400  # blocks
QUIETEST = 1e-3  # full scale of a picture of silence


class BlockViewer(CourseWidget):
    """Step through a recording block by block: the input, the output of a model that forgets, and of one that does not.

    The model that forgets pads each block with zeros; its output is wrong at the seams. The one with caches gives the
    offline output, `delay_samples` later. Below, what some of the layers remember at the end of the block.

    Args:
        model: a trained model; a copy of it is used, with its noise switched off.
        recording: `[C, T]` or `[T]` at the model's sample rate.
        hops: latent frames of a block.
        seconds: of the recording, from its start.
        caches: how many layers to show.
    Raises:
        RaveCourseError: the recording is shorter than two blocks, or gives more than 400.
    Source: arXiv 2204.07064 for the caches. Notebook: 07.
    """

    def __init__(self, model: RAVE, recording: Tensor, *, hops: int = 4, seconds: float = 2.0, caches: int = 5) -> None:
        self.sample_rate, self.block_samples = model.sample_rate, hops * model.hop_length
        recording = recording[..., : round(seconds * model.sample_rate)]
        self.count = recording.shape[-1] // self.block_samples
        if not 2 <= self.count <= LONGEST:
            raise RaveCourseError(
                f"That is {self.count} blocks of {self.block_samples} samples; 2 to {LONGEST} can be "
                "shown. Change hops or seconds."
            )
        self.input = whole_hops(recording, self.block_samples)  # [C, T]
        self._compute(copy.deepcopy(model).cpu().eval(), caches)
        self.slider = ipywidgets.IntSlider(
            value=self.count // 2,
            min=0,
            max=self.count - 1,
            description="block",
            continuous_update=False,
            tooltip="which block; arrow keys move by one",
            layout=ipywidgets.Layout(width="32em", max_width="100%"),
        )
        self.back, self.forth = (
            button("previous", "one block back", "step-backward"),
            button("next", "one block on", "step-forward"),
        )
        self.back.on_click(lambda _: self.step(-1))
        self.forth.on_click(lambda _: self.step(1))
        self.image = picture(self.static(self.slider.value))
        self.text = words(self._words(self.slider.value))
        players = [
            ipywidgets.VBox([ipywidgets.Label(label), player(sound * self._gain, self.sample_rate)])
            for label, sound in self.sounds().items()
        ]
        self._redraw = Latest(self._draw)
        self.slider.observe(self._redraw, "value")
        self.box = ipywidgets.VBox(
            [
                ipywidgets.Box([self.slider, self.back, self.forth], layout=ROW),
                self.text,
                self.image,
                ipywidgets.Box(players, layout=ROW),
            ]
        )

    def _compute(self, model: RAVE, caches: int) -> None:
        streaming = StreamingRAVE(model).eval()
        streaming.heads.noise_scale.zero_()
        self.delay_samples = streaming.delay_samples
        remembering = [
            (name, layer)
            for name, layer in streaming.named_modules()
            if hasattr(layer, "rows") and layer.rows.shape[1] > 0
        ]
        every = torch.linspace(0, len(remembering) - 1, min(caches, len(remembering))).round().int().tolist()
        chosen = [remembering[i] for i in every]
        self.cache_names = [_name(name, layer) for name, layer in chosen]
        self.caches: list[list[Tensor]] = []  # of each block, of each chosen layer: [rows, channels]
        alone, cached = [], []
        with torch.no_grad(), threads(1):
            self.offline = model.decode(model.encode(self.input[None])[0], noise=False)[0]
            for block in self.input[None].split(self.block_samples, 2):
                alone.append(model.decode(model.encode(block)[0], noise=False)[0])
                cached.append(streaming(block)[0])
                self.caches.append([layer.rows[0].clone() for _, layer in chosen])
        self.alone, self.cached = torch.cat(alone, 1), torch.cat(cached, 1)  # [C, T] each
        self._reaches = [  # the largest value that each layer ever holds: all blocks are drawn to one scale
            max(float(held[i].abs().max()) for held in self.caches) or 1.0 for i in range(len(chosen))
        ]
        before = torch.full_like(self.offline[:, : self.delay_samples], torch.nan)  # nothing was heard yet
        self.expected = torch.cat([before, self.offline], 1)[:, : self.offline.shape[1]]
        peak = max(float(sound.abs().max()) for sound in (self.offline, self.alone, self.cached))
        self._gain = min(1.0, PEAK / peak) if peak else 1.0

    @property
    def block(self) -> int:
        """The block at hand, from 0. Notebook: 07."""
        return self.slider.value

    def step(self, blocks: int) -> None:
        """Go on by some blocks, or back. Notebook: 07."""
        self.slider.value = min(max(self.block + blocks, 0), self.count - 1)

    def errors(self, block: int) -> tuple[float, float]:
        """Largest difference from the offline output in a block: without memory, and with caches.

        What the model with caches says before it can have heard anything (`delay_samples`) is not counted.
        Notebook: 07.
        """
        cut = slice(block * self.block_samples, (block + 1) * self.block_samples)
        return (
            float((self.alone - self.offline)[:, cut].abs().max()),
            float((self.cached - self.expected)[:, cut].abs().nan_to_num(0.0).max()),
        )

    def sounds(self) -> dict[str, Tensor]:
        """The three outputs. Notebook: 07."""
        return {"offline, all at once": self.offline, "each block alone": self.alone, "with caches": self.cached}

    def static(self, block: int | None = None) -> Figure:
        """The picture of a block; of the middle one if None. Notebook: 07."""
        block = self.count // 2 if block is None else block
        figure = Figure(figsize=(10, 4.8))
        wide = figure.add_gridspec(3, 1, left=0.07, right=0.99, top=0.95, bottom=0.38, hspace=0.5)
        narrow = figure.add_gridspec(1, len(self.cache_names), left=0.07, right=0.99, top=0.19, bottom=0.02, wspace=0.3)
        first = figure.add_subplot(wide[0])
        alone, cached = (figure.add_subplot(wide[i], sharex=first) for i in (1, 2))
        low, high = max(block - AROUND, 0), min(block + AROUND + 1, self.count)
        self._curves(first, "input", low, high, block, ("input", self.input, "0.2"))
        self._curves(
            alone,
            "output, each block alone",
            low,
            high,
            block,
            ("offline", self.offline, COLOURS[0]),
            ("blocks", self.alone, COLOURS[1]),
        )
        self._curves(
            cached,
            f"output with caches: {self.delay_samples} samples later",
            low,
            high,
            block,
            ("offline, delayed", self.expected, COLOURS[0]),
            ("blocks", self.cached, COLOURS[2]),
        )
        cached.set_xlabel("time (ms)")
        for axis in (first, alone):
            axis.tick_params(labelbottom=False)
        layers = zip(self.cache_names, self.caches[block], self._reaches, strict=True)
        for place, (name, rows, reach) in enumerate(layers):
            axis = figure.add_subplot(narrow[place])
            axis.imshow(
                rows.T.numpy(),
                aspect="auto",
                cmap="PuOr",
                interpolation="nearest",
                origin="lower",
                vmin=-reach,
                vmax=reach,
            )
            axis.set_title(f"{name}: {len(rows)} rows", fontsize=8)
            axis.set_xticks([])
            axis.tick_params(labelsize=7)
        figure.text(
            0.02,
            0.255,
            f"what layers remember after block {block}: a column for each row, the newest at the "
            "right; orange negative, purple positive",
            fontsize=9,
        )
        figure.text(0.02, 0.11, "channel", fontsize=8, rotation=90, va="center")
        return figure

    def _curves(
        self, axis: Axes, title: str, low: int, high: int, block: int, *curves: tuple[str, Tensor, str]
    ) -> None:
        cut = slice(low * self.block_samples, high * self.block_samples)
        times = 1000 * torch.arange(cut.start, cut.stop) / self.sample_rate
        edges = [1000 * i * self.block_samples / self.sample_rate for i in range(low, high + 1)]
        axis.axvspan(edges[block - low], edges[block - low + 1], color=COLOURS[4], alpha=0.2, linewidth=0)
        for edge in edges:
            axis.axvline(edge, color="0.8", linewidth=0.8, zorder=0)
        for i, (label, sound, colour) in enumerate(curves):
            width, alpha = (3.0, 0.35) if len(curves) > 1 and i == 0 else (0.9, 1.0)
            axis.plot(times.numpy(), sound[0, cut].numpy(), color=colour, label=label, linewidth=width, alpha=alpha)
        if len(curves) > 1:
            legend_above(axis)
        axis.set_title(title, loc="left", fontsize=10)
        loudest = max(QUIETEST, *(float(sound.nan_to_num(0.0).abs().max()) for _, sound, _ in curves))
        axis.set(ylabel="amplitude", xlim=(edges[0], edges[-1]), ylim=(-1.05 * loudest, 1.05 * loudest))
        axis.spines[["top", "right"]].set_visible(False)

    def _words(self, block: int) -> str:
        alone, cached = self.errors(block)
        return (
            f"block {block} of {self.count}, {self.block_samples} samples. Largest difference from offline: "
            f"{alone:.2g} alone, {cached:.1g} with caches."
        )

    def _draw(self) -> None:
        self.image.value = png(self.static(self.block))
        self.text.value = self._words(self.block)


def _name(path: str, layer: nn.Module) -> str:
    """What a person calls a layer of the streaming model, such as `trunk 3`."""
    parts = [part for part in path.split(".") if part not in ("conv", "branch", "skip")]
    return " ".join(parts) + (" (wait)" if isinstance(layer, Delay) else "")
