"""From folders of recordings to one prepared dataset."""

import hashlib
import json
import os
import random
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

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


@dataclass(frozen=True)
class _Taken:
    """One recording as it went into the store."""

    name: str
    start: int
    length: int
    meter: Meter


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

    Source: this course. Notebook: 01.
    """
    if not 1000 <= sample_rate <= 384000 or channels not in (1, 2) or not 0 <= validation <= 0.5:
        raise RaveCourseError(
            f"Sample rate {sample_rate}, channels {channels}, validation {validation}: they must be 1000 to "
            "384000 Hz, 1 or 2 channels, and a share of 0 to 0.5."
        )
    sources, target = [Path(source) for source in sources], Path(target)
    if not sources:
        raise RaveCourseError("No folder was given. Name the folder that holds your sounds.")
    paths, left_out = scan(*sources, exclude=target)
    if not paths:
        raise RaveCourseError(f"There is no sound file in {', '.join(map(str, sources))}. {FORMATS_TEXT}")
    names = dict(zip(paths, _names(paths, sources), strict=True))
    reasons = [reason for _, reason in left_out]
    skipped = list(zip(_names([path for path, _ in left_out], sources), reasons, strict=True))
    settings = {"sample_rate": sample_rate, "channels": channels, "validation": validation, "seed": seed}
    fingerprint = _fingerprint(names, skipped, settings)

    with only_one(target):
        try:
            if read_description(target).get("fingerprint") == fingerprint:
                return replace(Report.from_json(Dataset(target).description["report"]), reused=True)
        except RaveCourseError:
            pass  # nothing there yet, or nothing that can be used
        with replacing(target / f"samples-{fingerprint}.bin") as temporary:
            with open(temporary, "wb") as file:
                taken = _take(names, file, skipped, sample_rate, channels, progress)
            entries, notes = _split(taken, validation, seed)
            report = _report(taken, entries, skipped, notes, settings)
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
        total=sum(path.stat().st_size for path in names),
        unit="B",
        unit_scale=True,
        desc="prepare",
        disable=not progress,
    ) as bar:
        for path, name in names.items():
            start, meter, reason = file.tell() // frame, Meter(sample_rate, channels), ""
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
                taken.append(_Taken(name, start, meter.samples, meter))
            else:
                file.seek(start * frame)
                file.truncate()
                skipped.append((name, reason))
            bar.update(path.stat().st_size)
    seconds = sum(recording.length for recording in taken) / sample_rate
    if seconds < LEAST_SECONDS:
        why = "; ".join(f"{name} {reason}" for name, reason in skipped[:3]) or "the recordings are too short"
        raise RaveCourseError(
            f"Only {seconds:.2f} s of usable sound was found, at least {LEAST_SECONDS:.0f} s is needed "
            f"({why}). {FORMATS_TEXT}"
        )
    return taken


def _split(taken: list[_Taken], validation: float, seed: int) -> tuple[list[Segment], list[str]]:
    """Choose what to hold out: whole recordings near the share that was asked for, or else the end of the
    longest.
    """
    wanted = validation * sum(recording.length for recording in taken)
    order = list(range(len(taken)))
    random.Random(seed).shuffle(order)
    held_out, held_length = set(), 0
    for i in order:
        if abs(held_length + taken[i].length - wanted) < abs(held_length - wanted):
            held_out.add(i)
            held_length += taken[i].length
    notes, cut = [], None
    if held_length < wanted / 2:
        held_out = set()
        cut = max(order, key=lambda i: taken[i].length)
        notes.append(
            f"No choice of whole recordings comes near the asked share, so the end of {taken[cut].name} "
            "is held out: it sounds much like what is trained on."
        )
    entries = []
    for i, recording in enumerate(taken):
        if i == cut:
            kept = min(recording.length - 1, recording.length - max(1, round(wanted)))
            entries += [
                Segment(recording.name, "train", recording.start, kept, 0),
                Segment(recording.name, "validation", recording.start + kept, recording.length - kept, kept),
            ]
        else:
            split = "validation" if i in held_out else "train"
            entries.append(Segment(recording.name, split, recording.start, recording.length, 0))
    return entries, notes


def _report(
    taken: list[_Taken],
    entries: list[Segment],
    skipped: list[tuple[str, str]],
    notes: list[str],
    settings: dict,
) -> Report:
    """Measure each split; a recording that lies in both counts, for level and silence, where its beginning
    is.
    """
    first = {entry.name: entry.split for entry in reversed(entries)}
    meters = {
        split: [recording.meter for recording in taken if first[recording.name] == split]
        for split in ("train", "validation")
    }
    lengths = {split: [entry.length for entry in entries if entry.split == split] for split in meters}
    splits = {
        split: measure(
            lengths[split], meters[split] or [recording.meter for recording in taken], settings["sample_rate"]
        )
        for split in meters
    }
    hot = [recording.name for recording in taken if recording.meter.peak > 1.0]
    if hot:
        notes.append(
            f"{len(hot)} recordings go above full scale (first: {hot[0]}). They were kept as they are; "
            "the model cannot play louder than full scale."
        )
    if splits["train"].seconds < 180:
        notes.append(f"{splits['train'].seconds:.0f} s is little to learn from; ten minutes are better.")
    return Report(
        settings["sample_rate"],
        settings["channels"],
        splits["train"],
        splits["validation"],
        sorted(skipped),
        notes,
    )


def _names(paths: list[Path], sources: list[Path]) -> list[str]:
    """Name files by where they lie, from the folder on that all sources share; no two names are alike."""
    common = os.path.commonpath([os.path.dirname(os.path.abspath(source)) for source in sources])
    names = [Path(os.path.relpath(path, common)).as_posix() for path in paths]
    return [name.encode("utf-8", "backslashreplace").decode() for name in names]


def _fingerprint(names: dict[Path, str], skipped: list[tuple[str, str]], settings: dict) -> str:
    """Stands for the recordings, as far as names, sizes and dates tell, and for how they are prepared."""
    stats = {name: path.stat() for path, name in names.items()}
    everything = [
        VERSION,
        settings,
        skipped,
        shutil.which("ffmpeg") is not None,
        [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()],
    ]
    return hashlib.sha256(json.dumps(everything).encode(errors="surrogateescape")).hexdigest()[:16]
