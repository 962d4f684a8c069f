"""Training: exact to the bit whatever interrupts it, honest when it fails, and it learns."""

import copy
import csv
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from helpers import needs_torch_compile
from torch._dynamo.utils import counters

from ravecourse.config import DiscriminatorConfig, ModelConfig, preset, training_preset
from ravecourse.dataset.crops import CropSampler
from ravecourse.dataset.preparation import prepare
from ravecourse.dataset.store import Dataset
from ravecourse.errors import RaveCourseError
from ravecourse.model import checkpoint
from ravecourse.model.checkpoint import Checkpoint
from ravecourse.runtime import choose_device, clock, threads
from ravecourse.training import loop as training
from ravecourse.training import setup, thread_choice
from ravecourse.training.learner import Learner, learning_rate
from ravecourse.training.loop import train
from ravecourse.training.monitor import COLUMNS, flat_steps
from ravecourse.training.spectra import log_mel_distance

CPU = torch.device("cpu")
SMALL = {"sample_rate": 16000, "capacity": 8, "latent_size": 4}
TINY = preset("tiny", **SMALL, noise_capacity=8)
LIKE_V1 = ModelConfig(
    preset="v1",
    architecture="v1",
    ratios=(2, 2),
    capacity=4,
    latent_size=4,
    sample_rate=16000,
    noise_bands=3,
    noise_strides=(2, 2),
)


def contents(folder):
    """Every file of a folder, with its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def plans(**overrides):
    quick = dict(
        phase_one_steps=6,
        phase_two_steps=6,
        batch_size=2,
        crop_samples=1024,
        warmup_steps=2,
        beta_ramp_steps=4,
        waveform_steps=2,
        stft_scales=(256, 64),
        band_stft_scales=(32,),
        validation_every=4,
        checkpoint_every=5,
        discriminator_every=3,
        phase_probability=0.2,
        discriminator=DiscriminatorConfig(scales=2, scale_capacity=2, periods=(3,), period_capacity=2),
    )
    return training_preset("tiny", **{**quick, **overrides})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Twelve seconds of decaying harmonic tones at 16 kHz, in four recordings."""
    folder = tmp_path_factory.mktemp("sounds")
    generator = np.random.default_rng(0)
    time_axis = np.arange(8000) / 16000
    for index in range(4):
        notes = []
        for _ in range(6):
            pitch = 110 * 2 ** (generator.integers(0, 24) / 12)
            partials = sum(np.sin(2 * np.pi * k * pitch * time_axis) / k for k in range(1, 8))
            notes.append(0.15 * partials * np.exp(-4 * time_axis) + 1e-4 * generator.standard_normal(8000))
        soundfile.write(folder / f"tones_{index}.wav", np.concatenate(notes), 16000)
    prepare([folder], folder / "data", sample_rate=16000, validation=0.25, progress=False)
    return Dataset(folder / "data")


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def quiet(store, folder, *args, **kwargs):
    return train(store, folder, *args, device="cpu", progress=False, tensorboard=False, **kwargs)


def stopping_at(*steps):
    return lambda progress: progress.step not in steps


def flat(state, prefix=""):
    """A nested state as {path: tensor or value}."""
    if isinstance(state, dict):
        return {k: v for key, value in state.items() for k, v in flat(value, f"{prefix}/{key}").items()}
    if isinstance(state, list | tuple):
        return flat(dict(enumerate(state)), prefix)
    return {prefix: state}


def assert_same(a, b):
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key], key


def states(folder):
    found = checkpoint.load(folder)
    return {
        "model": found.model,
        "critics": found.discriminator,
        "optimiser": found.generator_optimiser,
        "critics_optimiser": found.discriminator_optimiser,
        "step": found.step,
        "phase": found.phase,
        "validations": list(found.notes.validations),
    }


# ------------------------------------------------------------------------------------------------ exact resume


@pytest.fixture(scope="module")
def uninterrupted(store, tmp_path_factory):
    torch.set_num_threads(1)
    folders = {}
    for name, config in (("tiny", TINY), ("v1", LIKE_V1)):
        folders[name] = tmp_path_factory.mktemp(name)
        assert quiet(store, folders[name], config, plans()).finished
    return folders


@pytest.mark.parametrize(
    ("name", "stops"),
    [
        *[("tiny", stops) for stops in ((3,), (6,), (7,), (8,), tuple(range(1, 12)))],
        *[("v1", stops) for stops in ((5,), (2, 6, 9), (11,))],
    ],
)
def test_resume_is_exact_to_the_bit(store, tmp_path, uninterrupted, name, stops):
    """Stopped in phase one, at the border, or in phase two: weights, statistics and both optimisers agree."""
    config = {"tiny": TINY, "v1": LIKE_V1}[name]
    for stop in stops:
        result = quiet(store, tmp_path, config, plans(), on_step=stopping_at(stop))
        assert result.interrupted and result.step == stop and "same command" in result.message
    assert quiet(store, tmp_path).finished  # configurations come from the checkpoint
    assert_same(states(tmp_path), states(uninterrupted[name]))


