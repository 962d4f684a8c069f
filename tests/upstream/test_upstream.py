"""Checkpoints of the original: files in its layout come in whole, or are refused with the reason.

The tests marked `original` build its models with its own program (see benchmarks/original_env.sh) and compare; they
run with `pytest -m original`.
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers import realistic, signal
from torch import Tensor, nn

from ravecourse import upstream
from ravecourse.config import ModelConfig, preset
from ravecourse.errors import RaveCourseError
from ravecourse.model import checkpoint
from ravecourse.model.layers import NoiseSynth, Residual
from ravecourse.model.pqmf import cosine_modulated_bank, kaiser_prototype
from ravecourse.model.rave import RAVE
from ravecourse.streaming.model import StreamingRAVE
from ravecourse.upstream.gin import Settings


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


# The original's layout, written from its description and not from the reader ------------------------------------------


def convolution(layer: nn.Module) -> dict[str, Tensor]:
    if hasattr(layer, "parametrizations"):
        parts = layer.parametrizations.weight
        return {"weight_g": parts.original0.clone(), "weight_v": parts.original1.clone()}
    return {"weight": layer.weight.clone()}


def under(prefix: str, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in parts.items()}


def layout(model: RAVE) -> dict[str, Tensor]:
    """The weights of `model` under the names that the original gives them."""
    config, state = model.config, {}
    v1 = config.architecture == "v1"
    h = kaiser_prototype(16)
    state["latent_pca"], state["latent_mean"] = model.latent_pca.clone(), model.latent_mean.clone()
    state["fidelity"] = model.fidelity.clone()
    state["receptive_field"] = torch.tensor([24109, 0 if config.causal else 22060])
    state["pqmf.hk"] = F.pad(torch.tensor(cosine_modulated_bank(h, 16)), (67, 68)).float()
    state["pqmf.h"] = torch.tensor(h.copy()).float()
    state["pqmf.forward_conv.weight"] = torch.zeros(16, 1, 513)
    state["pqmf.inverse_conv.weight"] = torch.zeros(16, 16, 33)
    state["encoder.warmed_up"] = torch.tensor(1)
    for i, layer in enumerate(model.encoder):
        place = f"encoder.encoder.net.{i}"
        if isinstance(layer, Residual):
            for j in (1, 3):
                state |= under(f"{place}.aligned.branches.0.net.{j}", convolution(layer.branch[j]))
        elif isinstance(layer, nn.BatchNorm1d):
            state |= under(place, {name: value.clone() for name, value in layer.state_dict().items()})
        elif not isinstance(layer, nn.LeakyReLU):
            state |= under(place, convolution(layer))

    trunk = list(model.decoder.trunk)
    state |= under("decoder.net.0", convolution(trunk[0]))
    if v1:
        state["decoder.warmed_up"] = model.noise_level.long()
        for stage in range(len(config.ratios)):
            up, *units = trunk[2 + 5 * stage : 6 + 5 * stage]
            state |= under(f"decoder.net.{2 * stage + 1}.net.1", convolution(up))
            for unit, layer in enumerate(units):
                place = f"decoder.net.{2 * stage + 2}.net.branches.0.net.{unit}.net.aligned.branches.0"
                for j in (1, 3):
                    state |= under(f"{place}.{j}", convolution(layer.branch[j]))
        state |= under("decoder.synth.branches.0", convolution(model.decoder.wave))
        state |= under("decoder.synth.branches.1", convolution(model.decoder.loudness))
        noise = "decoder.synth.branches.2"
    else:
        for i, layer in enumerate(trunk[1:], 1):
            if isinstance(layer, Residual):
                for j in (1, 3):
                    state |= under(f"decoder.net.{i}.aligned.branches.0.net.{j}", convolution(layer.branch[j]))
            elif not isinstance(layer, nn.LeakyReLU):
                state |= under(f"decoder.net.{i}", convolution(layer))
        wave = "decoder.waveform_module" if config.noise_bands else f"decoder.net.{len(trunk)}"
        state |= under(wave, convolution(model.decoder.wave))
        noise = "decoder.noise_module"
    if config.noise_bands:
        state[f"{noise}.target_size"] = torch.tensor(model.decoder.noise.frame)
        for j, layer in enumerate(model.decoder.noise.net):
            if isinstance(layer, nn.Conv1d):
                state[f"{noise}.net.{j}.weight"] = layer.weight.clone()
    state["discriminator.layers.0.net.0.weight_g"] = torch.ones(4, 1, 1)
    state["audio_distance.multiscale_stft.stfts.0.window"] = torch.ones(2048)
    return state


def written(model: RAVE, folder: Path, gin: str | None = None, **changes: Tensor | None) -> Path:
    """A run folder with the weights of `model` in the original's layout; `changes` replace or remove (None) some."""
    state = layout(model)
    for name, value in changes.items():
        state.pop(name, None)
        if value is not None:
            state[name] = value
    target = folder / "version_0" / "checkpoints" / "last.ckpt"
    target.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "epoch": 3,
        "global_step": 1234,
        "pytorch-lightning_version": "1.9.0",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 1}}}},
        "callbacks": {
            "WarmupCallback": {"training_steps": 1234},
            "EMA": {name: 2 * value for name, value in state.items() if name.endswith("weight_g")},
        },
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-3, "betas": (0.5, 0.9)}]}],
        "lr_schedulers": [],
    }
    torch.save(content, target)
    if gin is not None:
        (folder / "config.gin").write_text(gin)
    return folder


