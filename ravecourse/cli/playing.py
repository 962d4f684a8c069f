"""The verbs that play models and time them: render, bench, presets.

Notebook: 00.
"""

import sys
from argparse import Namespace
from pathlib import Path

from .verbs import Parser, Verb


def _render_arguments(parser: Parser) -> None:
    parser.add_argument("model", type=Path, metavar="FILE.ts", help="a program: use files from people you trust")
    parser.add_argument("source", type=Path, metavar="IN")
    parser.add_argument("target", type=Path, metavar="OUT")
    parser.add_argument("--method", default="forward", help="forward, encode, decode, or another one of the file")
    parser.add_argument("--buffer", type=int, default=4096, metavar="SAMPLES", help="block size (default: %(default)s)")
    parser.add_argument("--keep-delay", action="store_true", help="keep the delay that the output has when played live")
    parser.add_argument(
        "--per-channel", action="store_true", help="run a mono model on each channel instead of on a mix"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the noise inside the model (default: %(default)s)"
    )


def _render(arguments: Namespace) -> None:
    from ravecourse.export import load
    from ravecourse.playback import render_file

    from .info import PROGRAM_NOTICE

    model = load(arguments.model)
    if not model.metadata:
        print(f"note: {PROGRAM_NOTICE}", file=sys.stderr)
    done = render_file(
        arguments.source,
        arguments.target,
        model,
        method=arguments.method,
        buffer=arguments.buffer,
        compensate=not arguments.keep_delay,
        per_channel=arguments.per_channel,
        seed=arguments.seed,
    )
    for notice in done.notices:
        print(f"note: {notice}", file=sys.stderr)
    seconds = done.samples / done.sample_rate
    print(f"{arguments.target}: {seconds:.2f} s, {done.channels} channels, {done.sample_rate} Hz")


def _bench_arguments(parser: Parser) -> None:
    parser.add_argument("what", nargs="*", metavar="FILE.ts|PRESET", help="models or presets (default: all presets)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of timing for each line (default: %(default)g)")


def _bench(arguments: Namespace) -> None:
    from ravecourse.playback import benchmark

    benchmark.run(arguments.what, arguments.seconds)


def _presets_arguments(parser: Parser) -> None:
    parser.add_argument("names", nargs="*", metavar="PRESET", help="tiny, low_latency, small, v1, v2 (default: all)")
    parser.add_argument("--no-timing", action="store_true", help="skip the timing, which takes most of the time")


def _presets(arguments: Namespace) -> None:
    from ravecourse.config import PRESETS
    from ravecourse.evaluation import as_text, table

    print(as_text(table(arguments.names or tuple(PRESETS), 0.0 if arguments.no_timing else 0.5)))


RENDER = Verb(
    "render",
    "play a sound file through a .ts model, block by block as nn~ does",
    "ravecourse render cello.ts voice.wav voice-as-cello.wav",
    _render_arguments,
    _render,
)
BENCH = Verb(
    "bench",
    "measure whether models keep up on this machine: speed, block times, smallest safe buffer",
    "ravecourse bench cello.ts",
    _bench_arguments,
    _bench,
)
PRESETS = Verb(
    "presets",
    "show what each preset costs, timed on this machine",
    "ravecourse presets tiny small",
    _presets_arguments,
    _presets,
)
