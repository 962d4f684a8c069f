"""Evaluations as a table to read: one row for each yardstick, one column for each model.

Notebook: 10.
"""

from collections.abc import Callable, Mapping

from .held import Held
from .metrics import Closeness, Evaluation

Reader = Callable[[Closeness], str]


def score_table(evaluations: Mapping[str, Closeness]) -> str:
    """The table of one or several evaluations on the same sound, for the terminal.

    Args:
        evaluations: label -> what was measured; an `Evaluation`, or a `Closeness` where there is only an output.
    Notebook: 10.
    """
    rows = score_rows(evaluations)
    first = max(len(name) for name, cells in rows if cells) + 2
    widths = [max(len(label), 10) + 2 for label in evaluations]
    lines = [" " * first + "".join(f"{label:>{w}}" for label, w in zip(evaluations, widths, strict=True))]
    for name, cells in rows:
        shown = zip(cells, widths, strict=True) if cells else ()
        lines.append(f"{name:{first}}" + "".join(f"{cell:>{w}}" for cell, w in shown))
    return "\n".join(line.rstrip() for line in lines)


def score_rows(evaluations: Mapping[str, Closeness]) -> list[tuple[str, list[str]]]:
    """The rows of the table: the yardstick, and a cell for each model; a heading has no cells.

    Notebook: 10.
    """
    rows: list[tuple[str, list[str]]] = []
    for name, read in _YARDSTICKS:
        rows.append((name, [read(found) for found in evaluations.values()] if read else []))
    return rows


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _db(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f} dB"  # + 0.0: no minus before a zero


def _of_model(read: Callable[[Evaluation], str]) -> Reader:
    return lambda found: read(found) if isinstance(found, Evaluation) else "-"


def _of_held(read: Callable[[Held], str], noise: bool = True) -> Reader:
    def cell(found: Evaluation) -> str:
        held = found.stillness.held if noise else found.stillness.without_noise
        return read(held) if held else "-"

    return _of_model(cell)


_YARDSTICKS: tuple[tuple[str, Reader | None], ...] = (
    ("distance from the recording (log-mel, 1 is 20 dB a band; smaller is closer)", None),
    ("  this", lambda e: f"{e.log_mel:.3f}"),
    ("  the same architecture, untrained", _of_model(lambda e: f"{e.untrained:.3f}")),
    ("  silence", lambda e: f"{e.silence:.3f}"),
    ("  this, of what is heard (60 dB)", lambda e: f"{e.heard:.3f}"),
    ("  this, as a distribution (Frechet)", lambda e: f"{e.frechet:.3f}"),
    ("  this, multi-scale spectral", lambda e: f"{e.spectral:.2f}"),
    ("pitch, where the recording has one (pyin)", None),
    ("  the same, within half a semitone", lambda e: _share(e.melody.raw_pitch)),
    ("  the same, octaves ignored", lambda e: _share(e.melody.raw_chroma)),
    ("  any pitch (voicing recall)", lambda e: _share(e.melody.voicing_recall)),
    ("  a pitch where there is none (false alarm)", lambda e: _share(e.melody.voicing_false_alarm)),
    ("  the same, by the course's own tracker", lambda e: _share(e.pitch_followed)),
    ("level and attacks", None),
    ("  correlation of the levels", lambda e: f"{e.level_correlation:.2f}"),
    ("  louder by", lambda e: _db(e.level_difference_db, 1)),
    ("  onsets within 50 ms (F-measure)", lambda e: "-" if e.onsets is None else f"{e.onsets.f_measure:.2f}"),
    ("latents that are held for a second", None),
    ("  how many were held", _of_model(lambda e: str(e.stillness.frames))),
    ("  keep the pitch, within half a semitone", _of_held(lambda h: _share(h.pitch))),
    ("  keep the level, within 3 dB", _of_held(lambda h: _share(h.steady))),
    ("  have the recording's level, within 6 dB", _of_held(lambda h: _share(h.near))),
    ("  have no comb at the frame rate", _of_held(lambda h: _share(h.clean))),
    ("  all four", _of_held(lambda h: _share(h.still))),
    ("  all four, without the decoder's noise", _of_held(lambda h: _share(h.still), noise=False)),
    ("  comb, of the whole energy (median)", _of_held(lambda h: _db(h.comb_db, 0))),
    ("latent dimensions", None),
    ("  say something about the sound", _of_model(lambda e: f"{e.latents_used} of {e.latent_size}")),
    ("  needed for 95 % of what varies", _of_model(lambda e: str(e.sizes[95]))),
)
