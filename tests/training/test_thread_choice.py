"""The number of threads follows what else the machine does, at little cost, and never at the cost of an exact resume."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_training import (  # noqa: F401  (fixtures)
    CPU,
    LIKE_V1,
    TINY,
    assert_same,
    one_thread,
    plans,
    quiet,
    states,
    stopping_at,
    store,
)

from ravecourse.cli import info
from ravecourse.dataset import Dataset
from ravecourse.model import checkpoint
from ravecourse.model.checkpoint import Notes, Stretch
from ravecourse.training import Learner, ThreadWatch, thread_choice

QUIET = {1: 0.13, 2: 0.07}
BUSY = {1: 0.14, 2: 0.55}


class Machine:
    """A clock, and a stand-in for a learner whose steps take as long as the machine says."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now, self.tried, self.phase = seconds, 0.0, 0.0, 1
        self.copied = False

    def __deepcopy__(self, memo: object) -> "Machine":
        double = copy.copy(self)
        double.copied, double.original = True, self
        return double

    def step(self, audio: torch.Tensor, step: int, start: int) -> dict[str, torch.Tensor]:
        here = self.original if self.copied else self
        took = here.seconds[torch.get_num_threads()]
        here.now += took
        here.tried += took * self.copied
        return {}


def run(machine: Machine, watch: ThreadWatch, steps: int, begin: int = 0) -> list[tuple[int, int]]:
    """(step, threads) of each change."""
    changes, audio = [], torch.zeros(1)
    for step in range(begin, begin + steps):
        watch.step(audio, step, 10**9)
        if said := watch.adapt(audio, step, 10**9):
            changes.append((step + 1, watch.count))
            assert f"continues on {watch.count} thread" in said and watch.count == torch.get_num_threads()
    return changes


def watched(machine: Machine, count: int, most: int = 2, pace: float = 0.0) -> ThreadWatch:
    torch.set_num_threads(count)
    return ThreadWatch(machine, count, most, (pace, pace), clock=lambda: machine.now)  # type: ignore[arg-type]


def test_another_program_comes_and_goes() -> None:
    machine = Machine(QUIET)
    watch = watched(machine, 2, pace=0.08)
    assert run(machine, watch, 500) == [] and machine.tried == 0
    machine.seconds = BUSY
    (step, count), *more = run(machine, watch, 300, 500)
    assert count == 1 and 500 < step <= 530 and not more
    machine.seconds, tried = QUIET, machine.tried
    (step, count), *more = run(machine, watch, 1000, 800)
    assert count == 2 and 800 < step <= 1500 and not more and machine.tried - tried < 5


def test_trials_that_change_nothing_cost_little() -> None:
    machine = Machine(BUSY)
    watch = watched(machine, 1, pace=0.14)
    assert run(machine, watch, 5000) == []
    assert 0 < machine.tried < 0.03 * machine.now


def test_a_machine_that_is_slower_for_all_is_looked_into_once() -> None:
    machine = Machine(QUIET)
    watch = watched(machine, 2, pace=0.07)
    run(machine, watch, 100)
    machine.seconds = {1: 0.4, 2: 0.3}
    assert run(machine, watch, 3000, 100) == [] and 0 < machine.tried < 13 * 0.4


@pytest.mark.parametrize("known", [0.0, 0.55])
def test_a_run_that_is_resumed_on_a_busy_machine(known: float) -> None:
    """Its steps were never quick, so nothing gets slower: the first ones are looked into where nobody has compared."""
    machine = Machine(BUSY)
    changes = run(machine, watched(machine, 2, pace=known), 100)
    assert [count for _, count in changes] == ([1] if known == 0 else [])
    assert all(step <= 2 * thread_choice.WINDOW for step, _ in changes)


def test_where_steps_take_very_long_few_of_them_are_enough() -> None:
    machine = Machine({1: 0.3, 2: 5.0})
    changes = run(machine, watched(machine, 2, pace=0.1), 20)
    assert changes == [(2 * thread_choice.FEWEST, 1)]


def test_both_numbers_alike_is_no_reason_to_change() -> None:
    machine = Machine({1: 0.1, 2: 0.095})
    for count in (1, 2):
        assert run(machine, watched(machine, count, pace=0.1), 2000) == []


def test_phase_two_has_its_own_pace() -> None:
    machine = Machine(QUIET)
    torch.set_num_threads(2)
    watch = ThreadWatch(machine, 2, 2, (0.07, 0.2), clock=lambda: machine.now)  # type: ignore[arg-type]
    run(machine, watch, 100)
    machine.phase, machine.seconds = 2, {1: 0.4, 2: 0.21}
    assert run(machine, watch, 500, 100) == [] and machine.tried == 0
    machine.seconds = {1: 0.4, 2: 1.5}
    assert [count for _, count in run(machine, watch, 100, 600)] == [1]


def test_where_there_is_one_thread_nothing_is_tried() -> None:
    machine = Machine({1: 0.1})
    watch = watched(machine, 1, most=1)
    for seconds in (0.1, 3.0, 0.1):
        machine.seconds = {1: seconds}
        assert run(machine, watch, 300) == []
    assert machine.tried == 0