def settings(config: ModelConfig, mode: str = "centered") -> str:
    """The lines of the original's `config.gin` that matter, between others."""
    mode = "causal" if config.causal else mode
    return f"""from __gin__ import dynamic_registration
import cached_conv as cc

# Macros:
# ==============================================================================
CAPACITY = {config.capacity}
DILATIONS = \\
    {[list(stage) for stage in config.dilations]}
SAMPLING_RATE = {config.sample_rate}

# Parameters for discriminator.CombineDiscriminators:
discriminator.CombineDiscriminators.discriminators = \\
    [@discriminator.MultiPeriodDiscriminator,
     @discriminator.MultiScaleDiscriminator]
variational/blocks.EncoderV2.dilations = %DILATIONS
blocks.GeneratorV2.dilations = %DILATIONS
blocks.NoiseGenerator.ratios = {list(config.noise_strides)}
convs.get_padding.mode = '{mode}'
variational/convs.get_padding.mode = '{mode}'
scales/convs.get_padding.dilation = 1
model.RAVE.sampling_rate = %SAMPLING_RATE
model.RAVE.balancer = None
"""


def published(name: str, **overrides: object) -> RAVE:
    """A narrow model of the original's kind."""
    options = {
        "capacity": 8,
        "latent_size": 6,
        "noise_capacity": 12,
        "sample_rate": 44100,
        "published_causal": bool(overrides.get("causal")),
        **overrides,
    }
    return realistic(RAVE(preset(name, **options)), 4)


VARIANTS = {
    "v1": lambda: published("v1"),
    "v1 causal": lambda: published("v1", causal=True),
    "v1 stereo": lambda: published("v1", channels=2, sample_rate=48000),
    "v1 without noise": lambda: published("v1", noise_bands=0, noise_strides=()),
    "v1 other strides": lambda: published("v1", ratios=(8, 4), noise_strides=(2, 4, 2)),
    "v2": lambda: published("v2"),
    "v2 causal": lambda: published("v2", causal=True),
    "v2 noise": lambda: published("v2", noise_bands=5, noise_strides=(2, 2, 2)),
    "v2 stereo noise": lambda: published("v2", channels=2, noise_bands=5, noise_strides=(4, 2)),
    "v2 small": lambda: published("v2", ratios=(4, 2, 2, 2)),
    "v2 other": lambda: published("v2", ratios=(8, 2, 4), dilations=((1, 5), (1, 2, 4, 8), (3,)), latent_size=9),
}


