"""What the verbs of the command line do: read the arguments, call the module that does the work, print what came out.

Notebook: 00.
"""

import sys
from argparse import Namespace
from pathlib import Path

from ravecourse.errors import RaveCourseError

PROGRAM_NOTICE = "A .ts file is a program, and playing it runs it: use files from people you trust."


def doctor(arguments: Namespace) -> int:
    """Notebook: 00."""
    from .doctor import run

    return run()


def synth(arguments: Namespace) -> None:
    """Notebook: 01."""
    from ravecourse.synth import INSTRUMENTS, render_folder

    paths = render_folder(arguments.folder, arguments.instruments or INSTRUMENTS, arguments.minutes, arguments.seed)
    print(f"{len(paths)} files in {arguments.folder}, dedicated to the public domain (CC0 1.0).")
    print(f"Next: ravecourse prepare {paths[0].parent} --out {arguments.folder}/dataset")


def prepare(arguments: Namespace) -> None:
    """Notebook: 01."""
    from ravecourse.dataset import prepare as run

    print(run(arguments.sources, arguments.out, sample_rate=arguments.sample_rate, channels=arguments.channels,
              validation=arguments.validation, seed=arguments.seed))
    print(f"Next: ravecourse train --data {arguments.out} --out runs/{arguments.out.name}")


def presets(arguments: Namespace) -> None:
    """Notebook: 00."""
    from ravecourse.config import PRESETS
    from ravecourse.evaluation import as_text, table

    print(as_text(table(arguments.names or tuple(PRESETS), 0.0 if arguments.no_timing else 0.5)))


def train(arguments: Namespace) -> int:
    """Notebook: 00."""
    from dataclasses import replace

    from ravecourse import training
    from ravecourse.config import preset, training_preset
    from ravecourse.dataset import Dataset
    from ravecourse.model import checkpoint

    store = Dataset(arguments.data)
    going_on = not arguments.fresh and (arguments.out / checkpoint.NAME).is_file()
    found = checkpoint.load(arguments.out) if going_on else None
    given = {"phase_one_steps": arguments.phase_one_steps, "phase_two_steps": arguments.phase_two_steps,
             "batch_size": arguments.batch, "crop_samples": arguments.crop, "seed": arguments.seed}
    given = {name: value for name, value in given.items() if value is not None}
    shape = (arguments.preset, arguments.causal, arguments.channels)
    if found and all(value is None for value in shape):
        model_config = None
    else:
        name = arguments.preset or (found.model_config.preset if found else "tiny")
        model_config = preset(name, causal=arguments.causal, channels=arguments.channels or store.channels,
                              sample_rate=store.sample_rate)
    if found and found.training_config:
        training_config = replace(found.training_config, **given) if given else None
    else:
        training_config = training_preset(arguments.preset or "tiny", **given)
    result = training.train(store, arguments.out, model_config, training_config, device=arguments.device or "auto",
                            resume=not arguments.fresh, phase_two_now=arguments.phase_two_now,
                            compile=arguments.compile)
    print(result.message)
    if result.validation:
        print(f"Distance on held-out sound (log-mel, 1 is 20 dB a band): {result.validation['log_mel']:.3f}")
    print(f"Next: ravecourse export {arguments.out} {arguments.out.name}.ts")
    return 0 if result.finished else 130


def export(arguments: Namespace) -> None:
    """Notebook: 00."""
    from ravecourse.export import export as run
    from ravecourse.export import read_metadata

    about = {name: value for name in ("licence", "notes") if (value := getattr(arguments, name)) is not None}
    target = run(arguments.run, _ending(arguments.target, ".ts"), fidelity=arguments.fidelity,
                 latent_size=arguments.latent_size, precision=arguments.precision, **about)
    found = read_metadata(target)
    print(f"{target}: {found['latent_size']} latents (fidelity {found['fidelity']:.2f}), delay "
          f"{found['delay_samples']} samples = {found['delay_ms']:.1f} ms. Reloaded and proven equal to the model.")
    if "precision_error" in found:
        print(f"{found['precision']} changes the sound by {100 * found['precision_error']:.2g} % of its level.")
    print(f"Next: ravecourse render {target} IN.wav OUT.wav, or open it in Pd: [nn~ {target.name} forward]")


def import_run(arguments: Namespace) -> None:
    """Notebook: 00."""
    from ravecourse.upstream import import_checkpoint

    found = import_checkpoint(arguments.source, arguments.target, causal=arguments.causal,
                              sample_rate=arguments.sample_rate, averaged=arguments.averaged)
    config = found.model.config
    print(f"{arguments.target}: {config.preset}, {config.sample_rate} Hz, {config.latent_size} latents, "
          f"trained for {found.steps} steps.")
    for note in found.notes:
        print(f"note: {note}")
    print(f"Next: ravecourse export {arguments.target} {arguments.target.name}.ts")


def card(arguments: Namespace) -> None:
    """Notebook: 00."""
    from ravecourse.evaluation import model_card
    from ravecourse.files import write_text
    from ravecourse.model import checkpoint

    out = _ending(arguments.out, ".md") if arguments.out else None
    weights = _ending(arguments.weights, ".pt") if arguments.weights else None
    text = model_card(arguments.run, arguments.data, name=arguments.name, licence=arguments.licence,
                      about=arguments.about)
    if weights:
        checkpoint.save(weights, checkpoint.for_publication(checkpoint.load(arguments.run)))
        print(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, without the state of training.", file=sys.stderr)
    if out:
        write_text(out, text)
        print(f"{out}: read it before you share it, above all the names of the recordings.")
    else:
        print(text, end="")


def info(arguments: Namespace) -> None:
    """Notebook: 00."""
    from . import info as describing

    print(describing.describe(arguments.path))


def render(arguments: Namespace) -> None:
    """Notebook: 00."""
    from ravecourse.export import load
    from ravecourse.playback import render_file

    model = load(arguments.model)
    if not model.metadata:
        print(f"note: {PROGRAM_NOTICE}", file=sys.stderr)
    done = render_file(arguments.source, arguments.target, model, method=arguments.method, buffer=arguments.buffer,
                       compensate=not arguments.keep_delay, per_channel=arguments.per_channel, seed=arguments.seed)
    for notice in done.notices:
        print(f"note: {notice}", file=sys.stderr)
    seconds = done.audio.shape[1] / done.sample_rate
    print(f"{arguments.target}: {seconds:.2f} s, {done.audio.shape[0]} channels, {done.sample_rate} Hz")


def bench(arguments: Namespace) -> None:
    """Notebook: 00."""
    from ravecourse.playback import benching

    benching.run(arguments.what, arguments.seconds)


def _ending(path: Path, ending: str) -> Path:
    if path.suffix != ending:
        raise RaveCourseError(f"{path} does not end in {ending}, by which such files are known. "
                              f"Write {path.with_suffix(ending)}.")
    return path
