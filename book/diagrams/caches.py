"""What a layer has to keep from one block to the next, drawn sample by sample. Notebook: 00."""

from .drawing import BLUE, GREEN, GREY, INK, ORANGE, WIDTH, Sheet

CELL = 34
KEPT, WRONG, PLAIN = "#cfe6f5", "#ffd9c2", "#ffffff"


def caches() -> Sheet:
    """Four panels: zeros at the joints, a cache instead, the tail of a transposed convolution, a skip that waits.

    Source: Streamable neural audio synthesis (arXiv 2204.07064), section 3; alignment by this course. Notebook: 00.
    """
    sheet = Sheet("Block by block: zeros at the joints are wrong; a cache, a tail and a waiting skip are right", 496)
    for x, y in ((8, 8), (WIDTH / 2 + 4, 8), (8, 252), (WIDTH / 2 + 4, 252)):
        sheet.frame(x, y, WIDTH / 2 - 12, 236, "#cccccc", line=1)
    _convolution(sheet, 24, 8, cached=False)
    _convolution(sheet, WIDTH / 2 + 20, 8, cached=True)
    _transposed(sheet, 24, 252)
    _skip(sheet, WIDTH / 2 + 20, 252)
    return sheet


def _convolution(sheet: Sheet, x: float, y: float, cached: bool) -> None:
    title = "1. With zeros at each joint: clicks" if not cached else "2. With a cache: as if never cut"
    sheet.text(x, y + 28, title, 16, INK, "start", "bold", room=430)
    sheet.text(
        x, y + 50, "convolution, kernel 3: an output needs the two inputs before it", 13, GREY, "start", room=460
    )
    before = ["x2", "x3"] if cached else ["0", "0"]
    inputs, outputs = x + 74, x + 74 + 2 * CELL
    sheet.text(x, y + 94, "second", 13, GREY, "start")
    sheet.text(x, y + 110, "block", 13, GREY, "start")
    for i, word in enumerate([*before, "x4", "x5", "x6", "x7"]):
        fill = (KEPT if cached else WRONG) if i < 2 else (KEPT if cached and i > 3 else PLAIN)
        _cell(sheet, inputs + i * CELL, y + 76, word, fill, GREY)
    for i in range(4):
        wrong = not cached and i < 2
        centre = outputs + (i + 0.5) * CELL
        if i == 0:
            for j in range(3):
                sheet.line((inputs + (j + 0.5) * CELL, y + 76 + CELL), (centre, y + 158), colour=GREY)
        _cell(sheet, outputs + i * CELL, y + 158, f"y{i + 4}", WRONG if wrong else PLAIN, ORANGE if wrong else GREEN)
    sheet.text(x, y + 180, "output", 13, GREY, "start")
    if cached:
        sheet.text(inputs + CELL, y + 70, "the cache", 12, BLUE)
        sheet.text(inputs + 5 * CELL, y + 70, "the next cache", 12, BLUE)
        sheet.text(x, y + 222, "kept: the last (kernel - 1) × dilation inputs", 14, BLUE, "start", room=430)
    else:
        sheet.text(x, y + 222, "y4 and y5 are not what they would be in one piece", 14, ORANGE, "start", room=430)


def _transposed(sheet: Sheet, x: float, y: float) -> None:
    sheet.text(x, y + 28, "3. Transposed: the tail waits for the next block", 16, INK, "start", "bold", room=430)
    sheet.text(x, y + 50, "kernel 4, stride 2: each input adds to four outputs", 13, GREY, "start", room=440)
    cell, left = 28, x + 74
    joint = left + 4 * cell
    for i in range(4):
        top = y + 66 + 24 * i
        for j in range(4):
            tail = i == 1 and j >= 2
            sheet.frame(
                left + (2 * i + j) * cell,
                top,
                cell,
                20,
                BLUE if tail else GREY,
                KEPT if tail else PLAIN,
                round_by=2,
                line=1,
            )
        sheet.text(x, top + 15, f"from z{i}", 13, GREY, "start")
    sheet.line((joint, y + 60), (joint, y + 198), dashed=True, colour=ORANGE)
    sheet.text(left + 2 * cell, y + 186, "block 1", 13, GREY)
    sheet.text(joint + 3 * cell, y + 186, "block 2", 13, GREY)
    sheet.text(x, y + 222, "kept: kernel - stride outputs, added to the next block", 14, BLUE, "start", room=430)


def _skip(sheet: Sheet, x: float, y: float) -> None:
    sheet.text(x, y + 28, "4. A skip waits for its branch", 16, INK, "start", "bold", room=430)
    sheet.text(x, y + 50, "a layer that looks ahead by 4 samples is late by 4 samples", 13, GREY, "start", room=440)
    high, low, end = y + 96, y + 164, x + 368
    sheet.line((x + 4, y + 130), (x + 44, y + 130))
    sheet.arrow((x + 44, y + 130), (x + 44, high), (x + 96, high))
    sheet.arrow((x + 44, y + 130), (x + 44, low), (x + 96, low))
    sheet.box(x + 100, high - 26, 200, 52, "branch", ["late by 4 samples"], ORANGE, size=15)
    sheet.box(x + 100, low - 26, 200, 52, "skip", ["keeps 4 samples back"], BLUE, KEPT, size=15)
    sheet.arrow((x + 302, high), (end, high), (end, y + 112))
    sheet.arrow((x + 302, low), (end, low), (end, y + 148))
    sheet.frame(end - 15, y + 115, 30, 30, GREY, round_by=15)
    sheet.text(end, y + 137, "+", 20, INK, weight="bold")
    sheet.arrow((end + 17, y + 130), (end + 56, y + 130))
    sheet.text(x, y + 222, "kept: as many samples as the branch is late", 14, BLUE, "start", room=430)


def _cell(sheet: Sheet, x: float, y: float, word: str, fill: str, colour: str) -> None:
    sheet.frame(x, y, CELL, CELL, colour, fill, round_by=3, line=1.5)
    sheet.text(x + CELL / 2, y + CELL / 2 + 5, word, 14, room=CELL)
