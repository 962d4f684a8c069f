"""The report that the demo leaves behind: what was trained, what came out by the numbers, what to do next.

Notebook: 00.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ravecourse.config import TrainingConfig
from ravecourse.dataset import Report
from ravecourse.files import write_text
from ravecourse.model import Checkpoint, fidelity_table
from ravecourse.playback import Measurement
from ravecourse.runtime import clock


@dataclass(frozen=True)
class Distances:
    """How far a sound is from the recording: `log_mel` (1 is 20 dB a band) and `spectral`, as training counts it.

    Notebook: 00.
    """

    log_mel: float
    spectral: float


@dataclass(frozen=True)
class DemoResults:
    """What the demo measured, for its report. Notebook: 00."""

    learned_from: str
    report: Report
    checkpoint: Checkpoint
    training: TrainingConfig
    training_seconds: float
    total_seconds: float
    metadata: Mapping[str, Any]  # of the exported file
    held_out_seconds: float
    distances: Mapping[str, Distances]  # "silence", "untrained", ..., in the order of the table
    levels: Mapping[str, tuple[float, float]]  # "input", "output": RMS and peak in dBFS
    pitch_followed: float | None  # share of the time, see `evaluation.pitch_following`
    speed: Measurement
    safe_buffer: int | None
    play_buffer: int
    threads: int


def write(path: Path, results: DemoResults) -> None:
    """Write the report as Markdown. Notebook: 00."""
    write_text(path, text(results))


def text(results: DemoResults) -> str:
    """The report as Markdown. Notebook: 00."""
    model, config = results.checkpoint.model_config, results.training
    meta, speed, rate = results.metadata, results.speed, results.checkpoint.model_config.sample_rate
    latents = model.sample_rate / model.hop_length
    delay = meta["delay_samples"]
    buffer = results.safe_buffer or results.play_buffer
    sizes = fidelity_table(results.checkpoint.model["fidelity"])
    rows = [f"| {name} | {d.log_mel:.3f} | {d.spectral:.2f} |" for name, d in results.distances.items()]
    left_out = [f"- {name}: {reason}" for name, reason in results.report.left_out if reason != "not sound"][:10]
    safe = (
        f"The smallest safe buffer on this machine is {results.safe_buffer} samples "
        f"({1000 * results.safe_buffer / rate:.1f} ms)."
        if results.safe_buffer
        else "No buffer is safe on this machine while it is this busy: close other programs and run "
        "`ravecourse bench` on model.ts."
    )
    return "\n".join(
        [
            "# What the demo made",
            "",
            f"A model of the preset `{model.preset}` learned from {results.learned_from} "
            f"({clock(results.report.train.seconds)} of sound), and then played a recording that was held out.",
            "",
            "| file | what it is |",
            "|---|---|",
            f"| `input.wav` | {results.held_out_seconds:.1f} s of sound that training never saw |",
            f"| `output.wav` | the same, played through `model.ts` in blocks of {results.play_buffer} samples, without its "
            "delay |",
            "| `model.ts` | the instrument, for `nn~` in Pure Data and Max |",
            "| `spectrograms.png` | both, one under the other |",
            "| `losses.png` | the curves of the training |",
            "| `run/` | checkpoints, from which training can resume |",
            "",
            "## Training",
            "",
            f"- Phase one (representation): {config.phase_one_steps} steps. Phase two (adversarial): "
            f"{config.phase_two_steps} steps. Batches of {config.batch_size} crops of {config.crop_samples} samples.",
            f"- It took {clock(results.training_seconds)} with {results.threads} "
            f"thread{'s' if results.threads > 1 else ''}; the whole demo {clock(results.total_seconds)}.",
            f"- The sound is described by {model.frame_in_words}, {latents:.0f} times a second. "
            + ", ".join(f"{size} learned ones hold {percent} %" for percent, size in sizes.items())
            + f" of what they say; the export has {meta['latent_size']} numbers in all.",
            "",
            "## How close it comes",
            "",
            "Distances from the held-out recording. Log-mel: mean difference of the levels in 80 bands, 1 is 20 dB. "
            "Spectral: the distance that training minimises. Smaller is closer.",
            "",
            "| | log-mel | spectral |",
            "|---|---|---|",
            *rows,
            "",
            *_verdict(results),
            *_pitch(results.pitch_followed),
            "",
            "| | RMS (dBFS) | peak (dBFS) |",
            "|---|---|---|",
            *[f"| {name} | {rms:.1f} | {peak:.1f} |" for name, (rms, peak) in results.levels.items()],
            "",
            "## Playing live",
            "",
            f"- Delay of the model: {delay} samples = {1000 * delay / rate:.1f} ms. With a buffer of {buffer} samples that "
            f"is computed in the audio callback: {1000 * (delay + buffer) / rate:.1f} ms in all.",
            f"- Speed: {speed.real_time_factor:.1f} times real time in blocks of {speed.buffer} samples with one thread "
            f"(median {speed.median_ms:.2f} ms, 99 of 100 blocks below {speed.p99_ms:.2f} ms, deadline "
            f"{speed.deadline_ms:.2f} ms). {safe}",
            "",
            *(["## Left out of the dataset", "", *left_out, ""] if left_out else []),
            *(
                ["## Notes on the recordings", "", *[f"- {note}" for note in results.report.notes], ""]
                if results.report.notes
                else []
            ),
            "## What to do next",
            "",
            "- Listen to `input.wav` and `output.wav`, one after the other.",
            "- Play another sound through it: `ravecourse render model.ts IN.wav OUT.wav` (your voice, say).",
            "- Train longer, the surest way to a better sound: "
            "`ravecourse train --data dataset --out runs/longer --preset tiny` takes about half an hour, `small` a night.",
            "- Use your own recordings: `make demo DATA=~/my/sounds`. Ten minutes of one instrument make a good start.",
            "- Open the notebooks: `make lab`.",
            "",
        ]
    )


def _verdict(results: DemoResults) -> list[str]:
    """In words, what the table says."""
    d = results.distances
    silence, one, two = d["silence"].log_mel, d["after phase one"].log_mel, d["after phase two"].log_mel
    untrained, played = d["untrained"].log_mel, d["model.ts, block by block"].log_mel
    best = min(silence, untrained)
    if silence < 0.05:
        return ["The held-out sound is as good as silent, so these numbers say nothing. Give more recordings."]
    lines = [
        f"Of the distance that silence has ({silence:.2f}), {100 * played / silence:.0f} % is left in what "
        "`model.ts` plays."
    ]
    if played >= 0.9 * best:
        lines.append("That is hardly better than nothing: it needs more training, or more sound.")
    elif two < 0.98 * one:
        lines.append(f"Phase two brought it closer: from {one:.2f} to {two:.2f}.")
    elif two > 1.02 * one:
        lines.append(
            f"Phase two moved it from {one:.2f} to {two:.2f}: it trades closeness for sounding real, which "
            "this number does not hear."
        )
    else:
        lines.append(f"Phase two left this number about where it was ({one:.2f} and {two:.2f}).")
    return lines


def _pitch(followed: float | None) -> list[str]:
    if followed is None:
        return []
    return [
        f"Where the recording has a pitch, `output.wav` has the same, within half a semitone, {followed:.0%} of "
        "the time" + (": the tune is more the model's own than the recording's." if followed < 0.45 else ".")
    ]
