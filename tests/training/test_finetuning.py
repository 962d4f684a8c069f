"""Fine-tuning: the weights are the base's, parts that are not trained stay, resuming is exact, mistakes are one sentence."""

from pathlib import Path

import pytest
import torch
from test_training import (  # noqa: F401  (fixtures)
    CPU,
    LIKE_V1,
    SMALL,
    TINY,
    assert_same,
    contents,
    one_thread,
    plans,
    quiet,
    states,
    stopping_at,
    store,
)

from ravecourse.cli import parser
from ravecourse.config import TRAINING_PRESETS, TrainingConfig, fine_tuning_preset, preset
from ravecourse.dataset import Dataset
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import model_card
from ravecourse.model import Checkpoint, checkpoint
from ravecourse.training import PHASE_ONE_NAME, Learner, load_base
from ravecourse.training.learner import learning_rate
from ravecourse.training.losses import beta_at


@pytest.fixture(scope="module")
def bases(store: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:  # noqa: F811
    """Two finished runs, both in phase two; the second with batch statistics and a noise that phase two switched on."""
    torch.set_num_threads(1)
    folders = {name: tmp_path_factory.mktemp("bases") / name for name in ("first", "v1")}
    quiet(store, folders["first"], TINY, plans())
    quiet(store, folders["v1"], LIKE_V1, plans())
    return folders


def tuning(**overrides: object) -> TrainingConfig:
    return fine_tuning_preset("tiny", plans(), **{"phase_one_steps": 6, "phase_two_steps": 6, **overrides})


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], part: str) -> bool:
    return any(not torch.equal(value, after[name]) for name, value in before.items() if name.startswith(part))


@pytest.mark.parametrize("name", ["first", "v1"])
def test_it_begins_with_the_weights_and_with_nothing_else(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
    name: str,
) -> None:
    given = checkpoint.load(bases[name])
    before: dict[str, torch.Tensor] = {}

    def stop(progress: object) -> bool:
        return False

    def look(learner: Learner, audio: torch.Tensor, step: int, start: int) -> dict[str, torch.Tensor]:
        if not before and (tmp_path / "run" / checkpoint.NAME).exists():  # after the rehearsal
            before.update({k: v.clone() for k, v in learner.model.state_dict().items()})
            assert not learner.optimiser.state and not learner.discriminator_optimiser.state and learner.phase == 1
            assert learner.noise
        return step_of(learner, audio, step, start)

    step_of = Learner.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", look)
        result = quiet(store, tmp_path / "run", None, tuning(), base=bases[name], on_step=stop)
    assert_same(before, given.model)
    found = checkpoint.load(tmp_path / "run")
    assert (result.step, found.step, found.phase) == (1, 1, 1) and found.model_config == given.model_config
    assert found.notes.base == name and found.notes.base_digest == checkpoint.model_digest(given)
    assert len(found.notes.validations) == 0 and found.notes.seconds < 60
    assert moved(given.model, found.model, "encoder.") and moved(given.model, found.model, "decoder.")
    fresh = Learner(given.model_config, tuning(), CPU).discriminator.state_dict()
    assert found.discriminator is not None
    assert_same(found.discriminator, dict(fresh))


