"""What `prepare` took and left out, for a person to read."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ravecourse.audio import Meter, decibels, gated_lufs


@dataclass(frozen=True)
class SplitReport:
    """One split: recordings, seconds, peak in dBFS, loudness in LUFS, and the share of silence.

    Silence is counted in tenths of a second below -60 dBFS. Levels are None if there is nothing to measure.

    Notebook: 01.
    """

    recordings: int
    seconds: float
    peak_db: float | None
    loudness_lufs: float | None
    silence: float


@dataclass(frozen=True)
class Report:
    """What `prepare` took, split by split, what it left out and why, and what a person should know about it.

    Notebook: 01.
    """

    sample_rate: int
    channels: int
    train: SplitReport
    validation: SplitReport
    left_out: list[tuple[str, str]]  # name of the file, reason
    notes: list[str] = field(default_factory=list)
    reused: bool = False  # the same recordings were already prepared

    def to_json(self) -> dict[str, Any]:
        """Turn the report into what a JSON file keeps. Notebook: 01."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Report":
        """Read a report back from `to_json`. Notebook: 01."""
        return cls(
            **{
                **value,
                "train": SplitReport(**value["train"]),
                "validation": SplitReport(**value["validation"]),
                "left_out": [tuple(pair) for pair in value["left_out"]],
            }
        )

    def __str__(self) -> str:
        kind = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        lines = [
            f"{self.sample_rate} Hz, {kind}" + (" (already prepared: nothing to do)" if self.reused else ""),
            f"{'':12}{'files':>6}{'length':>11}{'peak':>12}{'loudness':>14}{'silence':>10}",
        ]
        for name, split in (("train", self.train), ("validation", self.validation)):
            minutes, seconds = divmod(round(split.seconds), 60)
            peak = "-" if split.peak_db is None else f"{split.peak_db:.1f} dBFS"
            loudness = "-" if split.loudness_lufs is None else f"{split.loudness_lufs:.1f} LUFS"
            lines.append(
                f"{name:12}{split.recordings:6}{f'{minutes}:{seconds:02} min':>11}{peak:>12}{loudness:>14}"
                f"{split.silence:>10.0%}"
            )
        not_sound = Counter(reason for _, reason in self.left_out)["not sound"]
        others = [(name, reason) for name, reason in self.left_out if reason != "not sound"]
        if others:
            lines.append("left out, wholly or in part:")
            lines += [f"  {name}: {reason}" for name, reason in others[:20]]
        if len(others) > 20:
            lines.append(f"  and {len(others) - 20} more; store.json has them all")
        if not_sound:
            lines.append(f"files that are not sound: {not_sound}")
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def measure(lengths: list[int], meters: list[Meter], sample_rate: int) -> SplitReport:
    """Sum up one split: the lengths of its entries, in samples, and the meters that heard it.

    Notebook: 01.
    """
    if not lengths:
        return SplitReport(0, 0.0, None, None, 0.0)
    peak = decibels(max(meter.peak for meter in meters))
    loudness = gated_lufs(np.concatenate([meter.windows() for meter in meters]))
    steps = sum(len(meter.steps) for meter in meters)
    silence = sum(meter.quiet_steps() for meter in meters) / steps if steps else 0.0
    return SplitReport(
        len(lengths),
        sum(lengths) / sample_rate,
        round(peak, 2),
        round(loudness, 2) if np.isfinite(loudness) else None,
        silence,
    )
