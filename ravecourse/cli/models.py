"""The verbs that take a trained model further: export, card, info.

Notebook: 00.
"""

import shlex
import sys
from argparse import Namespace
from pathlib import Path

from .verbs import Parser, Verb, with_suffix


def _export_arguments(parser: Parser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder or a checkpoint file")
    parser.add_argument("target", type=Path, metavar="FILE.ts", help="the file to write")
    parser.add_argument(
        "--fidelity",
        type=float,
        default=0.95,
        metavar="SHARE",
        help="keep the latents that explain this share of the variance (default: %(default)s)",
    )
    parser.add_argument("--latent-size", type=int, metavar="N", help="or keep exactly this many latents")
    parser.add_argument(
        "--precision",
        default="float32",
        metavar="KIND",
        help="float32, or bfloat16: faster on processors that support it; the error is reported (default: %(default)s)",
    )
    parser.add_argument("--licence", metavar="TEXT", help="stored in the file")
    parser.add_argument("--notes", metavar="TEXT", help="stored in the file")


def _export(arguments: Namespace) -> None:
    from ravecourse.export import export_torchscript, read_metadata

    about = {name: value for name in ("licence", "notes") if (value := getattr(arguments, name)) is not None}
    target = export_torchscript(
        arguments.run,
        with_suffix(arguments.target, ".ts"),
        fidelity=arguments.fidelity,
        latent_size=arguments.latent_size,
        precision=arguments.precision,
        **about,
    )
    found = read_metadata(target)
    print(
        f"{target}: {found['latent_size']} latents (fidelity {found['fidelity']:.2f}), delay "
        f"{found['delay_samples']} samples = {found['delay_ms']:.1f} ms. Reloaded and verified: equal to the model."
    )
    if "precision_error" in found:
        print(f"{found['precision']} changes the sound by {100 * found['precision_error']:.2g} % of its level.")
    print(
        f"Next: ravecourse render {shlex.quote(str(target))} IN.wav OUT.wav, or open it in Pd: "
        f"[nn~ {target.name} forward]"
    )


def _card_arguments(parser: Parser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder or a checkpoint file")
    parser.add_argument("--data", type=Path, metavar="DATASET", help="evaluate it on the held-out part of this dataset")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="the file to write (default: the screen)")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE.pt",
        help="also write the checkpoint for sharing: what export needs, without the training state",
    )
    parser.add_argument("--name", help="its title (default: the name of the run)")
    parser.add_argument("--licence", default="not stated", metavar="TEXT", help="the licence that you share it under")
    parser.add_argument("--about", default="", metavar="TEXT", help="about the sounds: what, who played, where, how")


def _card(arguments: Namespace) -> None:
    from ravecourse.evaluation import model_card
    from ravecourse.files import check_not_input, write_text
    from ravecourse.model import checkpoint

    out = with_suffix(arguments.out, ".md") if arguments.out else None
    weights = with_suffix(arguments.weights, ".pt") if arguments.weights else None
    for target in filter(None, (out, weights)):
        check_not_input(target, checkpoint.file_of(arguments.run))
    text = model_card(
        arguments.run, arguments.data, name=arguments.name, licence=arguments.licence, about=arguments.about
    )
    if weights:
        checkpoint.save(weights, checkpoint.for_publication(checkpoint.load(arguments.run)))
        print(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, without the training state.", file=sys.stderr)
    if out:
        write_text(out, text)
        print(f"{out}: read it before you share it, above all the names of the recordings.")
    else:
        print(text, end="")


def _info_arguments(parser: Parser) -> None:
    parser.add_argument("path", type=Path)


def _info(arguments: Namespace) -> None:
    from . import info

    print(info.describe(arguments.path))


EXPORT = Verb(
    "export",
    "export a trained model as a .ts file that nn~ plays in Pd, and verify it",
    "ravecourse export runs/cello cello.ts --fidelity 0.95 --licence CC0-1.0",
    _export_arguments,
    _export,
)
CARD = Verb(
    "card",
    "write a model card: what the model was made from and how, and what it does, measured",
    "ravecourse card runs/cello --data sounds/cello --out cello.md --weights cello.pt --licence CC0-1.0",
    _card_arguments,
    _card,
)
INFO = Verb(
    "info",
    "show what a run folder, checkpoint, dataset, .ts or sound file holds",
    "ravecourse info cello.ts",
    _info_arguments,
    _info,
)
