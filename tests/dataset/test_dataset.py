"""From folders of recordings to a dataset, and from there to crops."""

import errno
import fcntl
import functools
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ravecourse import audio
from ravecourse.dataset import store
from ravecourse.dataset.augment import Augment
from ravecourse.dataset.crops import CropSampler
from ravecourse.dataset.preparation import prepare
from ravecourse.dataset.report import Report
from ravecourse.dataset.store import Dataset
from ravecourse.errors import RaveCourseError
from ravecourse.runtime import mixed_seed

RATE = 8000


def noise(seconds: float, seed: int = 0, channels: int = 1, rate: int = RATE, level: float = 0.1) -> torch.Tensor:
    return level * torch.randn(channels, round(seconds * rate), generator=torch.Generator().manual_seed(seed))


def fill(folder: Path, seconds: list[float], rate: int = RATE, channels: int = 1) -> Path:
    """Write one float WAV of noise for each length."""
    for i, length in enumerate(seconds):
        audio.write(folder / f"take {i:02}.wav", noise(length, i, channels, rate), rate, "FLOAT")
    return folder


def make(sources, target, **settings) -> Report:
    sources = sources if isinstance(sources, list) else [sources]
    return prepare(sources, target, **{"sample_rate": RATE, "progress": False, **settings})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture
def sounds(tmp_path):
    return fill(tmp_path / "sounds", [2.0, 0.01, 3.5, 1.25, 0.3, 2.0, 1.0, 4.0])


def test_every_sample_goes_in_and_comes_back(tmp_path, sounds):
    report = make(sounds, tmp_path / "set", validation=0.25)
    found = Dataset(tmp_path / "set")
    assert found.sample_rate == RATE and found.channels == 1
    assert len(found.train) + len(found.validation) == 8 and report.left_out == []
    for entry in found.train + found.validation:
        assert entry.name.startswith("sounds/take ")
        original = audio.read(tmp_path / entry.name)[0]
        assert torch.equal(found.read(entry.start, entry.length), original)  # tails and 80 samples too, to the bit
    assert report.train.seconds + report.validation.seconds == pytest.approx(14.06)
    assert sum(entry.length for entry in found.validation) / RATE == pytest.approx(report.validation.seconds)
    assert torch.equal(found.held_out(0), found.read(found.validation[0].start, found.validation[0].length))
    assert found.held_out().shape[1] == max(entry.length for entry in found.validation)


def test_formats_rates_and_channels_mix(tmp_path):
    folder = tmp_path / "mixed sounds – ü"
    for i, (name, rate, channels) in enumerate(
        [
            ("a.wav", 44100, 2),
            ("b.flac", 48000, 1),
            ("c.aiff", 22050, 6),
            ("d.ogg", 32000, 2),
            ("sub/e.mp3", 44100, 2),
            ("f.wav", 192000, 3),
        ]
    ):
        audio.write(folder / name, noise(1.5, i, channels, rate), rate)
    for channels in (1, 2):
        report = make(folder, tmp_path / f"set{channels}", sample_rate=16000, channels=channels, validation=0)
        found = Dataset(tmp_path / f"set{channels}")
        assert [Path(entry.name).name for entry in found.train] == [
            "a.wav",
            "b.flac",
            "c.aiff",
            "d.ogg",
            "f.wav",
            "e.mp3",
        ]
        assert found.validation == [] and report.validation.seconds == 0 and report.validation.peak_db is None
        for entry in found.train:
            original = audio.read(tmp_path / entry.name, 16000, channels)[0]
            assert torch.equal(found.read(entry.start, entry.length), original)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("seconds", [[1.0] * 20, [0.2] * 7 + [9.0], [5.0, 0.1], [2.0, 2.0], [3.0], [0.5, 1, 2, 4, 8]])
