"""On how many threads a training computes: chosen at its start, and anew when other programs come or go.

Where another program uses a core, threads wait for each other, and a short step then takes many times longer. What a
step computes differs between one thread and several by rounding, since sums are added in another order. So the steps at
which the number changed are kept in the checkpoint: a run that is resumed equals, to the bit, one that was not stopped and
changed at the same steps. Two runs of one seed can differ by rounding where the machine was busy at other moments, and
that grows as training goes on. Under OMP_NUM_THREADS=1 nothing is chosen, and the same seed always gives the same bits.

Notebook: 04.
"""

import copy
import math
import time
from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from ravecourse.runtime import threads

from .learner import Learner

WORTH = 0.85  # several threads are taken where a step takes this share of its time on one, or less
WINDOW = 12  # steps whose mean is watched ...
FEWEST, LONG = 4, 3.0  # ... or so few, where they take so many seconds
SLOWER = 1.3  # steps on several threads that take this many times as long as they did are looked into
TRIED = 12  # steps of a trial
SHARE = 0.02  # of the time that trials may take


def choose_threads(learner: Learner, audio: Tensor) -> tuple[int, tuple[float, float]]:
    """Try a step of each phase on one thread and on all, and take one where more are not clearly faster.

    Args:
        audio: a batch `[B, C, T]` of the size that training will use.
    Returns:
        the number of threads, and the seconds of a step in phase one and in phase two.
    Notebook: 04.
    """
    everything = torch.get_num_threads()
    pace = learner.rehearse(audio)
    if everything == 1 or learner.device.type != "cpu":
        return everything, pace
    with threads(1):
        alone = learner.rehearse(audio)
    if sum(pace) > WORTH * sum(alone):
        pace = learner.rehearse(audio)  # again, since the first time is longer for whoever comes first
    return (everything, pace) if sum(pace) < WORTH * sum(alone) else (1, alone)


class ThreadWatch:
    """Times the steps of a training, and changes the number of threads where another makes them faster.

    On several threads it looks for steps that take longer than they did; on one, which cannot show whether the other
    cores are free, it tries again from time to time. A trial does some steps on a copy, so it changes no weight.

    Args:
        learner: whose steps they are.
        count: threads that the training computes with now.
        most: threads that it may compute with.
        pace: (phase one, phase two) seconds of a step on `count` threads; 0 where nobody has compared yet, and the first
            steps are then looked into.
        clock: the time in seconds.
    Notebook: 04.
    """

    def __init__(
        self,
        learner: Learner,
        count: int,
        most: int,
        pace: tuple[float, float] = (0.0, 0.0),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.learner, self.count, self.most = learner, count, most
        self._pace, self._clock, self._phase = pace, clock, learner.phase
        self._expected = pace[learner.phase - 1]
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._suspected = False
        self._free_from = clock()  # when the next trial may begin

    def step(self, audio: Tensor, step: int, phase_two_start: int) -> dict[str, Tensor]:
        """`Learner.step`, timed. Notebook: 04."""
        if self.learner.phase != self._phase:
            self._phase = self.learner.phase
            self._expected, self._suspected = self._pace[self._phase - 1], False
            self._recent.clear()
        began = self._clock()
        values = self.learner.step(audio, step, phase_two_start)
        self._recent.append(self._clock() - began)
        return values

    def adapt(self, audio: Tensor, step: int, phase_two_start: int) -> str:
        """Between two steps: try the other number of threads if it is time to, and change to it if it is faster.

        Args:
            audio: a batch `[B, C, T]`.
            step, phase_two_start: as in `Learner.step`.
        Returns:
            what changed and why, for people; "" where nothing did.
        Notebook: 04.
        """
        if not self._is_due():
            return ""
        other = self.most if self.count == 1 else 1
        now = sum(self._recent) / len(self._recent)
        limit = now * (WORTH if other > 1 else 1.0)
        began = self._clock()
        found = self._try(other, audio, step, phase_two_start, limit)
        ended = self._clock()
        self._recent.clear()
        self._suspected = False
        if found >= limit:
            self._expected = now
            self._free_from = ended + (ended - began) / SHARE
            return ""
        before, self.count, self._expected, self._free_from = self.count, other, found, ended
        self._pace = (0.0, 0.0)  # was of the other number
        torch.set_num_threads(other)
        return (
            f"A step takes {now:.3f} s on {_counted(before)} now and {found:.3f} s on {_counted(other)}: training continues "
            f"on {_counted(other)}."
        )

    def _is_due(self) -> bool:
        steps, seconds = len(self._recent), sum(self._recent)
        enough = steps == WINDOW or (steps >= FEWEST and seconds >= LONG)
        if self.most == 1 or not enough or self._clock() < self._free_from:
            return False
        now = seconds / steps
        if self.count == 1:
            return True
        slower, suspected = now > SLOWER * self._expected, self._suspected
        self._expected, self._suspected = min(self._expected, now), slower
        if slower and not suspected:
            self._recent.clear()  # some of these steps were before: what follows shows how slow it is now
        return slower and suspected

    def _try(self, count: int, audio: Tensor, step: int, phase_two_start: int, limit: float) -> float:
        """Mean seconds of a step on `count` threads, on a copy; infinity as soon as it is sure to be above `limit`."""
        double, spent = copy.deepcopy(self.learner), 0.0
        with threads(count):
            double.step(audio, step, phase_two_start)  # the first one takes longer
            for i in range(TRIED):
                began = self._clock()
                double.step(audio, step + i, phase_two_start)
                spent += self._clock() - began
                if spent >= limit * TRIED:
                    return math.inf
        return spent / TRIED


def _counted(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"
