"""The command line: `ravecourse <verb>`, also `python -m ravecourse`. What the verbs do is in `commands`.

Notebook: 00.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ravecourse import __version__
from ravecourse.errors import RaveCourseError

# Nothing heavy is imported here, so that --help and mistakes in typing answer at once.


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line on stderr and status 2. Notebook: 00."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")


def build_parser() -> Parser:
    """The parser of all verbs. Source: this course. Notebook: 00."""
    parser = Parser("ravecourse", description="From a folder of sounds to an instrument played live in Pure Data.",
                    epilog="A verb's own help: ravecourse train --help",
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"ravecourse {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)

    def verb(name: str, does: str, example: str) -> Parser:
        made = verbs.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.",
                                epilog=f"example:\n  {example}", formatter_class=argparse.RawDescriptionHelpFormatter)
        made.add_argument("--debug", action="store_true", help="show where in the program an error arose")
        return made

    verb("doctor", "look at what is installed, what is missing and what to do about it", "ravecourse doctor")

    p = verb("synth", "render the bundled instruments: plucked strings, struck bars, a singing voice",
             "ravecourse synth sounds --instruments strings voice --minutes 10")
    p.add_argument("folder", type=Path, help="where to write; each instrument gets a folder in it")
    p.add_argument("--instruments", nargs="+", metavar="NAME", help="strings, bars, voice (default: all)")
    p.add_argument("--minutes", type=float, default=6.0, help="of each instrument (default: %(default)g)")
    p.add_argument("--seed", type=int, default=0, help="another number, other music (default: 0)")

    p = verb("prepare", "turn folders of recordings into one dataset for training",
             "ravecourse prepare ~/recordings/cello ~/more --out sounds/cello")
    p.add_argument("sources", type=Path, nargs="+", metavar="FOLDER", help="folders (with all below them) or files")
    p.add_argument("--out", type=Path, required=True, metavar="DATASET", help="the folder to write the dataset to")
    p.add_argument("--sample-rate", type=int, default=48000, metavar="HZ", help="(default: %(default)s)")
    p.add_argument("--channels", type=int, default=1, help="1 mono, 2 stereo (default: 1)")
    p.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="held out (default: %(default)s)")
    p.add_argument("--seed", type=int, default=0, help="chooses what is held out (default: 0)")

    p = verb("presets", "show what each preset costs and gives, timed on this machine",
             "ravecourse presets tiny small")
    p.add_argument("names", nargs="*", metavar="PRESET", help="tiny, low_latency, small, v1, v2 (default: all)")
    p.add_argument("--no-timing", action="store_true", help="leave the timing out, which takes most of the time")

    p = verb("train", "train a model through both phases; goes on where it stopped when called again",
             "ravecourse train --data sounds/cello --out runs/cello --preset tiny")
    p.add_argument("--data", type=Path, required=True, metavar="DATASET", help="what `ravecourse prepare` wrote")
    p.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for checkpoints and curves")
    p.add_argument("--preset", default=None, help="tiny (default), low_latency, small, v1 or v2")
    p.add_argument("--causal", action="store_true", default=None, help="less delay when played, lower quality")
    p.add_argument("--channels", type=int, help="1 mono, 2 stereo (default: as the dataset)")
    p.add_argument("--phase-one-steps", type=int, metavar="N", help="(default: the preset's)")
    p.add_argument("--phase-two-steps", type=int, metavar="N", help="(default: the preset's)")
    p.add_argument("--batch", type=int, metavar="N", help="crops in a batch (default: the preset's)")
    p.add_argument("--crop", type=int, metavar="SAMPLES", help="length of a crop (default: the preset's)")
    p.add_argument("--seed", type=int, help="(default: 0)")
    p.add_argument("--device", help="cpu, cuda or mps (default: the best that is here)")
    p.add_argument("--compile", action="store_true", help="try torch.compile, and use it where steps get faster by it")
    p.add_argument("--phase-two-now", action="store_true", help="end phase one here and go on with phase two")
    p.add_argument("--fresh", action="store_true", help="start anew where the folder already holds a training")

    p = verb("export", "write a trained model as a .ts file that nn~ plays in Pd, and prove it",
             "ravecourse export runs/cello cello.ts --fidelity 0.95 --licence CC0-1.0")
    p.add_argument("run", type=Path, metavar="RUN", help="a run folder or a checkpoint file")
    p.add_argument("target", type=Path, metavar="FILE.ts", help="the file to write")
    p.add_argument("--fidelity", type=float, default=0.95, metavar="SHARE",
                   help="keep the latents that hold this share of the variance (default: %(default)s)")
    p.add_argument("--latent-size", type=int, metavar="N", help="or keep exactly so many")
    p.add_argument("--precision", default="float32", metavar="KIND",
                   help="float32, or bfloat16: faster on processors that have it, with the error told (default: "
                        "%(default)s)")
    p.add_argument("--licence", metavar="TEXT", help="stored in the file")
    p.add_argument("--notes", metavar="TEXT", help="stored in the file")

    p = verb("card", "write a model's card: what it was made from and how, and what it does, measured",
             "ravecourse card runs/cello --data sounds/cello --out cello.md --weights cello.pt --licence CC0-1.0")
    p.add_argument("run", type=Path, metavar="RUN", help="a run folder or a checkpoint file")
    p.add_argument("--data", type=Path, metavar="DATASET", help="judge it on what was held out of this dataset")
    p.add_argument("--out", type=Path, metavar="FILE.md", help="the file to write (default: on the screen)")
    p.add_argument("--weights", type=Path, metavar="FILE.pt",
                   help="also write the checkpoint as it is shared: what export needs, without the state of training")
    p.add_argument("--name", help="its title (default: the name of the run)")
    p.add_argument("--licence", default="not stated", metavar="TEXT", help="under which others get it")
    p.add_argument("--about", default="", metavar="TEXT", help="on the sounds: what, who played, where, how")

    p = verb("info", "say what a run folder, checkpoint, dataset, .ts or sound file holds", "ravecourse info cello.ts")
    p.add_argument("path", type=Path)

    p = verb("render", "play a sound file through a .ts model, block by block as nn~ does",
             "ravecourse render cello.ts voice.wav voice-as-cello.wav")
    p.add_argument("model", type=Path, metavar="FILE.ts", help="a program: use files from people you trust")
    p.add_argument("source", type=Path, metavar="IN")
    p.add_argument("target", type=Path, metavar="OUT")
    p.add_argument("--method", default="forward", help="forward, encode, decode, or another that the file has")
    p.add_argument("--buffer", type=int, default=4096, metavar="SAMPLES", help="block size (default: %(default)s)")
    p.add_argument("--keep-delay", action="store_true", help="leave the output as late as it would be live")
    p.add_argument("--per-channel", action="store_true", help="a mono model on each channel, in place of a mix")
    p.add_argument("--seed", type=int, default=0, help="of the noise inside the model (default: 0)")

    p = verb("import", "read a run or checkpoint of the original RAVE (acids-ircam, 2.x; v1 and v2 families)",
             "ravecourse import runs/darbouka runs/darbouka_here")
    p.add_argument("source", type=Path, metavar="RUN_OR_CKPT", help="its run folder, or a checkpoint in it")
    p.add_argument("target", type=Path, metavar="RUN", help="folder for the imported checkpoint, ready to export")
    p.add_argument("--causal", action=argparse.BooleanOptionalAction, default=None,
                   help="say it where the file does not (default: what the file says)")
    p.add_argument("--sample-rate", type=int, metavar="HZ", help="say it where the file does not")
    p.add_argument("--averaged", action="store_true", help="take the moving average of the weights (EMA)")

    p = verb("bench", "measure on this machine whether models keep up: speed, block times, smallest safe buffer",
             "ravecourse bench cello.ts")
    p.add_argument("what", nargs="*", metavar="FILE.ts|PRESET", help="models or presets (default: all presets)")
    p.add_argument("--seconds", type=float, default=1.0, help="of timing for each line (default: %(default)g)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the words after the program's name; None takes those that it was called with.
    Returns:
        0 if it went well, 1 if `doctor` found something missing, 2 for an error, 130 if it was interrupted.
    Source: this course. Notebook: 00.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as done:  # --help, --version, or a mistake in typing that was already reported
        return int(done.code or 0)
    try:
        from . import commands

        name = "import_run" if arguments.verb == "import" else arguments.verb  # a function cannot be called `import`
        status = getattr(commands, name)(arguments)
        sys.stdout.flush()
        return int(status or 0)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RaveCourseError, OSError, MemoryError) as error:
        if arguments.debug:
            raise
        print(f"ravecourse {arguments.verb}: {_on_one_line(error)}", file=sys.stderr)
        return 2


def _on_one_line(error: Exception) -> str:
    if isinstance(error, RaveCourseError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "There is not enough memory. Close other programs, or use a smaller preset, batch or crop."
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = "The disk is full. Free some space and run the same command again."
    else:
        text = f"{error}. Run again with --debug to see where it happened."
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
