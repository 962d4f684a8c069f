"""The command line: `ravecourse <verb>`, also `python -m ravecourse`.

Notebook: 00.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from ravecourse import __version__
from ravecourse.errors import RaveCourseError

from . import doctor, judging, models, playing, runs, sounds
from .verbs import Parser, Verb

DOCTOR = Verb(
    "doctor",
    "check what is installed, what is missing and what to do about it",
    "ravecourse doctor",
    lambda parser: None,
    lambda arguments: doctor.run(),
)
VERBS = (
    DOCTOR,
    sounds.SYNTH,
    sounds.PREPARE,
    playing.PRESETS,
    runs.TRAIN,
    judging.EVALUATE,
    judging.COMPARE,
    models.EXPORT,
    models.CARD,
    models.INFO,
    playing.RENDER,
    runs.IMPORT,
    playing.BENCH,
)


def build_parser() -> Parser:
    """The parser of all verbs. Notebook: 00."""
    parser = Parser(
        "ravecourse",
        description="From a folder of sounds to an instrument played live in Pure Data.",
        epilog="Help for one verb: ravecourse train --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ravecourse {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for verb in VERBS:
        made = verbs.add_parser(
            verb.name,
            help=verb.help,
            description=f"{verb.help[0].upper()}{verb.help[1:]}.",
            epilog=f"example:\n  {verb.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument("--debug", action="store_true", help="show the traceback of an error")
        made.set_defaults(execute=verb.run)
        verb.add_arguments(made)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the words after the program's name; None takes those that it was called with.
    Returns:
        0 if it went well, 1 if `doctor` found something missing, 2 for an error, 130 if it was interrupted.
    Notebook: 00.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as done:  # --help, --version, or a mistake in typing that was already reported
        return int(done.code or 0)
    try:
        status = arguments.execute(arguments)
        sys.stdout.flush()
        return int(status or 0)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
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
