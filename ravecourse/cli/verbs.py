"""What a verb of the command line is: a name, its arguments, and the function that it runs.

Notebook: 00.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ravecourse.errors import RaveCourseError

# Nothing heavy is imported at the head of this module or of the modules of verbs, so that --help answers at once.


class Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one line on stderr and exits with status 2. Notebook: 00."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")


@dataclass(frozen=True)
class Verb:
    """One verb of the command line.

    Attributes:
        name: the word to type.
        help: what it does, in a few words that begin in lower case.
        example: one command that works.
        add_arguments: adds its arguments to the parser.
        run: does the work; returns the exit status, None for 0.
    Notebook: 00.
    """

    name: str
    help: str
    example: str
    add_arguments: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], int | None]


def with_suffix(path: Path, suffix: str) -> Path:
    """`path`, if it ends in `suffix`.

    Raises:
        RaveCourseError: it does not; the message has the name to use.
    Notebook: 00.
    """
    if not path.name:
        raise RaveCourseError(f"{str(path)!r} is no name for a file. Write one that ends in {suffix}.")
    if path.suffix != suffix:
        raise RaveCourseError(
            f"{path} does not end in {suffix}, by which such files are known. Write {path.with_suffix(suffix)}."
        )
    return path
