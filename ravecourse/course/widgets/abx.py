"""A listening test: is X the sound A or the sound B? It counts, and says what the count means.

Notebook: 06.
"""

import html
from math import comb

import ipywidgets
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ravecourse.audio import loudness_lufs, match_loudness
from ravecourse.errors import RaveCourseError

from ..listening import LISTENING_LUFS
from ..plots import COLOURS
from .base import ROW, CourseWidget, button, picture, player, png, wav, words

RARE = 0.05  # by luck in fewer than one of twenty tests
DITHER = 1 / 32768  # each player's bytes differ, whatever it plays


def by_luck(right: int, trials: int) -> float:
    """The probability that someone who only guesses has `right` or more of `trials` right.

    Args:
        right: 0 to trials.
        trials: answers, 1 or more.
    Source: binomial distribution, exact; Clark 1982 for the test. Notebook: 06.
    """
    return sum(comb(trials, k) for k in range(right, trials + 1)) / 2**trials


def needed(trials: int, rare: float = RARE) -> int | None:
    """How many right answers of `trials` a guesser has with a probability below `rare`; None if too few trials.

    Notebook: 06.
    """
    return next((k for k in range(trials + 1) if by_luck(k, trials) < rare), None)


def meaning(right: int, trials: int) -> str:
    """What a count means, in words. Notebook: 06."""
    chance = by_luck(right, trials)
    share = f"{chance:.1%}" if chance >= 0.001 else "fewer than 0.1%"
    text = f"{right} of {trials} right. Someone who only guesses has that many or more in {share} of such tests"
    if chance < RARE:
        return text + ": you hear a difference."
    enough = needed(trials)
    more = f"{enough} right would have been enough" if enough is not None else "it takes 5 trials or more"
    return text + f": that is no proof of a difference ({more}), and no proof that there is none."


