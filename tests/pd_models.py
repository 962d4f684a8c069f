"""Small TorchScript files for the tests of nn~: good ones, wrong ones and hostile ones."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


def save(module: nn.Module, path: Path) -> Path:
    """Script a module and write it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path


class Base(nn.Module):
    """A model with one method, `forward`."""

    def __init__(self, *params: int) -> None:
        super().__init__()
        self.register_buffer("forward_params", torch.tensor(params or (1, 1, 1, 1)))


class Echo(Base):
    """The sound, and 30 % of it `delay` samples later: remembers what it heard."""

    def __init__(self, channels: int = 1, delay: int = 777) -> None:
        super().__init__(channels, 1, channels, 1)
        self.register_buffer("memory", torch.zeros(1, channels, delay))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.memory, x], 2)
        self.memory.copy_(y[:, :, y.size(2) - self.memory.size(2) :])
        return x + 0.3 * y[:, :, : x.size(2)]


class Analyse(nn.Module):
    """Two methods of different ratios: `encode` gives the mean and the peak of every 256 samples, `decode` ramps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("encode_params", torch.tensor([channels, 1, 2 * channels, 256]))
        self.register_buffer("decode_params", torch.tensor([2 * channels, 256, channels, 1]))
        self.register_buffer("forward_params", torch.tensor([channels, 1, channels, 1]))
        self.register_buffer("ramp", torch.linspace(0, 1, 256))

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return ["encode", "decode", "forward"]

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        frames = x.view(x.size(0), self.channels, -1, 256)
        return torch.cat([frames.mean(3), frames.abs().amax(3)], 1)

    @torch.jit.export
    def decode(self, z: Tensor) -> Tensor:
        shaped = z[:, : self.channels, :, None] + z[:, self.channels :, :, None] * self.ramp
        return shaped.reshape(z.size(0), self.channels, -1)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class Settings(Base):
    """Attributes of every type, and setters that misbehave."""

    gain: float
    on: bool
    steps: int
    label: str
    curve: list[float]

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.on, self.steps, self.label, self.curve = 1.0, True, 3, "warm", [1.0]
        self.register_buffer("offset", torch.zeros(2))
        for name, code in {
            "gain": 2,
            "on": 0,
            "steps": 1,
            "label": 3,
            "curve": 2,
            "offset": 4,
            "refuses": 2,
            "raises": 2,
            "answers": 2,
            "silent": 2,
        }.items():
            self.register_buffer(f"{name}_params", torch.tensor([code]))

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return [
            "none",
            "gain",
            "on",
            "steps",
            "label",
            "curve",
            "offset",
            "refuses",
            "raises",
            "answers",
            "silent",
            "absent",
        ]

    @torch.jit.export
    def get_gain(self) -> list[float]:
        return [self.gain]

    @torch.jit.export
    def set_gain(self, value: float) -> int:
        self.gain = value
        return 0

    @torch.jit.export
    def get_on(self) -> bool:
        return self.on

    @torch.jit.export
    def set_on(self, value: bool) -> int:
        self.on = value
        return 0

    @torch.jit.export
    def get_steps(self) -> tuple[int, float]:
        return self.steps, 0.5

    @torch.jit.export
    def set_steps(self, value: int, other: float) -> int:
        self.steps = value
        return 0

    @torch.jit.export
    def get_label(self) -> list[str]:
        return [self.label]

    @torch.jit.export
    def set_label(self, value: str) -> int:
        self.label = value
        return 0

    @torch.jit.export
    def get_curve(self) -> list[float]:
        return self.curve

    @torch.jit.export
    def set_curve(self, value: list[float]) -> int:
        self.curve = value
        return 0

    @torch.jit.export
    def get_offset(self) -> Tensor:
        return self.offset

    @torch.jit.export
    def set_offset(self, value: Tensor) -> int:
        self.offset = value
        return 0

    @torch.jit.export
    def get_refuses(self) -> list[float]:
        return [0.0]

    @torch.jit.export
    def set_refuses(self, value: float) -> int:
        return -1

    @torch.jit.export
    def get_raises(self) -> list[float]:
        raise ValueError("no value today")

    @torch.jit.export
    def set_raises(self, value: float) -> int:
        raise ValueError("never that value")

    @torch.jit.export
    def get_answers(self) -> float:
        return 4.0

    @torch.jit.export
    def set_answers(self, value: float) -> str:
        return "thanks"

    @torch.jit.export
    def get_silent(self) -> list[float]:
        return [1.0]

    @torch.jit.export
    def set_silent(self, value: float) -> None:
        self.gain = value

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


class Wrong(Base):
    """A model whose call does something that it must not."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        if self.what == "nan":
            return x / torch.zeros_like(x) * 0.0
        if self.what == "infinite":
            return x / 0.0
        if self.what == "raises":
            raise ValueError("not today")
        if self.what == "later":
            assert self.count < 10, "had enough"
        if self.what == "short":
            return x[:, :, 1:]
        if self.what == "long":
            return torch.cat([x, x], 2)
        if self.what == "wide":
            return torch.cat([x, x], 1)
        if self.what == "flat":
            return x[0, 0]
        if self.what == "empty":
            return x[:, :, :0]
        if self.what == "whole":
            return (1000 * x).to(torch.int64)
        if self.what == "double":
            return x.double()
        if self.what == "strided":
            return x.transpose(1, 2).contiguous().transpose(1, 2)
        if self.what == "memory":
            return torch.zeros([1 << 50])
        if self.what == "in place":
            return x.mul_(2.0)
        return x


class Pair(Base):
    """Returns two tensors in place of one."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Keeps(Base):
    """Plays the block before: keeps the very tensor that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("before", torch.zeros(1, 1, 64))

    def forward(self, x: Tensor) -> Tensor:
        y = self.before if self.before.size(2) == x.size(2) else torch.zeros_like(x)
        self.before = x
        return y


class Named(Base):
    """get_methods() is given, whatever it says."""

    def __init__(self, methods: list[str], *params: int, raises: bool = False) -> None:
        super().__init__(*params)
        self.methods = torch.jit.Attribute(methods, list[str])
        self.raises = raises

    @torch.jit.export
    def get_methods(self) -> list[str]:
        assert not self.raises, "no list today"
        return self.methods

    def forward(self, x: Tensor) -> Tensor:
        return x


class Params(nn.Module):
    """forward_params is whatever is given."""

    def __init__(self, params: Tensor) -> None:
        super().__init__()
        self.register_buffer("forward_params", params)

    def forward(self, x: Tensor) -> Tensor:
        return x


class Delay(Base):
    """The sound itself, `delay` samples later."""

    def __init__(self, delay: int) -> None:
        super().__init__()
        self.register_buffer("memory", torch.zeros(1, 1, delay))
        self.register_buffer("noise_params", torch.tensor([2]))

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return ["noise"]

    @torch.jit.export
    def get_noise(self) -> list[float]:
        return [0.0]

    @torch.jit.export
    def set_noise(self, value: float) -> int:
        return 0

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.memory, x], 2)
        self.memory.copy_(y[:, :, x.size(2) :])
        return y[:, :, : x.size(2)]


class Slow(Base):
    """The sound, after a lot of computing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("work", torch.eye(400))

    def forward(self, x: Tensor) -> Tensor:
        y = self.work
        for _ in range(60):
            y = y @ self.work
        return x * y[0, 0]
