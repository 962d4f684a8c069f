"""A slider for pitch, for loudness and for each learned direction of the latent; picture and sound follow.

Notebook: 05.
"""

import copy

import ipywidgets
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ravecourse.audio import rms_db
from ravecourse.model import RAVE
from ravecourse.runtime import threads

from ..plots import spectrograms
from .base import (
    LOUDNESSES,
    NOTES,
    ROW,
    CourseWidget,
    Latest,
    button,
    levelled,
    listening_gain,
    picture,
    player,
    png,
    slider,
    wav,
    whole_hops,
    words,
)

RECORDING, HELD = "the recording", "a held sound"
HELD_NOTE, HELD_LOUDNESS = 60.0, 80.0  # of the held sound where no recording says otherwise


class LatentExplorer(CourseWidget):
    """Move pitch, loudness and the learned latent, whose directions are in standard deviations of the training data.

    The sliders add to the latents of a recording, frame by frame the same, or move away from the mean latent, which
    is then held. Those of pitch and loudness, where the model has them, stand at the medians of what they move: drawn
    to 72, the slider of the pitch transposes a melody so that its median is the note 72. The loudness is matched for
    the unmoved sound only: what a slider does to the level stays.

    Args:
        model: a trained model; a copy of it is used.
        recording: `[C, T]` or `[T]` at the model's sample rate; None offers the held sound only.
        directions: how many sliders of learned directions, the strongest first.
        reach: each goes from -reach to reach standard deviations.
        seconds: of the recording, from its start, and of the held sound.
        seed: of the decoder's noise and the random button.
    Raises:
        RaveCourseError: the recording is shorter than one latent frame, or has other channels than the model.
    Source: RAVE (arXiv 2111.05011), section 4.3, for the directions. Notebook: 05.
    """

    def __init__(
        self,
        model: RAVE,
        recording: Tensor | None = None,
        *,
        directions: int = 6,
        reach: float = 3.0,
        seconds: float = 4.0,
        seed: int = 0,
    ) -> None:
        self.model, self.sample_rate = copy.deepcopy(model).cpu().eval(), model.sample_rate
        self.directions, self.reach, self.seed = min(directions, model.config.latent_size), reach, seed
        self.named = self.model.named
        frames = max(1, round(seconds * model.sample_rate / model.hop_length))
        rest = torch.tensor([HELD_NOTE, HELD_LOUDNESS][: self.named])
        self.bases, self.rests = {}, {}
        self.recording = None
        if recording is not None:
            self.recording = whole_hops(recording, model.hop_length)[:, : frames * model.hop_length]
            with torch.no_grad(), threads(1):
                self.bases[RECORDING] = self.model.encode(self.recording[None])[0]
            rest = self.rests[RECORDING] = _medians(self.bases[RECORDING], self.named)
        self.bases[HELD] = torch.cat([rest, self.model.latent_mean])[None, :, None].expand(1, -1, frames)
        self.rests[HELD] = rest
        self._gains = {name: listening_gain(self._decode(base), self.sample_rate) for name, base in self.bases.items()}
        self._draws = torch.Generator().manual_seed(seed)
        self._quiet = False
        self._build()

    def _build(self) -> None:
        share = torch.diff(self.model.fidelity, prepend=torch.zeros(1))
        self.base = ipywidgets.Dropdown(
            options=list(self.bases),
            description="moves",
            style={"description_width": "4em"},
            tooltip="what the sliders move: the latents of a recording, or the mean latent",
        )
        named = (
            ("pitch (note)", "pitch, as a MIDI note number: 60 is the middle C, 12 an octave", NOTES),
            ("loudness (dB)", "loudness in dB, where 100 is the RMS of a square wave at full scale", LOUDNESSES),
        )
        rests = self.rests[self.base.value].tolist()
        self.sliders = [
            slider(label, tooltip, rest, *reach, 0.1)
            for (label, tooltip, reach), rest in zip(named[: self.named], rests, strict=True)
        ] + [
            slider(
                f"direction {i + 1} (σ)",
                f"direction {i + 1}, in standard deviations of the training data; it "
                f"holds {share[i]:.0%} of the variance",
                0.0,
                -self.reach,
                self.reach,
                0.1,
            )
            for i in range(self.directions)
        ]
        self.reset_button = button("reset", "all sliders to where they were at first", "undo")
        self.random_button = button("random", "learned directions as the training data might hold them", "random")
        self.autoplay = ipywidgets.Checkbox(
            value=False,
            description="play after each change",
            indent=False,
            tooltip="play the sound whenever a slider was moved",
        )
        sound = self.sound()
        self.image = picture(self._drawn(sound))
        self.player = player(self._audible(sound), self.sample_rate)
        self.text = words(self._words(sound))
        self._redraw = Latest(self._draw)
        for control in self.sliders:
            control.observe(self._changed, "value")
        self.base.observe(lambda _: self.reset(), "value")
        self.reset_button.on_click(lambda _: self.reset())
        self.random_button.on_click(lambda _: self.random())
        self.autoplay.observe(lambda change: setattr(self.player, "autoplay", change["new"]), "value")
        self.box = ipywidgets.VBox(
            [
                ipywidgets.Box([self.base, self.reset_button, self.random_button, self.autoplay], layout=ROW),
                *self.sliders,
                self.text,
                self.image,
                self.player,
            ]
        )

    @property
    def positions(self) -> Tensor:
        """Where the sliders stand `[named + directions]`: note and dB, then standard deviations. Notebook: 05."""
        return torch.tensor([control.value for control in self.sliders])

    @property
    def rest(self) -> Tensor:
        """Where the sliders stand when nothing is moved, as `positions`. Notebook: 05."""
        return torch.cat([self.rests[self.base.value], torch.zeros(self.directions)])

    def latents(self, positions: Tensor | None = None) -> Tensor:
        """The latents `[1, named + D, F]` at these positions, the sliders' if None. Notebook: 05."""
        positions = self.positions if positions is None else torch.as_tensor(positions, dtype=torch.float32)
        moved = positions - self.rest
        base = self.bases[self.base.value]
        learned = (moved[self.named :] * self.model.latent_std[: self.directions]) @ self.model.latent_pca[
            : self.directions
        ]  # [D]
        latents = base + torch.cat([moved[: self.named], learned])[None, :, None]
        if self.named:  # silence stays silent, and frames before the first pitch have none
            heard = base[:, : self.named] > 0
            latents = torch.cat([latents[:, : self.named].clamp(min=0) * heard, latents[:, self.named :]], 1)
        return latents

    def sound(self, positions: Tensor | None = None) -> Tensor:
        """What the decoder makes of them, `[C, T]`. Notebook: 05."""
        return self._decode(self.latents(positions))

    def reset(self) -> None:
        """All sliders to where they were at first. Notebook: 05."""
        self.move(self.rest)

    def random(self) -> None:
        """The sliders of learned directions to a draw from the normal distribution; pitch and loudness stay.

        Notebook: 05.
        """
        drawn = torch.randn(self.directions, generator=self._draws).clamp(-self.reach, self.reach)
        self.move(torch.cat([self.positions[: self.named], drawn]))

    def move(self, positions: Tensor) -> None:
        """Set all sliders, and draw once. Notebook: 05."""
        self._quiet = True
        try:
            for control, value in zip(self.sliders, positions, strict=False):
                control.value = round(float(value), 1)
        finally:
            self._quiet = False
        self._changed()

    def static(self) -> Figure:
        """The sound not moved, and moved by the first sliders. Notebook: 05."""
        return spectrograms(self.sounds(), self.sample_rate)

    def sounds(self) -> dict[str, Tensor]:
        """Label -> audio of the static form. Notebook: 05."""
        if self.named:
            moves = {"not moved": (0, 0.0), "pitch an octave higher": (0, 12.0), "direction 1 at +2 σ": (2, 2.0)}
        else:
            moves = {"direction 1 at -2 σ": (0, -2.0), "not moved": (0, 0.0), "direction 1 at +2 σ": (0, 2.0)}
        return {
            label: self.sound(self.rest + by * torch.eye(len(self.rest))[place]) for label, (place, by) in moves.items()
        }

    def _decode(self, latents: Tensor) -> Tensor:
        with torch.no_grad(), threads(1):
            return self.model.decode(latents, generator=torch.Generator().manual_seed(self.seed))[0]

    def _audible(self, sound: Tensor) -> Tensor:
        return levelled(sound, self._gains[self.base.value])

    def _words(self, sound: Tensor) -> str:
        """The picture in words: how loud the sound is, and where the middle of its spectrum lies."""
        power = torch.fft.rfft(sound.double()).abs().square().sum(0)
        hertz = torch.linspace(0, self.sample_rate / 2, len(power), dtype=torch.float64)
        centre = float((power * hertz).sum() / power.sum().clamp(min=1e-20))
        return f"level {rms_db(sound):.1f} dB, middle of the spectrum {centre:.0f} Hz"

    def _drawn(self, sound: Tensor) -> Figure:
        by = [round(value, 1) for value in (self.positions - self.rest).tolist()]
        names = ["pitch", "dB"][: self.named] + [str(i + 1) for i in range(self.directions)]
        moved = [f"{name}: {value:+.1f}" for name, value in zip(names, by, strict=True) if value]
        where = f"moved by {', '.join(moved)}" if moved else "not moved"  # fits over the picture with all moved
        return spectrograms({f"{self.base.value}, {where}": sound}, self.sample_rate)

    def _changed(self, change: object = None) -> None:
        if not self._quiet:
            self._redraw()

    def _draw(self) -> None:
        sound = self.sound()
        self.image.value = png(self._drawn(sound))
        self.text.value = self._words(sound)
        self.player.value = wav(self._audible(sound), self.sample_rate)


def _medians(latents: Tensor, named: int) -> Tensor:
    """The middle note and loudness of latents `[1, named + D, F]`, to a tenth, within the reach of the sliders."""
    found = []
    for row, (low, high), else_ in zip(
        latents[0, :named], (NOTES, LOUDNESSES), (HELD_NOTE, HELD_LOUDNESS), strict=False
    ):
        loud = latents[0, 1] > latents[0, 1].max() - 30
        heard = row[loud & (row > 0)]
        found.append(round(min(max(float(heard.median()), low), high), 1) if len(heard) else else_)
    return torch.tensor(found)
