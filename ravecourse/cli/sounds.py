"""The verbs that make sounds and datasets: synth, prepare.

Notebook: 00.
"""

import shlex
from argparse import Namespace
from pathlib import Path

from .verbs import Parser, Verb


def _synth_arguments(parser: Parser) -> None:
    parser.add_argument("folder", type=Path, help="where to write; each instrument gets a folder in it")
    parser.add_argument("--instruments", nargs="+", metavar="NAME", help="strings, bars, voice (default: all)")
    parser.add_argument("--minutes", type=float, default=6.0, help="of each instrument (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")


def _synth(arguments: Namespace) -> None:
    from ravecourse.synth import INSTRUMENTS, render_folder

    paths = render_folder(arguments.folder, arguments.instruments or INSTRUMENTS, arguments.minutes, arguments.seed)
    print(f"{len(paths)} files in {arguments.folder}, dedicated to the public domain (CC0 1.0).")
    dataset = arguments.folder / "dataset"
    print(f"Next: ravecourse prepare {shlex.quote(str(paths[0].parent))} --out {shlex.quote(str(dataset))}")


def _prepare_arguments(parser: Parser) -> None:
    parser.add_argument(
        "sources", type=Path, nargs="+", metavar="FOLDER", help="folders, with everything below them, or files"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DATASET", help="the folder to write the dataset to")
    parser.add_argument("--sample-rate", type=int, default=48000, metavar="HZ", help="(default: %(default)s)")
    parser.add_argument("--channels", type=int, default=1, help="1 for mono, 2 for stereo (default: %(default)s)")
    parser.add_argument(
        "--validation",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the sound to hold out for validation (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed, which decides what is held out (default: %(default)s)"
    )


def _prepare(arguments: Namespace) -> None:
    from ravecourse.dataset import prepare

    print(
        prepare(
            arguments.sources,
            arguments.out,
            sample_rate=arguments.sample_rate,
            channels=arguments.channels,
            validation=arguments.validation,
            seed=arguments.seed,
        )
    )
    run = Path("runs") / arguments.out.resolve().name
    print(f"Next: ravecourse train --data {shlex.quote(str(arguments.out))} --out {shlex.quote(str(run))}")


SYNTH = Verb(
    "synth",
    "render the bundled instruments: plucked strings, struck bars, a singing voice",
    "ravecourse synth sounds --instruments strings voice --minutes 10",
    _synth_arguments,
    _synth,
)
PREPARE = Verb(
    "prepare",
    "turn folders of recordings into one dataset for training",
    "ravecourse prepare ~/recordings/cello ~/more --out sounds/cello",
    _prepare_arguments,
    _prepare,
)
