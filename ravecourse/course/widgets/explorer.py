"""A slider for each direction of the latent; picture and sound follow.

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


class LatentExplorer(CourseWidget):
    """Move the latent along its principal directions, in units of what the training data used (standard deviations).

    The sliders add to the latents of a recording, frame by frame the same, or move away from the mean latent, which
    is then held. The loudness is matched for the unmoved sound only: what a direction does to the level stays.

    Args:
        model: a trained model; a copy of it is used.
        recording: `[C, T]` or `[T]` at the model's sample rate; None offers the held sound only.
        directions: how many sliders, the strongest direction first.
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
        self.bases = {
            HELD: self.model.latent_mean[None, :, None].expand(
                1, -1, max(1, round(seconds * model.sample_rate / model.hop_length))
            )
        }
        self.recording = None
        if recording is not None:
            self.recording = whole_hops(recording, model.hop_length)[
                :, : max(1, round(seconds * model.sample_rate / model.hop_length)) * model.hop_length
            ]
            with torch.no_grad(), threads(1):
                self.bases = {RECORDING: self.model.encode(self.recording[None])[0], **self.bases}
        self._gains = {name: listening_gain(self._decode(base), self.sample_rate) for name, base in self.bases.items()}
        self._draws = torch.Generator().manual_seed(seed)
        self._quiet = False
        self._build()

    def _build(self) -> None:
        share = torch.diff(self.model.fidelity, prepend=torch.zeros(1))
        self.sliders = [
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
        self.base = ipywidgets.Dropdown(
            options=list(self.bases),
            description="moves",
            style={"description_width": "4em"},
            tooltip="what the sliders move: the latents of a recording, or the mean latent",
        )
        self.reset_button = button("reset", "all sliders to 0", "undo")
        self.random_button = button("random", "a latent as the training data might hold it", "random")
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
        for control in (*self.sliders, self.base):
            control.observe(self._changed, "value")
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
        """Where the sliders stand, in standard deviations `[directions]`. Notebook: 05."""
        return torch.tensor([control.value for control in self.sliders])

    def latents(self, positions: Tensor | None = None) -> Tensor:
        """The latents `[1, D, F]` at these positions, the sliders' if None. Notebook: 05."""
        positions = self.positions if positions is None else torch.as_tensor(positions, dtype=torch.float32)
        k = len(positions)
        offset = (positions * self.model.latent_std[:k]) @ self.model.latent_pca[:k]  # [D]
        return self.bases[self.base.value] + offset[None, :, None]

    def sound(self, positions: Tensor | None = None) -> Tensor:
        """What the decoder makes of them, `[C, T]`. Notebook: 05."""
        return self._decode(self.latents(positions))

    def reset(self) -> None:
        """All sliders to 0. Notebook: 05."""
        self.move(torch.zeros(self.directions))

    def random(self) -> None:
        """All sliders to a draw from the normal distribution. Notebook: 05."""
        drawn = torch.randn(self.directions, generator=self._draws)
        self.move(drawn.clamp(-self.reach, self.reach))

    def move(self, positions: Tensor) -> None:
        """Set all sliders, and draw once. Notebook: 05."""
        self._quiet = True
        try:
            for control, value in zip(self.sliders, positions, strict=False):
                control.value = round(float(value), 1)
        finally:
            self._quiet = False
        self._changed()

    def static(self, steps: tuple[float, ...] = (-2.0, 0.0, 2.0)) -> Figure:
        """The first direction at a few positions. Notebook: 05."""
        return spectrograms(self.sounds(steps), self.sample_rate)

    def sounds(self, steps: tuple[float, ...] = (-2.0, 0.0, 2.0)) -> dict[str, Tensor]:
        """Label -> audio of the static form. Notebook: 05."""
        return {
            f"direction 1 at {step:+.0f} σ" if step else "not moved": self.sound(torch.tensor([step])) for step in steps
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
        moved = [f"{i + 1}: {value:+.1f}" for i, value in enumerate(self.positions.tolist()) if value]
        where = f"moved by (σ) {', '.join(moved)}" if moved else "not moved"  # fits over the picture with all six moved
        return spectrograms({f"{self.base.value}, {where}": sound}, self.sample_rate)

    def _changed(self, change: object = None) -> None:
        if not self._quiet:
            self._redraw()

    def _draw(self) -> None:
        sound = self.sound()
        self.image.value = png(self._drawn(sound))
        self.text.value = self._words(sound)
        self.player.value = wav(self._audible(sound), self.sample_rate)
