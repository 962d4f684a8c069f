"""How nn~ turns Pd's small blocks into the model's large ones, and what that costs in time. Notebook: 00."""

from .drawing import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, WIDTH, Sheet

LEFT, SLOT = 168, 150  # of the timelines: where they begin, how wide a buffer is
HEARD, COMPUTED, PLAYED = "#eeeeee", "#fff1e6", "#dff3ec"


def player() -> Sheet:
    """The rings between Pd and the model; then, as timelines, one buffer of delay in the callback, two in a thread.

    Notebook: 00.
    """
    sheet = Sheet("nn~ collects Pd's blocks in a ring, computes a whole buffer, and plays from a second ring", 470)
    boxes = [
        ("Pure Data", "blocks of 64 samples", PURPLE),
        ("ring in", "fills up to one buffer", BLUE),
        ("model.ts", "one buffer at a time", ORANGE),
        ("ring out", "empties block by block", BLUE),
        ("Pure Data", "blocks of 64 samples", PURPLE),
    ]
    for i, (title, line, colour) in enumerate(boxes):
        x = 16 + i * 190
        sheet.box(x, 20, 168, 70, title, [line], colour, size=15)
        if i:
            sheet.arrow((x - 19, 55), (x - 4, 55))
    _timeline(sheet, 128, "In Pd's callback: one buffer late", 1)
    _timeline(sheet, 296, "In a thread of its own: two buffers late", 2)
    return sheet


def _timeline(sheet: Sheet, y: float, title: str, late: int) -> None:
    sheet.text(16, y + 4, title, 16, INK, "start", "bold")
    for row, name in enumerate(("comes in", "is computed", "comes out")):
        sheet.text(16, y + 40 + 38 * row, name, 14, GREY, "start")
    for i, letter in enumerate("ABCDE"):
        x = LEFT + i * SLOT
        sheet.box(x, y + 18, SLOT, 32, letter, (), GREY, HEARD, size=15)
        if late == 1 and i:
            sheet.frame(x, y + 56, 18, 32, ORANGE, COMPUTED, round_by=3)
            sheet.text(x + 24, y + 77, f"{'ABCDE'[i - 1]}, at once", 13, ORANGE, "start")
        elif i:
            sheet.box(x, y + 56, SLOT, 32, "ABCDE"[i - 1], (), ORANGE, COMPUTED, size=15)
        if i >= late:
            sheet.box(x, y + 94, SLOT, 32, "ABCDE"[i - late] + "'", (), GREEN, PLAYED, size=15)
    end = LEFT + late * SLOT
    sheet.line((LEFT, y + 94), (LEFT, y + 144), colour=GREY, dashed=True)
    sheet.arrow((LEFT, y + 138), (end - 2, y + 138))
    words = "one buffer" if late == 1 else "two buffers"
    sheet.text(end + 10, y + 143, f"{words}, and the delay of the model", 14, GREY, "start", room=WIDTH - end - 16)