def test_compile_is_for_the_steps_alone(store, tmp_path, monkeypatch, capsys):
    """torch.compile, kept whatever it brings; what is measured at the validations runs as it is."""
    needs_torch_compile()
    monkeypatch.setattr(Learner, "rehearse", lambda self, audio, tries=1, compiled=False: (2.0 - compiled, 0.0))
    before = counters["stats"]["unique_graphs"]
    result = train(
        store,
        tmp_path,
        TINY,
        plans(phase_one_steps=4, phase_two_steps=0),
        device="cpu",
        tensorboard=False,
        compiled=True,
    )
    assert result.finished and result.validation
    assert "torch.compile makes steps 2.00 times as fast here; training uses it" in capsys.readouterr().out
    assert counters["stats"]["unique_graphs"] == before + 2, "the encoder and the decoder's trunk"
    torch.compiler.reset()


@pytest.mark.parametrize(("alone", "together", "chosen"), [(1.0, 0.5, 2), (1.0, 0.95, 1), (1.0, 8.0, 1)])
def test_threads_that_wait_for_each_other_are_left_out(monkeypatch, alone, together, chosen):
    monkeypatch.setattr(Learner, "rehearse", lambda self, audio: ({1: alone, 2: together}[torch.get_num_threads()], 0))
    torch.set_num_threads(2)
    assert thread_choice.choose_threads(Learner(TINY, plans(), CPU), torch.zeros(2, 1, 1024)) == (
        chosen,
        ({1: alone, 2: together}[chosen], 0),
    )
    assert torch.get_num_threads() == 2


def test_threads_stay_as_the_training_began(store, tmp_path, uninterrupted, monkeypatch):
    """Another number of threads adds up in another order, and would not be exact to the bit."""
    seen = []

    def watch(progress):
        seen.append(torch.get_num_threads())
        return progress.step != 3

    torch.set_num_threads(2)
    for choice in (1, 2):  # what the machine suggests at each start
        monkeypatch.setattr(thread_choice, "choose_threads", lambda learner, audio, choice=choice: (choice, (0.0, 0.0)))
        quiet(store, tmp_path, TINY, plans(), on_step=watch)
    assert set(seen) == {1} and len(seen) == 12 and torch.get_num_threads() == 2
    assert_same(states(tmp_path), states(uninterrupted["tiny"]))
    quiet(store, tmp_path)  # there is nothing left to do
    assert checkpoint.load(tmp_path).notes.threads == 1


def test_a_killed_run_goes_on_from_its_last_checkpoint(store, tmp_path, uninterrupted):
    class Killed(BaseException):
        pass

    def kill(progress):
        if progress.step == 8:
            raise Killed

    with pytest.raises(Killed):
        quiet(store, tmp_path, TINY, plans(), on_step=kill)
    assert checkpoint.load(tmp_path).step == 5
    assert quiet(store, tmp_path).finished
    assert_same(states(tmp_path), states(uninterrupted["tiny"]))
    steps = [int(row["step"]) for row in rows(tmp_path)]
    assert steps == sorted(set(steps)) and steps[-1] == 12


def test_two_runs_agree_and_seeds_differ(store, tmp_path, uninterrupted):
    quiet(store, tmp_path / "same", TINY, plans())
    assert_same(states(tmp_path / "same"), states(uninterrupted["tiny"]))
    quiet(store, tmp_path / "other", TINY, plans(seed=1))
    a, b = states(tmp_path / "other")["model"], states(uninterrupted["tiny"])["model"]
    assert not torch.equal(
        a["decoder.wave.parametrizations.weight.original1"], b["decoder.wave.parametrizations.weight.original1"]
    )


def test_the_global_generator_is_never_touched(store, tmp_path):
    before = torch.get_rng_state()
    quiet(store, tmp_path, TINY, plans())
    assert torch.equal(before, torch.get_rng_state())


# ------------------------------------------------------------------------------------------------ the two phases


