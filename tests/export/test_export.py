"""An exported file does what the model does, says so itself, and is kept only when it is verified."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import realistic

from ravecourse.config import preset
from ravecourse.errors import RaveCourseError
from ravecourse.export import contract, exporter, verify
from ravecourse.model import checkpoint
from ravecourse.model.checkpoint import Checkpoint
from ravecourse.model.rave import RAVE
from ravecourse.playback import player


def small(**options: object) -> RAVE:
    return realistic(RAVE(preset("tiny", **{"capacity": 8, "latent_size": 6, "noise_capacity": 8, **options})), 4)


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"channels": 2}], ids=["mono", "causal", "stereo"])
def test_the_file_plays_as_the_model(options: dict[str, object], tmp_path: Path) -> None:
    model = small(**options)
    metadata = exporter.export_model(model, tmp_path / "a b" / "m.ts", about={"licence": "CC0"})
    found = contract.load(tmp_path / "a b" / "m.ts")
    assert contract.violations(found) == []
    assert {**found.metadata} == metadata == json.loads(json.dumps(metadata))
    assert metadata["licence"] == "CC0" and metadata["sample_rate"] == 48000
    assert found.smallest_buffer == model.hop_length
    assert sorted(found.methods) == ["decode", "encode", "forward"]

    hop, delay = model.hop_length, metadata["delay_samples"]
    audio = 0.3 * torch.randn(1, model.channels, delay + 9 * hop, generator=torch.Generator().manual_seed(1))
    audio = audio[..., : audio.shape[-1] // hop * hop]
    assert found.module.set_noise(0.0) == 0
    with torch.inference_mode():
        played = torch.cat([found.module(block) for block in audio.split(hop, -1)], -1)
        offline = model(audio, noise=False)
    assert offline[..., :-delay].abs().max() > 0.05
    torch.testing.assert_close(played[..., delay:], offline[..., :-delay], rtol=0, atol=1e-5)


def test_latents_come_in_the_order_of_their_variance(tmp_path: Path) -> None:
    model = small()
    exporter.export_model(model, tmp_path / "m.ts", latent_size=4, about={})
    module = contract.load(tmp_path / "m.ts").module
    audio = 0.3 * torch.randn(2, 1, 40 * model.hop_length, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        streamed = module.encode(audio)
        named, learned = model.encode(audio)[0].split([2, 6], 1)
        wanted = torch.cat([named, model.latent_pca[:2] @ (learned - model.latent_mean[:, None])], 1)
    assert streamed.shape == (2, 4, 40)
    assert module.encode_output_labels[:2] == [
        "(signal) pitch (MIDI note)",
        "(signal) loudness (dB, 100 is full scale)",
    ]
    delay = contract.read_metadata(tmp_path / "m.ts")["encode_delay_frames"]
    torch.testing.assert_close(streamed[..., delay:], wanted[..., : 40 - delay], rtol=0, atol=1e-4)


def test_attributes_clamp_and_work(tmp_path: Path) -> None:
    model = small()
    exporter.export_model(model, tmp_path / "m.ts", latent_size=3, about={})
    module = contract.load(tmp_path / "m.ts").module
    assert module.get_attributes() == ["noise", "variation"]
    for name in module.get_attributes():
        setter, getter = getattr(module, f"set_{name}"), getattr(module, f"get_{name}")
        for asked, kept in ((0.5, 0.5), (-1.0, 0.0), (float("nan"), 0.0), (float("inf"), 4.0), (9.0, 4.0), (1.0, 1.0)):
            assert setter(asked) == 0
            assert getter() == [kept]
    z = torch.zeros(1, 3, 30)
    z[:, 1] = 90.0  # dB; at 0 all would be silent

    def difference(noise: float, variation: float) -> float:
        module.set_noise(noise), module.set_variation(variation)
        with torch.inference_mode():
            module.decode(z), module.decode(z)  # past the start
            return float((module.decode(z)[..., 3000:] - module.decode(z)[..., 3000:]).abs().max())

    assert difference(0.0, 0.0) < 1e-6 < difference(1.0, 0.0)
    assert difference(0.0, 1.0) > difference(0.0, 0.1) > 1e-6


def test_unused_latents_vary_as_much_as_in_training(tmp_path: Path) -> None:
    model = small()
    model.latent_draw_std.copy_(torch.tensor([3.0, 2.0, 1.0, 0.5, 0.0, 0.0]))
    exporter.export_model(model, tmp_path / "m.ts", latent_size=4, about={})
    module = contract.load(tmp_path / "m.ts").module
    module.set_noise(0.0)
    z = torch.zeros(1, 4, 30)
    with torch.inference_mode():
        module.decode(z)
        assert torch.equal(module.decode(z), module.decode(z))  # both unused directions never moved


def test_a_lower_precision_tells_its_error(tmp_path: Path) -> None:
    model = small(capacity=64)
    metadata = exporter.export_model(model, tmp_path / "m.ts", latent_size=6, precision="bfloat16", about={})
    assert 1e-4 < metadata["precision_error"] < 0.05
    assert "precision_error" not in exporter.export_model(model, tmp_path / "n.ts", latent_size=6, about={})
    assert (tmp_path / "m.ts").stat().st_size < 0.75 * (tmp_path / "n.ts").stat().st_size
    with pytest.raises(RaveCourseError, match="'float8'"):
        exporter.export_model(model, tmp_path / "o.ts", precision="float8", about={})


def test_a_file_that_is_wrong_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, target = small(), tmp_path / "m.ts"
    target.write_bytes(b"what was here before")
    right = verify.reference

    def wrong(*arguments: object, **options: object) -> dict[str, torch.Tensor]:
        expected = right(*arguments, **options)
        expected["output"] = expected["output"].roll(1, -1)
        return expected

    monkeypatch.setattr(verify, "reference", wrong)
    with pytest.raises(RaveCourseError, match="`forward`, block by block, differs"):
        exporter.export_model(model, target, latent_size=6, about={})
    assert target.read_bytes() == b"what was here before"
    assert [path.name for path in tmp_path.iterdir()] == ["m.ts"]


def test_a_broken_contract_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(exporter.ExportedRAVE):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            self.decode_params = torch.tensor([1, 1, 1, 1])

    monkeypatch.setattr(exporter, "ExportedRAVE", Wrong)
    with pytest.raises(RaveCourseError, match="decode"):
        exporter.export_model(small(), tmp_path / "m.ts", latent_size=6, about={})
    assert not list(tmp_path.iterdir())


def saved(model: RAVE, folder: Path) -> Path:
    path = folder / checkpoint.NAME
    folder.mkdir(exist_ok=True)
    checkpoint.save(
        path,
        Checkpoint(
            model.config,
            model.state_dict(),
            None,
            7,
            2,
            5,
            None,
            None,
            None,
            checkpoint.Notes(dataset="sounds", recordings=("a.wav",), seconds=3.0),
        ),
    )
    return folder


def test_export_from_a_run(tmp_path: Path) -> None:
    model = small()
    run = saved(model, tmp_path / "run")
    path = exporter.export_torchscript(
        run, tmp_path / "m.ts", fidelity=float(model.fidelity[2]) - 1e-3, licence="CC0-1.0"
    )
    metadata = contract.read_metadata(path)
    assert metadata["latent_size"] == 5 and metadata["named_latents"] == ["pitch", "loudness"]
    assert len(metadata["latent_std"]) == 3
    assert metadata["fidelity"] == pytest.approx(float(model.fidelity[2]), abs=1e-4)
    assert metadata["training"] == {
        "steps": 7,
        "phase": 2,
        "dataset": "sounds",
        "recordings": ["a.wav"],
        "seconds": 3.0,
    }
    assert metadata["torch"] == torch.__version__.split("+")[0]
    assert (
        contract.read_metadata(exporter.export_torchscript(run, tmp_path / "n.ts", latent_size=6))["latent_size"] == 6
    )


def test_mistakes(tmp_path: Path) -> None:
    model = small()
    run = saved(model, tmp_path / "run")
    for options, said in (({"fidelity": 1.5}, "1.5"), ({"latent_size": 9}, "3 to 8"), ({"latent_size": 2}, "2")):
        with pytest.raises(RaveCourseError, match=said):
            exporter.export_torchscript(run, tmp_path / "m.ts", **options)
    model.fidelity.zero_()
    with pytest.raises(RaveCourseError, match="no latent statistics"):
        exporter.export_torchscript(saved(model, tmp_path / "young"), tmp_path / "m.ts")
    with pytest.raises(RaveCourseError, match="no checkpoint"):
        exporter.export_torchscript(tmp_path / "nothing", tmp_path / "m.ts")
    assert not (tmp_path / "m.ts").exists()


# --- what can go wrong while it is written ----------------------------------------------------------------------------


KILLED = """
import os, signal, sys
from ravecourse.config import preset
from ravecourse.export import exporter
from ravecourse.model import RAVE
exporter.verify_file = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
exporter.export_model(RAVE(preset("tiny", capacity=4)).eval(), __import__("pathlib").Path(sys.argv[1]), latent_size=4, about={})
"""


def test_what_a_killed_export_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "m.ts"], timeout=120)
    assert ran.returncode == -signal.SIGKILL
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 1 and left[0].startswith(".m.") and ".part" in left[0]
    other = tmp_path / left[0].replace(f"-{left[0].split('-')[1]}-", f"-{os.getpid()}-")  # of a process that lives
    other.write_bytes(b"being written")
    exporter.export_model(small(), tmp_path / "m.ts", latent_size=4, about={})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["m.ts", other.name])


def test_the_verification_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in TMPDIR, which may be full or not there at all."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    exporter.export_model(small(), tmp_path / "m.ts", latent_size=4, about={})
    assert [path.name for path in tmp_path.iterdir()] == ["m.ts"]


@pytest.mark.parametrize("room", [0, 1000, 100_000, 200_000])
def test_a_full_disk_in_the_middle_is_one_sentence(tmp_path: Path, room: int) -> None:
    """A limit on the size of files stands for the disk: the write fails after `room` bytes."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from ravecourse.cli import main\n"
        f"signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "sys.exit(main(['export', sys.argv[1], sys.argv[2], '--latent-size', '4']))"
    )
    run = saved(small(), tmp_path / "run")
    (tmp_path / "m.ts").write_bytes(b"what was here before")
    ran = subprocess.run(
        [sys.executable, "-c", code, run, tmp_path / "m.ts"], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 2, (ran.returncode, ran.stderr)
    assert ran.stderr.startswith("ravecourse export: Could not write") and ran.stderr.count("\n") == 1, ran.stderr
    assert (tmp_path / "m.ts").read_bytes() == b"what was here before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.ts", "run"]


@pytest.mark.parametrize("field", ["encode_delay_frames", "delay_samples", "decode_delay_samples", "sample_rate"])
@pytest.mark.parametrize("value", ["x", [], None, {}, -1, 10**12, 1.5, True, "48000"])
def test_metadata_of_others_are_not_trusted(tmp_path: Path, field: str, value: object) -> None:
    loaded = contract.load(exported(tmp_path))
    model = dataclasses.replace(loaded, metadata={**loaded.metadata, field: value})
    for method in model.methods:
        assert model.delay_samples(method) is None or 0 <= model.delay_samples(method) <= 1 << 22
    assert model.sample_rate is None or model.sample_rate == 48000
    for method in ("forward", "encode"):
        made = player.render(model, torch.zeros(1, 3000), 48000, method=method)
        assert made.audio.isfinite().all()


@functools.cache
def _exported_file(folder: Path) -> Path:
    exporter.export_model(RAVE(preset("tiny", capacity=4)).eval(), folder / "m.ts", latent_size=4, about={})
    return folder / "m.ts"


def exported(tmp_path: Path) -> Path:
    """One small export for all tests of this process."""
    folder = tmp_path.parent / "exported"
    folder.mkdir(exist_ok=True)
    return _exported_file(folder)
