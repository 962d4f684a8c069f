"""Our models beside the original's, on the same weights, in one process: prints a table, asserts nothing.

    python -m benchmarks.compare [--models v2,v1] [--seconds 4] [--no-streaming] [--no-training] [--batch 2]

Runs in the environment that original_env.sh makes, which sees the course's PyTorch; `make bench` does both. The
implementations take turns of a few blocks, so that what else the machine does falls on both alike. Streaming is timed
on one thread; training on one and on all that the machine has.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).parent))

import original  # noqa: E402  (adapts SciPy before the original is imported)
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from ravecourse import upstream  # noqa: E402
from ravecourse.config import training_preset  # noqa: E402
from ravecourse.export import export_model  # noqa: E402
from ravecourse.model import RAVE  # noqa: E402
from ravecourse.training import Learner  # noqa: E402

FOLDER = Path("build/benchmarks")
MODELS = {
    "v1": ["v1"],
    "v2": ["v2"],
    "v2 causal": ["v2", "causal"],
    "v2_small": ["v2_small"],
    "raspberry": ["raspberry"],
}
NOT_STREAMED = ("v2_small",)  # it is there for its training
TRAINED = ("v1", "v2_small")
# v2_small's noise filters are longer than its noise frames: the kit has no place for them, so both train without.
TRAINED_WITHOUT = {"v2_small": ["blocks.GeneratorV2.noise_module=None"]}
REDUCED = ("v1", "v2")  # shown with bfloat16 weights too
EXPORT = """
import sys; sys.path.insert(0, "benchmarks")
import original, torch
from absl import app
from scripts import export
app.run(export.main)
"""
BURST = 6  # blocks of one implementation before the next one's turn
Call = Callable[[], object]


def made(name: str) -> Path:
    """The original's run with random weights, made where it is not there yet."""
    run = FOLDER / name.replace(" ", "_")
    if not (run / "pairs.pt").exists():
        configs = [argument for config in MODELS[name] for argument in ("--config", config)]
        # One thread: on several, the original's filter bank comes out a little different from run to run.
        subprocess.run(
            [sys.executable, "benchmarks/original.py", "make", str(run), *configs],
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    return run


def exported(name: str) -> Path:
    """The original's own streaming export of that run."""
    run = made(name)
    target = FOLDER / f"{run.name}_original.ts"
    if not target.exists():
        folder = FOLDER / f"{run.name}_original"
        subprocess.run(
            [
                sys.executable,
                "-c",
                EXPORT,
                "--run",
                str(run),
                "--streaming",
                "--fidelity",
                "0.999",
                "--output",
                str(folder),
            ],
            check=True,
            capture_output=True,
        )
        next(folder.glob("*.ts")).rename(target)
    return target


def take_turns(calls: dict[str, Call], seconds: float, least: int = 5, burst: int = 1) -> dict[str, list[float]]:
    """Seconds of each call, repeated in turn for `seconds`, after a warm-up.

    Args:
        burst: calls a turn; from 2 on the first of each turn is not counted, since it finds the caches full of the
            other's weights, which nobody who plays one model has.
    """
    for call in list(calls.values()) * min(4, least):
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(times))]) < least:
        for name, call in calls.items():
            for i in range(burst):
                start = time.perf_counter()
                call()
                if i or burst == 1:
                    times[name].append(time.perf_counter() - start)
    return times


