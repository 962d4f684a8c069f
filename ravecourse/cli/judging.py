"""The verbs that judge models: evaluate, compare.

Notebook: 00.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .verbs import Parser, Verb, with_suffix

if TYPE_CHECKING:
    from torch import Tensor

    from ravecourse.evaluation import Closeness, HeldSound

LISTED = 6  # recordings that are named


def _sound_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of the recordings to evaluate on, at most (default: %(default)g)"
    )
    parser.add_argument(
        "--frames", type=int, default=60, metavar="N", help="latents that are held, at most (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE.json", help="also write the numbers to this file")


def _evaluate_arguments(parser: Parser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run folder, a checkpoint or an exported .ts file")
    parser.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="recordings that training never saw: folders, files, or a dataset, of which the held-out part is taken",
    )
    parser.add_argument("--page", type=Path, metavar="FOLDER", help="write a page with spectrograms and players there")
    _sound_arguments(parser)


def _evaluate(arguments: Namespace) -> None:
    from ravecourse.evaluation import score_table
    from ravecourse.files import write_json, write_text

    json_file = with_suffix(arguments.json, ".json") if arguments.json else None
    page_file = arguments.page / "index.html" if arguments.page else None
    _check_targets([json_file, page_file], [arguments.model], arguments.sources)
    judged = _judge(arguments.model, arguments.sources, arguments.seconds, arguments.frames)
    label = _names([arguments.model])[0]
    print(f"{arguments.model}: {judged.about}\n\n{score_table({label: judged.scores})}")
    for sentence in judged.alarms:
        print(f"note: {sentence}", file=sys.stderr)
    if json_file:
        write_json(json_file, {"model": str(arguments.model), **judged.as_json()})
        print(f"\nThe numbers: {json_file}")
    if page_file:
        from . import evaluation_page

        content = evaluation_page.PageContent(
            f"{label}, evaluated",
            (judged.about, *judged.alarms),
            {label: judged.scores},
            judged.recording,
            judged.output,
            judged.held(),
            judged.sample_rate,
        )
        write_text(page_file, evaluation_page.page(content))
        print(f"\nSpectrograms and players: open {page_file} in a browser.")


def _compare_arguments(parser: Parser) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders, checkpoints or .ts files")
    parser.add_argument(
        "--data", type=Path, nargs="+", metavar="FOLDER", help="evaluate all of them on these recordings (as evaluate)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("comparison.png"),
        metavar="FILE.png",
        help="the figure to write with the curves of the runs (default: %(default)s)",
    )
    _sound_arguments(parser)


def _compare(arguments: Namespace) -> None:
    from ravecourse.course import plots
    from ravecourse.errors import RaveCourseError
    from ravecourse.evaluation import score_table
    from ravecourse.files import write_json
    from ravecourse.training import LOSSES_NAME

    figure_file = with_suffix(arguments.out, ".png")
    json_file = with_suffix(arguments.json, ".json") if arguments.json else None
    _check_targets([figure_file, json_file], arguments.runs, arguments.data or [])
    names = _names(arguments.runs)
    missing = [run for run in arguments.runs if not run.exists()]
    if missing:
        raise RaveCourseError(f"There is nothing at {missing[0]}. Give the folder that `ravecourse train` wrote.")
    curves = {name: run / LOSSES_NAME for name, run in zip(names, arguments.runs, strict=True)}
    curves = {name: path for name, path in curves.items() if path.is_file()}
    if not curves and not arguments.data:
        raise RaveCourseError(
            f"None of {', '.join(map(str, arguments.runs))} holds the curves of a training ({LOSSES_NAME}). Give run "
            "folders, or recordings to evaluate the models on with --data."
        )
    if arguments.data:
        judged = {
            name: _judge(run, arguments.data, arguments.seconds, arguments.frames)
            for name, run in zip(names, arguments.runs, strict=True)
        }
        print(next(iter(judged.values())).about + "\n\n" + score_table({name: j.scores for name, j in judged.items()}))
        for name, one in judged.items():
            for sentence in one.alarms:
                print(f"note: {name}: {sentence}", file=sys.stderr)
        if json_file:
            write_json(json_file, {name: one.as_json() for name, one in judged.items()})
            print(f"\nThe numbers: {json_file}")
    elif json_file:
        raise RaveCourseError("--json holds what is measured on recordings: name them with --data.")
    if curves:
        plots.save(plots.compared_losses(curves), figure_file)
        print(f"\nThe curves of {', '.join(curves)}: {figure_file}")


class _Judged:
    """A model, the recordings at its rate, what it makes of them, and how that was judged."""

    def __init__(self, path: Path, sources: Sequence[Path], seconds: float, frames: int) -> None:
        from ravecourse.evaluation import closeness, evaluate, gather, through
        from ravecourse.model import load_model

        self.alarms: tuple[str, ...] = ()
        self.scores: Closeness
        if path.suffix == ".ts" and not path.is_dir():
            self._model = None
            self.sample_rate, self.recording, self.output, names = _played(path, sources, seconds)
            self.scores = closeness(self.recording, self.output, self.sample_rate)
        else:
            self._model = load_model(path)
            self.sample_rate = self._model.sample_rate
            self.recording, names = gather(sources, self.sample_rate, self._model.channels, seconds)
            self.output = through(self._model, self.recording)
            found = evaluate(self._model, self.recording, frames)
            self.scores, self.alarms = found, (found.alarm,) if found.alarm else ()
        self.names = names
        channels = {1: "mono", 2: "stereo"}.get(len(self.recording), f"{len(self.recording)} channels")
        listed = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
        self.about = f"{self.scores.seconds:.1f} s of {listed}, {self.sample_rate} Hz, {channels}"

    def held(self) -> "tuple[HeldSound, ...]":
        """Some latents that are held; an export shows none."""
        from ravecourse.evaluation import held_sounds

        return tuple(held_sounds(self._model, self.recording)) if self._model else ()

    def as_json(self) -> dict[str, Any]:
        """What was measured, as plain values."""
        from dataclasses import asdict

        return {"sample_rate": self.sample_rate, "recordings": self.names, "scores": asdict(self.scores)}


def _judge(path: Path, sources: Sequence[Path], seconds: float, frames: int) -> _Judged:
    """Judge one model; a number that makes no sense is refused before anything is loaded."""
    from ravecourse.errors import RaveCourseError

    if not 1 <= frames <= 100_000:
        raise RaveCourseError(f"--frames is {frames}; hold 1 or more, 100000 at most.")
    return _Judged(path, sources, seconds, frames)


def _played(path: Path, sources: Sequence[Path], seconds: float) -> "tuple[int, Tensor, Tensor, list[str]]":
    """Sample rate, recording, what an exported file makes of it, and the recordings' names."""
    from ravecourse.errors import RaveCourseError
    from ravecourse.evaluation import gather
    from ravecourse.export import load
    from ravecourse.playback import render

    model = load(path)
    rate, channels = model.sample_rate, model.method().in_channels
    if rate is None or model.method().out_channels != channels:
        raise RaveCourseError(
            f"{path} does not say its sample rate, or has other channels out than in. Evaluate the checkpoint that it "
            "was exported from."
        )
    recording, names = gather(sources, rate, channels, seconds)
    output = render(model, recording, rate).audio
    return rate, recording, output, names


