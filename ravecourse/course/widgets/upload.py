"""A recording of one's own, uploaded into the notebook, and what each model makes of it.

Notebook: 00.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ravecourse.audio import match_loudness, peak_db, read
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import through
from ravecourse.model import RAVE
from ravecourse.runtime import threads

from ..listening import LISTENING_LUFS
from ..plots import spectrograms
from .base import ROW, CourseWidget, picture, player, png, wav, words

FAINTEST_DB = -60.0  # a recording without a louder sample is silence: a microphone that is switched off
SHORTEST_SECONDS = 0.2
MOST_SHOWN = 3  # sounds in the picture; there is a player for each


class OwnSound(CourseWidget):
    """Upload a recording and hear each model's answer; at first, and where nobody can upload, an example stands in.

    The recording is mixed to mono, cut, and brought to one loudness, since the models take loudness as it comes.
    Browsers of phones and tablets offer to record when they are asked for a sound.

    Args:
        models: label -> trained model, all mono and of one sample rate.
        example: `[1, T]` at that rate.
        label: of the example.
        seconds: of a recording, from its start.
    Raises:
        RaveCourseError: no models, or they differ in sample rate, or are not mono.
    Notebook: 00.
    """

    def __init__(
        self, models: Mapping[str, RAVE], example: Tensor, *, label: str = "an example", seconds: float = 10.0
    ) -> None:
        rates = {model.sample_rate for model in models.values()}
        if len(rates) != 1 or any(model.channels != 1 for model in models.values()):
            raise RaveCourseError(
                f"The models have the sample rates {sorted(rates)} Hz; give one or more mono models of one rate."
            )
        self.models, self.seconds, self.sample_rate = dict(models), seconds, rates.pop()
        self.upload = ipywidgets.FileUpload(
            accept="audio/*",
            multiple=False,
            description="your recording",
            tooltip="a sound file: WAV, FLAC, MP3, OGG; a phone's browser offers to record one",
            layout=ipywidgets.Layout(width="auto"),
        )
        self.text = words("")
        self._take(label, example)
        self.image = picture(self.static())
        self._labels = [ipywidgets.Label(name) for name in self._sounds]
        self.players = [player(sound, self.sample_rate) for sound in self._sounds.values()]
        pairs = [ipywidgets.VBox(pair) for pair in zip(self._labels, self.players, strict=True)]
        self.upload.observe(self._uploaded, "value")
        self.box = ipywidgets.VBox(
            [
                ipywidgets.Box([self.upload, self.text], layout=ROW),
                ipywidgets.Box(pairs, layout=ROW),
                self.image,
            ]
        )

    def hear(self, label: str, sound: Tensor) -> None:
        """Put another sound `[C, T]` through the models.

        Raises:
            RaveCourseError: it is silent, or too short.
        Notebook: 00.
        """
        self._take(label, sound)
        for shown, made, (name, answer) in zip(self._labels, self.players, self._sounds.items(), strict=True):
            shown.value, made.value = name, wav(answer, self.sample_rate)
        self.image.value = png(self.static())

    def static(self) -> Figure:
        """The sound, and the answers of the first two models. Notebook: 00."""
        return spectrograms(dict(list(self._sounds.items())[:MOST_SHOWN]), self.sample_rate)

    def sounds(self) -> dict[str, Tensor]:
        """Label -> audio `[1, T]`: the sound, and the answer of each model. Notebook: 00."""
        return dict(self._sounds)

    def _take(self, label: str, sound: Tensor) -> None:
        mono = sound.mean(0, keepdim=True)[:, : round(self.seconds * self.sample_rate)].float()
        if mono.shape[1] < SHORTEST_SECONDS * self.sample_rate:
            raise RaveCourseError(
                f"{label} has {mono.shape[1] / self.sample_rate:.2f} s; {SHORTEST_SECONDS} s or more are needed."
            )
        if peak_db(mono) < FAINTEST_DB:
            raise RaveCourseError(f"{label} is silent. Was the microphone switched on?")
        mono = match_loudness(mono, self.sample_rate, LISTENING_LUFS)
        with torch.no_grad(), threads(1):
            answers = {f"as {name}": through(model, mono) for name, model in self.models.items()}
        self._sounds = {
            label: mono,
            **{name: match_loudness(answer, self.sample_rate, LISTENING_LUFS) for name, answer in answers.items()},
        }
        self.text.value = f"{mono.shape[1] / self.sample_rate:.1f} s"

    def _uploaded(self, change: Any) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        self.text.value = "the models answer ..."
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / Path(file["name"]).name
                path.write_bytes(bytes(file["content"]))
                sound, _ = read(path, self.sample_rate, 1)
            self.hear(path.name, sound)
        except RaveCourseError as error:
            self.text.value = words(str(error).replace(f"{path.parent}/", "")).value