def test_splits_come_near_the_share_and_cover_everything_once(tmp_path, share, seconds):
    folder, total = fill(tmp_path / "sounds", seconds), sum(seconds)
    report = make(folder, tmp_path / "set", validation=share, seed=3)
    found = Dataset(tmp_path / "set")
    assert share / 2 * total - 0.01 <= report.validation.seconds <= 2 * share * total
    spans = sorted((entry.start, entry.length) for entry in found.train + found.validation)
    assert [start for start, _ in spans] == [sum(length for _, length in spans[:i]) for i in range(len(spans))]
    assert sum(length for _, length in spans) == len(found) == round(total * RATE)
    both = {entry.name for entry in found.train} & {entry.name for entry in found.validation}
    assert len(both) <= 1 and bool(both) == any("is held out" in note for note in report.notes)
    for name in both:
        original = audio.read(tmp_path / name)[0]
        parts = [found.read(e.start, e.length) for e in found.train + found.validation if e.name == name]
        assert torch.equal(torch.cat(parts, dim=1), original)


def test_the_seed_chooses_the_split(tmp_path):
    folder = fill(tmp_path / "sounds", [1.0] * 20)

    def held_out(seed):
        make(folder, tmp_path / f"set{seed}", seed=seed)
        return [entry.name for entry in Dataset(tmp_path / f"set{seed}").validation]

    chosen = [held_out(seed) for seed in range(5)]
    assert len({tuple(names) for names in chosen}) > 2 and all(len(names) == 2 for names in chosen)
    shutil.rmtree(tmp_path / "set0")
    assert held_out(0) == chosen[0]


