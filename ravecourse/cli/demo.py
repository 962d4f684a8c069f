"""The whole journey in minutes: sounds, dataset, training, export, and a recording played through the result.

    python -m ravecourse.cli.demo [--data FOLDER] [--out build/demo]

Notebook: 00.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ravecourse import audio
from ravecourse.config import ModelConfig, TrainingConfig, preset, training_preset
from ravecourse.course import plots
from ravecourse.dataset import CropSampler, Dataset, Report, prepare
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import pitch_following, through
from ravecourse.export import export_torchscript
from ravecourse.export import load as load_ts
from ravecourse.model import RAVE, checkpoint, load_model
from ravecourse.playback import MARGIN, measure, measure_buffers, render_file
from ravecourse.runtime import clock, threads
from ravecourse.synth import INSTRUMENTS, render_folder
from ravecourse.training import (
    LOSSES_NAME,
    PHASE_ONE_NAME,
    Learner,
    SpectralDistance,
    choose_threads,
    fit_to_sound,
    log_mel_distance,
    train,
)

from .demo_report import DemoResults, Distances, write

INSTRUMENT = "voice"  # of the bundled ones, the one that is learned: it has one pitch at a time
PHASE_ONE_SHARE = 0.85  # of the time for training: a young model gains more from further steps than from phase two
OVERHEAD = 0.06  # share of the time that validations, latents and checkpoints take
LISTEN_SECONDS = 20  # of held-out sound
PLAY_BUFFER = 2048
FIDELITY = 0.99


@dataclass(frozen=True)
class Plan:
    """Step counts that fit the time for training on this machine. Notebook: 00."""

    config: TrainingConfig
    seconds: float  # that training will take
    seconds_per_step: tuple[float, float]  # phase one, phase two
    threads: int


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; returns 0, 2 for an error that the person can mend, or 130 if it was interrupted.

    Notebook: 00.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ravecourse.cli.demo",
        description=__doc__.splitlines()[0],
        epilog="example: python -m ravecourse.cli.demo --data ~/recordings",
    )
    parser.add_argument("--data", type=Path, help="a folder of your recordings (default: the bundled instruments)")
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="(default: %(default)s)")
    parser.add_argument("--training-minutes", type=float, default=5.0, help="(default: %(default)g)")
    parser.add_argument(
        "--render-minutes", type=float, default=6.0, help="of each bundled instrument (default: %(default)g)"
    )
    arguments = parser.parse_args(argv)
    data = arguments.data.expanduser() if arguments.data else None
    try:
        return run(data, arguments.out, arguments.training_minutes, arguments.render_minutes)
    except KeyboardInterrupt:
        print("\nStopped. Type the same command again to start over; what was rendered is kept.", file=sys.stderr)
        return 130
    except RaveCourseError as error:
        print(f"demo: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def run(
    data: Path | None,
    out: Path,
    training_minutes: float = 5.0,
    render_minutes: float = 6.0,
    model_config: ModelConfig | None = None,
) -> int:
    """Go the whole way and leave the results in `out`.

    Args:
        data: a folder of recordings; None takes the bundled instruments.
        out: where the results go; the renderings are kept beside it.
        training_minutes: how long to train, above 0.
        render_minutes: of each bundled instrument, above 0.
        model_config: None takes the preset `tiny`.
    Returns:
        0, or 130 if training was interrupted.
    Raises:
        RaveCourseError: see the modules that do the work.
    Notebook: 00.
    """
    if not training_minutes > 0:
        raise RaveCourseError(f"--training-minutes is {training_minutes:g}; give a number above 0.")
    if data is not None and not data.exists():
        raise RaveCourseError(f"There is no folder {data}. Name the folder that holds your sounds.")
    began = time.perf_counter()
    print(f"From sounds to an instrument, in about {training_minutes + 2:.0f} minutes. Ctrl-C stops at any time.")

    sources = _sounds(data, out, render_minutes)
    _say(2, "One dataset of them")
    report = prepare(sources, out / "dataset")
    print(report)
    store = Dataset(out / "dataset")
    held_out = _held_out(store)
    audio.write(out / "input.wav", held_out, store.sample_rate)

    _say(3, "How fast is this machine?")
    model_config = model_config or preset("tiny", sample_rate=store.sample_rate)
    model_config, settings, said = fit_to_sound(model_config, training_preset(model_config.preset), store)
    print(said, end="\n" if said else "")
    plan = choose_steps(store, model_config, 60 * training_minutes, settings=settings)
    config = plan.config
    one, two = (1000 * seconds for seconds in plan.seconds_per_step)
    print(
        f"Phase one: {config.phase_one_steps} steps of {one:.0f} ms (learn to say a sound in "
        f"{model_config.frame_in_words}, {store.sample_rate / model_config.hop_length:.0f} times a second).\n"
        f"Phase two: {config.phase_two_steps} steps of {two:.0f} ms (make it sound real).\n"
        f"Threads: {plan.threads}."
    )

    _say(4, f"Training {model_config.preset!r}, about {clock(plan.seconds)}")
    with threads(plan.threads):
        result = train(store, out / "run", model_config, config, device="cpu", resume=False, tensorboard=False)
    if not result.finished:
        print(
            f"Interrupted after {result.step} steps and saved.\n"
            f"To play what it has learned so far: ravecourse export {out / 'run'} {out / 'model.ts'}\n"
            "To start over, type the same command again."
        )
        return 130
    print(result.message)

    _say(5, "Export, and a recording that it has never heard, block by block")
    results = _play(store, held_out, out, report, result.seconds, plan.threads, data)

    _say(6, "Pictures and the report")
    output, _ = audio.read(out / "output.wav")
    figure = plots.spectrograms(
        {
            "input: a recording that was held out of training": held_out,
            "output: the same, played through model.ts block by block": output,
        },
        store.sample_rate,
    )
    plots.save(figure, out / "spectrograms.png")
    plots.save(plots.losses(out / "run" / LOSSES_NAME), out / "losses.png")
    write(out / "report.md", replace(results, total_seconds=time.perf_counter() - began))
    print(
        f"Done in {clock(time.perf_counter() - began)}. Listen to {out / 'input.wav'} and {out / 'output.wav'}, "
        f"look at {out / 'spectrograms.png'}, read {out / 'report.md'}."
    )
    return 0


def choose_steps(
    store: Dataset,
    model_config: ModelConfig,
    seconds: float,
    now: Callable[[], float] = time.perf_counter,
    settings: TrainingConfig | None = None,
) -> Plan:
    """Take a few steps of each phase on a model that is thrown away, and see how many fit the time.

    Args:
        store: the dataset to train on.
        model_config: the model, whose preset names the training.
        seconds: for both phases, above 0.
        now: the clock that counts them; `time.thread_time` counts the processor's time of this thread.
        settings: of the training, apart from its length; None takes the preset's.
    Notebook: 00.
    """
    config = settings or training_preset(model_config.preset)
    learner = Learner(model_config, config, torch.device("cpu"))
    batch = CropSampler(store, "train", config.crop_samples, config.batch_size, config.seed).batch(0).audio
    every = config.discriminator_every

    def pace(rounds: int) -> float:
        """Seconds of a step, averaged over its kinds; the first round, which is slower, is left out."""
        times = []
        for step in range((rounds + 1) * every):
            start = now()
            learner.step(batch, step, 0 if learner.phase == 2 else 1 << 30)
            times.append(now() - start)
        return sum(times[every:]) / len(times[every:])

    count, _ = choose_threads(learner, batch)
    with threads(count):
        one = pace(4)
        learner.enter_phase_two()
        two = pace(5)
    left = seconds * (1 - OVERHEAD)
    first = max(20, round(left * PHASE_ONE_SHARE / one))
    second = max(10, round(left * (1 - PHASE_ONE_SHARE) / two))
    config = replace(
        config,
        phase_one_steps=first,
        phase_two_steps=second,
        warmup_steps=max(1, min(100, first // 10)),
        waveform_steps=min(config.waveform_steps, first // 5),
        beta_ramp_steps=first // 2,
        validation_every=max(10, first // 6),
        checkpoint_every=max(10, first // 3),
    )
    return Plan(config, (first * one + second * two) / (1 - OVERHEAD), (one, two), count)


def _sounds(data: Path | None, out: Path, minutes: float) -> list[Path]:
    if data is not None:
        _say(1, f"Your recordings in {data}")
        return [data]
    _say(1, f"The bundled instruments, {minutes:g} minutes each: {', '.join(INSTRUMENTS)} (kept for the next time)")
    folder = out.parent / "instruments"
    render_folder(folder, INSTRUMENTS, minutes)
    print(f"This demo learns one of them: {INSTRUMENT}. Hear them all in {folder}.")
    return [folder / INSTRUMENT]


def _held_out(store: Dataset) -> Tensor:
    """Sound that training never sees, `[C, T]`: of the first minutes, the loudest stretch of `LISTEN_SECONDS`."""
    if not store.validation:
        raise RaveCourseError(f"{store.path} holds no sound to test with. Give more recordings.")
    length, second = LISTEN_SECONDS * store.sample_rate, store.sample_rate
    tape, _ = CropSampler(store, "validation", 1, 1).tape(0, min(sum(e.length for e in store.validation), 15 * length))
    if tape.shape[1] <= length:
        return tape
    power = torch.nn.functional.pad(tape.square().sum(0, dtype=torch.float64).cumsum(0), (1, 0))
    starts = torch.arange(0, tape.shape[1] - length + 1, second)
    best = int(starts[(power[starts + length] - power[starts]).argmax()])
    return tape[:, best : best + length].contiguous()


def _play(
    store: Dataset, held_out: Tensor, out: Path, report: Report, seconds: float, count: int, data: Path | None
) -> DemoResults:
    """Export, reload, play, measure."""
    trained = checkpoint.load(out / "run")
    assert trained.training_config is not None  # it was trained here
    export_torchscript(
        out / "run",
        out / "model.ts",
        fidelity=FIDELITY,
        licence="not stated" if data else "CC0-1.0",
        notes=f"demo, trained for {clock(seconds)}",
    )
    loaded = load_ts(out / "model.ts")
    render_file(out / "input.wav", out / "output.wav", loaded, buffer=PLAY_BUFFER)
    output, _ = audio.read(out / "output.wav")
    speed = measure(loaded, buffer=0)
    buffers = measure_buffers(loaded)
    safe = buffers[-1].buffer if buffers[-1].safe(MARGIN) else None
    sounds = {
        "silence": torch.zeros_like(held_out),
        "untrained": through(RAVE(trained.model_config).eval(), held_out),
        "after phase one": through(load_model(out / "run" / PHASE_ONE_NAME), held_out),
        "after phase two": through(load_model(out / "run"), held_out),
        "model.ts, block by block": output,
    }
    distances = {name: distances_of(held_out, sound, store.sample_rate) for name, sound in sounds.items()}
    levels = {
        "input": (audio.rms_db(held_out), audio.peak_db(held_out)),
        "output": (audio.rms_db(output), audio.peak_db(output)),
    }
    return DemoResults(
        learned_from=f"your recordings in {data}" if data else f"the bundled instrument {INSTRUMENT!r}",
        report=report,
        checkpoint=trained,
        training=trained.training_config,
        training_seconds=seconds,
        total_seconds=0.0,
        metadata=loaded.metadata,
        held_out_seconds=held_out.shape[1] / store.sample_rate,
        distances=distances,
        levels=levels,
        pitch_followed=pitch_following(held_out, output, store.sample_rate),
        speed=speed,
        safe_buffer=safe,
        play_buffer=PLAY_BUFFER,
        threads=count,
    )


def distances_of(wanted: Tensor, got: Tensor, sample_rate: int) -> Distances:
    """Log-mel distance and multi-scale spectral distance between sounds `[C, T]`.

    Notebook: 00.
    """
    spectral = SpectralDistance(training_preset("tiny").stft_scales)
    return Distances(float(log_mel_distance(wanted, got, sample_rate)), float(spectral(wanted, got)))


def _say(number: int, what: str) -> None:
    print(f"\n[{number}/6] {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
