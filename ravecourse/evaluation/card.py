"""A model's card: what it is, what it was made from and how, and what it does, measured here and now.

Notebook: 10.
"""

from dataclasses import fields
from pathlib import Path

import torch

from ravecourse.config import PRESETS, TRAINING_PRESETS, ModelConfig, fine_tuning_preset
from ravecourse.dataset import CropSampler, Dataset, Report
from ravecourse.errors import RaveCourseError
from ravecourse.model import Checkpoint, checkpoint, latent
from ravecourse.playback import Measurement
from ravecourse.runtime import clock

from .metrics import Evaluation, evaluate, speed
from .preset_table import Row, row

FLAGS = {
    "phase_one_steps": "--phase-one-steps",
    "phase_two_steps": "--phase-two-steps",
    "batch_size": "--batch",
    "crop_samples": "--crop",
    "seed": "--seed",
    "trained_parts": "--parts",
}  # settings that the command line has words for
LISTED = 12  # recordings that are named
PLAY_BUFFER = 2048


def model_card(
    source: Path | str,
    dataset: Path | str | None = None,
    *,
    name: str | None = None,
    licence: str = "not stated",
    about: str = "",
    seconds: float = 60.0,
    timing_seconds: float = 1.0,
) -> str:
    """The card of a model as Markdown.

    Args:
        source: a run folder or a checkpoint.
        dataset: what it was trained on, as `prepare` wrote it: evaluates the model on the held-out recordings, and adds
            the report. None leaves both out.
        name: its title; None takes the folder's or file's.
        licence: under which others get it.
        about: a sentence on the sounds: what, who played, recorded where, how.
        seconds: of held-out sound to evaluate it on, at most.
        timing_seconds: of measuring its speed; 0 leaves that out.
    Raises:
        RaveCourseError: no checkpoint, no dataset, or a dataset of another sample rate or number of channels.
    Source: Mitchell et al., Model cards (arXiv 1810.03993), made shorter. Notebook: 10.
    """
    source = Path(source)
    found = checkpoint.load(source)
    model = checkpoint.model_of(found).eval()
    store = Dataset(dataset) if dataset is not None else None
    if store and (store.sample_rate, store.channels) != (model.sample_rate, model.channels):
        raise RaveCourseError(
            f"{store.path} has {store.sample_rate} Hz and {store.channels} channels, the model "
            f"{model.sample_rate} and {model.channels}. Name the dataset that it was trained on."
        )
    folder = source if source.is_dir() else source.parent
    name = name or (folder.name if source.is_dir() or source.name == checkpoint.NAME else source.stem)
    measured = None
    if store and store.validation:
        length = min(sum(entry.length for entry in store.validation), round(seconds * store.sample_rate))
        measured = evaluate(model, CropSampler(store, "validation", 1, 1).tape(0, length)[0])
    numbers = row(found.model_config, 0.0)
    timed = speed(model, PLAY_BUFFER, timing_seconds) if timing_seconds > 0 else None
    lines = [
        f"# {name}",
        "",
        *_what(found.model_config, numbers),
        *([about, ""] if about else []),
        f"Licence: {licence}.",
        "",
        *_data(found, store),
        *_training(found, name, store),
        *_quality(measured),
        *_latents(found),
        *_playing(found.model_config, numbers, timed),
        "## Use",
        "",
        "```",
        f"ravecourse export {name}.pt {name}.ts",
        "```",
        "",
        "Whatever goes in, the voice of its recordings comes out, at times close to the recordings themselves. Do "
        "not share it against the will of those who were recorded.",
        "",
    ]
    return "\n".join(lines)


def _what(config: ModelConfig, numbers: Row) -> list[str]:
    return [
        f"A model of the preset `{config.preset}`{' (causal)' if config.causal else ''}: "
        f"{config.sample_rate} Hz, {'mono' if config.channels == 1 else f'{config.channels} channels'}, "
        f"{numbers.parameters / 1e6:.2f} million parameters. It describes sound by {config.frame_in_words}, "
        f"{numbers.latent_rate_hz:.1f} times a second.",
        "",
    ]


def _data(found: Checkpoint, store: Dataset | None) -> list[str]:
    names = found.notes.recordings
    lines = ["## What it was trained on", ""]
    if store:
        lines += ["```", str(Report.from_json(store.description["report"])), "```", ""]
    if names:
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        lines += [f"Recordings: {', '.join(names[:LISTED])}{more}.", ""]
    elif not store:
        lines += ["Not known.", ""]
    return lines