# What comes in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_round_trip(name: str, tmp_path: Path) -> None:
    model = VARIANTS[name]()
    imported = upstream.read(written(model, tmp_path, settings(model.config)))
    read = imported.model
    assert imported.steps == 1234 and imported.notes == () and not read.training
    for field in (
        "architecture",
        "ratios",
        "capacity",
        "latent_size",
        "sample_rate",
        "channels",
        "causal",
        "dilations",
        "noise_bands",
        "noise_strides",
        "published_causal",
        "pqmf",
    ):
        assert getattr(read.config, field) == getattr(model.config, field), field
    audio = signal(6 * model.hop_length, channels=model.channels)
    ours, theirs = read.encode(audio), model.encode(audio)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    torch.testing.assert_close(read(audio, noise=False), model(audio, noise=False), rtol=0, atol=1e-5)
    draws = [m.decode(theirs[0], generator=torch.Generator().manual_seed(1)) for m in (read, model)]
    torch.testing.assert_close(draws[0], draws[1], rtol=0, atol=1e-5)
    for buffer in ("latent_pca", "latent_mean", "fidelity"):
        assert torch.equal(getattr(read, buffer), getattr(model, buffer))
    wanted = model.latent_std / model.latent_std.max()  # the original keeps no absolute size
    torch.testing.assert_close(read.latent_std, wanted, rtol=0, atol=1e-3)
    assert torch.equal(read.noise_level, model.noise_level)


def test_import_writes_a_run_of_ours(tmp_path: Path) -> None:
    model = VARIANTS["v1"]()
    run = written(model, tmp_path / "theirs", settings(model.config))
    imported = upstream.import_checkpoint(run, tmp_path / "ours")
    loaded = checkpoint.load_model(tmp_path / "ours")
    audio = signal(20 * model.hop_length)
    assert torch.equal(loaded(audio, noise=False), imported.model(audio, noise=False))
    assert checkpoint.load(tmp_path / "ours").step == 1234
    stream = StreamingRAVE(loaded)
    stream.heads.noise_scale.fill_(0)
    output = torch.cat([stream(block) for block in audio.split(model.hop_length, -1)], -1)[..., stream.delay_samples :]
    offline = loaded(audio, noise=False)[..., : output.shape[-1]]
    assert output.shape[-1] > 4 * model.hop_length
    torch.testing.assert_close(output, offline, rtol=0, atol=1e-5)


def test_the_first_phase_of_v1_has_no_noise(tmp_path: Path) -> None:
    model = VARIANTS["v1"]()
    run = written(model, tmp_path, settings(model.config), **{"decoder.warmed_up": torch.tensor(0)})
    assert float(upstream.read(run).model.noise_level) == 0


def test_the_filter_bank_is_the_files(tmp_path: Path) -> None:
    model = VARIANTS["v2"]()
    state = layout(model)
    changes = {name: 1.5 * state[name] for name in ("pqmf.h", "pqmf.hk")}
    read = upstream.read(written(model, tmp_path, settings(model.config), **changes)).model
    audio = signal(4 * model.hop_length)
    torch.testing.assert_close(read.split(audio), 1.5 * model.split(audio), rtol=0, atol=1e-5)
    assert_equal_to_peak(read.join(model.split(audio)), 1.5 * model.join(model.split(audio)), 1e-5)


def test_a_file_alone_tells_what_it_can(tmp_path: Path) -> None:
    for name in ("v1", "v1 causal", "v2", "v2 causal"):
        model = VARIANTS[name]()
        run = written(model, tmp_path / name)
        imported = upstream.read(run / "version_0/checkpoints/last.ckpt")
        assert imported.model.config.causal == model.config.causal
        assert any("44100 Hz" in note for note in imported.notes)
        assert imported.model.config.dilations == model.config.dilations
    untold = written(model, tmp_path / "untold", receptive_field=torch.tensor([0, 0]))
    with pytest.raises(RaveCourseError, match="Nothing says whether .* is causal.*config.gin"):
        upstream.read(untold)
    said = upstream.read(untold, causal=True, sample_rate=48000)
    assert said.model.config.causal and said.model.sample_rate == 48000