def row(model: str, what: str, times: dict[str, list[float]], sound_seconds: float) -> dict[str, float]:
    """Print one line: median, 99th percentile and real-time factor of both, how many times faster ours is, and the
    same with bfloat16 weights; return the medians."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    p99 = {name: sorted(values)[int(0.99 * (len(values) - 1))] for name, values in times.items()}
    cells = " ".join(
        f"{1000 * medians[n]:9.2f} {1000 * p99[n]:9.2f} {sound_seconds / medians[n]:8.1f}" for n in ("ours", "original")
    )
    line = f"{model:10} {what:22} {cells} {medians['original'] / medians['ours']:7.2f}"
    if "bfloat16" in medians:
        line += f" {1000 * medians['bfloat16']:9.2f} {medians['original'] / medians['bfloat16']:7.2f}"
    print(line, flush=True)
    return medians


def compare_offline(name: str, model: RAVE, seconds: float) -> None:
    """Encode, decode and forward of about three seconds at once."""
    theirs = original.build(MODELS[name], [], 1).eval()
    audio = original.sound(1, 1, 32 * 4096, 5)
    latent = model.encode(audio)[0]
    size = latent.shape[1]

    def encode() -> Tensor:
        return theirs.encoder(original.bands_of(theirs, audio))

    def decode(z: Tensor) -> Tensor:
        return theirs.pqmf.inverse(theirs.decoder(z))

    pairs: dict[str, tuple[Call, Call]] = {
        "encode": (lambda: model.encode(audio), encode),
        "decode": (lambda: model.decode(latent), lambda: decode(latent)),
        "forward": (lambda: model(audio), lambda: decode(encode()[:, :size])),
    }
    for what, (a, b) in pairs.items():
        row(
            name,
            f"offline {what}",
            take_turns({"ours": a, "original": b}, seconds),
            audio.shape[-1] / model.sample_rate,
        )


def compare_streamed(name: str, model: RAVE, seconds: float) -> None:
    """Encode, decode and forward of the exported files at 1, 2 and 4 hops a block."""
    theirs = torch.jit.load(str(exported(name))).eval()
    latent_size, hop, rate = int(theirs.encode_params[2]), model.hop_length, model.sample_rate
    files = {"ours": _ours(name, model, latent_size, "float32")[0], "original": theirs}
    if name in REDUCED:
        files["bfloat16"], error = _ours(name, model, latent_size, "bfloat16")
        print(f"{name:10} bfloat16 weights change the sound by {100 * error:.2f} % (RMS of the difference over RMS)")
    for hops in (1, 2, 4):
        block, frames = original.sound(1, 1, hop * hops, 6), torch.randn(1, latent_size, hops)
        for method, given in (("encode", block), ("decode", frames), ("forward", block)):
            times = take_turns({side: _call(file, method, given) for side, file in files.items()}, seconds, burst=BURST)
            row(name, f"{method}, {hops} hop{'s' * (hops > 1)}", times, hop * hops / rate)


def _ours(name: str, model: RAVE, latent_size: int, precision: str) -> tuple[nn.Module, float]:
    path = FOLDER / f"{name.replace(' ', '_')}_ours_{precision}.ts"
    about = export_model(model, path, latent_size=latent_size, precision=precision, about={})
    return torch.jit.load(str(path)).eval(), about.get("precision_error", 0.0)


def _call(module: nn.Module, method: str, given: Tensor) -> Call:
    return lambda: getattr(module, method)(given)


def learner_for(name: str, theirs: nn.Module, batch: int, samples: int) -> Learner:
    """Our learner with the original's model, discriminators, losses and pace."""
    config = upstream.read(made(name)).model.config
    discriminator = training_preset(config.architecture).discriminator
    if name == "v2_small":
        discriminator = replace(discriminator, scale_capacity=48, period_capacity=48)
    settings = training_preset(
        config.architecture,
        discriminator=discriminator,
        batch_size=batch,
        crop_samples=samples,
        phase_one_steps=10,
        phase_two_steps=10,
        discriminator_every=theirs.update_discriminator_every,
    )
    learner = Learner(config, settings, torch.device("cpu"))
    for part, same in (
        (learner.model.encoder, theirs.encoder),
        (learner.model.decoder, theirs.decoder),
        (learner.discriminator, theirs.discriminator),
    ):
        counts = [sum(p.numel() for p in module.parameters()) for module in (part, same)]
        if counts[0] != counts[1]:
            raise SystemExit(
                f"{name}: {type(part).__name__} has {counts[0]} weights, the original's {counts[1]}; "
                "the comparison would not be fair."
            )
    return learner