def _training(found: Checkpoint, name: str, store: Dataset | None) -> list[str]:
    lines = ["## How it was trained", ""]
    plan, config = found.training_config, found.model_config
    if found.notes.imported_from:
        lines += [f"Read from a checkpoint of the original RAVE, {found.notes.imported_from}.", ""]
    if found.notes.base:
        lines += [f"Fine-tuned: it began with the model {found.notes.base}, SHA-256 `{found.notes.base_digest}`.", ""]
    if plan:
        tuned = bool(found.notes.base)
        usual = TRAINING_PRESETS.get(config.preset, plan)
        if tuned:
            usual = fine_tuning_preset(config.preset, usual)
        different = [f.name for f in fields(plan) if getattr(plan, f.name) != getattr(usual, f.name)]
        flags = "".join(f" {FLAGS[f]} {_word(getattr(plan, f))}" for f in different if f in FLAGS)
        data = store.path.name if store else found.notes.dataset or "DATASET"
        implied = config.preset in PRESETS and PRESETS[config.preset].causal
        causal = " --causal" if config.causal and not implied else ""
        kind = f"--from {found.notes.base.split()[0]}" if tuned else f"--preset {config.preset}{causal}"
        lines += [
            "```",
            f"ravecourse train --data {data} --out runs/{name} {kind}{flags}",
            "```",
            "",
        ]
        others = [f"`{f} = {getattr(plan, f)}`" for f in different if f not in FLAGS]
        if others:
            lines += [f"Other settings that are not the preset's: {', '.join(others)}.", ""]
    phases = f"{found.step} steps"
    if found.phase == 2:
        phases += (
            f": {found.phase_two_start} of phase one (representation), {found.step - found.phase_two_start} of phase "
            "two (adversarial)"
        )
        if plan and found.phase_two_start < plan.phase_one_steps:
            phases += ", which was begun early with `--phase-two-now`"
    time = f", in {clock(found.notes.seconds)} of computing" if found.notes.seconds else ""
    return [*lines, f"{phases}{time}.", ""]


def _word(value: int | tuple[str, ...]) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _quality(measured: Evaluation | None) -> list[str]:
    if measured is None:
        return []
    melody, onsets, held = measured.melody, measured.onsets, measured.stillness.held
    lines = [
        "## How close it comes",
        "",
        f"Measured on {measured.seconds:.0f} s that were held out of training. Distance: mean difference of the "
        "levels in 80 mel bands; 1 is 20 dB. Smaller is closer.",
        "",
        "| | distance |",
        "|---|---|",
        f"| silence | {measured.silence:.3f} |",
        f"| the same model, untrained | {measured.untrained:.3f} |",
        f"| this model | {measured.log_mel:.3f} |",
        f"| this model, of what is heard (60 dB) | {measured.heard:.3f} |",
        "",
    ]
    if melody.raw_pitch is None or melody.raw_chroma is None:
        lines.append("- Pitch: too few notes to say.")
    else:
        lines.append(
            f"- The pitch is the recording's, within half a semitone: {melody.raw_pitch:.0%} of the time, octaves ignored "
            f"{melody.raw_chroma:.0%} (librosa's pyin)."
        )
    lines.append(
        f"- The level follows with a correlation of {measured.level_correlation:.2f}, "
        f"{abs(measured.level_difference_db):.1f} dB {'softer' if measured.level_difference_db < 0 else 'louder'}."
    )
    if onsets:
        lines.append(f"- Onsets within 50 ms: F-measure {onsets.f_measure:.2f}.")
    if held:
        lines.append(
            f"- Of {measured.stillness.frames} latents with a pitch that were held for a second, {held.pitch:.0%} kept it, "
            f"{held.steady:.0%} kept their level, and {held.clean:.0%} had no buzz at the frame rate."
        )
    return [
        *lines,
        f"- {measured.latents_used} of {measured.latent_size} learned latent dimensions say something about the sound.",
        *([f"- {measured.alarm}"] if measured.alarm else []),
        "",
    ]


def _latents(found: Checkpoint) -> list[str]:
    fidelity = found.model["fidelity"]
    if not bool(fidelity[-1] > 0):
        return []
    sizes = latent.fidelity_table(fidelity)
    return [
        "## How many latents an export needs",
        "",
        "| fidelity | " + " | ".join(f"{p} %" for p in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
        "| latents | " + " | ".join(map(str, sizes.values())) + " |",
        "",
    ]


def _playing(config: ModelConfig, numbers: Row, timed: Measurement | None) -> list[str]:
    delay = round(numbers.delay_ms * config.sample_rate / 1000)
    lines = [
        "## Playing it live",
        "",
        f"- Delay: {delay} samples = {numbers.delay_ms:.1f} ms, and the player's buffer.",
    ]
    if timed:
        lines.append(
            f"- Speed: {timed.real_time_factor:.1f} times real time in blocks of {timed.buffer} samples, one "
            f"thread, PyTorch {torch.__version__.split('+')[0]}, {torch.backends.cpu.get_cpu_capability()} "
            f"(99 of 100 blocks below {timed.p99_ms:.2f} ms, deadline {timed.deadline_ms:.2f} ms)."
        )
    return [*lines, ""]
