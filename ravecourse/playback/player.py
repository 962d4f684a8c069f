"""Run any nn~ model in Python as nn~ runs it: render a sound block by block, and measure whether it keeps up.

Notebook: 08, 09.
"""

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ravecourse import audio as sound
from ravecourse.errors import RaveCourseError
from ravecourse.export import DEFAULT_BUFFER, Model, buffer_size, load
from ravecourse.runtime import threads

MARGIN = 0.8  # share of the deadline that a safe buffer may take
LARGEST_BUFFER = 16384
WARM_UP_CALLS = 4


class Player:
    """Feeds a method of a model with audio-rate blocks, as nn~ does.

    Of each `in_ratio` input samples the last is kept; each output value is held for `out_ratio` samples.

    Args:
        model: what `tsfile.load` gave; the player runs a copy, which starts from silence.
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
        self.reset()

    def reset(self) -> None:
        """Start again from silence. Source: this course. Notebook: 08."""
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


@dataclass(frozen=True, eq=False)
class Rendered:
    """What came out: `audio` [C, T] at `sample_rate`, still `delay_samples` late; and what a person should
    know.

    Source: this course. Notebook: 08.
    """

    audio: Tensor
    sample_rate: int
    delay_samples: int
    notices: tuple[str, ...]


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
    """Play a whole recording through a model, block by block, with silence behind it until the last sample is
    out.

    Args:
        audio: `[C, T]`.
        sample_rate: of the audio, in Hz; the model's own is used where they differ.
        method, buffer: as for `Player`.
        compensate: take the model's delay off the beginning, so that input and output line up; `T` samples
            come out. Where the file does not say its delay, nothing is taken off, and a second of silence is
            played behind.
        per_channel: run each channel through the model by itself (a mono model on a stereo recording).
        seed: of the random draws inside the model.
    Returns:
        audio `[C, T]`, at the model's sample rate.
    Raises:
        RaveCourseError: no such method, channels that do not fit, or the model fails.
    Source: this course. Notebook: 08.
    """
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
        audio = sound.resample(audio, sample_rate, rate)
    batches = _fit_channels(audio, what.in_channels, method, per_channel, notices)  # [B, in_channels, T]

    delay = model.delay_samples(method)
    if delay is None:
        notices.append("The file does not say its delay; the output is not lined up with the input.")
    length = batches.shape[-1]
    tail = rate if delay is None else delay
    player = Player(model, method, buffer, len(batches))
    padded = torch.nn.functional.pad(batches, (0, tail + -(length + tail) % player.buffer))
    with torch.random.fork_rng(devices=[]), threads(1):
        torch.manual_seed(seed)
        out = (
            torch.cat([player.process(block) for block in padded.split(player.buffer, -1)], -1)
            if length
            else torch.zeros(len(batches), what.out_channels, 0)
        )
    first = delay if compensate and delay is not None else 0
    end = first + length if compensate and delay is not None else length + tail
    return Rendered(out[..., first:end].flatten(0, 1), rate, (delay or 0) - first, tuple(notices))


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
) -> Rendered:
    """Play a sound file through a model and write what comes out; arguments as for `render`.

    Latents and other control signals, which go beyond full scale, are written as 32-bit float samples.

    Raises:
        RaveCourseError: a file cannot be read or written; see `render`.
    Source: this course. Notebook: 08.
    """
    model = model if isinstance(model, Model) else load(model)
    what = model.method(method)
    audio, rate = sound.read(source)
    done = render(
        model,
        audio,
        rate,
        method=method,
        buffer=buffer,
        compensate=compensate,
        per_channel=per_channel,
        seed=seed,
    )
    sound.write(target, done.audio, done.sample_rate, "FLOAT" if what.out_ratio > 1 else "PCM_24")
    return done


def _fit_channels(audio: Tensor, wanted: int, method: str, per_channel: bool, notices: list[str]) -> Tensor:
    """`[C, T]` to `[B, wanted, T]`."""
    have = len(audio)
    if per_channel and wanted == 1:
        return audio[:, None]
    if have == wanted:
        return audio[None]
    if wanted > 2:
        raise RaveCourseError(
            f"`{method}` takes {wanted} signals and the file has {have}. Give it what `encode` of the same model wrote."
        )
    if have > wanted:
        notices.append(f"The recording has {have} channels and the model takes {wanted}: they were mixed.")
    else:
        notices.append(f"The recording has {have} channel and the model takes {wanted}: all get the same.")
    return sound.to_channels(audio, wanted)[None]


@dataclass(frozen=True)
class Measurement:
    """How long a method took for blocks of `buffer` samples on this machine, with one thread.

    Times are in milliseconds. `real_time_factor` is the time that the sound lasts over the time that
    computing it
    took: above 1 it keeps up on average; `p99_ms` below `deadline_ms` it keeps up in all but one block of a
    hundred.
    Source: this course. Notebook: 09.
    """

    method: str
    buffer: int
    blocks: int
    median_ms: float
    p99_ms: float
    deadline_ms: float
    real_time_factor: float

    def safe(self, margin: float = MARGIN) -> bool:
        """Whether all but one block of a hundred take less than `margin` of the deadline. Notebook: 09."""
        return self.p99_ms < margin * self.deadline_ms


def measure(
    model: Model, method: str = "forward", buffer: int = DEFAULT_BUFFER, seconds: float = 2.0, batch: int = 1
) -> Measurement:
    """Time a method block by block on quiet noise, on a copy, after warming up another copy.

    Args:
        method, buffer, batch: as for `Player`.
        seconds: of computing, above 0; at least 30 blocks are timed.
    Raises:
        RaveCourseError: no such method, or the model fails.
    Source: this course. Notebook: 09.
    """
    player = Player(model, method, buffer, batch)
    rate = model.sample_rate or 48000
    generator = torch.Generator().manual_seed(0)
    block = 0.1 * torch.randn(batch, player.method.in_channels, player.buffer, generator=generator)
    times: list[float] = []
    with threads(1), torch.random.fork_rng(devices=[]):
        for _ in range(WARM_UP_CALLS):  # the first calls compile: ten to fifty times slower than the rest
            player.process(block)
        player.reset()
        player.process(block)
        end = time.perf_counter() + seconds
        while len(times) < 30 or time.perf_counter() < end:
            start = time.perf_counter()
            player.process(block)
            times.append(time.perf_counter() - start)
    spent = torch.tensor(times, dtype=torch.float64) * 1000
    deadline = 1000 * player.buffer / rate
    return Measurement(
        method,
        player.buffer,
        len(times),
        float(spent.median()),
        float(spent.quantile(0.99)),
        deadline,
        deadline / float(spent.mean()),
    )


def measure_buffers(
    model: Model,
    method: str = "forward",
    margin: float = MARGIN,
    seconds: float = 1.0,
    largest: int = LARGEST_BUFFER,
) -> list[Measurement]:
    """Measure buffers from the smallest possible on, doubling, until one is safe or `largest` is passed.

    Raises:
        RaveCourseError: as `measure`.
    Source: this course. Notebook: 09.
    """
    found, buffer = [], model.smallest_buffer
    while not found or (not found[-1].safe(margin) and buffer <= largest):
        found.append(measure(model, method, buffer, seconds))
        buffer *= 2
    return found


def smallest_safe_buffer(
    model: Model,
    method: str = "forward",
    margin: float = MARGIN,
    seconds: float = 1.0,
    largest: int = LARGEST_BUFFER,
) -> int | None:
    """The smallest power of two of samples that this machine computes in time, or None where none up to
    `largest` is.

    In time: all but one block of a hundred take less than `margin` of the time that the block lasts.

    Raises:
        RaveCourseError: as `measure`.
    Source: this course. Notebook: 09.
    """
    last = measure_buffers(model, method, margin, seconds, largest)[-1]
    return last.buffer if last.safe(margin) else None