@pytest.mark.parametrize("phase", [1, 2])
@pytest.mark.parametrize("config", [TINY, LIKE_V1])
def test_a_trial_leaves_no_trace(store: Dataset, config: object, phase: int) -> None:  # noqa: F811
    learner = Learner(config, plans(), CPU)  # type: ignore[arg-type]
    if phase == 2:
        learner.enter_phase_two()
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(2, 1, 1024)
    watch = ThreadWatch(learner, 2, 2)
    for step in range(thread_choice.WINDOW):
        watch._suspected = True
        watch.step(audio, step, 10**9 if phase == 1 else 0)
    parts = (learner.model, learner.discriminator, learner.optimiser, learner.discriminator_optimiser)
    before, random = [copy.deepcopy(dict(part.state_dict())) for part in parts], torch.get_rng_state()
    tried: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadWatch, "_try", counting(tried))
        watch.adapt(audio, 20, 10**9 if phase == 1 else 0)
    assert tried == [1]
    for part, state in zip(parts, before, strict=True):
        assert_same(dict(part.state_dict()), state)
    assert torch.equal(random, torch.get_rng_state())


def counting(tried: list[int]) -> Callable[..., float]:
    whole = ThreadWatch._try

    def count(self: ThreadWatch, number: int, *words: object) -> float:
        tried.append(number)
        return whole(self, number, *words)  # type: ignore[arg-type]

    return count


# ------------------------------------------------------------------------------------------------ in a training


def switching(monkeypatch: pytest.MonkeyPatch, at: dict[int, int]) -> list[tuple[int, int]]:
    """Let trainings change to `at[step]` threads after that step; returns the list that (step, threads) are put in."""
    seen: list[tuple[int, int]] = []

    def step(self: ThreadWatch, audio: torch.Tensor, number: int, start: int) -> dict[str, torch.Tensor]:
        seen.append((number, torch.get_num_threads()))
        return self.learner.step(audio, number, start)

    def adapt(self: ThreadWatch, audio: torch.Tensor, number: int, start: int) -> str:
        if number not in at or at[number] == self.count:
            return ""
        self.count = at[number]
        torch.set_num_threads(self.count)
        return "changed"

    monkeypatch.setattr(ThreadWatch, "step", step)
    monkeypatch.setattr(ThreadWatch, "adapt", adapt)
    return seen


def test_resume_is_exact_whatever_changed_before(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the machine suggests when it is resumed does not matter: the run computes with what it computed with last."""
    plan = plans(phase_one_steps=4, phase_two_steps=2, validation_every=100, checkpoint_every=2)
    torch.set_num_threads(2)
    monkeypatch.setattr(thread_choice, "choose_threads", lambda learner, audio: (1, (0.0, 0.0)))
    seen = switching(monkeypatch, {1: 2, 3: 1, 5: 2})
    quiet(store, tmp_path / "whole", TINY, plan)
    whole = list(seen)
    assert [threads for _, threads in whole] == [1, 2, 2, 1, 1, 2]
    assert checkpoint.load(tmp_path / "whole").notes.stretches == ((0, 1), (1, 2), (3, 1), (5, 2))
    seen.clear()
    for stop in (2, 3, 5):
        quiet(store, tmp_path / "parts", TINY, plan, on_step=stopping_at(stop))
        monkeypatch.setattr(thread_choice, "choose_threads", lambda learner, audio: (2, (0.0, 0.0)))
    assert quiet(store, tmp_path / "parts").finished
    assert seen == whole and torch.get_num_threads() == 2
    assert_same(states(tmp_path / "parts"), states(tmp_path / "whole"))
    one, two = (checkpoint.load(tmp_path / side).notes.stretches for side in ("whole", "parts"))
    assert one == two
    assert "threads: 1 from step 0, 2 from step 1, 1 from step 3, 2 from step 5" in info.describe(tmp_path / "parts")


def test_a_machine_with_fewer_threads_is_recorded_too(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.set_num_threads(2)
    monkeypatch.setattr(thread_choice, "choose_threads", lambda learner, audio: (2, (0.0, 0.0)))
    quiet(store, tmp_path, TINY, plans(phase_two_steps=0), on_step=stopping_at(1))
    torch.set_num_threads(1)
    quiet(store, tmp_path)
    assert checkpoint.load(tmp_path).notes.stretches == ((0, 2), (1, 1))


def test_stretches_replace_one_another_at_a_step() -> None:
    found = checkpoint.with_threads((), 7, 2)
    assert found == (Stretch(7, 2),) and checkpoint.with_threads(found, 9, 2) == found
    assert checkpoint.with_threads(found, 7, 1) == (Stretch(7, 1),)


def test_notes_of_earlier_versions_and_damaged_ones() -> None:
    assert Notes.from_stored({"threads": 2, "seconds": 1.0}).stretches == (Stretch(0, 2),)
    assert Notes.from_stored({}).threads == 0
    again = Notes.from_stored(Notes(stretches=(Stretch(0, 2), Stretch(5, 1))).to_stored())
    assert again.stretches == ((0, 2), (5, 1)) and again.threads == 1
    for wrong in ([[0]], [["a", 1]], 3, [[0, -1]]):
        with pytest.raises((TypeError, ValueError)):
            Notes.from_stored({"stretches": wrong})
