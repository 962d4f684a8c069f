"""From folders of recordings to one prepared dataset."""

import contextlib
import hashlib
import json
import os
import random
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm.auto import tqdm

from ravecourse import audio
from ravecourse.audio import FORMATS_TEXT, BrokenOff, Meter, UnreadableSound, decibels, scan
from ravecourse.errors import RaveCourseError
from ravecourse.files import replacing, write_json

from .augment import Augment
from .crops import Batch, CropSampler
from .report import Report, SplitReport, measure
from .store import SAMPLE, VERSION, Dataset, Segment, as_json, only_one, read_description

__all__ = ["Augment", "Batch", "CropSampler", "Segment", "Report", "SplitReport", "Dataset", "prepare"]

SILENT_DB = -80.0  # a file whose peak is below this is left out as silent
HOTTEST_DB = 20.0  # and one above this, as not scaled to full scale
LEAST_SECONDS = 1.0  # in all
MOSTLY = 0.9  # the share of silence above which a person should know
PAUSES = 0.1  # the share of silence that is usual within music
OFFSET_SHARE = 1e-6  # a sound whose weighted power is below this share of its power is a constant offset
BLOCK = 1 << 20  # samples that are measured at a time


@dataclass(frozen=True)
class _Taken:
    """One recording as it went into the store."""

    name: str
    start: int
    length: int
    rate: int
    meter: Meter
    notice: str  # about the file, the middle of a sentence; "" for nothing


def prepare(
    sources: list[Path],
    target: Path,
    *,
    sample_rate: int = 48000,
    channels: int = 1,
    validation: float = 0.1,
    seed: int = 0,
    progress: bool = True,
) -> Report:
    """Turn folders of recordings, of any format, rate and length, into one dataset in the folder `target`.

    Recordings go through in blocks, so memory stays flat. They are resampled, mixed to `channels` and
    otherwise left as they are: no scaling, no clipping, no trimming. `store.json`, written last, makes the
    new dataset visible in one stroke; an interrupted call leaves what was there before, and the next one
    starts again. If the same recordings were already prepared in the same way, nothing is done.

    Args:
        sources: folders or files.
        target: the folder to write; a dataset that is there already is replaced at the end.
        sample_rate: in Hz, 1000 to 384000.
        channels: 1 or 2.
        validation: share of the sound to hold out, 0 to 0.5: whole recordings, chosen by `seed`; where none
            fits (there is one only, or one is most of the sound), the end of the longest, which the report
            then says.
        seed: chooses the recordings to hold out.
        progress: show a bar.

    Returns:
        what was taken, what was left out and why, and how long and loud it is.

    Raises:
        RaveCourseError: a source is missing, nothing usable in them, a number out of range, a full disk, a
            second call at work on the same target.

    Notebook: 01.
    """
    if not 1000 <= sample_rate <= 384000 or channels not in (1, 2) or not 0 <= validation <= 0.5:
        raise RaveCourseError(
            f"Sample rate {sample_rate}, channels {channels}, validation {validation}: they must be 1000 to "
            "384000 Hz, 1 or 2 channels, and a share of 0 to 0.5."
        )
    sources, target = [Path(source) for source in sources], Path(target)
    if not sources:
        raise RaveCourseError("No folder was given. Name the folder that holds your sounds.")
    if os.path.realpath(target) in map(os.path.realpath, sources):
        raise RaveCourseError(f"{target} is the folder of the recordings. Choose another folder for the dataset.")
    paths, left_out = scan(*sources, exclude=target)
    gone = [path for path in paths if not path.is_file()]  # deleted or moved since the folder was read
    paths = [path for path in paths if path not in gone]
    left_out += [(path, "vanished while the folder was read") for path in gone]
    if not paths:
        raise RaveCourseError(f"There is no sound file in {', '.join(map(str, sources))}. {FORMATS_TEXT}")
    names = dict(zip(paths, _names(paths, sources), strict=True))
    reasons = [reason for _, reason in left_out]
    skipped = list(zip(_names([path for path, _ in left_out], sources), reasons, strict=True))
    settings = {"sample_rate": sample_rate, "channels": channels, "validation": validation, "seed": seed}
    fingerprint = _fingerprint(names, skipped, settings)

    if done := _already_prepared(target, fingerprint):  # before the lock, for a folder that is only to be read
        return done
    with only_one(target):
        if done := _already_prepared(target, fingerprint):
            return done
        with replacing(target / f"samples-{fingerprint}.bin") as temporary:
            with open(temporary, "wb") as file:
                taken = _take(names, file, skipped, sample_rate, channels, progress)
            entries, notes = _split(taken, validation, seed)
            report = _report(taken, entries, skipped, notes, settings, temporary)
        write_json(
            target / "store.json",
            {
                "version": VERSION,
                "fingerprint": fingerprint,
                "samples": f"samples-{fingerprint}.bin",
                **settings,
                "entries": as_json(entries),
                "report": report.to_json(),
            },
        )
    return report