def their_step(theirs: nn.Module, audio: Tensor) -> Callable[[int], object]:
    """The original's training step of a given number, without its trainer: gradients, optimisers, no log."""
    optimisers = [entry["optimizer"] for entry in theirs.configure_optimizers()]
    theirs.optimizers = lambda: optimisers
    theirs.log = theirs.log_dict = lambda *arguments, **options: None
    return lambda index: theirs.training_step(audio.clone(), index)  # it asks for the input's gradient


def compare_training(name: str, seconds: float, threads: int, batch: int, samples: int) -> None:
    """Steps of each kind on the same batch."""
    torch.set_num_threads(threads)
    audio = original.sound(batch, 1, samples, 7)
    theirs = original.build(MODELS[name], TRAINED_WITHOUT.get(name, []), 1).train()
    learner, step = learner_for(name, theirs, batch, samples), their_step(theirs, audio)
    label, sound_seconds, rates = f"{threads} thread{'s' * (threads > 1)}", batch * samples / 44100, {}

    def timed(what: str, ours: Call, index: int) -> dict[str, float]:
        times = take_turns({"ours": ours, "original": lambda: step(index)}, seconds, least=3)
        return row(name, f"{what}, {label}", times, sound_seconds)

    rates["phase one"] = timed("phase one", lambda: learner.step(audio, 0, 10), 1)
    learner.enter_phase_two()
    theirs.warmed_up = True
    discriminator = timed("discriminator", lambda: learner.step(audio, 0, 0), 0)
    decoder = timed("decoder", lambda: learner.step(audio, 1, 0), 1)
    share = 1 / theirs.update_discriminator_every
    rates["phase two"] = {side: share * discriminator[side] + (1 - share) * decoder[side] for side in discriminator}
    for phase, mean in rates.items():
        print(
            f"{name:10} {phase}, {label}: ours {1 / mean['ours']:.3f} steps/s, original {1 / mean['original']:.3f}, "
            f"ratio {mean['original'] / mean['ours']:.2f}",
            flush=True,
        )
    torch.set_num_threads(1)


def main(arguments: list[str]) -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated, of: " + ", ".join(MODELS))
    parser.add_argument("--seconds", type=float, default=4.0, help="of timing for each line")
    parser.add_argument("--batch", type=int, default=2, help="sounds in a batch of training")
    parser.add_argument("--samples", type=int, default=65536, help="samples of each")
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--no-streaming", action="store_true", help="nor offline")
    options = parser.parse_args(arguments)
    names = options.models.split(",")
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        parser.error(f"there is no model {unknown[0]!r}; choose of: {', '.join(MODELS)}")
    everything = torch.get_num_threads()
    torch.set_num_threads(1)
    columns = f"{'ours: ms':>9} {'p99':>9} {'x real':>8} {'orig: ms':>9} {'p99':>9} {'x real':>8} {'ratio':>7}"
    print(
        f"PyTorch {torch.__version__.split('+')[0]}, {torch.backends.cpu.get_cpu_capability()}. "
        f"Offline and streamed: one thread.\n{'':33} {columns} {'bf16: ms':>9} {'ratio':>7}",
        flush=True,
    )
    if not options.no_streaming:
        for name in names:
            if name not in NOT_STREAMED:
                with torch.inference_mode():
                    model = upstream.read(made(name)).model.eval()
                    compare_offline(name, model, options.seconds)
                    compare_streamed(name, model, options.seconds)
    if not options.no_training:
        print(f"Training, batches of {options.batch} x {options.samples} samples, the same losses.")
        for name in names:
            for threads in sorted({1, everything}) if name in TRAINED else ():
                compare_training(name, options.seconds, threads, options.batch, options.samples)


if __name__ == "__main__":
    main(sys.argv[1:])