@pytest.mark.parametrize("config", [TINY, LIKE_V1])
def test_phase_two_leaves_the_encoder_alone(store, tmp_path, config):
    """Batch statistics included; decoder and discriminators move."""
    quiet(store, tmp_path, config, plans(phase_two_steps=9))
    before, after = checkpoint.load(tmp_path / training.PHASE_ONE_NAME), checkpoint.load(tmp_path)
    assert (before.phase, after.phase) == (1, 2)
    encoder = {k: v for k, v in before.model.items() if k.startswith("encoder.")}
    assert_same(encoder, {k: v for k, v in after.model.items() if k.startswith("encoder.")})
    assert any("running_mean" in k for k in encoder) == (config.architecture == "v1")
    for part, first, last in (("decoder", before.model, after.model), ("", before.discriminator, after.discriminator)):
        trained = [k for k in first if k.startswith(part) and ("weight" in k or "original" in k)]
        assert trained and all(not torch.equal(first[k], last[k]) for k in trained)
    for name in ("latent_mean", "latent_pca", "fidelity"):
        assert torch.equal(before.model[name], after.model[name])


def test_v1_hears_its_noise_from_phase_two_on(store, tmp_path):
    quiet(store, tmp_path, LIKE_V1, plans())
    before, after = checkpoint.load(tmp_path / training.PHASE_ONE_NAME), checkpoint.load(tmp_path)
    first = training.Learner(LIKE_V1, plans(), CPU).model.state_dict()
    noise = [k for k in first if k.startswith("decoder.noise.")]
    assert noise and all(torch.equal(first[k], before.model[k]) for k in noise)
    assert all(not torch.equal(before.model[k], after.model[k]) for k in noise if "transform" not in k)
    assert (before.model["noise_level"], after.model["noise_level"]) == (0, 1)


@pytest.mark.parametrize("every", [2, 3, 4])
def test_who_moves_when(every):
    """In phase two each n-th step is the discriminators', all others the decoder's, whatever the dataset's size."""
    learner = Learner(TINY, plans(discriminator_every=every), CPU)
    learner.enter_phase_two()
    audio = 0.1 * torch.randn(2, 1, 1024, generator=torch.Generator().manual_seed(0))
    for step in range(10, 10 + 2 * every):
        before = {
            k: v.clone()
            for k, v in flat({"m": learner.model.state_dict(), "c": learner.discriminator.state_dict()}).items()
        }
        values = learner.step(audio, step, 10)
        moved = {
            k[1]
            for k, v in flat({"m": learner.model.state_dict(), "c": learner.discriminator.state_dict()}).items()
            if not torch.equal(v, before[k])
        }
        assert moved == ({"c"} if (step - 10) % every == 0 else {"m"})
        assert ("discriminator" in values) == (moved == {"c"})
    assert all(p.requires_grad for p in learner.discriminator.parameters())


def test_weights_of_the_losses_count_once():
    """The decoder's loss is its parts, each times its weight."""
    config = plans(feature_matching_weight=7.0, adversarial_weight=3.0)
    learner = Learner(TINY, config, CPU)
    audio = 0.1 * torch.randn(2, 1, 1024, generator=torch.Generator().manual_seed(0))
    one = learner.autoencoder_step(audio, 2, torch.Generator().manual_seed(1))
    beta = (config.beta_start * config.beta) ** 0.5  # half way up a geometric ramp of 4
    assert one["loss"].item() == pytest.approx(
        (one["spectral"] + one["spectral_bands"] + beta * one["kl"]).item(), rel=1e-5
    )
    learner.enter_phase_two()
    two = learner.decoder_step(audio, torch.Generator().manual_seed(1))
    assert two["loss"].item() == pytest.approx(
        (two["spectral"] + two["spectral_bands"] + 3 * two["adversarial"] + 7 * two["feature_matching"]).item(),
        rel=1e-5,
    )


def test_phase_two_now(store, tmp_path):
    with pytest.raises(RaveCourseError, match="no checkpoint"):
        quiet(store, tmp_path, TINY, plans(), phase_two_now=True)
    quiet(store, tmp_path, TINY, plans(), on_step=stopping_at(3))
    result = quiet(store, tmp_path, phase_two_now=True)
    found = checkpoint.load(tmp_path)
    assert result.finished and (found.phase_two_start, found.step, found.phase) == (3, 9, 2)


def test_phase_one_alone_and_then_longer(store, tmp_path):
    assert quiet(store, tmp_path, TINY, plans(phase_two_steps=0)).finished
    found = checkpoint.load(tmp_path)
    assert (found.phase, found.step) == (1, 6) and found.model["fidelity"][-1] == 1
    again = quiet(store, tmp_path)
    assert again.finished and again.step == 6
    result = quiet(store, tmp_path, TINY, plans(phase_one_steps=8, phase_two_steps=2))
    assert (result.step, result.phase) == (10, 2)