def _names(paths: Sequence[Path]) -> list[str]:
    """A short name for each model: of its folder or file, and the whole path where two are alike."""
    short = [path.resolve().name if path.is_dir() else path.stem for path in paths]
    return [name if short.count(name) == 1 else str(path) for name, path in zip(short, paths, strict=True)]


def _check_targets(targets: Sequence[Path | None], models: Sequence[Path], sources: Sequence[Path]) -> None:
    """Refuse to write over a model or a recording."""
    from ravecourse.audio import find
    from ravecourse.files import check_not_input
    from ravecourse.model import checkpoint
    from ravecourse.training import LOSSES_NAME

    inside = [model / name for model in models for name in (checkpoint.NAME, LOSSES_NAME)]
    read = [*models, *inside, *sources]
    for target in filter(None, targets):
        if target.exists():
            check_not_input(target, *read, *(path for source in sources if source.is_dir() for path in find(source)))


EVALUATE = Verb(
    "evaluate",
    "measure a model on recordings: distance, pitch, level, attacks, held latents",
    "ravecourse evaluate runs/cello ~/recordings/concert --page cello-evaluated",
    _evaluate_arguments,
    _evaluate,
)
COMPARE = Verb(
    "compare",
    "show the curves of several runs in one figure, and evaluate them on the same recordings",
    "ravecourse compare runs/cello runs/cello-longer --data ~/recordings/concert --out comparison.png",
    _compare_arguments,
    _compare,
)
