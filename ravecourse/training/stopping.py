"""Stop a long work between two of its steps, when a person or a cluster asks for it.

Notebook: 04.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], str]]:
    """Within the block Ctrl-C and SIGTERM are noted, to be asked for; a second one acts as usual.

    In other threads than the main one, which gets no signals, nothing is ever noted.

    Yields:
        a function: the word for what happened, "" for nothing so far.
    Notebook: 04.
    """
    note: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: ""
        return

    def handler(number: int, frame: Any) -> None:
        note.append("Interrupted")
        for kind, former in before.items():
            signal.signal(kind, former)

    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    for kind in before:
        signal.signal(kind, handler)
    try:
        yield lambda: note[0] if note else ""
    finally:
        for kind, former in before.items():
            signal.signal(kind, former)