def test_untrained_statistics_are_said(tmp_path: Path) -> None:
    model = VARIANTS["v2"]()
    imported = upstream.read(written(model, tmp_path, settings(model.config), fidelity=torch.zeros(6)))
    assert any("no latent statistics" in note for note in imported.notes)
    assert torch.equal(imported.model.latent_std, torch.ones(6))


def test_noise_that_cannot_sound_is_left_out(tmp_path: Path) -> None:
    model = published("v2", noise_bands=5, noise_strides=(2, 2, 2))
    state = {"decoder.noise_module.net.4.weight": torch.randn(16 * 32, 12, 4)}
    imported = upstream.read(written(model, tmp_path, settings(model.config), **state))
    assert imported.model.decoder.noise is None
    assert any("noise synthesiser was left out" in note for note in imported.notes)
    z = torch.randn(1, 6, 4)
    torch.testing.assert_close(imported.model.decode(z), model.decode(z, noise=False), rtol=0, atol=1e-5)


def test_moving_average(tmp_path: Path) -> None:
    model = VARIANTS["v2"]()
    run = written(model, tmp_path, settings(model.config))
    first = [m.encoder[0].weight for m in (upstream.read(run).model, upstream.read(run, averaged=True).model)]
    torch.testing.assert_close(first[1], 2 * first[0])


def test_the_newest_file_of_a_run(tmp_path: Path) -> None:
    model, newer = VARIANTS["v2"](), published("v2", latent_size=3)
    run = written(model, tmp_path, settings(model.config))
    old = run / "version_0/checkpoints/last.ckpt"
    old.rename(old.with_name("old.ckpt"))
    os.utime(old.with_name("old.ckpt"), (1, 1))
    written(newer, tmp_path)
    assert upstream.read(run).model.config.latent_size == 3


def test_settings_are_read_not_run() -> None:
    found = Settings(
        "A = [1,\n   2]\nscope/x.B.c = %A\nx.B.d = __import__('os').abort()\nx.B.e = @x.F\ny.G.c = 'no'\n"
        "# x.B.c = 5\nx.B.f = \\\n    {'a': 1}\n"
    )
    assert found.all("B.c") == [[1, 2]] and found.one("G.c", 0) == "no"
    assert found.one("B.d", "absent") == "absent" and found.one("B.e", None) is None
    assert found.one("B.f", None) == {"a": 1}


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key, says",
    [
        ("encoder.rvq.layers.0.codebook", "discrete"),
        ("encoder.encoder.net.4.alpha", "snake"),
        ("encoder.encoder.net.1.mean_x", "adain"),
        ("decoder.recurrent.gru.weight_ih_l0", "recurrent"),
        ("encoder.encoder.spectrogram.window", "spectrogram"),
        ("decoder.wings.weight", r"no place for \(decoder.wings.weight\)"),
        ("something_else", r"no place for \(something_else\)"),
        ("encoder.encoder.net.99.weight_g", "no place for"),
    ],
)
def test_other_settings_are_refused_by_name(key: str, says: str, tmp_path: Path) -> None:
    model = VARIANTS["v2"]()
    with pytest.raises(RaveCourseError, match=says):
        upstream.read(written(model, tmp_path, settings(model.config), **{key: torch.ones(3)}))


