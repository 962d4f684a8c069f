"""What a training reports while it runs: the bar, the losses as CSV, TensorBoard, and whether phase one has gone flat.

Notebook: 04.
"""

import csv
import io
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ravecourse.runtime import clock

from .table import COLUMNS, LOSSES_NAME, keep_until

LOG_EVERY = 25  # steps a row of the CSV
COLLECT_SECONDS = 0.5  # losses stay on the device at most this long
FLAT_VALIDATIONS = 5  # this many without ...
FLAT_GAIN = 0.01  # ... a gain of this share count as flat


@dataclass(frozen=True)
class Progress:
    """Where a training stands; `train` hands it to `on_step` after each step.

    Notebook: 04.
    """

    step: int  # steps done
    phase: int
    phase_two_start: int
    end: int  # steps in all
    losses: dict[str, float]  # the last known of each kind; empty before the first is read
    validation: dict[str, float] | None  # "spectral" and "log_mel" of the last validation
    kl: list[float] = field(default_factory=list)  # nats of each latent dimension at the last validation
    seconds_to_phase_two: float | None = None  # None before there is a pace
    seconds_to_end: float | None = None


class NotFinite(Exception):
    """A loss was not a number at `step`; `train` makes a message of it. Notebook: 04."""

    def __init__(self, step: int, name: str) -> None:
        super().__init__(f"{name} at step {step}")
        self.step, self.name = step, name


