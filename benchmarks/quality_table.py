"""The table and the figure of `benchmarks.quality`."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

COLUMNS = "model,weights,steps,seconds,log-mel,heard,frechet,onsets,pitch,chroma,held pitch,still".split(",")


@dataclass(frozen=True)
class Judged:
    """One model on one material.

    Attributes:
        pitched: one note at a time, so that a melody can be followed.
        original: whether it is one of the original's.
        steps, seconds: of training; processor time.
        weights: of encoder and decoder.
        log_mel, silence: distance of its output, and of silence, from the recording (1 is 20 dB a band).
        heard, heard_silence: the same distances with a floor at what can be heard.
        frechet: between the log-mel frames of both as distributions.
        onsets: how well attacks meet, 0 to 1; None where the recording has none.
        pitch, chroma: share of the recording's pitched frames in which the output has its pitch, and its pitch class; None
            without a melody.
        held_pitch, still: share of held latents that keep their pitch, and that pass all judges of `evaluation.stillness`;
            None where no latent could be held.
    """

    material: str
    pitched: bool
    model: str
    original: bool
    steps: int
    seconds: float
    weights: int
    log_mel: float
    silence: float
    heard: float
    heard_silence: float
    frechet: float
    onsets: float | None
    pitch: float | None
    chroma: float | None
    held_pitch: float | None
    still: float | None


def best(judged: Sequence[Judged], original: bool) -> Judged | None:
    """The one with the smallest log-mel, of the originals or of ours; None where there is none."""
    return min((entry for entry in judged if entry.original == original), key=lambda entry: entry.log_mel, default=None)


def compared(judged: Sequence[Judged]) -> tuple[float, float | None] | None:
    """Of one material: our best log-mel over the original's best, and how many points of pitch we are ahead of the
    best of theirs; None without both sides."""
    ours, theirs = best(judged, False), best(judged, True)
    if ours is None or theirs is None:
        return None
    followed = [entry.pitch for entry in judged if entry.original and entry.pitch is not None]
    points = 100 * (ours.pitch - max(followed)) if followed and ours.pitch is not None else None
    return ours.log_mel / theirs.log_mel, points


def materials(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """The results by material, in order."""
    return {
        name: [entry for entry in judged if entry.material == name]
        for name in dict.fromkeys(x.material for x in judged)
    }


def table(judged: Sequence[Judged]) -> str:
    """One line for each pair, one for each material, and what follows from all of them."""
    lines = [_line("material", *COLUMNS)]
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for name, entries in materials(judged).items():
        first = entries[0]
        lines.append(
            _line(name, "(silence)", "", "", "", f"{first.silence:.3f}", f"{first.heard_silence:.3f}").rstrip()
        )
        for entry in entries:
            size, distances = f"{entry.weights / 1e6:.2f} M", (entry.log_mel, entry.heard, entry.frechet)
            shares = (entry.onsets, entry.pitch, entry.chroma, entry.held_pitch, entry.still)
            lines.append(
                _line(
                    "",
                    entry.model,
                    size,
                    str(entry.steps),
                    f"{entry.seconds:.1f}",
                    *(f"{distance:.3f}" for distance in distances),
                    *("-" if share is None else f"{100 * share:.0f} %" for share in shares),
                )
            )
        found = compared(entries)
        if found:
            ratios[entries[0].pitched].append(found[0])
            points = "" if found[1] is None else f", pitch {found[1]:+.0f} points"
            lines.append(f"{'':10} ours / the original's best: log-mel {found[0]:.2f} x{points}")
    for pitched, what in ((True, "one note at a time"), (False, "without pitch, or many at once")):
        if ratios[pitched]:
            lines.append(
                f"{what}: log-mel {min(ratios[pitched]):.2f} to {max(ratios[pitched]):.2f} x the original's best"
            )
    return "\n".join(lines)


def _line(material: str, model: str, *cells: str) -> str:
    """Cells under the heads of their columns."""
    widths = [max(7, len(head)) for head in COLUMNS[1:]]
    return f"{material:10} {model:12} " + " ".join(
        f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False)
    )


def figure(judged: Sequence[Judged]) -> Figure:
    """Bars of log-mel, below them bars of pitch followed and of held latents that keep theirs, by material and model."""
    groups = materials(judged)
    models = list(dict.fromkeys(entry.model for entry in judged))
    drawn, axes = plt.subplots(3, 1, figsize=(max(6.0, 1.4 * len(groups)), 8), sharex=True, layout="constrained")
    width = 0.8 / len(models)
    for number, model in enumerate(models):
        places, entries = [], []
        for place, found in enumerate(groups.values()):
            for entry in found:
                if entry.model == model:
                    places.append(place + (number - (len(models) - 1) / 2) * width)
                    entries.append(entry)
        axes[0].bar(places, [entry.log_mel for entry in entries], width, label=model)
        axes[1].bar(places, [100 * (entry.pitch or 0.0) for entry in entries], width)
        axes[2].bar(places, [100 * (entry.held_pitch or 0.0) for entry in entries], width)
    for place, found in enumerate(groups.values()):
        axes[0].plot([place - 0.45, place + 0.45], [found[0].silence] * 2, "k:", lw=1, label="" if place else "silence")
    for axis, what in zip(axes, ("log-mel distance", "pitch followed (%)", "held latents in tune (%)"), strict=True):
        axis.set_ylabel(what)
    axes[1].set_ylim(0, 100)
    axes[2].set_ylim(0, 100)
    axes[2].set_xticks(range(len(groups)), list(groups))
    axes[0].legend(loc="upper left", bbox_to_anchor=(1, 1))
    plt.close(drawn)
    return drawn
