"""The two stages of training, with shapes: what is trained, what is frozen, what is compared. Notebook: 00."""

from ravecourse.config import ModelConfig, preset

from .drawing import BLUE, GREY, INK, ORANGE, PURPLE, WIDTH, Sheet

LEFT, STEP, BOX, HEIGHT, TOP = 16, 136, 112, 80, 74
TRAINED, FIXED = "#fff1e6", "#f2f2f2"


def phase_one(name: str = "tiny") -> Sheet:
    """The first stage, a variational autoencoder: what flows through it, and the three losses that it minimises.

    Raises:
        RaveCourseError: no such preset.
    Source: RAVE (arXiv 2111.05011), section 3.1. Notebook: 00.
    """
    config = preset(name)
    sheet = Sheet("Phase one: sound, bands, encoder, latent, decoder, bands, sound, and the losses between them", 396)
    sheet.text(LEFT, 26, f"Phase one: representation learning (preset {config.preset})", 17, INK, "start", "bold")
    _row(sheet, config, frozen=False)
    low = TOP + HEIGHT
    _loss(sheet, 192, "KL divergence", "the latent against a standard normal", [(_middle(3), low)])
    _loss(sheet, 258, "spectral distance", "band by band", [(_middle(1), low), (_middle(4) + 44, low)])
    _loss(sheet, 324, "spectral distance", "of the whole sound", [(_middle(0), low), (_middle(6), low)])
    return sheet


def phase_two(name: str = "tiny") -> Sheet:
    """The second stage: the encoder frozen, and discriminators that the decoder has to convince.

    Raises:
        RaveCourseError: no such preset.
    Source: RAVE (arXiv 2111.05011), section 3.1. Notebook: 00.
    """
    config = preset(name)
    sheet = Sheet("Phase two: the encoder is frozen, the decoder is trained against discriminators", 420)
    sheet.text(LEFT, 26, f"Phase two: adversarial training (preset {config.preset})", 17, INK, "start", "bold")
    _row(sheet, config, frozen=True)
    low, x = TOP + HEIGHT, 3 * STEP + LEFT - 62
    sheet.box(x, 196, 236, 62, "discriminators", ["recording, or reconstruction?"], PURPLE, TRAINED)
    for i, side in ((0, x - 4), (6, x + 240)):
        sheet.arrow((_middle(i), low), (_middle(i), 227), (side, 227))
        sheet.line((_middle(i), 227), (_middle(i), 395), (216 if i == 0 else WIDTH - 216, 395), dashed=True)
    sheet.arrow((x + 60, 258), (x + 60, 278), (250, 278), (250, 296))
    sheet.arrow((x + 176, 258), (x + 176, 278), (WIDTH - 250, 278), (WIDTH - 250, 296))
    sheet.box(
        116, 300, 268, 74, "hinge loss", ["discriminators: tell the two apart", "decoder: pass for a recording"], PURPLE
    )
    sheet.box(WIDTH - 384, 300, 268, 74, "feature matching", ["alike in every layer", "of the discriminators"], PURPLE)
    sheet.text(WIDTH / 2, 400, "the spectral distances of phase one remain in the loss", 14, GREY, room=560)
    return sheet


def _row(sheet: Sheet, config: ModelConfig, frozen: bool) -> None:
    bands, size, hop = config.n_bands, config.latent_size, config.hop_length
    encoder = ["frozen"] if frozen else ["trained"]
    latent = ["mean", "+ std × noise"]
    decoder = ["trained"]
    if config.named:
        latent, decoder = ["pitch, loudness", *latent], ["bands + source", *decoder]
    boxes = [
        ("sound", ["recording"], GREY, "#ffffff", "[1, T]"),
        ("split", [f"{bands} bands, fixed"], BLUE, FIXED, f"[{bands}, T/{bands}]"),
        ("encoder", encoder, GREY if frozen else ORANGE, FIXED if frozen else TRAINED, f"[{size}, T/{hop}] twice"),
        ("latent", latent, BLUE, "#ffffff", f"[{size}, T/{hop}]"),
        ("decoder", decoder, ORANGE, TRAINED, f"[{bands}, T/{bands}]"),
        ("join", [f"{bands} bands, fixed"], BLUE, FIXED, "[1, T]"),
        ("sound", ["reconstruction"], GREY, "#ffffff", "[1, T]"),
    ]
    for i, (title, lines, colour, fill, shape) in enumerate(boxes):
        x = LEFT + i * STEP
        sheet.box(x, TOP, BOX, HEIGHT, title, lines, colour, fill, dashed=frozen and title == "encoder", size=15)
        sheet.text(x + BOX / 2, TOP - 10, shape, 13, GREY, room=STEP)
        if i:
            sheet.arrow((x - STEP + BOX + 3, TOP + HEIGHT / 2), (x - 4, TOP + HEIGHT / 2))


def _loss(sheet: Sheet, y: float, title: str, line: str, ends: list[tuple[float, float]]) -> None:
    """A loss, and the lines from what it looks at."""
    width = 296
    x = _middle(3) - width / 2
    for end_x, end_y in ends:
        if len(ends) == 1:
            sheet.arrow((end_x, end_y), (end_x, y - 4))
        else:
            sheet.arrow((end_x, end_y), (end_x, y + 26), (x - 4 if end_x < x else x + width + 4, y + 26))
    sheet.box(x, y, width, 52, title, [line], PURPLE, size=15)


def _middle(i: int) -> float:
    return LEFT + i * STEP + BOX / 2