def _already_prepared(target: Path, fingerprint: str) -> Report | None:
    try:
        if read_description(target).get("fingerprint") == fingerprint:
            return replace(Report.from_json(Dataset(target).description["report"]), reused=True)
    except RaveCourseError:
        pass  # nothing there yet, or nothing that can be used
    return None


def _take(
    names: dict[Path, str],
    file: BinaryIO,
    skipped: list[tuple[str, str]],
    sample_rate: int,
    channels: int,
    progress: bool,
) -> list[_Taken]:
    """Write every recording that can be used to `file`; the others join `skipped`."""
    taken: list[_Taken] = []
    frame = channels * SAMPLE.itemsize
    with tqdm(
        total=sum(map(_size, names)),
        unit="B",
        unit_scale=True,
        desc="prepare",
        disable=not progress,
    ) as bar:
        for path, name in names.items():
            start, meter, reason = file.tell() // frame, Meter(sample_rate, channels), ""
            notice = audio.header_notice(path)
            try:
                for block in audio.blocks(path, sample_rate, channels):
                    samples = block.numpy()
                    meter.add(samples)
                    file.write(np.ascontiguousarray(samples.T, SAMPLE).data)
            except BrokenOff as error:
                reason = error.reason
                if meter.samples:
                    skipped.append((name, f"{reason}; what comes before was taken"))
            except UnreadableSound as error:
                reason, meter.samples = error.reason, 0
            if meter.samples == 0:
                reason = reason or "is empty (no samples)"
            elif decibels(meter.peak) < SILENT_DB:
                reason, meter.samples = (
                    f"is silent (peak below {SILENT_DB:.0f} dBFS, as {channels}-channel sound)",
                    0,
                )
            elif decibels(meter.peak) > HOTTEST_DB:
                reason = f"peaks at {decibels(meter.peak):+.0f} dBFS: its samples are not scaled to full scale"
                meter.samples = 0
            if meter.samples:
                taken.append(_Taken(name, start, meter.samples, sample_rate, meter, notice))
            else:
                file.seek(start * frame)
                file.truncate()
                skipped.append((name, reason))
            bar.update(_size(path))
    seconds = sum(recording.length for recording in taken) / sample_rate
    if seconds < LEAST_SECONDS:
        why = "; ".join(f"{name} {reason}" for name, reason in skipped[:3]) or "the recordings are too short"
        raise RaveCourseError(
            f"Only {seconds:.2f} s of usable sound was found, at least {LEAST_SECONDS:.0f} s is needed "
            f"({why}). {FORMATS_TEXT}"
        )
    return taken


def _split(taken: list[_Taken], validation: float, seed: int) -> tuple[list[Segment], list[str]]:
    """Choose what to hold out: whole recordings near the share that was asked for, or else a stretch of the longest.

    What is held out has sound in it: a distance to silence says nothing about a model.
    """
    wanted = validation * sum(recording.length for recording in taken)
    order = [i for i, recording in enumerate(taken) if not _mostly_quiet(recording.meter)]
    random.Random(seed).shuffle(order)
    held_out, held_length = set(), 0
    for i in order:
        if abs(held_length + taken[i].length - wanted) < abs(held_length - wanted):
            held_out.add(i)
            held_length += taken[i].length
    notes, cut = [], None
    if held_length < wanted / 2:
        held_out = set()
        cut = max(order or range(len(taken)), key=lambda i: taken[i].length)
    entries = []
    for i, recording in enumerate(taken):
        if i == cut:
            first, last = _stretch_with_sound(recording, max(1, round(wanted)))
            where = "the end" if last == recording.length else f"{first / recording.rate:.0f} s on, a stretch"
            notes.append(
                f"No choice of whole recordings comes near the asked share, so {where} of {recording.name} "
                "is held out: it sounds much like what is trained on."
            )
            parts = [("train", 0, first), ("validation", first, last), ("train", last, recording.length)]
        else:
            parts = [("validation" if i in held_out else "train", 0, recording.length)]
        entries += [
            Segment(recording.name, split, recording.start + begin, end - begin, begin)
            for split, begin, end in parts
            if end > begin
        ]
    return entries, notes


def _mostly_quiet(meter: Meter) -> bool:
    quiet = meter.quiet()
    return len(quiet) > 0 and float(quiet.mean()) > MOSTLY