def test_the_first_checkpoint_is_the_model_whole(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before its first step, the run has all that it needs: the base may be gone."""

    class Killed(BaseException):
        pass

    def kill(self: Learner, audio: torch.Tensor, step: int, start: int) -> dict[str, torch.Tensor]:
        if (tmp_path / checkpoint.NAME).exists():
            raise Killed
        return step_of(self, audio, step, start)

    step_of = Learner.step
    monkeypatch.setattr(Learner, "step", kill)
    with pytest.raises(Killed):
        quiet(store, tmp_path, None, tuning(), base=bases["first"])
    monkeypatch.undo()
    given, found = checkpoint.load(bases["first"]), checkpoint.load(tmp_path)
    assert (
        found.step == 0 and checkpoint.model_digest(found) == checkpoint.model_digest(given) == found.notes.base_digest
    )
    assert quiet(store, tmp_path).finished


@pytest.mark.parametrize(("name", "stops"), [("first", (2, 5, 7, 11)), ("v1", (3,)), ("v1", (8,))])
def test_resume_is_exact_to_the_bit(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
    name: str,
    stops: tuple[int, ...],
) -> None:
    assert quiet(store, tmp_path / "whole", None, tuning(), base=bases[name]).finished
    for stop in stops:  # with the same command, or without naming the model again
        again = {"base": bases[name]} if stop in (stops[0], 7) else {}
        result = quiet(store, tmp_path / "parts", None, tuning(), on_step=stopping_at(stop), **again)
        assert result.interrupted and result.step == stop
    assert quiet(store, tmp_path / "parts").finished
    assert_same(states(tmp_path / "parts"), states(tmp_path / "whole"))
    one, two = (checkpoint.load(tmp_path / side).notes for side in ("whole", "parts"))
    assert (one.base, one.base_digest) == (two.base, two.base_digest) == (name, load_base(bases[name]).digest)


@pytest.mark.parametrize("name", ["first", "v1"])
@pytest.mark.parametrize(("trained", "kept"), [("decoder", ("encoder.",)), ("encoder", ("decoder.", "source."))])
def test_parts_that_are_not_trained_stay_to_the_bit(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
    name: str,
    trained: str,
    kept: tuple[str, ...],
) -> None:
    """Batch statistics included, through both phases, validations and a stop."""
    steps = 6 if trained == "decoder" else 0
    settings = tuning(trained_parts=(trained,), phase_two_steps=steps)
    quiet(store, tmp_path, None, settings, base=bases[name], on_step=stopping_at(4))
    assert quiet(store, tmp_path).step == 6 + steps
    given, found = checkpoint.load(bases[name]).model, checkpoint.load(tmp_path).model
    still = {name: value for name, value in given.items() if name.startswith(kept)}
    assert still and not any(moved(still, found, part) for part in kept) and moved(given, found, f"{trained}.")


def test_what_the_latents_look_like_is_measured_anew(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
) -> None:
    quiet(store, tmp_path, None, tuning(), base=bases["first"])
    given, found = checkpoint.load(bases["first"]).model, checkpoint.load(tmp_path / PHASE_ONE_NAME).model
    assert all(moved(given, found, name) for name in ("latent_mean", "latent_pca", "fidelity"))


def test_the_encoder_learns_again_after_a_phase_two(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
) -> None:
    assert checkpoint.load(bases["v1"]).phase == 2
    quiet(store, tmp_path, None, tuning(phase_two_steps=0), base=bases["v1"])
    given, found = checkpoint.load(bases["v1"]).model, checkpoint.load(tmp_path).model
    statistics = [name for name in given if "running_mean" in name]
    assert statistics and all(not torch.equal(given[name], found[name]) for name in statistics)
    assert float(found["noise_level"]) == 1 and moved(given, found, "decoder.noise.net")


# ------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize("name", TRAINING_PRESETS)
def test_settings_of_a_fine_tuning(name: str) -> None:
    usual, tuned = TRAINING_PRESETS[name], fine_tuning_preset(name)
    rates = [learning_rate(tuned, step) for step in range(tuned.phase_one_steps if name == "tiny" else 2000)]
    assert (
        max(rates) <= usual.learning_rate / 3 and tuned.adversarial_learning_rate <= usual.adversarial_learning_rate / 3
    )
    assert 3 * tuned.phase_one_steps <= usual.phase_one_steps and tuned.waveform_steps == 0
    assert beta_at(0, tuned.beta_start, tuned.beta, tuned.beta_ramp_steps) == usual.beta
    again = fine_tuning_preset(name, tuned)
    assert again == tuned, "a fine-tuning of a fine-tuning is no slower"
    mine = fine_tuning_preset(name, TrainingConfig(9, 9, batch_size=3, crop_samples=512, seed=4))
    assert (mine.batch_size, mine.crop_samples, mine.seed, mine.learning_rate) == (3, 512, 0, 1e-4)


@pytest.mark.parametrize(
    ("parts", "match"),
    [((), "none; give encoder, decoder"), (("decoder", "encoder"), "give encoder, decoder"), (("pqmf",), "pqmf")],
)
def test_parts_that_there_are_not(parts: tuple[str, ...], match: str) -> None:
    with pytest.raises(RaveCourseError, match=match):
        plans(trained_parts=parts)


def test_phase_two_needs_the_decoder() -> None:
    assert fine_tuning_preset("tiny", trained_parts=("encoder",)).phase_two_steps == 0
    with pytest.raises(RaveCourseError, match="phase_two_steps is 9, and phase two trains the decoder"):
        fine_tuning_preset("tiny", trained_parts=("encoder",), phase_two_steps=9)


# ------------------------------------------------------------------------------------------------ where from


def test_names_and_paths_of_a_base(tmp_path: Path, bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = load_base("strings")
    assert bundled.name == "strings" and bundled.path.name == "strings.pt"
    monkeypatch.chdir(tmp_path)
    Path("strings").mkdir()
    assert load_base("strings").digest == bundled.digest, "an empty folder of that name is no model"
    checkpoint.save("strings/checkpoint.pt", checkpoint.load(bases["first"]))
    first = load_base(bases["first"])
    assert load_base("strings").digest == load_base("strings/checkpoint.pt").digest == first.digest != bundled.digest
    checkpoint.save("shared.pt", checkpoint.for_publication(checkpoint.load(bases["first"])))
    assert (load_base("shared.pt").digest, load_base("shared.pt").name) == (first.digest, "shared")
    assert load_base(bases["first"] / PHASE_ONE_NAME).digest != first.digest


def test_an_imported_original_and_what_came_of_it(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
) -> None:
    """Without settings of a training the preset's are taken; who began with it says so, and so does who began with that."""
    model = Learner(LIKE_V1, plans(), CPU).model.state_dict()
    notes = checkpoint.Notes(imported_from="darbouka.ckpt")
    checkpoint.save(tmp_path / "drum/checkpoint.pt", Checkpoint(LIKE_V1, model, step=3_000_000, phase=2, notes=notes))
    base = load_base(tmp_path / "drum")
    assert base.name == "drum (from the original's darbouka.ckpt)"
    quick = plans(phase_one_steps=2, phase_two_steps=2)
    quiet(store, tmp_path / "mine", None, quick, base=base)
    assert load_base(tmp_path / "mine").name == "mine (from drum (from the original's darbouka.ckpt))"
    with pytest.raises(RaveCourseError, match="fine-tune it in another run folder: --from"):
        quiet(store, tmp_path / "drum")


# ------------------------------------------------------------------------------------------------ mistakes


def test_another_base_or_none_is_refused_and_nothing_changes(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
) -> None:
    quiet(store, tmp_path / "tuned", None, tuning(), base=bases["first"], on_step=stopping_at(3))
    quiet(store, tmp_path / "plain", TINY, plans(), on_step=stopping_at(3))
    kept = contents(tmp_path)
    with pytest.raises(
        RaveCourseError, match=r"began with first \(\w{12}\), not with v1 \(\w{12}\). Resume it without"
    ):
        quiet(store, tmp_path / "tuned", base=bases["v1"])
    with pytest.raises(RaveCourseError, match="did not begin with first"):
        quiet(store, tmp_path / "plain", base=bases["first"])
    with pytest.raises(RaveCourseError, match="trained_parts .* is asked for"):
        quiet(store, tmp_path / "tuned", None, tuning(trained_parts=("decoder",)))
    assert contents(tmp_path) == kept
    assert quiet(store, tmp_path / "tuned", None, tuning(), base=bases["first"], resume=False).finished


@pytest.mark.parametrize("resume", [True, False])
def test_the_base_is_not_overwritten(store: Dataset, bases: dict[str, Path], resume: bool) -> None:  # noqa: F811
    kept = contents(bases["first"])
    for folder in (bases["first"], bases["first"] / ".." / "first"):
        with pytest.raises(RaveCourseError, match="would lose it. Choose another run folder"):
            quiet(store, folder, None, tuning(), base=bases["first"], resume=resume)
    assert contents(bases["first"]) == kept


def test_settings_that_do_not_fit_the_base(store: Dataset, tmp_path: Path, bases: dict[str, Path]) -> None:  # noqa: F811
    other = preset("tiny", **{**SMALL, "latent_size": 3}, noise_capacity=8)
    with pytest.raises(RaveCourseError, match="first is a model of the preset tiny with 1 channels at 16000 Hz, and"):
        quiet(store, tmp_path, other, tuning(), base=bases["first"])
    with pytest.raises(RaveCourseError, match="Name a trained model to begin with"):
        quiet(store, tmp_path, TINY, tuning(trained_parts=("decoder",)))
    with pytest.raises(RaveCourseError, match="16000 Hz, the model 1 at 48000 Hz.*--sample-rate 48000 --channels 1"):
        quiet(store, tmp_path, base="strings")
    with pytest.raises(RaveCourseError, match="Train without --phase-two-now"):
        quiet(store, tmp_path, None, tuning(), base=bases["first"], phase_two_now=True)
    assert not (tmp_path / checkpoint.NAME).exists()


def test_a_run_without_a_step_gives_way_to_another_base(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
) -> None:
    quiet(store, tmp_path, TINY, plans(), on_step=stopping_at(1))
    found = checkpoint.load(tmp_path)
    found.step = 0
    checkpoint.save(tmp_path / checkpoint.NAME, found)
    quiet(store, tmp_path, None, tuning(), base=bases["first"], on_step=stopping_at(2))
    assert checkpoint.load(tmp_path).notes.base == "first"


def test_from_the_command_line(
    store: Dataset,  # noqa: F811
    tmp_path: Path,
    bases: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, steps = tmp_path / "run", ["--phase-one-steps", "2", "--phase-two-steps", "2"]

    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = parser.main(["train", "--data", str(store.path), "--device", "cpu", *map(str, words)])
        return status, *capsys.readouterr()

    status, out, _ = call("--out", run, "--from", bases["first"], "--parts", "decoder", *steps)
    assert status == 0 and "Begins with the model first (" in out and "its encoder stays as it is." in out
    found = checkpoint.load(run)
    assert found.training_config is not None and found.training_config.trained_parts == ("decoder",)
    assert found.training_config.crop_samples == 1024 and found.step == 4
    assert call("--out", run, "--from", bases["first"], "--parts", "decoder", *steps)[1].startswith("Already finished")
    assert call("--out", run, *steps[:2], "--phase-two-steps", 3)[0] == 0 and checkpoint.load(run).step == 5
    card = model_card(run, timing_seconds=0)
    assert f"it began with the model first, SHA-256 `{load_base(bases['first']).digest}`" in card
    assert "--from first --phase-one-steps 2" in card and "--parts decoder" in card and "--preset" not in card

    (tmp_path / "cut.pt").write_bytes((bases["first"] / checkpoint.NAME).read_bytes()[:-300])
    (tmp_path / "theirs" / "version_0").mkdir(parents=True)
    (tmp_path / "theirs" / "version_0" / "last.ckpt").write_bytes(b"x")
    new = tmp_path / "new"
    for words, told in {
        ("--from", "kazoo"): "There is no checkpoint at kazoo. There is no bundled model 'kazoo'. There are: bars",
        ("--from", tmp_path / "gone"): "no bundled model|no checkpoint at",
        ("--from", tmp_path / "gone.pt"): "There is no checkpoint at",
        ("--from", tmp_path): "Import it first",
        ("--from", tmp_path / "cut.pt"): "damaged",
        ("--from", tmp_path / "theirs"): "Import it first",
        ("--from", "strings"): "--sample-rate 48000",
        ("--from", bases["first"], "--preset", "v2"): "stays one. Leave out",
        ("--from", bases["first"], "--causal"): "stays one. Leave out",
        ("--from", bases["first"], "--channels", 2): "stays one. Leave out",
        ("--from", bases["first"], "--parts", "ears"): "trained_parts are ears; give encoder, decoder",
        ("--from", bases["first"], "--parts", ""): "give encoder, decoder",
        ("--from", bases["first"], "--parts", "encoder", "--phase-two-steps", 5): "phase two trains the decoder",
        ("--from", bases["first"], "--crop", 1000): "such as 1024",
        ("--parts", "decoder"): "Name a trained model",
    }.items():
        status, _, error = call("--out", new, *words)
        assert status == 2 and error.count("\n") == 1 and "Traceback" not in error, words
        assert any(part in error for part in told.split("|")), error
        assert not new.exists(), words
    status, _, error = call("--out", run, "--from", bases["v1"])
    assert status == 2 and "began with first" in error
