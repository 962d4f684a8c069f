"""The table of losses survives spreadsheets: every row is read, or a sentence says why not; none is lost."""

import pytest

from ravecourse.course import plots
from ravecourse.errors import RaveCourseError
from ravecourse.training.table import COLUMNS, keep_until, read_losses

ROWS = [[str(25 * i), "1", f"{i}.5", "0.001", f"{100 / i:.4f}", "", "", "3e-05"] for i in range(1, 9)]
ROWS = [row + [""] * (len(COLUMNS) - len(row)) for row in ROWS]
WHOLE = "\n".join(",".join(row) for row in [list(COLUMNS), *ROWS]) + "\n"


def saved(delimiter=",", decimal=".", end="\n", drop_empty=False, blank=False):
    """The table as a spreadsheet saves it."""
    lines = [delimiter.join(COLUMNS)]
    for row in ROWS:
        cells = [cell.replace(".", decimal) for cell in row]
        while drop_empty and not cells[-1]:
            cells.pop()
        lines.append(delimiter.join(cells))
    return end.join([*lines, delimiter * (len(COLUMNS) - 1)] if blank else lines) + end


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("delimiter", "decimal"), [(",", "."), (";", ","), (";", "."), ("\t", ",")])
@pytest.mark.parametrize("odd", [{}, {"drop_empty": True}, {"blank": True}])
def test_every_row_of_a_saved_table_stays(tmp_path, encoding, end, delimiter, decimal, odd):
    path = tmp_path / "losses.csv"
    path.write_bytes(saved(delimiter, decimal, end, **odd).encode(encoding))
    assert [list(row.values()) for row in read_losses(path)] == ROWS
    line = plots.losses(path, ["loss"]).axes[0].lines[0]
    assert line.get_xdata().tolist() == [float(row[0]) for row in ROWS]
    keep_until(path, 100)
    assert path.read_text() == "".join(f"{line}\n" for line in WHOLE.splitlines()[:5])


def test_what_a_killed_process_left_goes(tmp_path):
    path = tmp_path / "losses.csv"
    for length in range(len(WHOLE) - 40, len(WHOLE)):
        path.write_text(WHOLE[:length])
        keep_until(path, 175)
        assert path.read_text() == "".join(f"{line}\n" for line in WHOLE.splitlines()[:8])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (WHOLE.replace("25,1", "twenty,1", 1).encode(), "the step 'twenty'"),
        (WHOLE.replace("25,1", "25,1,1", 1).encode(), "cells for 15 columns"),
        (WHOLE.replace("kl", "mine").encode(), "it has mine"),
        (WHOLE.encode("utf-16-le"), "not a text file"),
        (bytes(range(128, 256)), "not a text file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_stays(tmp_path, content, told):
    path = tmp_path / "losses.csv"
    path.write_bytes(content)
    with pytest.raises(RaveCourseError, match=told):
        keep_until(path, 100)
    assert path.read_bytes() == content
    keep_until(path, 0)
    assert path.read_text() == ",".join(COLUMNS) + "\n"


def test_a_column_of_an_earlier_version(tmp_path):
    path = tmp_path / "losses.csv"
    path.write_text(WHOLE.replace("discriminator", "critics"))
    assert "critics" in path.read_text()
    keep_until(path, 10**9)
    assert path.read_text() == WHOLE
