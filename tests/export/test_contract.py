"""What is read from a `.ts`, and that every breach of the contract is found: one bad module for each."""

import json
import re
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ravecourse.config import preset
from ravecourse.errors import RaveCourseError
from ravecourse.export import contract
from ravecourse.export.exporter import export_model
from ravecourse.model.rave import RAVE

warnings.filterwarnings("ignore", category=DeprecationWarning)


class Base(nn.Module):
    """A good model: passes sound through, times a gain that players can set."""

    def __init__(self, params: tuple[float, ...] = (1, 1, 1, 1)) -> None:
        super().__init__()
        self.register_buffer("forward_params", torch.tensor(params))
        self.register_buffer("gain", torch.ones(1))
        self.register_buffer("gain_params", torch.tensor([2]))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return ["forward"]

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return ["none", "gain"]

    @torch.jit.export
    def get_gain(self) -> list[float]:
        return [float(self.gain.item())]

    @torch.jit.export
    def set_gain(self, level: float) -> int:
        if level >= 0.0:
            self.gain.fill_(min(level, 4.0))
        return 0


class Bare(nn.Module):
    """No get_methods, no attributes, no labels: what counts is `<method>_params`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("encode_params", torch.tensor([1, 1, 3, 128]))
        self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))
        self.register_buffer("unrelated_params", torch.tensor([1, 1, 1, 1]))

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        return x[:, :, 127::128].expand(-1, 3, -1).clone()

    @torch.jit.export
    def helper(self, x: Tensor) -> Tensor:
        return x


def save(module: nn.Module, path: Path, **extra: str) -> contract.Model:
    files = {f"{name}.json": text for name, text in extra.items()}
    torch.jit.save(torch.jit.script(module.eval()), str(path), _extra_files=files)
    return contract.load(path)


def test_good_modules_have_no_problems(tmp_path: Path) -> None:
    assert contract.violations(save(Base(), tmp_path / "a.ts")) == []
    assert contract.violations(save(Bare(), tmp_path / "b.ts")) == []


def test_reads_methods_labels_and_attributes(tmp_path: Path) -> None:
    base = save(Base(), tmp_path / "a.ts", metadata=json.dumps({"sample_rate": 44100, "delay_samples": 7}))
    assert list(base.methods) == ["forward"] and base.smallest_buffer == 64
    assert base.attributes == {"gain": contract.Attribute("gain", ("float",))}  # "none" is no attribute
    assert base.sample_rate == 44100 and base.delay_samples() == 7 and base.delay_samples("encode") is None

    bare = save(Bare(), tmp_path / "b.ts")
    assert set(bare.methods) == {"encode", "forward"} and bare.attributes == {} and bare.metadata == {}
    encode = bare.method("encode")
    assert (encode.in_channels, encode.in_ratio, encode.out_channels, encode.out_ratio) == (1, 1, 3, 128)
    assert encode.output_labels == ("(signal) output 1", "(signal) output 2", "(signal) output 3")
    assert bare.smallest_buffer == 128 and bare.sample_rate is None
    with pytest.raises(RaveCourseError, match="no method 'sing'.*encode"):
        bare.method("sing")


def test_a_model_of_the_course_keeps_the_contract(tmp_path: Path) -> None:
    model = RAVE(preset("tiny", capacity=8, channels=2)).eval()
    export_model(model, tmp_path / "model.ts", latent_size=5, about={"licence": "CC0"})
    loaded = contract.load(tmp_path / "model.ts")
    assert contract.violations(loaded) == []
    assert loaded.metadata["licence"] == "CC0" and loaded.sample_rate == 48000
    assert loaded.delay_samples("encode") == loaded.metadata["encode_delay_frames"] * model.hop_length
    assert loaded.delay_samples() == loaded.delay_samples("encode") + loaded.delay_samples("decode")


class WrongShape(Base):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 1:]


class WrongDtype(Base):
    def forward(self, x: Tensor) -> Tensor:
        return x.double()


class Pair(Base):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class OneBatch(Base):
    def forward(self, x: Tensor) -> Tensor:
        return x[:1] * self.gain


class Raises(Base):
    def forward(self, x: Tensor) -> Tensor:
        assert x.abs().max() < 0.5, "too loud"
        return x


class LogOfSilence(Base):
    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x.abs())


class BlowsUp(Base):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("state", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.state.copy_((self.state + x.abs().max()) * 1e9)
        return x + self.state


class Reassigns(Base):
    """Makes its state anew in a call under inference mode: the setter can no longer write into it."""

    def forward(self, x: Tensor) -> Tensor:
        self.gain = self.gain * 1.0
        return x * self.gain


class Scalar(Base):
    @torch.jit.export
    def get_gain(self) -> float:
        return float(self.gain.item())


class TwoValues(Base):
    @torch.jit.export
    def get_gain(self) -> list[float]:
        return [1.0, 2.0]


class ReturnsOne(Base):
    @torch.jit.export
    def set_gain(self, level: float) -> int:
        return 1


class SetterRaises(Base):
    @torch.jit.export
    def set_gain(self, level: float) -> int:
        assert level >= 0.0, "no negative gain"
        return 0


class NoClamp(Base):
    @torch.jit.export
    def set_gain(self, level: float) -> int:
        self.gain.fill_(level)
        return 0


class HidesIt(Base):
    """Reports a sane value and plays with an insane one."""

    @torch.jit.export
    def get_gain(self) -> list[float]:
        return [1.0]

    @torch.jit.export
    def set_gain(self, level: float) -> int:
        self.gain.fill_(level)
        return 0


class Bool(Base):
    def __init__(self) -> None:
        super().__init__()
        self.gain_params = torch.tensor([0])

    @torch.jit.export
    def get_gain(self) -> list[bool]:
        return [True]

    @torch.jit.export
    def set_gain(self, level: bool) -> int:
        return 0


class BadCode(Base):
    def __init__(self) -> None:
        super().__init__()
        self.gain_params = torch.tensor([9])


class NoSetter(Base):
    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return ["width"]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("width_params", torch.tensor([2]))


class NamesNothing(Base):
    @torch.jit.export
    def get_methods(self) -> list[str]:
        return ["forward", "sing"]


class MethodsAreNumbers(Base):
    @torch.jit.export
    def get_methods(self) -> list[int]:
        return [1]


class Labels(Base):
    def __init__(self) -> None:
        super().__init__()
        self.forward_input_labels = ["left", "right"]


class NoForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("decode_params", torch.tensor([1, 1, 1, 1]))

    @torch.jit.export
    def decode(self, x: Tensor) -> Tensor:
        return x


class Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


BREACHES = [
    (WrongShape(), r"`forward` on silence, batch 1.*shape \[1, 1, 63\] in place of \[1, 1, 64\]"),
    (WrongDtype(), r"torch.float64 in place of float32"),
    (Pair(), r"returned a tuple in place of one tensor"),
    (OneBatch(), r"batch 4.*shape \[1, 1, 64\] in place of \[4"),
    (Raises(), r"full-scale noise.*raised.*too loud"),
    (LogOfSilence(), r"on silence.*not finite"),
    (BlowsUp(), r"full-scale noise.*not finite"),
    (Reassigns(), r"`set_gain` raised"),
    (Scalar(), r"`get_gain` returned a bare float"),
    (TwoValues(), r"`get_gain` returned 2 values; `gain_params` says 1"),
    (ReturnsOne(), r"`set_gain` returned 1 .*players need 0"),
    (SetterRaises(), r"`set_gain` raised for \[-1.0\].*no negative gain"),
    (NoClamp(), r"`set_gain` took \[inf\] as it is|After 'gain' was set to"),
    (HidesIt(), r"After 'gain' was set to \[.*not finite"),
    (Bool(), r"'gain' is a bool"),
    (BadCode(), r"`gain_params` must be a tensor of type codes.*\[9\]"),
    (NoSetter(), r"'width' has no method `get_width` and no `set_width`"),
    (NamesNothing(), r"`get_methods` names 'sing'"),
    (MethodsAreNumbers(), r"`get_methods` must return a list of names"),
    (Labels(), r"`forward_input_labels` must be a list of 1 texts"),
    (NoForward(), r"no method `forward`"),
    (Nothing(), r"nothing to play"),
    (Base((1, 1, 1)), r"must be a tensor of four numbers.*shape \[3\]"),
    (Base((1, 1, 1, 3)), r"ratio of 3.*powers of two"),
    (Base((1, 48, 1, 1)), r"ratio of 48.*powers of two"),
    (Base((0, 1, 1, 1)), r"whole numbers from 1 on"),
    (Base((1.5, 1, 1, 1)), r"whole numbers from 1 on"),
    (Base((1, -2, 1, 1)), r"whole numbers from 1 on"),
    (Base((2, 1, 1, 1)), r"shape \[1, 2, 64\] in place of \[1, 1, 64\]"),
]


@pytest.mark.parametrize(
    "module, sentence", BREACHES, ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else ""
)
def test_every_breach_is_named(module: nn.Module, sentence: str, tmp_path: Path) -> None:
    found = contract.violations(save(module, tmp_path / "bad.ts"))
    assert any(re.search(sentence, problem) for problem in found), found


def test_looking_for_problems_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = save(Base(), tmp_path / "a.ts")
    contract.violations(model)
    assert model.module.get_gain() == [1.0]


@pytest.mark.parametrize("asked, given", [(0, 256), (1, 256), (256, 256), (257, 512), (4096, 4096), (5000, 8192)])
def test_buffer_is_raised_and_rounded_up(asked: int, given: int, tmp_path: Path) -> None:
    model = save(Base((1, 256, 1, 1)), tmp_path / "a.ts")
    assert contract.buffer_size(model, asked) == given


def test_buffer_is_at_least_64_and_within_reason(tmp_path: Path) -> None:
    model = save(Base(), tmp_path / "a.ts")
    assert contract.buffer_size(model, 0) == 64
    for wrong in (-1, 2**21):
        with pytest.raises(RaveCourseError, match=str(wrong)):
            contract.buffer_size(model, wrong)


@pytest.mark.parametrize("reader", [contract.load, contract.read_metadata])
def test_files_that_are_no_models(reader, tmp_path: Path) -> None:
    good = tmp_path / "good.ts"
    save(Base(), good)
    (tmp_path / "text.ts").write_text("hello")
    (tmp_path / "empty.ts").write_bytes(b"")
    (tmp_path / "cut.ts").write_bytes(good.read_bytes()[:-200])
    torch.save({"a": torch.zeros(3)}, tmp_path / "weights.ts")
    with zipfile.ZipFile(tmp_path / "other.ts", "w") as archive:
        archive.writestr("readme.txt", "hello")
    for name, message in {
        "missing.ts": "There is no file",
        ".": "is a folder",
        "text.ts": "no TorchScript",
        "empty.ts": "no TorchScript",
        "cut.ts": "damaged",
        "weights.ts": "holds weights: run `ravecourse export`",
        "other.ts": "no TorchScript",
    }.items():
        with pytest.raises(RaveCourseError, match=message):
            reader(tmp_path / name)


def test_a_flipped_byte_inside_is_noticed(tmp_path: Path) -> None:
    save(Base(), tmp_path / "good.ts")
    data = bytearray((tmp_path / "good.ts").read_bytes())
    place = data.find(b"forward_params") + 3
    data[place] ^= 0xFF
    (tmp_path / "bad.ts").write_bytes(bytes(data))
    with pytest.raises(RaveCourseError, match="damaged"):
        contract.load(tmp_path / "bad.ts")


@pytest.mark.parametrize("text", ["", "not json", "[1, 2]", "3"])
def test_metadata_of_another_kind_is_ignored(text: str, tmp_path: Path) -> None:
    assert save(Base(), tmp_path / "a.ts", metadata=text).metadata == {}


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("value", [0, -1, 1.5, NAN, INF, -INF, 1j, 10**12, 2**40, 2**62])
def test_impossible_channels_and_ratios_are_violations(place: int, value: complex, tmp_path: Path) -> None:
    module = Base()
    params: list[complex] = [1, 1, 1, 1]
    params[place] = value
    module.forward_params = torch.tensor(params)
    model = save(module, tmp_path / "a.ts")
    assert "forward" not in model.methods
    assert any(sentence.startswith("`forward_params` is ") for sentence in contract.violations(model))


@pytest.mark.parametrize(
    "text", ["[" * 200000, '{"notes": ' + "[" * 100000 + "]" * 100000 + "}", '{"a": "' + "x" * 2**21 + '"}']
)
def test_metadata_without_end_are_ignored(text: str, tmp_path: Path) -> None:
    assert save(Base(), tmp_path / "a.ts", metadata=text).metadata == {}
