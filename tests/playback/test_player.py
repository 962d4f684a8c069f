"""Playing a `.ts` block by block gives what NumPy computes directly, for every block size and ratio."""

import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import realistic, signal
from torch import Tensor, nn

from ravecourse import audio as sound
from ravecourse.config import preset
from ravecourse.errors import RaveCourseError
from ravecourse.export import contract
from ravecourse.export.exporter import export_model
from ravecourse.model.rave import RAVE
from ravecourse.playback import benchmark
from ravecourse.playback import player as realtime

RATE = 8000


class Gain(nn.Module):
    """Channels times 1, 2, 3 ..."""

    def __init__(self, channels: int, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.register_buffer("forward_params", torch.tensor([channels, 1, channels, 1]))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain * (1 + torch.arange(x.size(1)))[:, None]


class Late(nn.Module):
    """Sound, some samples late, whatever the block size."""

    def __init__(self, channels: int, delay: int) -> None:
        super().__init__()
        self.delay = delay
        self.register_buffer("forward_params", torch.tensor([channels, 1, channels, 1]))
        self.register_buffer("memory", torch.zeros(1, channels, delay))

    def forward(self, x: Tensor) -> Tensor:
        if self.memory.size(0) != x.size(0):
            self.memory.resize_(x.size(0), self.memory.size(1), self.delay).zero_()
        x = torch.cat([self.memory, x], 2)
        self.memory.copy_(x[:, :, x.size(2) - self.delay :])
        return x[:, :, : x.size(2) - self.delay]


class Ratios(nn.Module):
    """Down or up: takes values at one ratio and gives values at another, by picking the last or repeating."""

    def __init__(self, in_ratio: int, out_ratio: int) -> None:
        super().__init__()
        self.step = max(out_ratio // in_ratio, 1)
        self.repeats = max(in_ratio // out_ratio, 1)
        self.register_buffer("change_params", torch.tensor([2, in_ratio, 2, out_ratio]))
        self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def change(self, x: Tensor) -> Tensor:
        return -x[:, :, :: self.step].repeat_interleave(self.repeats, 2)


class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.rand_like(x)


class ResetWithArgument(Late):
    @torch.jit.export
    def reset(self, level: int) -> None:
        self.memory.fill_(level)


class ResetThatFails(Late):
    @torch.jit.export
    def reset(self) -> None:
        assert self.delay < 0, "not today"


class ResetOfSomethingElse(Late):
    @torch.jit.export
    def reset(self) -> None:
        pass


class ResetInPlace(Late):
    @torch.jit.export
    def reset(self) -> None:
        self.memory.zero_()


class Moody(nn.Module):
    """Breaks its promise once it hears something."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))

    def forward(self, x: Tensor) -> Tensor:
        assert x.abs().max() < 2.0, "too much"
        return x if x.abs().max() < 1.0 else x[:, :, 1:]


def save(module: nn.Module, folder: Path, **metadata: object) -> contract.Model:
    path = folder / "model.ts"
    extra = {contract_name: json.dumps(metadata) for contract_name in ["metadata.json"] if metadata}
    torch.jit.save(torch.jit.script(module.eval()), str(path), _extra_files=extra)
    return contract.load(path)


def noise(channels: int, samples: int, seed: int = 0) -> Tensor:
    return torch.rand(channels, samples, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_gain_equals_numpy(channels: int, tmp_path: Path) -> None:
    model = save(Gain(channels, 0.5), tmp_path, delay_samples=0, sample_rate=RATE)
    for buffer, length in itertools.product([0, 64, 100, 512, 4096], [0, 1, 63, 64, 65, 1000, 5000]):
        x = noise(channels, length)
        done = realtime.render(model, x, RATE, buffer=buffer)
        expected = x.numpy() * 0.5 * np.arange(1, channels + 1)[:, None]
        np.testing.assert_array_equal(done.audio.numpy(), expected.astype(np.float32))
        assert done.sample_rate == RATE and done.notices == () and done.delay_samples == 0


@pytest.mark.parametrize("delay", [1, 64, 777, 5000])
def test_delay_is_taken_off_or_left_and_the_tail_comes_out(delay: int, tmp_path: Path) -> None:
    model = save(Late(2, delay), tmp_path, delay_samples=delay, sample_rate=RATE)
    for buffer, length in itertools.product([64, 1024], [1, 640, 3001]):
        x = noise(2, length)
        lined_up = realtime.render(model, x, RATE, buffer=buffer)
        np.testing.assert_array_equal(lined_up.audio.numpy(), x.numpy())
        assert lined_up.delay_samples == 0
        late = realtime.render(model, x, RATE, buffer=buffer, compensate=False)
        np.testing.assert_array_equal(late.audio.numpy(), np.pad(x.numpy(), ((0, 0), (delay, 0))))
        assert late.delay_samples == delay


def test_unknown_delay_is_said_and_a_second_of_tail_is_kept(tmp_path: Path) -> None:
    model = save(Late(1, 300), tmp_path)
    x = noise(1, 1000)
    done = realtime.render(model, x, RATE)
    np.testing.assert_array_equal(done.audio.numpy(), np.pad(x.numpy(), ((0, 0), (300, RATE - 300))))
    assert any("does not say its delay" in notice for notice in done.notices)


@pytest.mark.parametrize("in_ratio", [1, 2, 16, 128])
@pytest.mark.parametrize("out_ratio", [1, 4, 128, 256])
def test_ratios_keep_the_last_sample_and_hold_the_output(in_ratio: int, out_ratio: int, tmp_path: Path) -> None:
    model = save(Ratios(in_ratio, out_ratio), tmp_path, delay_samples=0)
    for buffer in (256, 1024):
        x = noise(2, 3 * buffer)
        player = realtime.Player(model, "change", buffer)
        assert player.buffer == buffer
        got = torch.cat([player.process(block) for block in x[None].split(buffer, -1)], -1)[0].numpy()
        kept = x.numpy()[:, in_ratio - 1 :: in_ratio]  # the last sample of each input frame
        step, repeats = max(out_ratio // in_ratio, 1), max(in_ratio // out_ratio, 1)
        values = -kept[:, ::step] if step > 1 else -np.repeat(kept, repeats, 1)
        np.testing.assert_array_equal(got, np.repeat(values, out_ratio, 1))


def test_encode_then_decode_equals_forward(tmp_path: Path) -> None:
    """Latents in a file, played back through `decode`, give `forward`, and both the offline model."""
    model = realistic(RAVE(preset("tiny", capacity=8, latent_size=4)))
    export_model(model, tmp_path / "model.ts", about={})
    loaded = contract.load(tmp_path / "model.ts")
    loaded.module.set_noise(0.0)
    x = 0.4 * signal(30 * model.hop_length)[0]  # so that nothing is limited in the file
    sound.write(tmp_path / "in.wav", x, 48000, "FLOAT")
    forward = realtime.render(loaded, x, 48000, buffer=512).audio
    realtime.render_file(tmp_path / "in.wav", tmp_path / "latents.wav", loaded, method="encode", buffer=2048)
    assert sound.info(tmp_path / "latents.wav").channels == 6
    realtime.render_file(tmp_path / "latents.wav", tmp_path / "out.wav", loaded, method="decode", buffer=256)
    decoded, rate = sound.read(tmp_path / "out.wav")
    assert rate == 48000 and decoded.shape == forward.shape == x.shape
    with torch.no_grad():  # silence follows, where the offline model would pad its layers with zeros
        offline = model(torch.nn.functional.pad(x[None], (0, 64 * model.hop_length)), noise=False)[0, :, : x.shape[1]]
    assert float(offline.abs().max()) > 0.1
    assert float((forward - offline).abs().max()) < 1e-5
    same = x.shape[1] - loaded.delay_samples("decode")  # after that, no more latents come
    assert float((decoded - offline)[:, :same].abs().max()) < 1e-5 + 2**-22  # 24-bit samples


def test_channels_are_mapped_with_a_notice(tmp_path: Path) -> None:
    mono, x = save(Gain(1, 1.0), tmp_path, delay_samples=0), noise(2, 500)
    mixed = realtime.render(mono, x, RATE)
    np.testing.assert_allclose(mixed.audio.numpy(), x.numpy().mean(0, keepdims=True), atol=1e-7)
    assert "2 channels and the model takes 1" in mixed.notices[0]
    each = realtime.render(mono, x, RATE, per_channel=True)
    np.testing.assert_array_equal(each.audio.numpy(), x.numpy())
    assert each.notices == ()

    stereo = save(Gain(2, 1.0), tmp_path, delay_samples=0)
    doubled = realtime.render(stereo, x[:1], RATE)
    np.testing.assert_array_equal(doubled.audio.numpy(), x[:1].numpy() * [[1], [2]])
    assert "all get the same" in doubled.notices[0]

    many = save(Gain(5, 1.0), tmp_path, delay_samples=0)
    with pytest.raises(RaveCourseError, match="takes 5 signals and the file has 2"):
        realtime.render(many, x, RATE)


@pytest.mark.parametrize("model_rate", [4000, 16000, 11025])
def test_another_sample_rate_is_resampled_with_a_notice(model_rate: int, tmp_path: Path) -> None:
    model = save(Gain(1, 1.0), tmp_path, delay_samples=0, sample_rate=model_rate)
    tone = torch.sin(2 * math.pi * 440 * torch.arange(RATE) / RATE)[None]
    done = realtime.render(model, tone, RATE)
    assert done.sample_rate == model_rate and f"{RATE} Hz and the model at {model_rate} Hz" in done.notices[0]
    assert done.audio.shape[1] == model_rate
    expected = np.sin(2 * np.pi * 440 * np.arange(model_rate) / model_rate)
    middle = slice(model_rate // 10, -model_rate // 10)
    np.testing.assert_allclose(done.audio[0].numpy()[middle], expected[middle], atol=1e-3)


def test_control_signals_are_never_resampled(tmp_path: Path) -> None:
    model = save(Ratios(16, 1), tmp_path, sample_rate=16000)
    with pytest.raises(RaveCourseError, match="cannot be resampled"):
        realtime.render(model, noise(2, 100), RATE, method="change")


def test_random_draws_follow_the_seed_and_leave_the_global_one_alone(tmp_path: Path) -> None:
    model, x = save(Random(), tmp_path, delay_samples=0), noise(1, 1000)
    before = torch.random.get_rng_state()
    one, same, other = (realtime.render(model, x, RATE, seed=s).audio for s in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    benchmark.measure(model, buffer=64, seconds=0.01)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_model_that_breaks_its_promise_is_told(tmp_path: Path) -> None:
    model = save(Moody(), tmp_path, delay_samples=0)
    with pytest.raises(RaveCourseError, match=r"failed on a block of 64 samples.*too much"):
        realtime.render(model, 3 + noise(1, 100), RATE, buffer=64)
    with pytest.raises(RaveCourseError, match=r"returned \[1, 1, 63\] in place of \[1, 1, 64\]"):
        realtime.render(model, torch.ones(1, 100), RATE, buffer=64)


@pytest.mark.parametrize("kind", [Late, ResetWithArgument, ResetThatFails, ResetOfSomethingElse, ResetInPlace])
def test_after_reset_a_model_of_others_is_as_if_just_loaded(kind: type[Late], tmp_path: Path) -> None:
    """Whatever their method of that name takes or does."""
    model, x = save(kind(1, 5), tmp_path), noise(1, 64)[None]
    player = realtime.Player(model, buffer=64)
    first = player.process(x)
    assert not torch.equal(player.process(x), first)
    player.reset()
    assert torch.equal(player.process(x), first)
    assert realtime.render(model, x[0], RATE).audio.isfinite().all()
    assert benchmark.measure(model, buffer=64, seconds=0.001).blocks >= 30


def test_threads_come_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    with realtime.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(ValueError), realtime.threads(before + 1):
        raise ValueError
    assert torch.get_num_threads() == before


class Slow(nn.Module):
    """Computes for a time that grows with the block, or not."""

    def __init__(self, per_call: int) -> None:
        super().__init__()
        self.per_call = per_call
        self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))
        self.register_buffer("work", torch.full((128, 128), 1e-3))
        self.register_buffer("heard", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.work
        for _ in range(self.per_call):
            y = torch.mm(y, self.work)
        self.heard.add_(1.0)
        return x + y.sum() * 0.0


def test_measuring_counts_and_leaves_the_model_alone(tmp_path: Path) -> None:
    model = save(Slow(50), tmp_path, sample_rate=48000)
    found = benchmark.measure(model, buffer=1000, seconds=0.2)
    assert found.buffer == 1024 and found.deadline_ms == pytest.approx(1024 / 48)
    assert found.blocks >= 30 and 0 < found.median_ms <= found.p99_ms
    assert found.real_time_factor <= found.deadline_ms / found.median_ms * 1.5
    assert float(model.module.heard) == 0


def test_more_work_measures_as_slower(tmp_path: Path) -> None:
    quick = benchmark.measure(save(Slow(2), tmp_path), buffer=64, seconds=0.1)
    slow = benchmark.measure(save(Slow(100), tmp_path), buffer=64, seconds=0.1)
    assert slow.median_ms > 5 * quick.median_ms
    assert slow.real_time_factor < quick.real_time_factor / 5


def test_smallest_safe_buffer_is_where_the_work_fits(tmp_path: Path) -> None:
    """Work that takes a fixed time a call fits into a long block and not into a short one."""
    model = save(Slow(20), tmp_path, sample_rate=192_000)
    found = benchmark.measure_buffers(model, seconds=0.1)
    assert [m.buffer for m in found] == [64 * 2**i for i in range(len(found))]
    assert not any(m.safe() for m in found[:-1])
    assert found[-1].safe() or found[-1].buffer == benchmark.LARGEST_BUFFER
    hopeless = save(Slow(200), tmp_path, sample_rate=768_000)
    assert benchmark.smallest_safe_buffer(hopeless, seconds=0.05, largest=128) is None
    easy = save(Slow(1), tmp_path, sample_rate=8000)
    assert benchmark.smallest_safe_buffer(easy, seconds=0.05) in (64, 128)


# --- long files, and files that are read ------------------------------------------------------------------------------


MEMORY = """
import resource, sys, torch
torch.set_num_threads(1)
from ravecourse.export import load
from ravecourse.playback import render_file
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
model = load(sys.argv[1])
render_file(sys.argv[2], sys.argv[4], model, method=sys.argv[5])
before = peak()
render_file(sys.argv[3], sys.argv[4], model, method=sys.argv[5])
print(peak() - before)
"""


@pytest.mark.parametrize("method", ["forward", "encode"])
def test_memory_is_flat_over_a_long_file(method: str, tmp_path: Path) -> None:
    """Half an hour takes no more than ten seconds do: it used to take 0.2 to 0.4 GB a minute."""
    model = RAVE(preset("tiny", capacity=4, sample_rate=8000)).eval()
    export_model(model, tmp_path / "m.ts", latent_size=8, about={})
    second = 0.1 * torch.randn(1, 8000)
    for name, seconds in (("short.wav", 10), ("long.wav", 1800)):
        with sound.writer(tmp_path / name, 8000, 1, "PCM_16") as file:
            for _ in range(seconds):
                file.write(second)
    command = [sys.executable, "-c", MEMORY, *(str(tmp_path / n) for n in ("m.ts", "short.wav", "long.wav", "o.wav"))]
    ran = subprocess.run([*command, method], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 40, "MB more than for ten seconds"
    assert sound.info(tmp_path / "o.wav").duration_seconds == pytest.approx(1800)


def spellings(folder: Path, file: Path) -> list[Path]:
    """Other ways to name a file."""
    (folder / "link.wav").symlink_to(file)
    os.link(file, folder / "hard.wav")
    return [file, folder / "." / "x" / ".." / file.name, folder / "link.wav", folder / "hard.wav"]


def test_the_recording_is_never_written_over(tmp_path: Path) -> None:
    model = save(Gain(1, 1.0), tmp_path)
    (tmp_path / "x").mkdir()
    source = tmp_path / "take.wav"
    sound.write(source, torch.rand(1, 5000), 48000)
    kept = source.read_bytes()
    for target in spellings(tmp_path, source):
        with pytest.raises(RaveCourseError, match="same file as the input"):
            realtime.render_file(source, target, model)
        assert source.read_bytes() == kept
    with pytest.raises(RaveCourseError, match="same file as the input"):
        realtime.render_file(source, model.path, model)


def test_a_file_is_rendered_as_its_sound_is(tmp_path: Path) -> None:
    """Block by block from the file equals the whole at once, at other rates and lengths too."""
    export_model(RAVE(preset("tiny", capacity=4)).eval(), tmp_path / "m.ts", latent_size=8, about={})
    for seconds, rate in ((0.0, 48000), (0.01, 48000), (3.3, 48000), (25.0, 44100), (1.0, 22050)):
        heard = 0.1 * torch.randn(1, round(seconds * rate), generator=torch.Generator().manual_seed(1))
        sound.write(tmp_path / "in.wav", heard, rate, "FLOAT")
        for method in ("forward", "encode"):
            whole = realtime.render(contract.load(tmp_path / "m.ts"), heard, rate, method=method)
            done = realtime.render_file(tmp_path / "in.wav", tmp_path / "out.wav", tmp_path / "m.ts", method=method)
            assert (done.samples, done.sample_rate, done.channels) == (whole.audio.shape[1], 48000, len(whole.audio))
            expected = whole.audio.clamp(-1, 1 - 2**-23) if method == "forward" else whole.audio  # 24 bits, or floats
            torch.testing.assert_close(done.audio, expected, rtol=0, atol=2**-23 if method == "forward" else 1e-6)
