"""The command line: `ravecourse <verb>`."""

from .parser import main

__all__ = ["main"]
