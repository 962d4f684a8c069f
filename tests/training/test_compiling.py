"""torch.compile, really: the compiled steps compute what the plain ones do, only steps are compiled, and where it fails
or does not pay, training continues without it."""

import copy
from collections.abc import Iterator

import pytest
import torch
from helpers import needs_torch_compile, realistic, signal
from torch._dynamo.utils import counters
from torch._inductor import config as inductor  # the settings of the compiler under torch.compile

from ravecourse.config import DiscriminatorConfig, preset, training_preset
from ravecourse.training.compiling import compile_if_faster
from ravecourse.training.learner import Learner

CONFIG = preset("tiny", capacity=4, latent_size=3, noise_capacity=4)
SETTINGS = training_preset(
    "tiny",
    batch_size=2,
    crop_samples=4096,
    discriminator=DiscriminatorConfig(scales=1, scale_capacity=2, scale_layers=2),
)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


def learner() -> Learner:
    made = Learner(CONFIG, SETTINGS, torch.device("cpu"))
    realistic(made.model)
    made.model.train()
    return made


def graphs() -> int:
    return counters["stats"]["unique_graphs"]


def test_compiled_steps_are_the_plain_ones_to_rounding() -> None:
    needs_torch_compile()
    before = graphs()
    plain, audio = learner(), signal(4096, batch=2)
    compiled = copy.deepcopy(plain)
    compiled.compile()
    for phase in (1, 2):
        if phase == 2:
            plain.enter_phase_two()
            compiled.enter_phase_two()
        for step in range(4):
            expected, found = (side.step(audio, step, 10 if phase == 1 else 0) for side in (plain, compiled))
            for name, value in expected.items():
                torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5, msg=f"{name}, step {step}")
    assert graphs() - before >= 6, "encoder and trunk with and without gradients, discriminators for both sides"
    assert not counters["graph_break"]
    for (name, a), (_, b) in zip(compiled.model.named_parameters(), plain.model.named_parameters(), strict=True):
        assert (a - b).norm() < 0.01 * b.norm(), name

    plain.model.load_state_dict(compiled.model.state_dict())
    before = graphs()
    for batch in (1, 3):  # of other sizes than the steps'
        audio = signal(8192, batch=batch)
        assert torch.equal(compiled.reconstruct(audio), plain.reconstruct(audio))
    assert graphs() == before, "what is compiled is compiled for the steps"
    assert list(compiled.model.state_dict()) == list(plain.model.state_dict())


def test_without_a_compiler_training_goes_on() -> None:
    made, audio = learner(), signal(4096, batch=2)
    expected = copy.deepcopy(made).step(audio, 0, 10)
    with inductor.patch({"cpp.cxx": ("/nowhere/g++",), "force_disable_caches": True}):
        said = compile_if_faster(made, audio)
    assert said.startswith("torch.compile does not work here (") and "/nowhere/g++" in said
    assert made.step(audio, 0, 10) == expected


@pytest.mark.parametrize(("plain", "compiled", "kept"), [(2.0, 1.0, True), (1.0, 1.5, False)])
def test_it_is_kept_where_it_is_faster(monkeypatch, plain: float, compiled: float, kept: bool) -> None:
    times = {False: (plain, 0.0), True: (compiled, 0.0)}
    monkeypatch.setattr(Learner, "rehearse", lambda self, audio, tries, compiled=False: times[compiled])
    if kept:
        needs_torch_compile()
    made, before = learner(), graphs()
    said = compile_if_faster(made, signal(4096, batch=2))
    assert ("2.00 times as fast here; training uses it" in said) == kept
    assert ("1.50 times as long here; training continues without it" in said) != kept
    made.step(signal(4096, batch=2), 0, 10)
    assert (graphs() > before) == kept


LONG = "backend='inductor' raised:\nCppCompileError: C++ compile error\n\nCommand:\ng++ -O3"


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (LONG, "/a/torch", "CppCompileError: C++ compile error"),
        (LONG, "/a b/torch", "where the name of its folder"),
        ("", "/a/torch", "RuntimeError"),
    ],
)
def test_a_failure_is_one_sentence(monkeypatch, text: str, place: str, reason: str) -> None:
    def fail(self, audio, tries, compiled=False):
        if compiled:
            raise RuntimeError(text)
        return 1.0, 1.0

    monkeypatch.setattr(Learner, "rehearse", fail)
    monkeypatch.setattr(torch, "__file__", place)
    said = compile_if_faster(learner(), signal(4096, batch=2))
    assert reason in said and "\n" not in said and said.endswith("training continues without it.")