@pytest.mark.parametrize(
    "key, value, says",
    [
        ("encoder.encoder.net.21.weight_v", torch.ones(6, 128, 3), "wasserstein, spherical"),
        ("decoder.net.0.weight_v", torch.ones(128, 134, 3), "wasserstein"),
        ("pqmf.h", None, "without a filter bank"),
        ("pqmf.h", torch.ones(377), "filter bank .* cannot rebuild"),
        ("decoder.net.21.weight_v", torch.ones(16, 8, 7), r"decoder.net.21.weight_v is of the shape \[16, 8, 7\]"),
        ("decoder.net.21.weight_g", None, "decoder.net.21.weight_g is missing"),
        ("decoder.net.2.weight_v", "a text", "is a str, not a tensor"),
    ],
)
def test_other_shapes_are_refused(key: str, value: object, says: str, tmp_path: Path) -> None:
    model = VARIANTS["v2"]()
    with pytest.raises(RaveCourseError, match=says):
        upstream.read(written(model, tmp_path, settings(model.config), **{key: value}))


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("DILATIONS = \\\n    [[1, 3, 9]", "DILATIONS = \\\n    [[1, 3, 9, 27]", "belongs to another run"),
        ("blocks.GeneratorV2.dilations = %DILATIONS", "blocks.GeneratorV2.dilations = [1]", "differently"),
        (
            "variational/convs.get_padding.mode = 'centered'",
            "variational/convs.get_padding.mode = 'causal'",
            "several ways",
        ),
    ],
)
def test_other_gin_is_refused(old: str, new: str, says: str, tmp_path: Path) -> None:
    model = VARIANTS["v2"]()
    text = settings(model.config)
    assert old in text
    with pytest.raises(RaveCourseError, match=says):
        upstream.read(written(model, tmp_path, text.replace(old, new)))


@pytest.mark.parametrize(
    "line, says",
    [
        ("blocks.ResidualStack.dilations_list = [[1, 1], [3, 1], [9, 1]]", "residual stacks dilated by"),
        ("blocks.NoiseGenerator.ratios = [4, 4, 2]", "frames of 64 by strides of"),
    ],
)
def test_other_gin_of_v1_is_refused(line: str, says: str, tmp_path: Path) -> None:
    model = VARIANTS["v1"]()
    with pytest.raises(RaveCourseError, match=says):
        upstream.read(written(model, tmp_path, f"{line}\n{settings(model.config)}"))


def test_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RaveCourseError, match="There is no file"):
        upstream.read(tmp_path / "none.ckpt")
    with pytest.raises(RaveCourseError, match="no .ckpt file in"):
        upstream.read(tmp_path)
    text = tmp_path / "text.ckpt"
    text.write_text("hello")
    with pytest.raises(RaveCourseError, match="cannot be read as a checkpoint"):
        upstream.read(text)
    for content in ([1, 2], {"model": 1}, {"state_dict": {"conv.weight": torch.ones(3)}}):
        torch.save(content, tmp_path / "other.ckpt")
        with pytest.raises(RaveCourseError, match="is no checkpoint of the original RAVE"):
            upstream.read(tmp_path / "other.ckpt")


def test_damage_is_noticed_everywhere(tmp_path: Path) -> None:
    model = VARIANTS["v2"]()
    file = written(model, tmp_path, settings(model.config)) / "version_0/checkpoints/last.ckpt"
    whole = file.read_bytes()
    for place in (0.02, 0.3, 0.6, 0.9):
        damaged = bytearray(whole)
        start = int(place * len(whole))
        damaged[start : start + 64] = bytes(255 - b for b in damaged[start : start + 64])
        file.write_bytes(bytes(damaged))
        with pytest.raises(RaveCourseError, match="cannot be read as a checkpoint"):
            upstream.read(file)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RaveCourseError, match="cannot be read as a checkpoint"):
        upstream.read(file)
    file.write_bytes(b"")
    with pytest.raises(RaveCourseError, match="cannot be read as a checkpoint"):
        upstream.read(file)