def test_what_is_left_out_is_named_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # without ffmpeg
    folder = fill(tmp_path / "sounds", [2.0, 3.0])
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("not a sound" * 100)
    (folder / "notes.txt").write_text("take 3 is the good one")
    (folder / "film.m4a").write_bytes(bytes(1000))
    (folder / ".hidden.wav").write_bytes((folder / "take 00.wav").read_bytes())
    audio.write(folder / "header.wav", torch.zeros(1, 0), RATE)
    audio.write(folder / "silent.wav", torch.zeros(1, RATE), RATE)
    audio.write(folder / "opposite.wav", torch.cat([noise(1.0), -noise(1.0)]), RATE)
    soundfile.write(folder / "nan.wav", np.r_[noise(12.0)[0].numpy(), np.nan], RATE, "FLOAT")
    soundfile.write(folder / "huge.wav", noise(1.0).T.numpy() * 32768, RATE, "FLOAT")
    audio.write(folder / "broken.flac", noise(6.0), RATE)
    data = (folder / "broken.flac").read_bytes()
    (folder / "broken.flac").write_bytes(data[: len(data) * 2 // 3])
    report = make(folder, tmp_path / "set")
    reasons = {Path(name).name: reason for name, reason in report.left_out}
    expected = {
        "empty.wav": "0 bytes",
        "text.wav": "damaged, no sound",
        "notes.txt": "not sound",
        "film.m4a": "only ffmpeg",
        ".hidden.wav": "hidden",
        "header.wav": "no samples",
        "silent.wav": "silent",
        "opposite.wav": "silent",
        "nan.wav": "not numbers",
        "huge.wav": "not scaled",
        "broken.flac": "what comes before was taken",
    }
    assert reasons.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in reasons[name]
    found = Dataset(tmp_path / "set")
    assert {entry.name for entry in found.train + found.validation} == {
        "sounds/broken.flac",
        "sounds/take 00.wav",
        "sounds/take 01.wav",
    }
    text = str(report)
    assert (
        "sounds/silent.wav: is silent" in text and "files that are not sound: 1" in text and "little to learn" in text
    )
    assert np.isfinite(found.samples(0, len(found))).all()


def test_above_full_scale_is_kept_and_said(tmp_path):
    audio.write(tmp_path / "sounds/hot.wav", noise(3.0, level=0.8), RATE, "FLOAT")
    report = make(tmp_path / "sounds", tmp_path / "set", validation=0)
    found = Dataset(tmp_path / "set")
    assert torch.equal(found.read(0, len(found)), noise(3.0, level=0.8))
    assert report.train.peak_db > 6 and any("above full scale" in note for note in report.notes)


def test_the_report_measures(tmp_path):
    tone = 0.5 * torch.sin(2 * math.pi * 997 / 48000 * torch.arange(20 * 48000, dtype=torch.float64)).float()[None]
    audio.write(tmp_path / "sounds/a.wav", torch.cat([tone, torch.zeros(1, 5 * 48000)], dim=1), 48000, "FLOAT")
    report = make(tmp_path / "sounds", tmp_path / "set", sample_rate=48000, validation=0)
    assert report.train.peak_db == pytest.approx(-6.02, abs=0.01)
    assert report.train.loudness_lufs == pytest.approx(-9.03, abs=0.1)
    assert report.train.silence == pytest.approx(0.2, abs=0.005)
    assert report.train.seconds == 25 and report.train.recordings == 1
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_nothing_usable_says_what_to_do_and_leaves_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("no")
    fill(tmp_path / "short", [0.2, 0.3])
    audio.write(tmp_path / "silent/a.wav", torch.zeros(1, 5 * RATE), RATE)
    for name, message in [
        ("gone", "There is no folder .*gone"),
        ("empty", "no sound file in .*empty.*WAV, FLAC"),
        ("texts", "no sound file in .*texts.*WAV, FLAC"),
        ("short", "Only 0.50 s of usable sound"),
        ("silent", "Only 0.00 s .*silent/a.wav is silent"),
    ]:
        with pytest.raises(RaveCourseError, match=message):
            make(tmp_path / name, tmp_path / "set")
        assert not (tmp_path / "set").exists()
    for wrong in ({"channels": 3}, {"validation": 0.9}, {"sample_rate": 10}):
        with pytest.raises(RaveCourseError, match=str(next(iter(wrong.values())))):
            make(tmp_path / "short", tmp_path / "set", **wrong)
    with pytest.raises(RaveCourseError, match="No folder was given"):
        make([], tmp_path / "set")
    (tmp_path / "file").touch()
    with pytest.raises(RaveCourseError, match="Could not write to .*file"):
        make(fill(tmp_path / "good", [2.0]), tmp_path / "file" / "set")


def test_folders_given_twice_nested_linked_and_the_target_inside(tmp_path, sounds):
    make(sounds, tmp_path / "once")
    once = Dataset(tmp_path / "once")
    (sounds / "loop").symlink_to(sounds)
    (sounds / "again.wav").symlink_to(sounds / "take 00.wav")
    target = sounds / "set"
    for _ in range(2):
        make([sounds, sounds, sounds / "loop", sounds / "take 02.wav"], target)
        found = Dataset(target)
        assert len(found) == len(once) and len(found.train + found.validation) == 8
        assert not any("set" in name for name, _ in found.description["report"]["left_out"])


def test_two_folders_of_one_name_stay_apart(tmp_path):
    for parent in ("a", "b"):
        fill(tmp_path / parent / "takes", [2.0])
    make([tmp_path / "a/takes", tmp_path / "b/takes"], tmp_path / "set", validation=0)
    assert [entry.name for entry in Dataset(tmp_path / "set").train] == [
        "a/takes/take 00.wav",
        "b/takes/take 00.wav",
    ]


def test_files_by_name_and_names_that_are_no_text(tmp_path, monkeypatch):
    fill(tmp_path / "sounds", [2.0, 3.0])
    report = make(tmp_path / "sounds" / "take 01.wav", tmp_path / "set", validation=0)
    assert report.left_out == []
    assert [entry.name for entry in Dataset(tmp_path / "set").train] == ["take 01.wav"]
    os.rename(tmp_path / "sounds/take 00.wav", os.fsencode(tmp_path / "sounds") + b"/caf\xe9.wav")
    monkeypatch.chdir(tmp_path / "sounds")
    str(make(Path("../sounds"), tmp_path / "set", validation=0)).encode()
    names = [entry.name for entry in Dataset(tmp_path / "set").train]
    assert sorted(names) == ["sounds/caf\\udce9.wav", "sounds/take 01.wav"]


def test_prepared_twice_is_done_once_and_changes_are_noticed(tmp_path, sounds):
    first = make(sounds, tmp_path / "set")
    before = contents(tmp_path / "set")
    again = make(sounds, tmp_path / "set")
    assert again.reused and not first.reused and again.train == first.train and "already prepared" in str(again)
    assert contents(tmp_path / "set") == before
    assert not make(sounds, tmp_path / "set", seed=1).reused
    fill(sounds, [2.5])
    assert not make(sounds, tmp_path / "set", seed=1).reused
    assert len(list((tmp_path / "set").glob("samples-*"))) == 1  # what was replaced is gone
    samples = next((tmp_path / "set").glob("samples-*"))
    samples.write_bytes(samples.read_bytes()[:-4])
    with pytest.raises(RaveCourseError, match="in place of"):
        Dataset(tmp_path / "set")
    assert not make(sounds, tmp_path / "set", seed=1).reused


SLOW = """
import sys, time
from pathlib import Path
from ravecourse import audio, dataset
original = audio.blocks
def slowly(*arguments):
    for block in original(*arguments):
        yield block
        print("block", flush=True)
        time.sleep(float(sys.argv[3]))
audio.blocks = slowly
dataset.prepare([Path(sys.argv[1])], Path(sys.argv[2]), sample_rate=8000, progress=False)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("there_before", [False, True])
def test_interrupted_leaves_the_old_and_the_next_call_gives_the_same(tmp_path, project, sounds, how, there_before):
    target = tmp_path / "set"
    make(sounds, tmp_path / "undisturbed")
    if there_before:
        make(sounds, target, seed=5)
        before = contents(target)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, sounds, target, "30"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Tests that were started in the background may be ignoring Ctrl-C, and programs inherit that.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    process.stdout.readline()
    with pytest.raises(RaveCourseError, match="Another `ravecourse prepare`"):
        make(sounds, target)
    process.send_signal(how)
    assert process.wait(timeout=20) != 0
    process.stdout.close()
    if there_before:
        assert {name: data for name, data in contents(target).items() if ".part" not in name} == before
        assert Dataset(target).description["seed"] == 5
    else:
        with pytest.raises(RaveCourseError, match="no prepared dataset|no dataset folder"):
            Dataset(target)
    make(sounds, target)
    assert contents(target) == contents(tmp_path / "undisturbed")


def test_a_full_disk_is_one_clear_sentence(tmp_path, monkeypatch, sounds):
    make(sounds, tmp_path / "set", seed=5)
    before = contents(tmp_path / "set")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(
            RaveCourseError, match=f"Could not write .*{os.strerror(errno.EFBIG)}. Free some disk space"
        ):
            make(sounds, tmp_path / "set")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert contents(tmp_path / "set") == before


def test_stores_that_are_none(tmp_path, sounds):
    with pytest.raises(RaveCourseError, match="no dataset folder"):
        Dataset(tmp_path / "gone")
    with pytest.raises(RaveCourseError, match="no prepared dataset"):
        Dataset(sounds)
    for text, message in [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"version": 99}', "another version .format 99"),
        (json.dumps({"version": store.VERSION}), "damaged"),
    ]:
        (sounds / "store.json").write_text(text)
        with pytest.raises(RaveCourseError, match=message):
            Dataset(sounds)


def test_reading_past_the_end(tmp_path, sounds):
    make(sounds, tmp_path / "set", validation=0)
    found = Dataset(tmp_path / "set")
    assert found.read(len(found) - 5, 5).shape == (1, 5) and found.read(3, 0).shape == (1, 0)
    for start, length in [(len(found) - 5, 6), (-1, 5), (0, -1)]:
        with pytest.raises(RaveCourseError, match="were asked of"):
            found.read(start, length)
    with pytest.raises(RaveCourseError, match="Held-out entry 0.*which has 0"):
        found.held_out()
    with pytest.raises(RaveCourseError, match="no validation sound"):
        CropSampler(found, "validation", 100, 1)
    for split, n_samples, batch_size, message in [
        ("test", 1, 1, "no split 'test'"),
        ("train", 0, 1, "1 or more"),
        ("train", 1, 0, "1 or more"),
    ]:
        with pytest.raises(RaveCourseError, match=message):
            CropSampler(found, split, n_samples, batch_size)


def test_memory_is_flat(tmp_path, project):
    """Two hours of sound: 230 MB of samples go through with far less than that in memory."""
    with soundfile.SoundFile(tmp_path / "long.wav", "w", RATE, 1, "PCM_16") as file:
        minute = noise(60.0)[0].numpy()
        for _ in range(120):
            file.write(minute)
    code = """
import resource, sys
from pathlib import Path
from ravecourse import audio, dataset
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
next(audio.blocks(sys.argv[2], 8001))  # what the libraries need to start
before = peak()
dataset.prepare([Path(sys.argv[2])], Path(sys.argv[1]), sample_rate=8000, progress=False)
print(peak() - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "set", tmp_path / "long.wav"],
        cwd=project,
        check=True,
        capture_output=True,
        text=True,
    )
    assert len(Dataset(tmp_path / "set")) == 7200 * RATE
    assert int(result.stdout) < 60  # MB


@pytest.fixture
def prepared(tmp_path, sounds):
    make(sounds, tmp_path / "set", validation=0.3)
    return Dataset(tmp_path / "set")


def test_a_batch_depends_on_seed_and_step_alone(prepared):
    def crops(seed, augment=None):
        return CropSampler(prepared, "train", 1000, 8, seed, augment or Augment())

    first, second = crops(7), crops(7)
    forwards = [first.batch(step) for step in range(6)]
    torch.manual_seed(1)
    for step in reversed(range(6)):
        batch = second.batch(step)
        assert torch.equal(batch.audio, forwards[step].audio) and batch.sources == forwards[step].sources
        assert batch.audio.shape == (8, 1, 1000) and batch.audio.dtype == torch.float32 and len(batch.sources) == 8
    different = [batch.audio for batch in forwards] + [crops(8).batch(step).audio for step in range(6)]
    assert all(not torch.equal(a, b) for i, a in enumerate(different) for b in different[:i])
    assert len({mixed_seed(seed, step) for seed in range(50) for step in range(50)}) == 2500


def test_crops_are_the_recordings_and_say_which(prepared):
    whole = {entry.name: prepared.read(entry.start, entry.length) for entry in prepared.train}
    crops = CropSampler(prepared, "train", 500, 16)
    inside = 0
    for step in range(20):
        batch = crops.batch(step)
        for crop, source in zip(batch.audio, batch.sources, strict=True):
            if " + " in source:
                continue
            name, at = source.removesuffix(" s").split(" at ")
            near = round(float(at) * RATE)
            stretch = whole[name]
            starts = [s for s in range(max(near - 41, 0), near + 41) if s + 500 <= stretch.shape[1]]
            middles = [bool((stretch[:, s + 40 : s + 460] == crop[:, 40:460]).all()) for s in starts]
            assert any(middles), source
            inside += 1
    assert inside > 200


def test_every_sample_is_drawn_equally_often(tmp_path):
    """Short recordings and tails too. Each sample holds its own position: crops tell where they come from."""
    lengths = [4000, 100, 3000, 1700, 37, 5000]
    begins = np.cumsum([0, *lengths])
    for i, length in enumerate(lengths):
        ramp = (np.arange(length) + begins[i] + 1) / 2**14
        audio.write(tmp_path / f"sounds/{i}.wav", torch.tensor(ramp, dtype=torch.float32)[None], RATE, "FLOAT")
    make(tmp_path / "sounds", tmp_path / "set", validation=0)
    crops = CropSampler(Dataset(tmp_path / "set"), "train", 200, 64)
    crops._fade_in, crops._fade_out = np.ones(1, np.float32), np.ones(1, np.float32)
    counts = np.zeros(sum(lengths))
    for step in range(200):
        positions = (crops.batch(step).audio * 2**14).round().long().flatten().numpy() - 1
        counts += np.bincount(positions, minlength=len(counts))
    mean = 200 * 64 * 200 / len(counts)
    assert counts.min() > 0.6 * mean and counts.max() < 1.5 * mean


def test_joints_fade_and_nothing_else_does(tmp_path):
    for i in range(3):
        audio.write(tmp_path / f"sounds/{i}.wav", torch.full((2, 2 * RATE), 0.5), RATE, "FLOAT")
    make(tmp_path / "sounds", tmp_path / "set", validation=0, channels=2)
    crops = CropSampler(Dataset(tmp_path / "set"), "train", 10, 1)
    tape, sources = crops.tape(0, 6 * RATE + 100)
    assert sources.count(" + ") == 3 and tape.shape == (2, 6 * RATE + 100) and torch.equal(tape[0], tape[1])
    assert torch.equal(tape[:, :100], tape[:, 6 * RATE :])  # the last recording runs into the first
    joint = tape[0, 2 * RATE - 40 : 2 * RATE + 4]
    assert (joint[1:40] < joint[:39]).all() and (joint[41:] > joint[40:-1]).all()
    assert joint[39] < 0.001 and joint[40] < 0.05
    assert (tape[0, 4 : 2 * RATE - 40] == 0.5).all() and (tape[0, 2 * RATE + 4 : 4 * RATE - 40] == 0.5).all()
    for start in range(2 * RATE - 60, 2 * RATE + 20, 7):  # a crop is a window on the tape, wherever it begins
        for length in (1, 3, 50, 2 * RATE + 90):
            assert torch.equal(crops.tape(start, length)[0], tape[:, start : start + length])


def test_recordings_shorter_than_a_fade_and_crops_longer_than_everything(tmp_path):
    fill(tmp_path / "sounds", [0.0005, 0.001, 0.004, 1.0])
    make(tmp_path / "sounds", tmp_path / "set", validation=0)
    crops = CropSampler(Dataset(tmp_path / "set"), "train", 30000, 2, augment=Augment(pitch_probability=1.0))
    batch = crops.batch(0)
    assert batch.audio.shape == (2, 1, 30000) and torch.isfinite(batch.audio).all() and batch.audio.abs().max() < 1
    assert batch.sources[0].count(" + ") == 8 and batch.sources[0].endswith(" more")


def test_validation_crops_cover_everything_without_chance(prepared):
    one = CropSampler(prepared, "validation", 300, 4, seed=1, augment=Augment(1.0))
    other = CropSampler(prepared, "validation", 300, 4, seed=2)
    joined = torch.cat([one.batch(step).audio for step in range(len(one))]).reshape(1, -1)
    assert all(torch.equal(one.batch(step).audio, other.batch(step).audio) for step in range(len(one)))
    total = sum(entry.length for entry in prepared.validation)
    assert joined.shape[1] - 1200 < total <= joined.shape[1]
    assert torch.equal(joined[:, :total], one.tape(0, total)[0])


def test_augmented_crops_start_where_plain_ones_do(prepared):
    plain, gained = (
        CropSampler(prepared, "train", 1000, 8, 3),
        CropSampler(prepared, "train", 1000, 8, 3, Augment(1.0, (-6.0, -6.0), 0.0, 3, 0.0)),
    )
    for step in range(3):
        assert torch.allclose(gained.batch(step).audio, plain.batch(step).audio * 10 ** (-0.3), atol=1e-7)
        assert gained.batch(step).sources == plain.batch(step).sources


def test_batches_are_quick(tmp_path):
    fill(tmp_path / "sounds", [30.0] * 4)
    make(tmp_path / "sounds", tmp_path / "set")
    crops = CropSampler(Dataset(tmp_path / "set"), "train", 8192, 16)
    took = []
    for step in range(50):
        began = time.perf_counter()
        crops.batch(step)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.01  # about 1 ms on a quiet machine


# --- what is held out has sound in it ---------------------------------------------------------------------------------


def with_silence(seconds: float, silent: tuple[float, float]) -> torch.Tensor:
    sound = 0.1 * torch.randn(1, round(seconds * RATE), generator=torch.Generator().manual_seed(1))
    sound[:, round(silent[0] * RATE) : round(silent[1] * RATE)] = 0
    return sound


@pytest.mark.parametrize("silent", [(16.0, 20.0), (10.0, 20.0), (0.0, 4.0), (18.5, 20.0), (5.0, 5.0)])
def test_one_recording_with_silence_in_it(tmp_path, silent):
    folder = tmp_path / "sounds"
    audio.write(folder / "take.wav", with_silence(20.0, silent), RATE)
    report = make(folder, tmp_path / "set", validation=0.1)
    found = Dataset(tmp_path / "set")
    held_out = found.held_out()
    assert abs(report.validation.seconds - 2.0) <= 0.1 + 1e-6
    expected = torch.tensor(audio.rms_db(held_out))
    assert expected > -21 and report.validation.silence < 0.2, "the held-out stretch has sound"
    assert report.validation.loudness_lufs == pytest.approx(audio.loudness_lufs(held_out, RATE), abs=0.5)
    assert report.validation.peak_db == pytest.approx(audio.peak_db(held_out), abs=0.01)
    spans = sorted((entry.start, entry.length) for entry in found.train + found.validation)
    assert [start for start, _ in spans] == [sum(length for _, length in spans[:i]) for i in range(len(spans))]
    assert sum(length for _, length in spans) == 20 * RATE


def test_a_recording_of_silence_is_not_held_out(tmp_path):
    folder = tmp_path / "sounds"
    for number in range(10):
        audio.write(folder / f"{number}.wav", with_silence(2.0, (0.05, 2.0) if number % 2 else (0.0, 0.0)), RATE)
    for seed in range(6):
        report = make(folder, tmp_path / f"set{seed}", validation=0.2, seed=seed)
        assert report.validation.silence < 0.1 and report.validation.seconds == pytest.approx(4.0)


def test_datasets_of_silence_and_of_offsets_are_told(tmp_path):
    folder = tmp_path / "quiet"
    audio.write(folder / "hiss.wav", 3e-4 * with_silence(20.0, (0.0, 0.0)), RATE)
    report = make(folder, tmp_path / "set")
    assert any("100% of the training sound is silence" in note for note in report.notes)
    audio.write(tmp_path / "dc" / "offset.wav", torch.full((1, 20 * RATE), 0.3), RATE)
    report = make(tmp_path / "dc", tmp_path / "dc_set")
    assert any("1 recordings hold a constant offset (DC) and no sound" in note for note in report.notes)


def test_a_file_that_was_not_closed_is_told(tmp_path):
    folder = tmp_path / "sounds"
    audio.write(folder / "take.wav", with_silence(5.0, (0.0, 0.0)), RATE)
    data = bytearray((folder / "take.wav").read_bytes())
    at = data.find(b"data") + 4
    data[at : at + 4] = bytes(4)
    (folder / "take.wav").write_bytes(data)
    report = make(folder, tmp_path / "set")
    assert report.train.seconds + report.validation.seconds == pytest.approx(5.0)
    assert any("take.wav was not closed by its recorder" in note for note in report.notes)


# --- folders that change, file systems that cannot lock, datasets that are only to be read ----------------------------


def test_a_recording_that_vanishes_is_left_out(tmp_path, monkeypatch):
    folder = fill(tmp_path / "sounds", [2.0, 2.0, 2.0])
    first, second, third = sorted(folder.iterdir())
    blocks = audio.blocks

    def vanish(path, *settings):  # the second goes while the first is read
        second.unlink(missing_ok=True)
        return blocks(path, *settings)

    monkeypatch.setattr(audio, "blocks", vanish)
    report = make(folder, tmp_path / "set", validation=0)
    assert report.train.recordings == 2
    assert [(Path(name).name, reason) for name, reason in report.left_out] == [(second.name, "is not there")]


@pytest.mark.parametrize("code", ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL"])
def test_without_locks_prepare_goes_on(tmp_path, monkeypatch, code):
    """Lustre and some FUSE file systems have none: only a lock that another holds means that another writes."""

    def refuse(descriptor, kind):
        raise OSError(getattr(errno, code), "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert make(fill(tmp_path / "sounds", [2.0]), tmp_path / "set").train.seconds > 1


@pytest.mark.parametrize("code", ["EAGAIN", "EWOULDBLOCK", "EACCES"])
def test_a_lock_that_another_holds_is_told(tmp_path, monkeypatch, code):
    def refuse(descriptor, kind):
        raise OSError(getattr(errno, code), "held")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RaveCourseError, match="Another `ravecourse prepare`"):
        make(fill(tmp_path / "sounds", [2.0]), tmp_path / "set")


def test_a_finished_dataset_that_is_only_to_be_read(tmp_path, monkeypatch):
    """As on a shared drive: the same call says that it is prepared, and touches nothing."""
    folder = fill(tmp_path / "sounds", [2.0, 3.0])
    make(folder, tmp_path / "set")

    def refuse(*arguments, **named):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert make(folder, tmp_path / "set").reused
    with pytest.raises(RaveCourseError, match="Choose another folder"):
        make(folder, tmp_path / "set", seed=5)