class TrainingLog:
    """Collects the losses of each step without waiting for the device, and passes them on.

    Args:
        run_folder: where `losses.csv` and `tensorboard/` continue from `start`; rows after it are dropped.
        start: steps done so far.
        phase_two_start, end: the plan, in steps.
        seconds: trained before this call.
        pace: (phase one, phase two) seconds a step, as the rehearsal measured.
        bar, tensorboard: whether to show and to write them.
    Notebook: 04.
    """

    def __init__(
        self,
        run_folder: Path,
        *,
        start: int,
        phase_two_start: int,
        end: int,
        seconds: float = 0.0,
        pace: tuple[float, float] = (0.0, 0.0),
        bar: bool = True,
        tensorboard: bool = True,
    ) -> None:
        self.phase_two_start, self.end = phase_two_start, end
        self.losses: dict[str, float] = {}
        self.validation: dict[str, float] | None = None
        self.kl: list[float] = []
        self._before, self._began = seconds, time.perf_counter()
        self._pace, self._measured = list(pace), [0, 0]
        self._last_step_at = self._last_collected = self._began
        self._pending: list[tuple[int, tuple[str, ...], Tensor]] = []
        self._window: dict[str, list[float]] = {}
        self._path = run_folder / LOSSES_NAME
        keep_until(self._path, start)
        self._bar = tqdm(
            total=end,
            initial=start,
            disable=not bar,
            unit="step",
            dynamic_ncols=True,
            desc=f"phase {1 if start < phase_two_start else 2}",
            bar_format="{desc} |{bar}| {n_fmt}/{total_fmt} {rate_fmt}{postfix}",
        )
        self._board = _board(run_folder / "tensorboard", start) if tensorboard else None

    @property
    def seconds(self) -> float:
        """Seconds trained, earlier calls included. Notebook: 04."""
        return self._before + time.perf_counter() - self._began

    def note(self, step: int, phase: int, values: dict[str, Tensor]) -> None:
        """Take in the losses of one step (`step` steps are now done).

        Raises:
            NotFinite: a loss since the last reading was not a number.
        Notebook: 04.
        """
        self._pending.append((step, tuple(values), torch.stack(list(values.values()))))
        now = time.perf_counter()
        self._keep_pace(phase, now - self._last_step_at)
        self._last_step_at = now
        self._bar.update(1)
        if now - self._last_collected > COLLECT_SECONDS or step % LOG_EVERY == 0:
            self.collect()
            self._bar.set_description(f"phase {phase}", refresh=False)
            self._bar.set_postfix_str(self._plan(step), refresh=True)

    def collect(self) -> None:
        """Read what is still on the device.

        Raises:
            NotFinite: as `note`.
        Notebook: 04.
        """
        pending, self._pending = self._pending, []
        for step, names, values in pending:
            for name, value in zip(names, values.tolist(), strict=True):
                if not math.isfinite(value):
                    raise NotFinite(step, name)
                self.losses[name] = value
                self._window.setdefault(name, []).append(value)
        self._last_collected = time.perf_counter()

    def validated(self, step: int, validation: dict[str, float], kl: Tensor | None) -> None:
        """Take in the distances on held-out sound, and the KL of each latent dimension where it was measured.

        Notebook: 04.
        """
        self.validation = validation
        self._window.update({f"validation_{name}": [value] for name, value in validation.items()})
        if kl is not None:
            self.kl = kl.tolist()
            if self._board:
                for i, value in enumerate(self.kl):
                    self._board.add_scalar(f"latent_kl/dimension_{i:03d}", value, step)

    def restart_clock(self) -> None:
        """Do not count what happened since the last step (saving, validation) as part of the next.

        Notebook: 04.
        """
        self._last_step_at = time.perf_counter()

    def row(self, step: int, phase: int, **also: float) -> None:
        """Write one row, the means since the last row, to the CSV and to TensorBoard.

        Raises:
            NotFinite: as `note`.
        Notebook: 04.
        """
        self.collect()
        values: dict[str, Any] = {name: sum(found) / len(found) for name, found in self._window.items()}
        self._window = {}
        values.update(also)
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(name.replace("validation_", "validation/"), value, step)
        values.update(step=step, phase=phase, seconds=round(self.seconds, 2))
        line = io.StringIO()
        formatted = [f"{v:.6g}" if isinstance(v, float) else v for v in (values.get(c, "") for c in COLUMNS)]
        csv.writer(line, lineterminator="\n").writerow(formatted)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(line.getvalue())

    def sound(self, name: str, audio: Tensor, step: int, sample_rate: int) -> None:
        """Let TensorBoard play `audio` `[C, T]` (its first channel). Notebook: 04."""
        if self._board:
            self._board.add_audio(name, audio[:1].detach().cpu().clamp(-1, 1), step, sample_rate)

    def say(self, text: str) -> None:
        """Print a line above the bar, where there is a bar. Notebook: 04."""
        if text and not self._bar.disable:
            self._bar.write(text)

    def progress(self, step: int, phase: int) -> Progress:
        """Where the training stands. Notebook: 04."""
        to_two, to_end = self._remaining(step)
        return Progress(
            step, phase, self.phase_two_start, self.end, dict(self.losses), self.validation, self.kl, to_two, to_end
        )

    def close(self, failed: bool = True) -> None:
        """Close the bar and TensorBoard; a second call does nothing.

        Args:
            failed: an error ended the training. A notebook's bar that is not full turns red then, and stays blue where
                the training was only stopped.
        Notebook: 04.
        """
        paint = getattr(self._bar, "disp", None)  # a notebook's bar has colours, a terminal's has none
        stopped = not failed and not self._bar.disable and self._bar.n < self.end
        self._bar.close()
        if paint is not None and stopped:
            paint(bar_style="info", check_delay=False)
        if self._board:
            self._board.close()

    def _keep_pace(self, phase: int, seconds: float) -> None:
        """A running mean of the seconds a step takes; phase two's is scaled along until it is measured."""
        here = phase - 1
        ratio = self._pace[1] / self._pace[0] if self._pace[0] > 0 else 1.0
        self._measured[here] += 1
        if self._measured[here] == 1:
            self._pace[here] = seconds
        self._pace[here] += (seconds - self._pace[here]) / min(self._measured[here], 50)
        if here == 0:
            self._pace[1] = self._pace[0] * ratio

    def _remaining(self, step: int) -> tuple[float | None, float | None]:
        if not any(self._measured):
            return None, None
        first, second = max(self.phase_two_start - step, 0), self.end - max(self.phase_two_start, step)
        return first * self._pace[0], first * self._pace[0] + second * self._pace[1]

    def _plan(self, step: int) -> str:
        to_two, to_end = self._remaining(step)
        parts = [f"loss {self.losses['loss']:.2f}"] if "loss" in self.losses else []
        if step < self.phase_two_start < self.end:
            parts.append(f"phase two in {clock(to_two)}")
        return ", ".join([*parts, f"end in {clock(to_end)}"])


def flat_steps(history: list[tuple[int, float]]) -> int:
    """For how many steps a validation distance has not become better, or 0 while it still does.

    Args:
        history: (step, distance) of each validation, in order.
    Returns:
        steps since the last gain of 1 % over the best before it, once 5 validations went by without one.
    Notebook: 04.
    """
    best, since, best_at = math.inf, 0, 0
    for step, value in history:
        if value < best * (1 - FLAT_GAIN):
            best, since, best_at = value, 0, step
        else:
            since += 1
    return history[-1][0] - best_at if since >= FLAT_VALIDATIONS else 0


def _board(folder: Path, start: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter  # slow to import, so only where it is wanted

    return SummaryWriter(str(folder), purge_step=start + 1)
