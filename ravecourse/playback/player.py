"""Run any nn~ model in Python as nn~ runs it: render a sound block by block.

Notebook: 08, 09.
"""

import copy
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ravecourse import audio as sound
from ravecourse.errors import RaveCourseError
from ravecourse.export import DEFAULT_BUFFER, Model, buffer_size, load
from ravecourse.files import check_not_input
from ravecourse.runtime import threads


class Player:
    """Feeds a method of a model with audio-rate blocks, as nn~ does.

    Of each `in_ratio` input samples the last is kept; each output value is held for `out_ratio` samples.

    Args:
        model: as `load` returns it; the player runs a copy, which starts from silence.
        method: which method.
        buffer: samples of a block; rounded up as nn~ does, see the attribute of the same name.
        batch: how many independent sounds at a time.
    Raises:
        RaveCourseError: no such method, or a buffer that is not possible.
    Source: acids-ircam/nn_tilde, versions 1.3 to 1.6. Notebook: 08.
    """

    def __init__(self, model: Model, method: str = "forward", buffer: int = DEFAULT_BUFFER, batch: int = 1) -> None:
        self.model, self.method, self.batch = model, model.method(method), batch
        self.buffer = buffer_size(model, buffer)
        self._module: torch.jit.ScriptModule | None = None
        self.reset()

    def reset(self) -> None:
        """Start again from silence: by the model's own `reset`, or with a new copy of a model that has none.

        Only exports of this course are known to forget everything in `reset`; in the files of others a method of that
        name may take arguments, fail, or do something else. They are copied anew.

        Notebook: 08.
        """
        module, ours = self._module, "ravecourse" in self.model.metadata
        if module is not None and ours and "reset" in module._c._method_names():
            # The state was made in inference mode; where the file lies about its origin, anything may be raised.
            with torch.inference_mode(), suppress(Exception):
                module.reset()
                return
        self._module = copy.deepcopy(self.model.module)
        self._call = getattr(self._module, self.method.name)

    def process(self, block: Tensor) -> Tensor:
        """One block `[B, in_channels, buffer]` to `[B, out_channels, buffer]`.

        Raises:
            RaveCourseError: the model fails, or its answer has another shape than it promised.
        Source: acids-ircam/nn_tilde. Notebook: 08.
        """
        method = self.method
        x = block[..., method.in_ratio - 1 :: method.in_ratio].contiguous()  # [B, in_channels, N / in_ratio]
        with torch.inference_mode():
            try:
                y = self._call(x)
            except Exception as error:  # the code in a .ts may raise anything
                reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
                raise RaveCourseError(
                    f"The model's `{method.name}` failed on a block of {block.shape[-1]} samples: "
                    f"{reason[0]}. Try another buffer."
                ) from error
            expected = (len(block), method.out_channels, block.shape[-1] // method.out_ratio)
            if not isinstance(y, Tensor) or tuple(y.shape) != expected:
                got = list(y.shape) if isinstance(y, Tensor) else type(y).__name__
                raise RaveCourseError(
                    f"The model's `{method.name}` returned {got} in place of {list(expected)}; "
                    "it breaks the contract of nn~. Export it again."
                )
            return y.repeat_interleave(method.out_ratio, -1) if method.out_ratio > 1 else y


class Rendered(NamedTuple):
    """What `render` made: `audio` [C, T] at `sample_rate`, still `delay_samples` late; and notices for the person.

    Notebook: 08.
    """

    audio: Tensor
    sample_rate: int
    delay_samples: int
    notices: tuple[str, ...]


class RenderedFile(NamedTuple):
    """What `render_file` wrote. `delay_samples` is the delay that is still in it. Notebook: 08."""

    path: Path
    channels: int
    samples: int
    sample_rate: int
    delay_samples: int
    notices: tuple[str, ...]

    @property
    def audio(self) -> Tensor:
        """The file's sound, `[C, T]`, read back. Notebook: 08."""
        return sound.read(self.path)[0]


def play_blocks(player: Player, sounds: Iterable[Tensor], extra: int) -> Iterator[Tensor]:
    """Play sound that comes in pieces through a player, in its blocks, with `extra` samples of silence behind it.

    Args:
        sounds: pieces `[B, in_channels, n]` of any lengths, one after the other.
        extra: at least so many samples come out after the last one that went in.
    Returns:
        blocks `[B, out_channels, buffer]`.
    Notebook: 08.
    """
    rest = torch.zeros(player.batch, player.method.in_channels, 0)
    for piece in sounds:
        rest = torch.cat([rest, piece], -1)
        while rest.shape[-1] >= player.buffer:
            yield player.process(rest[..., : player.buffer])
            rest = rest[..., player.buffer :]
    tail = rest.shape[-1] + extra
    rest = torch.nn.functional.pad(rest, (0, extra + -tail % player.buffer))
    for block in rest.split(player.buffer, -1) if rest.shape[-1] else ():
        yield player.process(block)


@dataclass(frozen=True)
class _Plan:
    """How a recording of some channels and rate goes through a method."""

    rate: int
    mixed_to: int  # channels that the recording is mixed to first
    batch: int
    channels: int  # that come out
    first: int  # samples of the output to leave out at the beginning
    extra: int  # samples of silence behind the recording
    left_in: int  # of the delay
    aligned: bool  # the output is as long as the input
    notices: tuple[str, ...]


def _plan(model: Model, method: str, have: int, sample_rate: int, compensate: bool, per_channel: bool) -> _Plan:
    notices: list[str] = []
    what = model.method(method)
    rate = model.sample_rate or sample_rate
    if rate != sample_rate:
        if what.in_ratio > 1:
            raise RaveCourseError(
                f"These signals for `{method}` are at {sample_rate} Hz and the model runs at {rate} "
                f"Hz. Control signals cannot be resampled: make them at {rate} Hz."
            )
        notices.append(
            f"The recording is at {sample_rate} Hz and the model at {rate} Hz: it was resampled, "
            f"and the output is at {rate} Hz."
        )
    separate = per_channel and what.in_channels == 1
    mixed_to = have if separate else what.in_channels
    if mixed_to > 2 and mixed_to != have:
        raise RaveCourseError(
            f"`{method}` takes {mixed_to} signals and the file has {have}. Give it what `encode` of the same model wrote."
        )
    if have > mixed_to:
        notices.append(f"The recording has {have} channels and the model takes {mixed_to}: they were mixed.")
    elif have < mixed_to:
        notices.append(f"The recording has {have} channel and the model takes {mixed_to}: all get the same.")
    delay = model.delay_samples(method)
    if delay is None:
        notices.append("The file does not say its delay; the output is not lined up with the input.")
    batch = have if separate else 1
    aligned = compensate and delay is not None
    return _Plan(
        rate,
        mixed_to,
        batch,
        batch * what.out_channels,
        (delay or 0) if aligned else 0,
        rate if delay is None else delay,
        0 if aligned else delay or 0,
        aligned,
        tuple(notices),
    )


def _played(
    model: Model, method: str, buffer: int, plan: _Plan, sounds: Iterable[Tensor], seed: int
) -> Iterator[Tensor]:
    """Pieces `[mixed_to, n]` at the model's rate to pieces `[channels, n]`, cut to what is kept."""
    player = Player(model, method, buffer, plan.batch)
    came = went = 0

    def counted() -> Iterator[Tensor]:
        nonlocal came
        for piece in sounds:
            came += piece.shape[-1]
            yield piece.reshape(plan.batch, -1, piece.shape[-1])

    with torch.random.fork_rng(devices=[]), threads(1):
        torch.manual_seed(seed)
        skip = plan.first
        for block in play_blocks(player, counted(), plan.extra):
            block = block[..., skip:].flatten(0, 1)
            skip = max(0, skip - player.buffer)
            longest = came if plan.aligned else came + plan.extra
            # What is still to come is known only at the end; until then every block belongs to the output.
            if went + block.shape[-1] > longest:
                block = block[..., : max(0, longest - went)]
            went += block.shape[-1]
            if block.shape[-1]:
                yield block


def render(
    model: Model,
    audio: Tensor,
    sample_rate: int,
    *,
    method: str = "forward",
    buffer: int = DEFAULT_BUFFER,
    compensate: bool = True,
    per_channel: bool = False,
    seed: int = 0,
) -> Rendered:
    """Play a whole recording through a model, block by block, with silence behind it until the last sample is out.

    Args:
        audio: `[C, T]`.
        sample_rate: of the audio, in Hz; the model's own is used where they differ.
        method, buffer: as for `Player`.
        compensate: take the model's delay off the beginning, so that input and output line up; `T` samples
            come out. Where the file does not say its delay, nothing is taken off, and a second of silence is
            played behind.
        per_channel: run each channel through the model by itself (a mono model on a stereo recording).
        seed: random seed of the draws inside the model.
    Returns:
        audio `[C, T]`, at the model's sample rate.
    Raises:
        RaveCourseError: no such method, channels that do not fit, or the model fails.
    Notebook: 08.
    """
    _check_seed(seed)
    plan = _plan(model, method, len(audio), sample_rate, compensate, per_channel)
    audio = sound.to_channels(sound.resample(audio, sample_rate, plan.rate), plan.mixed_to)
    pieces = list(_played(model, method, buffer, plan, [audio] if audio.shape[-1] else [], seed))
    whole = torch.cat(pieces, -1) if pieces else torch.zeros(plan.channels, 0)
    return Rendered(whole, plan.rate, plan.left_in, plan.notices)


def render_file(
    source: Path | str,
    target: Path | str,
    model: Model | Path | str,
    *,
    method: str = "forward",
    buffer: int = DEFAULT_BUFFER,
    compensate: bool = True,
    per_channel: bool = False,
    seed: int = 0,
) -> RenderedFile:
    """Play a sound file of any length through a model and write what comes out; memory stays flat.

    Latents and other control signals, which go beyond full scale, are written as 32-bit float samples.

    Args:
        source, target: sound files; not the same one.
        model: a loaded model or the path of a `.ts`.
        method, buffer, compensate, per_channel, seed: as for `render`.
    Raises:
        RaveCourseError: a file cannot be read or written, the target is the source or cannot hold the values; see
            `render`.
    Notebook: 08.
    """
    _check_seed(seed)
    model = model if isinstance(model, Model) else load(model)
    check_not_input(target, source, model.path)
    what = model.method(method)
    about = sound.info(source)
    plan = _plan(model, method, about.channels, about.sample_rate, compensate, per_channel)
    expected = round(about.duration_seconds * plan.rate) + (0 if plan.aligned else plan.extra)
    subtype = "FLOAT" if what.out_ratio > 1 else "PCM_24"
    with sound.writer(target, plan.rate, plan.channels, subtype, expected) as file:
        for block in _played(model, method, buffer, plan, sound.blocks(source, plan.rate, plan.mixed_to), seed):
            file.write(block)
    notices = (*plan.notices, *([f"The recording {about.notice}."] if about.notice else []))
    return RenderedFile(Path(target), plan.channels, file.samples, plan.rate, plan.left_in, notices)


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**63:
        raise RaveCourseError(f"The random seed is {seed}; use a whole number from 0 to 2^63 - 1.")