def test_latent_statistics_describe_the_training_sound(store, tmp_path):
    quiet(store, tmp_path, TINY, plans(phase_two_steps=0))
    model = checkpoint.load_model(tmp_path)
    crops = CropSampler(store, "train", 1024, 64, seed=9)
    with torch.no_grad():
        audio = crops.batch(0).audio
        rows = model.encode_learned(audio, model.split(audio))[0].transpose(1, 2).flatten(0, 1)
    spread = rows.std(0)
    assert ((model.latent_mean - rows.mean(0)).abs() < 0.5 * spread).all()
    variances = ((rows - model.latent_mean) @ model.latent_pca.T).var(0)
    assert torch.allclose(variances.cumsum(0) / variances.sum(), model.fidelity, atol=0.1)


# ------------------------------------------------------------------------------------------------ before step one


def test_rehearsal_leaves_no_trace(store):
    learner = Learner(LIKE_V1, plans(), CPU)
    audio = CropSampler(store, "train", 1024, 2).batch(0).audio
    learner.step(audio, 0, 6)
    parts = (learner.model, learner.discriminator, learner.optimiser, learner.discriminator_optimiser)
    before = [copy.deepcopy(dict(p.state_dict())) for p in parts]
    gradients = [p.grad.clone() if p.grad is not None else None for p in learner.model.parameters()]
    random, kept = torch.get_rng_state(), audio.clone()
    pace = learner.rehearse(audio)
    assert min(pace) > 0
    for part, state in zip(parts, before, strict=True):
        assert_same(dict(part.state_dict()), state)
    assert torch.equal(random, torch.get_rng_state()) and torch.equal(audio, kept)
    assert learner.phase == 1 and learner.model.encoder.training
    for p, gradient in zip(learner.model.parameters(), gradients, strict=True):
        assert p.requires_grad and (p.grad is gradient is None or torch.equal(p.grad, gradient))


@pytest.mark.parametrize("phase", ["autoencoder_step", "discriminator_step", "decoder_step"])
def test_out_of_memory_shows_before_step_one(store, tmp_path, monkeypatch, phase):
    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(Learner, phase, full)
    with pytest.raises(RaveCourseError, match="batch_size 2 and crop_samples 1024. Halve"):
        quiet(store, tmp_path, TINY, plans())
    assert not (tmp_path / checkpoint.NAME).exists()


def test_other_errors_are_not_called_out_of_memory(store, tmp_path, monkeypatch):
    def broken(*args):
        raise RuntimeError("sizes of tensors must match")

    monkeypatch.setattr(Learner, "discriminator_step", broken)
    with pytest.raises(RuntimeError, match="must match"):
        quiet(store, tmp_path, TINY, plans())


@pytest.mark.parametrize(
    ("config", "training_config", "match"),
    [
        (preset("tiny", **{**SMALL, "sample_rate": 44100}), plans(), "44100 Hz"),
        (preset("tiny", channels=2, **SMALL), plans(), "2 at 16000 Hz"),
        (TINY, plans(crop_samples=1000), "such as 1024"),
        (TINY, plans(crop_samples=100), "such as 256"),
        (TINY, None, "Choose a preset"),
        (None, plans(), "Choose a preset"),
    ],
)
def test_settings_that_do_not_fit(store, tmp_path, config, training_config, match):
    with pytest.raises(RaveCourseError, match=match):
        quiet(store, tmp_path, config, training_config)


def test_another_model_in_the_folder(store, tmp_path):
    quiet(store, tmp_path, TINY, plans(phase_two_steps=0))
    other = preset("tiny", **{**SMALL, "latent_size": 3}, noise_capacity=8)
    with pytest.raises(RaveCourseError, match="latent_size 3 is asked for, it has 4"):
        quiet(store, tmp_path, other, plans())
    assert quiet(store, tmp_path, other, plans(), resume=False).step == 12


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"beta": 0.5}, "beta 0.5 is asked for"), ({"seed": 9}, "seed 9"), ({"batch_size": 3}, "batch_size 3")],
)
@pytest.mark.parametrize("finished", [False, True])
def test_a_run_keeps_its_settings(store, tmp_path, changed, told, finished):
    quiet(store, tmp_path, TINY, plans(phase_two_steps=0), on_step=None if finished else stopping_at(3))
    kept = contents(tmp_path)
    with pytest.raises(RaveCourseError, match=told):
        quiet(store, tmp_path, TINY, plans(phase_two_steps=0, **changed))
    assert contents(tmp_path) == kept
    assert quiet(store, tmp_path, TINY, plans(phase_two_steps=0, **changed), resume=False).step == 6