class ABX(CourseWidget):
    """Two sounds, equally loud, and X, which is one of the two: say which, several times.

    Each of the two is X equally often, in an order from the seed. Nothing is revealed before the last answer. All players
    hold as many bytes, and a noise of the last bit, drawn anew for each, makes their bytes differ.

    Args:
        a, b: `[C, T]` or `[T]`; the longer one is cut.
        sample_rate: in Hz.
        trials: how many; with 5 or more, a difference can be significant.
        seed: of the order.
        labels: what A and B are, shown with the result.
    Raises:
        RaveCourseError: fewer than one trial, or sounds without samples.
    Source: Clark, High-resolution subjective testing using a double-blind comparator, 1982. Notebook: 06.
    """

    def __init__(
        self,
        a: Tensor,
        b: Tensor,
        sample_rate: int,
        *,
        trials: int = 10,
        seed: int = 0,
        labels: tuple[str, str] = ("A", "B"),
    ) -> None:
        length = min(a.shape[-1], b.shape[-1])
        if trials < 1 or not length:
            raise RaveCourseError(
                f"A test of {trials} trials with {length} samples is none. Give two sounds, and "
                "ask for 5 trials or more."
            )
        self.sample_rate, self.trials, self.labels = sample_rate, trials, labels
        self._sounds = [
            match_loudness(
                sound.detach().cpu().float().reshape(-1, sound.shape[-1])[:, :length], sample_rate, LISTENING_LUFS
            )
            for sound in (a, b)
        ]
        self._loudness()
        self._draws = torch.Generator().manual_seed(seed)
        self.answers: list[str] = []
        self._order = self._new_order()
        self._build()

    def _loudness(self) -> None:
        """Where a peak keeps one sound from the loudness of the other, the other comes down to it."""
        reached = min(loudness_lufs(sound, self.sample_rate) for sound in self._sounds)
        if reached > -70:
            self._sounds = [match_loudness(sound, self.sample_rate, reached) for sound in self._sounds]

    def _new_order(self) -> list[str]:
        """As many A as B, or one more of either, shuffled."""
        odd = int(torch.randint(2, (1,), generator=self._draws))
        half = ["A", "B"] * (self.trials // 2) + ["AB"[odd]] * (self.trials % 2)
        return [half[i] for i in torch.randperm(self.trials, generator=self._draws).tolist()]

    def _build(self) -> None:
        self.text = words("")
        self.players = {name: player(self._played(name), self.sample_rate) for name in "ABX"}
        self.buttons = {name: button(f"X is {name}", f"answer: X is the sound {name}") for name in "AB"}
        for name, control in self.buttons.items():
            control.on_click(lambda _, name=name: self.answer(name))
        self.again_button = button("start again", "a new order, and no answers yet", "undo")
        self.again_button.on_click(lambda _: self.restart())
        self.image = picture(self.static())
        self.image.layout.display = "none"
        rows = [ipywidgets.Box([ipywidgets.Label(name), self.players[name]], layout=ROW) for name in "ABX"]
        self.box = ipywidgets.VBox(
            [*rows, ipywidgets.Box([*self.buttons.values(), self.again_button], layout=ROW), self.text, self.image]
        )
        self._tell()

    @property
    def finished(self) -> bool:
        """All trials are answered. Notebook: 06."""
        return len(self.answers) == self.trials

    @property
    def right(self) -> int | None:
        """Right answers, once all are given; None before. Notebook: 06."""
        if not self.finished:
            return None
        return sum(said == x for said, x in zip(self.answers, self._order, strict=True))

    def answer(self, name: str) -> None:
        """Say that X is "A" or "B". Notebook: 06."""
        if name not in ("A", "B"):
            raise RaveCourseError(f"X is A or B, not {name!r}.")
        if self.finished:
            return
        self.answers.append(name)
        if not self.finished:
            self._load(("X",))
        self._tell()

    def restart(self) -> None:
        """Forget the answers and draw a new order. Notebook: 06."""
        self.answers, self._order = [], self._new_order()
        self._load("ABX")
        self._tell()

    def static(self) -> Figure:
        """How often a guesser has how many right, and from where on the ear counts.

        Notebook: 06.
        """
        counts = range(self.trials + 1)
        enough = needed(self.trials)
        figure = Figure(figsize=(8, 2.6), layout="constrained")
        axis = figure.subplots()
        colours = [COLOURS[2] if enough is not None and k >= enough else "0.7" for k in counts]
        axis.bar(counts, [100 * comb(self.trials, k) / 2**self.trials for k in counts], color=colours)
        axis.set(xlabel=f"right answers of {self.trials}", ylabel="of guessers (%)")
        if enough is not None:
            axis.set_title(f"{enough} or more: fewer than {RARE:.0%} of those who only guess", loc="left", fontsize=10)
        if self.right is not None:
            axis.axvline(self.right, color=COLOURS[1], linewidth=3)
            axis.annotate(
                "you",
                (self.right, 0.9),
                xycoords=("data", "axes fraction"),
                xytext=(5, 0),
                textcoords="offset points",
                color=COLOURS[1],
            )
        axis.spines[["top", "right"]].set_visible(False)
        return figure

    def sounds(self) -> dict[str, Tensor]:
        """A and B with their labels. Notebook: 06."""
        return {
            name if label == name else f"{name}: {label}": sound
            for name, label, sound in zip("AB", self.labels, self._sounds, strict=True)
        }

    def _played(self, name: str) -> Tensor:
        """The sound of a player, with a noise of the last bit of its own."""
        which = self._order[len(self.answers)] if name == "X" else name
        sound = self._sounds["AB".index(which)]
        noise = torch.rand(sound.shape, generator=self._draws) - torch.rand(sound.shape, generator=self._draws)
        return sound + DITHER * noise

    def _load(self, names: str | tuple[str, ...]) -> None:
        for name in names:
            self.players[name].value = wav(self._played(name), self.sample_rate)

    def _tell(self) -> None:
        for control in self.buttons.values():
            control.disabled = self.finished
        self.image.layout.display = None if self.finished else "none"
        right = self.right
        if right is None:
            self.text.value = f"Trial {len(self.answers) + 1} of {self.trials}: listen to A, B and X. Which one is X?"
            return
        self.image.value = png(self.static())
        names = "" if self.labels == ("A", "B") else f" (A: {self.labels[0]}, B: {self.labels[1]})"
        self.text.value = html.escape(meaning(right, self.trials) + names)