def _stretch_with_sound(recording: _Taken, length: int) -> tuple[int, int]:
    """(first, last) of the latest stretch of `length` samples that is about as full of sound as any."""
    end = recording.length
    length = min(length, end - 1)
    quiet = recording.meter.quiet()
    step = max(1, round(0.1 * recording.rate))
    count = max(1, length // step)
    if len(quiet) < count:
        return end - length, end
    sums = np.concatenate([[0], np.cumsum(quiet)])
    share = (sums[count:] - sums[:-count]) / count  # of each stretch that begins with a tenth of a second
    if share[-1] <= max(min(float(quiet.mean()), PAUSES), float(share.min())):
        return end - length, end
    first = int(np.flatnonzero(share <= share.min() + PAUSES / 2)[-1]) * step
    return first, min(first + length, end)


def _report(
    taken: list[_Taken],
    entries: list[Segment],
    skipped: list[tuple[str, str]],
    notes: list[str],
    settings: dict[str, Any],
    file: Path,
) -> Report:
    """Measure each split; of a recording that lies in both, each part by itself."""
    by_name = {recording.name: recording for recording in taken}
    meters: dict[str, list[Meter]] = {"train": [], "validation": []}
    lengths: dict[str, list[int]] = {"train": [], "validation": []}
    for entry in entries:
        recording = by_name[entry.name]
        whole = entry.length == recording.length
        meters[entry.split].append(recording.meter if whole else _meter_of(entry, file, settings))
        lengths[entry.split].append(entry.length)
    splits = {split: measure(lengths[split], meters[split], settings["sample_rate"]) for split in meters}
    hot = [recording.name for recording in taken if recording.meter.peak > 1.0]
    if hot:
        notes.append(
            f"{len(hot)} recordings go above full scale (first: {hot[0]}). They were kept as they are; "
            "the model cannot play louder than full scale."
        )
    constant = [recording.name for recording in taken if _is_constant(recording.meter)]
    if constant:
        notes.append(
            f"{len(constant)} recordings hold a constant offset (DC) and no sound (first: {constant[0]}). Remove them."
        )
    for split, what in (("train", "training"), ("validation", "held-out")):
        if splits[split].silence > MOSTLY:
            notes.append(
                f"{splits[split].silence:.0%} of the {what} sound is silence. Cut it out, or record louder: "
                "a model of silence is silent."
            )
    if splits["train"].seconds < 180:
        notes.append(f"{splits['train'].seconds:.0f} s is little to learn from; ten minutes are better.")
    notes += [f"{recording.name} {recording.notice}." for recording in taken if recording.notice]
    return Report(
        settings["sample_rate"],
        settings["channels"],
        splits["train"],
        splits["validation"],
        sorted(skipped),
        notes,
    )


def _is_constant(meter: Meter) -> bool:
    return len(meter.steps) > 4 and float(np.median(meter.steps)) < OFFSET_SHARE * float(np.median(meter.plain_steps))


def _meter_of(entry: Segment, file: Path, settings: dict[str, Any]) -> Meter:
    """Measure a part of a recording, from the samples that were written."""
    channels = settings["channels"]
    meter = Meter(settings["sample_rate"], channels)
    frame = channels * SAMPLE.itemsize
    for begin in range(0, entry.length, BLOCK):
        count = min(BLOCK, entry.length - begin)
        samples = np.fromfile(file, SAMPLE, count * channels, offset=(entry.start + begin) * frame)
        meter.add(samples.reshape(-1, channels).T)
    return meter


def _size(path: Path) -> int:
    """Bytes of a file; 0 for one that has vanished, which reading it reports."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _names(paths: list[Path], sources: list[Path]) -> list[str]:
    """Name files by where they lie, from the folder on that all sources share; no two names are alike."""
    common = os.path.commonpath([os.path.dirname(os.path.abspath(source)) for source in sources])
    names = [Path(os.path.relpath(path, common)).as_posix() for path in paths]
    return [name.encode("utf-8", "backslashreplace").decode() for name in names]


def _fingerprint(names: dict[Path, str], skipped: list[tuple[str, str]], settings: dict[str, Any]) -> str:
    """Stands for the recordings, as far as names, sizes and dates show, and for how they are prepared."""
    stats = {}
    for path, name in names.items():
        with contextlib.suppress(OSError):  # vanished: reading it reports that
            stats[name] = path.stat()
    everything = [
        VERSION,
        settings,
        skipped,
        shutil.which("ffmpeg") is not None,
        [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()],
    ]
    return hashlib.sha256(json.dumps(everything).encode(errors="surrogateescape")).hexdigest()[:16]