@pytest.mark.parametrize("finished", [False, True])
def test_a_run_keeps_its_recordings(store, tmp_path, finished):
    """Another dataset is refused by its names, and one of the same names by what is in it."""
    quiet(store, tmp_path / "run", TINY, plans(phase_two_steps=0), on_step=None if finished else stopping_at(3))
    kept = contents(tmp_path / "run")
    for name, frequency in (("tones_0.wav", 300.0), ("other.wav", 500.0)):
        folder = tmp_path / name
        folder.mkdir()
        tone = 0.3 * np.sin(2 * np.pi * frequency * np.arange(64000) / 16000)
        soundfile.write(folder / name, tone, 16000)
        prepare([folder], folder / "data", sample_rate=16000)
        with pytest.raises(RaveCourseError, match="is another one: .* of its recordings"):
            quiet(folder / "data", tmp_path / "run", TINY, plans(phase_two_steps=0))
    again = tmp_path / "again"
    for segment in store.train:
        (again / segment.name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(again / segment.name, np.zeros(40000) + 0.1 * np.sin(np.arange(40000)), 16000)
    prepare([next(again.iterdir())], again / "data", sample_rate=16000)
    with pytest.raises(RaveCourseError, match="other contents"):
        quiet(again / "data", tmp_path / "run", TINY, plans(phase_two_steps=0))
    assert contents(tmp_path / "run") == kept


def test_a_finished_run_says_so_and_changes_nothing(store, tmp_path):
    first = quiet(store, tmp_path, TINY, plans())
    kept = contents(tmp_path)
    again = quiet(store, tmp_path, TINY, plans())
    assert contents(tmp_path) == kept
    assert (
        again.finished
        and again.message.startswith("Already finished: 12 steps")
        and "nothing was trained" in again.message
    )
    assert again.validation == first.validation and "Trained 12 steps" in first.message


def test_an_imported_model_is_not_trained_on(store, tmp_path):
    """It has no settings of a training, and its step count is past any plan's end."""
    model = Learner(TINY, plans(), CPU).model.state_dict()
    notes = checkpoint.Notes(imported_from="darbouka.ckpt")
    checkpoint.save(tmp_path / checkpoint.NAME, Checkpoint(TINY, model, step=3_000_000, phase=2, notes=notes))
    kept = contents(tmp_path)
    for plan in (None, plans()):
        with pytest.raises(RaveCourseError, match="cannot be resumed.*imported from darbouka.ckpt.*Export it"):
            quiet(store, tmp_path, None, plan)
    assert contents(tmp_path) == kept


def test_a_run_without_a_step_does_not_occupy_its_folder(store, tmp_path):
    """A first try that failed at once is replaced; from the first saved step on, a run keeps its settings."""
    with pytest.raises(RaveCourseError, match="Nothing was saved yet"):
        quiet(store, tmp_path, TINY, plans(learning_rate=1e30, waveform_steps=0))
    assert checkpoint.load(tmp_path).step == 0
    other = preset("tiny", **{**SMALL, "latent_size": 3}, noise_capacity=8)
    assert quiet(store, tmp_path, other, plans(phase_two_steps=0)).step == 6
    assert checkpoint.load(tmp_path).model_config == other


def test_the_length_of_phase_one_changes_only_before_its_end(store, tmp_path, capsys):
    quiet(store, tmp_path, TINY, plans(), on_step=stopping_at(3))
    options = {"device": "cpu", "tensorboard": False}
    train(store, tmp_path, TINY, plans(phase_one_steps=7), on_step=stopping_at(9), **options)
    assert "Phase one has 7 steps now, not 6: from here on the learning rate" in capsys.readouterr().out
    assert checkpoint.load(tmp_path).phase_two_start == 7
    kept = contents(tmp_path)
    with pytest.raises(RaveCourseError, match="phase_one_steps 20 is asked for, it has 7"):
        quiet(store, tmp_path, TINY, plans(phase_one_steps=20))
    assert contents(tmp_path) == kept
    assert quiet(store, tmp_path, TINY, plans(phase_one_steps=7, phase_two_steps=8)).step == 15


def test_more_of_phase_two_is_the_same_as_having_planned_it(store, tmp_path):
    constant = {"cosine_decay": False}  # a rate that follows the plan makes another training of another plan
    quiet(store, tmp_path / "extended", TINY, plans(phase_two_steps=2, **constant))
    quiet(store, tmp_path / "extended", TINY, plans(phase_two_steps=5, validation_every=100, **constant))
    quiet(store, tmp_path / "planned", TINY, plans(phase_two_steps=5, **constant))
    one, two = states(tmp_path / "extended"), states(tmp_path / "planned")
    del one["validations"], two["validations"]
    assert_same(one, two)


@pytest.mark.parametrize("part", ["generator_optimiser", "discriminator_optimiser", "discriminator", "model"])
@pytest.mark.parametrize("damage", ["missing", "another shape", "another kind"])
def test_a_checkpoint_with_odd_parts_is_one_sentence(store, tmp_path, part, damage):
    quiet(store, tmp_path, TINY, plans(), on_step=stopping_at(8))
    found = checkpoint.load(tmp_path)
    odd = copy.deepcopy(getattr(found, part))
    inner = odd["state"] if "optimiser" in part else odd
    if damage == "another kind":
        odd = [1, 2] if "optimiser" in part else {"a": torch.zeros(1)}
    elif damage == "missing":
        del inner[next(iter(inner))]
    elif "optimiser" in part:
        inner[0]["exp_avg"] = torch.zeros(3, 3, 3, 3, 3)
    else:
        inner[next(iter(inner))] = torch.zeros(3, 3, 3, 3, 3)
    setattr(found, part, odd)
    checkpoint.save(tmp_path / checkpoint.NAME, found)
    kept = contents(tmp_path)
    if (part, damage) in [("generator_optimiser", "missing"), ("discriminator_optimiser", "missing")]:
        assert quiet(store, tmp_path).finished  # a weight without moments begins its averages anew
        return
    with pytest.raises(RaveCourseError, match="cannot be resumed|Go back to an earlier copy"):
        quiet(store, tmp_path)
    assert contents(tmp_path) == kept


KILLED = """
import sys, torch
torch.set_num_threads(2)
sys.path[:0] = {tests!r}
from test_training import TINY, plans, train
from ravecourse.dataset import Dataset
from ravecourse.training import setup, thread_choice
thread_choice.choose_threads = lambda learner, audio: ({chosen}, (0.0, 0.0))
def on_step(progress):
    print(progress.step, flush=True)
train(Dataset({data!r}), {run!r}, TINY, plans(checkpoint_every=100), device="cpu", progress=False, tensorboard=False,
      resume={resume}, on_step=on_step)
"""


def killed_after(steps, store, run, resume, chosen=1):
    """A training in a process of its own that is killed (SIGKILL) after so many steps."""
    script = KILLED.format(tests=FOLDERS, data=str(store.path), run=str(run), resume=resume, chosen=chosen)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    for _ in range(steps):
        assert process.stdout.readline().strip(), "it ended before it was killed"
    process.kill()
    process.wait(timeout=30)
    process.stdout.close()


@pytest.mark.parametrize("earlier", ["an earlier run", "an empty folder"])
def test_killed_before_its_first_checkpoint_a_fresh_run_resumes_as_itself(store, tmp_path, uninterrupted, earlier):
    """Neither the old model under new curves, nor another number of threads than it began with."""
    run = tmp_path / "run"
    if earlier == "an earlier run":
        quiet(store, run, TINY, plans(seed=7))
        assert (run / "phase_one.pt").is_file()
    killed_after(2, store, run, resume=False)
    assert not (run / "phase_one.pt").exists()
    found = checkpoint.load(run)
    assert (found.step, found.training_config.seed, found.notes.threads) == (0, 0, 1)
    with threads(2):
        assert quiet(store, run, TINY, plans(checkpoint_every=100)).finished
    assert checkpoint.load(run).notes.threads == 1
    expected, resumed = checkpoint.load(uninterrupted["tiny"]).model, checkpoint.load(run).model
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_a_run_that_began_elsewhere_keeps_its_number_of_threads(store, tmp_path, uninterrupted):
    """A model that was copied into a run folder says nothing of threads: the choice is on disk before a step is done."""
    quiet(store, tmp_path, TINY, plans(), on_step=stopping_at(7))
    found = checkpoint.load(tmp_path)
    found.notes = checkpoint.Notes(validations=found.notes.validations)
    checkpoint.save(tmp_path / checkpoint.NAME, found)
    killed_after(2, store, tmp_path, resume=True)
    again = checkpoint.load(tmp_path)
    assert (again.step, again.notes.threads) == (7, 1)
    with threads(2):
        assert quiet(store, tmp_path).finished
    assert_same(states(tmp_path), states(uninterrupted["tiny"]))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_fresh_run_cut_at_its_first_checkpoint_leaves_one_run(store, tmp_path, monkeypatch, uninterrupted, moment):
    """The earlier run whole, or the new one: never one's model beside the other's curves."""
    quiet(store, tmp_path, TINY, plans(seed=7))
    kept = contents(tmp_path)

    class Killed(BaseException):
        pass

    whole = checkpoint.save

    def cut(path, content):
        if moment == "after":
            whole(path, content)
        raise Killed

    monkeypatch.setattr(checkpoint, "save", cut)
    with pytest.raises(Killed):
        quiet(store, tmp_path, TINY, plans(), resume=False)
    monkeypatch.undo()
    if moment == "before":
        assert contents(tmp_path) == kept
        return
    assert quiet(store, tmp_path, TINY, plans()).finished
    assert_same(states(tmp_path), states(uninterrupted["tiny"]))
    assert [int(row["step"]) for row in rows(tmp_path)] == [4, 6, 8, 12]
    assert checkpoint.load(tmp_path / "phase_one.pt").training_config.seed == 0


def test_devices():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("gpu", "cuda:99"):
        with pytest.raises(RaveCourseError, match="auto, cpu, cuda or mps"):
            choose_device(name)


# ------------------------------------------------------------------------------------------------ when it goes wrong


@pytest.mark.parametrize("bad_step", [7, 11])
def test_a_loss_that_is_not_a_number(store, tmp_path, monkeypatch, bad_step):
    """The step, the recordings and advice are named; the last good checkpoint stays."""
    good = Learner.step

    def step(self, audio, step, start):
        values = good(self, audio, step, start)
        return {**values, "spectral": torch.tensor(math.nan)} if step == bad_step - 1 else values

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(RaveCourseError) as caught:
        quiet(store, tmp_path, TINY, plans())
    text = str(caught.value)
    source = CropSampler(store, "train", 1024, 2, 0, setup.augmentation(plans())).batch(bad_step - 1).sources[0]
    assert f"at step {bad_step}, in phase 2" in text and source in text and "learning_rate" in text
    assert f"step {bad_step // 5 * 5}" in text
    assert checkpoint.load(tmp_path).step == bad_step // 5 * 5
    monkeypatch.undo()
    assert quiet(store, tmp_path).finished


def test_weights_that_are_not_numbers_are_not_saved(store, tmp_path, monkeypatch):
    good = Learner.step

    def step(self, audio, step, start):
        values = good(self, audio, step, start)
        if step == 9:
            next(self.model.decoder.parameters()).data.fill_(math.inf)
        return values

    monkeypatch.setattr(Learner, "step", step)
    with pytest.raises(RaveCourseError, match="weight was not a number at step 10"):
        quiet(store, tmp_path, TINY, plans())
    assert checkpoint.load(tmp_path).step == 5


FOLDERS = [str(Path(__file__).parents[n]) for n in (0, 1)]
SCRIPT = """
import sys, torch
torch.set_num_threads(1)
sys.path[:0] = {tests!r}
from test_training import TINY, plans, train
from ravecourse.dataset import Dataset
def on_step(progress):
    print(progress.step, flush=True)
result = train(Dataset({data!r}), {run!r}, TINY, plans(phase_one_steps=100000, checkpoint_every=100000),
               device="cpu", progress=False, tensorboard=False, on_step=on_step)
print(result.message, flush=True)
sys.exit(0 if result.interrupted else 1)
"""


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(store, tmp_path, kind):
    script = SCRIPT.format(tests=FOLDERS, data=str(store.path), run=str(tmp_path / "run"))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout.readline().strip() == "1"
    process.send_signal(kind)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    found = checkpoint.load(tmp_path / "run")
    assert f"Interrupted after {found.step} of 100006 steps and saved" in out and "--phase-two-now" in out
    assert found.step >= 1 and found.model["fidelity"][-1] == 1


def test_signal_handlers_come_back(store, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    quiet(store, tmp_path, TINY, plans(phase_one_steps=1, phase_two_steps=0))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# ------------------------------------------------------------------------------------------------ what it tells


def rows(folder):
    with open(folder / "losses.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_survives_stops_without_gaps_or_repeats(store, tmp_path):
    for stop in (4, 7, 9):
        quiet(store, tmp_path, TINY, plans(), on_step=stopping_at(stop))
        with open(tmp_path / "losses.csv", "a", encoding="utf-8") as file:
            file.write("99,1,5.0\n12,2")  # what a killed process may leave
    quiet(store, tmp_path)
    found = rows(tmp_path)
    assert tuple(found[0]) == COLUMNS
    steps = [int(row["step"]) for row in found]
    assert steps == [4, 6, 8, 12]
    assert [row["phase"] for row in found] == ["1", "1", "2", "2"]
    assert all(float(row["validation_log_mel"]) > 0 for row in found)
    assert [bool(row["kl"]) for row in found] == [True, True, False, False]
    assert int(found[0]["alive_dimensions"]) <= 4
    seconds = [float(row["seconds"]) for row in found]
    assert seconds == sorted(seconds)


def test_tensorboard_gets_scalars_sound_and_kl(store, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(store, tmp_path, TINY, plans(), device="cpu", progress=False)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"loss", "spectral", "validation/log_mel", "latent_kl/dimension_003"} <= set(tags["scalars"])
    assert {"sound/recording", "sound/reconstruction"} <= set(tags["audio"])
    assert [e.step for e in events.Scalars("validation/log_mel")] == [4, 6, 8, 12]


def test_progress_counts_down(store, tmp_path):
    seen = []
    quiet(store, tmp_path, TINY, plans(), on_step=lambda p: seen.append(p))
    assert [p.step for p in seen] == list(range(1, 13))
    assert [p.phase for p in seen] == [1] * 6 + [2] * 6
    assert all((p.phase_two_start, p.end) == (6, 12) for p in seen)
    assert seen[0].seconds_to_end >= seen[0].seconds_to_phase_two > 0
    assert seen[-1].seconds_to_end == seen[-1].seconds_to_phase_two == 0
    assert len(seen[-1].kl) == 4 and seen[-1].validation["log_mel"] > 0
    assert seen[-1].losses["loss"] > 0 and seen[-1].losses["discriminator"] > 0


def test_flat_is_noticed_and_only_then():
    falling = [(100 * i, 10 * 0.9**i) for i in range(20)]
    assert flat_steps(falling) == 0 and flat_steps([(5, 1.0)]) == 0
    flat_part = [(2000 + 100 * i, falling[-1][1] * (1 - 0.001 * (i % 2))) for i in range(5)]
    assert flat_steps(falling + flat_part[:4]) == 0
    assert flat_steps(falling + flat_part) == 2400 - 1900


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00 min"), (61.4, "1:01 min"), (3661, "1:01:01 h"), (90000, "1 d 1 h"), (None, "?")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


# ------------------------------------------------------------------------------------------------ small facts


def test_learning_rate():
    config = plans(phase_one_steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1, rel=0.01) and max(rates) == rates[9]
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[100] == pytest.approx(0.1)
    assert learning_rate(plans(cosine_decay=False, warmup_steps=0, learning_rate=0.5), 5) == 0.5
    config = plans(phase_one_steps=100, phase_two_steps=50, adversarial_learning_rate=0.2, learning_rate=1.0)
    second = [learning_rate(config, step, 80) for step in range(80, 131)]
    assert second[0] == 0.2 and second == sorted(second, reverse=True) and second[-1] == pytest.approx(0.02)
    assert learning_rate(config, 79, 80) == learning_rate(config, 79)


def test_training_causal_stereo(tmp_path):
    generator = np.random.default_rng(0)
    for index in range(2):
        soundfile.write(tmp_path / f"{index}.wav", 0.1 * generator.standard_normal((16000, 2)), 16000)
    prepare([tmp_path], tmp_path / "data", sample_rate=16000, channels=2, validation=0.3, progress=False)
    config = preset("tiny", causal=True, channels=2, **SMALL, noise_capacity=8)
    result = quiet(tmp_path / "data", tmp_path / "run", config, plans())
    assert result.finished and result.validation["log_mel"] > 0


def test_without_held_out_sound(store, tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    prepare([tmp_path], tmp_path / "data", sample_rate=16000, validation=0.0, progress=False)
    result = quiet(tmp_path / "data", tmp_path / "run", TINY, plans())
    assert result.finished and result.validation is None


def test_it_learns(store, tmp_path):
    """A minute of computing at most: the loss falls far, and the sound is far nearer than silence."""
    began = time.perf_counter()
    config = preset("tiny", sample_rate=16000, capacity=16, latent_size=8)
    learning = training_preset(
        "tiny",
        phase_one_steps=220,
        phase_two_steps=20,
        crop_samples=4096,
        batch_size=8,
        warmup_steps=20,
        learning_rate=5e-3,
        beta_ramp_steps=200,
        validation_every=110,
        waveform_steps=40,
        phase_probability=0.0,
        stft_scales=(1024, 256, 64),
        band_stft_scales=(64, 32),
    )
    result = quiet(store, tmp_path, config, learning)
    losses = [float(row["spectral"]) for row in rows(tmp_path) if row["kl"]]
    assert losses[-1] < 0.5 * losses[0]
    audio = store.held_out()[None, :, : 4096 * 8]
    silence = log_mel_distance(audio, torch.zeros_like(audio), 16000).item()
    assert result.validation["log_mel"] < 0.5 * silence
    model = checkpoint.load_model(tmp_path)
    with torch.no_grad():
        made = model(audio, generator=torch.Generator().manual_seed(0))
    assert log_mel_distance(audio, made, 16000).item() < 0.5 * silence
    assert time.perf_counter() - began < 300
