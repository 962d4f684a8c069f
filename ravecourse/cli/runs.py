"""The verbs that make runs: train, import.

Notebook: 00.
"""

import shlex
from argparse import BooleanOptionalAction, Namespace
from pathlib import Path

from .verbs import Parser, Verb


def _train_arguments(parser: Parser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DATASET", help="what `ravecourse prepare` wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="the folder for checkpoints and curves")
    parser.add_argument("--preset", default=None, help="tiny (default), low_latency, small, v1 or v2")
    parser.add_argument(
        "--causal", action="store_true", default=None, help="a causal model: less delay when played, lower quality"
    )
    parser.add_argument(
        "--from",
        dest="base",
        metavar="MODEL",
        help="fine-tune this trained model: a bundled one (strings), a run folder or checkpoint, also an imported one",
    )
    parser.add_argument("--parts", metavar="NAMES", help="of that model to train (default: encoder,decoder)")
    parser.add_argument(
        "--source",
        action=BooleanOptionalAction,
        default=None,
        help="harmonics driven by pitch (default: where the recordings have a pitch)",
    )
    parser.add_argument("--channels", type=int, help="1 for mono, 2 for stereo (default: as the dataset)")
    parser.add_argument("--phase-one-steps", type=int, metavar="N", help="(default: the preset's)")
    parser.add_argument("--phase-two-steps", type=int, metavar="N", help="(default: the preset's)")
    parser.add_argument("--batch", type=int, metavar="N", help="crops in a batch (default: the preset's)")
    parser.add_argument("--crop", type=int, metavar="SAMPLES", help="length of a crop (default: the preset's)")
    parser.add_argument("--seed", type=int, help="random seed (default: 0)")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best one available)")
    parser.add_argument("--compile", action="store_true", help="try torch.compile, and use it if it makes steps faster")
    parser.add_argument("--phase-two-now", action="store_true", help="end phase one here and start phase two")
    parser.add_argument("--fresh", action="store_true", help="discard the run in the folder and start over")


def _train(arguments: Namespace) -> int:
    from dataclasses import replace

    from ravecourse import training
    from ravecourse.config import fine_tuning_preset, preset, training_preset
    from ravecourse.dataset import Dataset
    from ravecourse.model import checkpoint

    dataset = Dataset(arguments.data)
    resuming = not arguments.fresh and (arguments.out / checkpoint.NAME).is_file()
    found = checkpoint.load(arguments.out) if resuming else None
    base = training.load_base(arguments.base) if arguments.base is not None else None
    if base and found and base.replaces(found):
        found = None
    given = {
        "phase_one_steps": arguments.phase_one_steps,
        "phase_two_steps": arguments.phase_two_steps,
        "batch_size": arguments.batch,
        "crop_samples": arguments.crop,
        "seed": arguments.seed,
        "trained_parts": _parts(arguments.parts),
    }
    given = {name: value for name, value in given.items() if value is not None}
    shape = (arguments.preset, arguments.causal, arguments.channels, arguments.source)
    model = found.model_config if found else base.checkpoint.model_config if base else None
    if model and all(value is None for value in shape):
        model_config = None
    else:
        model_config = preset(
            arguments.preset or (model.preset if model else "tiny"),
            causal=arguments.causal,
            channels=dataset.channels if arguments.channels is None else arguments.channels,
            sample_rate=dataset.sample_rate,
        )
        if arguments.source is False or (arguments.source is None and model and not model.harmonics):
            model_config = replace(model_config, harmonics=0)
    if found and found.training_config:
        training_config = replace(found.training_config, **given) if given else None
    elif base:
        training_config = fine_tuning_preset(
            base.checkpoint.model_config.preset, base.checkpoint.training_config, **given
        )
    else:
        training_config = training_preset(arguments.preset or "tiny", **given)
        if arguments.source is None and model_config:
            model_config, training_config, said = training.fit_to_sound(model_config, training_config, dataset)
            print(said, end="\n" if said else "")
    result = training.train(
        dataset,
        arguments.out,
        model_config,
        training_config,
        device=arguments.device or "auto",
        resume=not arguments.fresh,
        phase_two_now=arguments.phase_two_now,
        compiled=arguments.compile,
        base=base,
    )
    print(result.message)
    if result.validation:
        print(f"Distance on held-out sound (log-mel, 1 is 20 dB a band): {result.validation['log_mel']:.3f}")
    _print_export(arguments.out)
    return 0 if result.finished else 130


def _parts(text: str | None) -> tuple[str, ...] | None:
    """The parts that `--parts decoder,encoder` names, in the model's order; unknown ones are left for the message."""
    from ravecourse.config import PARTS

    if text is None:
        return None
    names = {name.strip() for name in text.split(",")}
    return (*(part for part in PARTS if part in names), *sorted(names - set(PARTS)))


def _import_arguments(parser: Parser) -> None:
    parser.add_argument("source", type=Path, metavar="RUN_OR_CKPT", help="its run folder, or a checkpoint in it")
    parser.add_argument("target", type=Path, metavar="RUN", help="the folder for the imported checkpoint")
    parser.add_argument(
        "--causal", action=BooleanOptionalAction, default=None, help="override the checkpoint's setting"
    )
    parser.add_argument("--sample-rate", type=int, metavar="HZ", help="override the checkpoint's setting")
    parser.add_argument("--averaged", action="store_true", help="take the moving average of the weights (EMA)")


def _import(arguments: Namespace) -> None:
    from ravecourse.upstream import import_checkpoint

    found = import_checkpoint(
        arguments.source,
        arguments.target,
        causal=arguments.causal,
        sample_rate=arguments.sample_rate,
        averaged=arguments.averaged,
    )
    config = found.model.config
    print(
        f"{arguments.target}: {config.preset}, {config.sample_rate} Hz, {config.latents} latents, "
        f"trained for {found.steps} steps."
    )
    for note in found.notes:
        print(f"note: {note}")
    _print_export(arguments.target)


def _print_export(run: Path) -> None:
    print(f"Next: ravecourse export {shlex.quote(str(run))} {shlex.quote(run.resolve().name + '.ts')}")


TRAIN = Verb(
    "train",
    "train a model through both phases; run again, it resumes from the last checkpoint",
    "ravecourse train --data sounds/cello --out runs/cello --preset tiny",
    _train_arguments,
    _train,
)
IMPORT = Verb(
    "import",
    "import a run or checkpoint of the original RAVE (acids-ircam, 2.x; v1 and v2 families)",
    "ravecourse import runs/darbouka runs/darbouka_here",
    _import_arguments,
    _import,
)
