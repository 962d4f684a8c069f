"""The losses of a run as a CSV file: its columns, and reading it back, also after a spreadsheet has saved it.

Notebook: 04.
"""

import csv
from pathlib import Path

from ravecourse.errors import RaveCourseError
from ravecourse.files import write_text

LOSSES_NAME = "losses.csv"
COLUMNS = (
    "step",
    "phase",
    "seconds",
    "learning_rate",
    "loss",
    "spectral",
    "spectral_bands",
    "kl",
    "beta",
    "adversarial",
    "feature_matching",
    "discriminator",
    "validation_spectral",
    "validation_log_mel",
    "alive_dimensions",
)
ENCODINGS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # by their first bytes
DELIMITERS = ",;\t"
EARLIER_NAMES = {"critics": "discriminator"}  # of columns, in tables of earlier versions


def read_losses(path: Path) -> list[dict[str, str]]:
    """Read the table of a run's losses.

    Spreadsheets save it with semicolons or tabs, decimal commas, a byte-order mark or as UTF-16; all of these are read.
    What was not finished when a process was killed, a last line without its end, is left out.

    Args:
        path: a CSV file with one line of column names.
    Returns:
        one dictionary a row: column name -> text, numbers with a decimal point, "" for an empty cell.
    Raises:
        RaveCourseError: it is missing, is not text, or a row has more cells than there are columns.
    Notebook: 04.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode(next((name for mark, name in ENCODINGS.items() if raw.startswith(mark)), "utf-8"))
        if "\0" in text:
            raise ValueError("zero bytes")
    except OSError as error:
        raise RaveCourseError(f"{path} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise RaveCourseError(f"{path} is not a text file. Save it as CSV in UTF-8, or move it away.") from error
    lines = text.splitlines()
    if not lines:
        return []
    delimiter = max(DELIMITERS, key=lines[0].count)
    try:
        header, *rows = csv.reader(lines, delimiter=delimiter)
    except csv.Error as error:
        raise RaveCourseError(f"{path} is not a table ({error}). Save it as CSV, or move it away.") from error
    header = [EARLIER_NAMES.get(name, name) for name in header]
    table = []
    for number, row in enumerate(rows, 2):
        if len(row) > len(header):
            raise RaveCourseError(
                f"Line {number} of {path} has {len(row)} cells for {len(header)} columns. "
                "Save it as CSV with commas, or move it away."
            )
        if number == len(lines) and len(row) < len(header) and not text.endswith(("\n", "\r")):
            break
        if not any(row):
            continue
        cells = [_number(cell) if delimiter != "," else cell for cell in row]
        table.append(dict(zip(header, cells + [""] * (len(header) - len(row)), strict=True)))
    return table


def keep_until(path: Path, step: int) -> None:
    """Begin the table, or keep of it the rows up to `step`; written as `train` writes it, whatever it was saved as.

    Args:
        step: steps done; 0 begins anew.
    Raises:
        RaveCourseError: rows up to `step` cannot be read; the file is then left as it is.
    Notebook: 04.
    """
    kept = []
    if step and path.is_file():
        for row in read_losses(path):
            if not set(COLUMNS) >= row.keys() >= {"step", "phase"}:
                odd = ", ".join(sorted(row.keys() - set(COLUMNS))) or "no column step"
                raise RaveCourseError(
                    f"{path} is not the table that training wrote (it has {odd}). Move it away to resume without it."
                )
            try:
                done = int(float(row["step"]))
            except (ValueError, OverflowError) as error:
                raise RaveCourseError(
                    f"{path} has the step {row['step']!r}, which is no number. Mend it, or move it away."
                ) from error
            if done <= step:
                kept.append(",".join([str(done), *(row.get(name, "") for name in COLUMNS[1:])]))
    write_text(path, "\n".join([",".join(COLUMNS), *kept]) + "\n")


def _number(cell: str) -> str:
    """A number with a decimal comma as one with a decimal point; any other text as it is."""
    changed = cell.strip().replace(",", ".")
    try:
        float(changed)
    except ValueError:
        return cell
    return changed
