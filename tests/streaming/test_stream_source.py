"""The source and its pitch analysis, block by block: equal to offline, with a phase that never drifts."""

import io

import pytest
import torch
from helpers import realistic, tone

from ravecourse.config import preset
from ravecourse.model import RAVE, source
from ravecourse.streaming import StreamingRAVE
from ravecourse.streaming.source import StreamControls, StreamSource

SIZES = [(1,), (2, 1), (3, 8, 1, 4), (16,)]  # of blocks, in hops


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def driven(name: str = "tiny", **options: object) -> RAVE:
    return realistic(RAVE(preset(name, **{"capacity": 8, "latent_size": 6, "noise_capacity": 12, **options})), 3)


def sung(stream: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """What a streaming source makes of rows of latents, as a streaming model calls it."""
    return stream(source.scaled(rows), rows[..., :1], source.rms_of(rows[..., 1:2]))


def melody(samples: int, channels: int = 1, seed: int = 0) -> torch.Tensor:
    """A gliding tone, noise, a jump of pitch, silence, another tone: [2, C, T], different in both members."""
    generator = torch.Generator().manual_seed(seed)
    part = samples // 5
    glide = tone(110 * 2 ** torch.linspace(0, 1.5, part))
    noise = 0.1 * torch.randn(1, part, generator=generator)
    high, low = tone(torch.full((part,), 590.0)), tone(torch.full((samples - 4 * part,), 83.0))
    one = torch.cat([glide, noise, high, torch.zeros(1, part), low], 1)
    return torch.stack([one.expand(channels, -1), one.flip(1).expand(channels, -1)])


def blocks(method, x: torch.Tensor, sizes: tuple[int, ...], unit: int, axis: int = -1) -> torch.Tensor:
    parts, start, turn = [], 0, 0
    while start < x.shape[axis]:
        size = min(sizes[turn % len(sizes)] * unit, x.shape[axis] - start)
        parts.append(method(x.narrow(axis, start, size)))
        start, turn = start + size, turn + 1
    return torch.cat(parts, axis if axis > 0 else -1)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", ["tiny", "low_latency", "small"])
def test_pitch_and_loudness_are_equal_to_the_bit(name: str, sizes: tuple[int, ...]) -> None:
    model = driven(name)
    audio = melody(96 * model.hop_length)
    stream = StreamControls(model.controls)
    rows = torch.cat(
        [stream(part) for part in audio.split([s * model.hop_length for s in sizes * (96 // sum(sizes))], -1)], 1
    )
    offline = model.controls(audio).transpose(1, 2)[:, : rows.shape[1] - stream.delay_out]
    assert (offline[..., 0] > 0).float().mean() > 0.5
    assert torch.equal(rows[:, stream.delay_out :], offline)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_the_source_equals_offline(causal: bool, channels: int, sizes: tuple[int, ...]) -> None:
    model = driven(causal=causal, channels=channels)
    latents = model.encode(melody(96 * model.hop_length, channels))[0]
    stream = StreamSource(model.source)
    rows = latents.transpose(1, 2)
    got = torch.cat([sung(stream, part) for part in rows.split([*sizes * (96 // sum(sizes))], 1)], -1)
    wanted = model.source(latents)
    assert (stream.delay_out == 0) == causal
    assert wanted.abs().max() > 0.05
    length = got.shape[-1] - stream.delay_out
    torch.testing.assert_close(got[..., stream.delay_out :], wanted[..., :length], rtol=0, atol=1e-5)
    assert not got[..., : stream.delay_out].any()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", ["tiny", "low_latency", "small"])
def test_the_whole_model_follows_a_melody(name: str, sizes: tuple[int, ...]) -> None:
    model = driven(name)
    audio = melody(96 * model.hop_length)
    audio[..., 40 * model.hop_length : 52 * model.hop_length] = 0  # the bands and the source fall silent and return
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    wanted, delay = model(audio, noise=False), stream.delay_samples
    for _ in range(2):
        got = blocks(stream, audio, sizes, model.hop_length)
        torch.testing.assert_close(got[..., delay:], wanted[..., : wanted.shape[-1] - delay], rtol=0, atol=1e-5)
        stream.reset()  # to the bit as if just made, phase included


def test_an_hour_does_not_drift() -> None:
    """The stream's phase after an hour is the phase that the pitch asks for, to a millionth of a period."""
    model = driven(harmonics=1, source_capacity=1)
    stream = StreamSource(model.source)
    note, frames, turns = 81.37, 4096, 165
    rows = torch.zeros(1, frames, model.config.latents)
    rows[..., 0] = note
    for _ in range(turns):
        sung(stream, rows)
    hertz = float(source.note_to_hertz(rows[0, 0, 0].double()))
    samples = (turns * frames - stream.delay_out // model.hop_length) * model.hop_length
    assert samples / model.sample_rate > 3600
    wanted = (hertz * samples / model.sample_rate) % 1.0
    assert abs((float(stream.phase) - wanted + 0.5) % 1.0 - 0.5) < 1e-6


def test_it_scripts_and_a_change_of_batch_starts_anew() -> None:
    model = driven()
    latents = model.encode(melody(32 * model.hop_length))[0].transpose(1, 2)
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(StreamSource(model.source)), buffer)
    buffer.seek(0)
    scripted = torch.jit.load(buffer)
    fresh = sung(StreamSource(model.source), latents)
    sung(scripted, latents[:1])
    torch.testing.assert_close(sung(scripted, latents), fresh, rtol=0, atol=1e-5)
