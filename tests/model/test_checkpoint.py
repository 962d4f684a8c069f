"""A checkpoint is whole, or it says what is wrong."""

import pytest
import torch

from ravecourse.config import preset, training_preset
from ravecourse.errors import RaveCourseError
from ravecourse.model import checkpoint
from ravecourse.model.checkpoint import Checkpoint
from ravecourse.model.rave import RAVE

TINY = preset("tiny", capacity=4, latent_size=3)


def written(path, **fields):
    model = RAVE(TINY, seed=3)
    model.fidelity.copy_(torch.tensor([0.5, 0.75, 1.0]))
    checkpoint.save(path, Checkpoint(model_config=TINY, model=model.state_dict(), **fields))
    return model


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_everything_comes_back(tmp_path):
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr=0.1, betas=(0.5, 0.9))
    optimiser.param_groups[0]["params"][0].grad = torch.ones(2)
    optimiser.step()
    notes = checkpoint.Notes(seconds=1.5, validations=(checkpoint.Validation(10, 1, 3.0, 1.0),), dataset="strings")
    training = training_preset("tiny", batch_size=3)
    model = written(
        tmp_path / "run" / checkpoint.NAME,
        training_config=training,
        step=7,
        phase=2,
        phase_two_start=5,
        generator_optimiser=optimiser.state_dict(),
        notes=notes,
    )
    for path in (tmp_path / "run", str(tmp_path / "run"), tmp_path / "run" / checkpoint.NAME):
        found = checkpoint.load(path)
        assert (found.model_config, found.training_config, found.notes) == (TINY, training, notes)
        assert (found.step, found.phase, found.phase_two_start) == (7, 2, 5)
        assert found.discriminator is None
        assert same(found.model, model.state_dict())
        state = found.generator_optimiser["state"][0]
        assert torch.equal(state["exp_avg"], optimiser.state_dict()["state"][0]["exp_avg"])
    loaded = checkpoint.load_model(tmp_path / "run")
    assert not loaded.training and same(loaded.state_dict(), model.state_dict())


def test_nothing_else_is_left_in_the_folder(tmp_path):
    written(tmp_path / "a.pt")
    written(tmp_path / "a.pt")
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    model = written(tmp_path / "a.pt")

    def full(content, path):
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:668] unexpected pos")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RaveCourseError, match="Could not write"):
        written(tmp_path / "a.pt", step=99)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]
    assert checkpoint.load(tmp_path / "a.pt").step == 0
    assert same(checkpoint.load(tmp_path / "a.pt").model, model.state_dict())


def test_missing(tmp_path):
    with pytest.raises(RaveCourseError, match="no checkpoint.pt in"):
        checkpoint.load(tmp_path)
    with pytest.raises(RaveCourseError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "absent.pt")


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE", b"PK\x03\x04 and then nothing of use"])
def test_other_files(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(RaveCourseError, match="a.pt"):
        checkpoint.load(tmp_path / "a.pt")


@pytest.mark.parametrize("content", [{"weights": torch.ones(2)}, [1, 2], {"kind": "another"}])
def test_other_things_that_torch_saved(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(RaveCourseError, match="not a ravecourse checkpoint"):
        checkpoint.load(tmp_path / "a.pt")


def test_other_version(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    written(tmp_path / "a.pt")
    monkeypatch.undo()
    with pytest.raises(RaveCourseError, match="format 99.*reads formats 1 and 2"):
        checkpoint.load(tmp_path / "a.pt")


@pytest.mark.parametrize("harmonics", [0, 8])
def test_files_from_before_the_loudness_scaled_the_bands(tmp_path, monkeypatch, harmonics):
    """Without a source nothing has changed; with one the same weights would sound otherwise."""
    config = preset("tiny", capacity=4, harmonics=harmonics)
    found = checkpoint.Checkpoint(config, RAVE(config).state_dict())
    monkeypatch.setattr(checkpoint, "FORMAT", 1)
    checkpoint.save(tmp_path / "a.pt", found)
    monkeypatch.undo()
    if harmonics:
        with pytest.raises(RaveCourseError, match="a.pt was trained by a version in which the loudness did not"):
            checkpoint.load(tmp_path / "a.pt")
    else:
        assert all(torch.equal(found.model[name], v) for name, v in checkpoint.load(tmp_path / "a.pt").model.items())


def test_a_scripted_model_is_recognised(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "a.ts")
    with pytest.raises(RaveCourseError, match="TorchScript"):
        checkpoint.load(tmp_path / "a.ts")


class Mischief:
    """Unpickled carelessly, this would run a command."""

    def __reduce__(self):
        return eval, ("open('ran', 'w').close()",)


def test_a_file_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"kind": checkpoint.KIND, "format": 1, "model": Mischief()}, tmp_path / "a.pt")
    with pytest.raises(RaveCourseError):
        checkpoint.load(tmp_path / "a.pt")
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_model(tmp_path):
    other = RAVE(preset("tiny", capacity=8, latent_size=3))
    checkpoint.save(tmp_path / "a.pt", Checkpoint(model_config=TINY, model=other.state_dict()))
    with pytest.raises(RaveCourseError, match="do not fit"):
        checkpoint.load_model(tmp_path / "a.pt")


def test_every_damage_is_noticed(tmp_path):
    """Cut short anywhere, or with one byte changed anywhere: an error, or exactly what was saved."""
    path = tmp_path / "a.pt"
    model = written(path)
    whole = path.read_bytes()
    assert same(checkpoint.load(path).model, model.state_dict())
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(len(whole), (60,), generator=generator).tolist()
    noticed = 0
    for place in places:
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            try:
                found = checkpoint.load(path)
            except RaveCourseError as error:
                noticed += 1
                assert str(path) in str(error)
            else:
                assert len(damaged) == len(whole) and same(found.model, model.state_dict())
    assert noticed > 60