class Malicious:
    """Unpickled without care, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.mark}'",)


def test_a_program_in_the_file_is_not_run(tmp_path: Path) -> None:
    mark, file = tmp_path / "it ran", tmp_path / "bad.ckpt"
    for hidden in ("state_dict", "callbacks"):
        torch.save({"state_dict": layout(VARIANTS["v2"]()), "global_step": 1, hidden: Malicious(mark)}, file)
        with pytest.raises(RaveCourseError, match="holds a program part .*system"):
            upstream.read(file)
    file.write_bytes(pickle.dumps(Malicious(mark)))
    with pytest.raises(RaveCourseError):
        upstream.read(file)
    assert not mark.exists()


# Against the original itself ------------------------------------------------------------------------------------------

SMALL = ("CAPACITY=8", "LATENT_SIZE=6")
ORIGINALS = {
    "v1": (("v1",), (), 1),
    "v2": (("v2",), (), 1),
    "raspberry": (("raspberry",), (), 1),
    "v1 narrow": (("v1",), SMALL, 1),
    "v1 causal": (("v1", "causal"), SMALL, 1),
    "v1 stereo": (("v1",), SMALL, 2),
    "v1 other strides": (("v1",), (*SMALL, "RATIOS=[4, 4, 2]", "blocks.NoiseGenerator.ratios=[2, 4, 2]"), 1),
    "v2 noise": (("v2", "noise"), SMALL, 1),
    "v2 causal noise": (("v2", "causal", "noise"), SMALL, 1),
    "v2 stereo noise": (("v2", "noise"), SMALL, 2),
    "v2 small": (("v2_small",), SMALL, 1),
    "v2 small causal": (("v2_small", "causal"), SMALL, 1),
    "v2 other": (("v2",), (*SMALL, "RATIOS=[8, 4, 2]", "DILATIONS=[[1, 5], [1, 2, 4, 8], [3]]"), 1),
}
REFUSED = {
    "wasserstein": (("v2", "wasserstein"), "wasserstein"),
    "discrete": (("discrete",), "discrete"),
    "spherical": (("v2", "spherical"), "spherical"),
    "snake": (("v2", "snake"), "snake"),
    "adain": (("v2", "adain"), "adain"),
    "v3": (("v3",), "adain"),
    "hybrid": (("hybrid",), "spectrogram|recurrent|other latent"),
}


def run_original(project: Path, folder: Path, configs: tuple, overrides: tuple, channels: int = 1, *more: str) -> Path:
    """Let the original build a model and write its run folder."""
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run(["bash", "benchmarks/original_env.sh"], cwd=project, check=True, env=environment)
    command = [
        "build/original-env/bin/python",
        "benchmarks/original.py",
        "make",
        str(folder),
        "--channels",
        str(channels),
        *more,
    ]
    for option, values in (("--config", configs), ("--override", overrides)):
        for value in values:
            command += [option, value]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return folder


def assert_equal_to_peak(ours: Tensor, theirs: Tensor, tolerance: float = 1e-4) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < tolerance * float(theirs.abs().max())


@pytest.mark.original
@pytest.mark.parametrize("name", ORIGINALS)
def test_equals_the_original(name: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = upstream.read(run_original(project, tmp_path, *ORIGINALS[name])).model
    pairs = torch.load(tmp_path / "pairs.pt", weights_only=True)
    audio, samples = pairs["audio"], pairs["audio"].shape[-1]
    late = 256 if model.config.causal else 0  # of the original's bands
    bands = model.split(F.pad(audio, (late, 2048 - late)))[..., : samples // 16]
    assert_equal_to_peak(bands, pairs["bands"])
    assert_equal_to_peak(model.encoder(bands), pairs["encoder_out"])
    decoded = model.decode_bands(pairs["latent"], noise=False)
    assert_equal_to_peak(decoded, pairs["decoded_bands"])
    shift = late + 16
    joined = model.join(decoded)[..., : samples - shift]
    assert_equal_to_peak(joined, pairs["decoded_audio"][..., shift:])
    if "noise" in pairs and model.decoder.noise is not None:
        draw = (2 * pairs["noise"] - 1).transpose(1, 2)
        monkeypatch.setattr(NoiseSynth, "draw", lambda self, a, generator=None: draw)
        noisy = pairs["decoded_bands_with_noise"]
        assert_equal_to_peak(model.decode_bands(pairs["latent"]), noisy)
        assert (noisy - pairs["decoded_bands"]).abs().max() > 1e-3


@pytest.mark.original
@pytest.mark.parametrize("name", REFUSED)
def test_the_originals_other_settings_are_refused(name: str, project: Path, tmp_path: Path) -> None:
    configs, says = REFUSED[name]
    run = run_original(project, tmp_path, configs, ("CAPACITY=8",), 1, "--bare")
    with pytest.raises(RaveCourseError, match=says):
        upstream.read(run)
