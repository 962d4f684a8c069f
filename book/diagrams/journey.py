"""From a folder of sounds to an instrument: the picture of the README. Notebook: 00."""

from ravecourse.config import preset

from .drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, WIDTH, Sheet

LEFT, STEP = 24, 189  # of the first box, and from one to the next
BOX_WIDTH, BOX_HEIGHT = 156, 84
SHADE = "#fff8f3"


def journey(name: str = "tiny") -> Sheet:
    """From a folder of sounds to a playing instrument, and what is inside the model, with the numbers of a preset.

    Raises:
        RaveCourseError: no such preset.
    Notebook: 00.
    """
    config = preset(name)
    rate = config.sample_rate / config.hop_length
    named = "pitch, loudness\n" if config.named else ""
    sheet = Sheet("From a folder of sounds to an instrument, and what is inside the model", 380)

    middle, top = LEFT + 2 * STEP + BOX_WIDTH // 2, 176  # under "train"
    sheet.line((middle, 28 + BOX_HEIGHT), (middle, top), colour=ORANGE, dashed=True)
    _row(
        sheet,
        LEFT,
        28,
        STEP,
        [
            ("your sounds", "a folder, any format", GREY),
            ("prepare", "one dataset", BLUE),
            ("train", "two phases", ORANGE),
            ("export", "model.ts, verified", GREEN),
            ("play", "nn~ in Pure Data", PURPLE),
        ],
    )
    sheet.frame(LEFT, top, WIDTH - 2 * LEFT, 184, ORANGE, SHADE, dashed=True, round_by=10, line=1)
    sheet.text(LEFT + 16, top + 24, f"inside the model (preset {config.preset})", 14, ORANGE, "start")
    left, step = LEFT + 16, STEP - 8
    _row(
        sheet,
        left,
        top + 42,
        step,
        [
            ("sound", f"{config.sample_rate} samples/s", GREY),
            ("encoder", "compresses", ORANGE),
            ("latent", f"{named}{config.latent_size} numbers, {rate:.1f}/s", BLUE),
            ("decoder", "makes sound", ORANGE),
            ("sound again", "in the learned voice", GREY),
        ],
    )
    first, last = left + BOX_WIDTH // 2, left + 4 * step + BOX_WIDTH // 2
    low = top + 42 + BOX_HEIGHT
    sheet.line((first, low), (first, low + 26), (middle - 236, low + 26))
    sheet.line((last, low), (last, low + 26), (middle + 236, low + 26))
    sheet.text(middle, low + 31, "training compares the two; later a discriminator does", 14, GREY)
    return sheet


def _row(sheet: Sheet, x: float, y: float, step: float, boxes: list[tuple[str, str, str]]) -> None:
    for i, (title, below, colour) in enumerate(boxes):
        sheet.box(x + i * step, y, BOX_WIDTH, BOX_HEIGHT, title, below.splitlines(), colour, size=19)
        if i:
            middle = y + BOX_HEIGHT / 2
            sheet.arrow((x + (i - 1) * step + BOX_WIDTH + 3, middle), (x + i * step - 4, middle))
