"""What each preset costs and gives, computed from its architecture and timed on this machine.

Notebook: 03.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tqdm.auto import tqdm

from ravecourse.config import PRESETS, ModelConfig, preset
from ravecourse.export import ExportedRAVE, playable
from ravecourse.model import RAVE, receptive_field
from ravecourse.playback import Measurement, measure


@dataclass(frozen=True)
class Row:
    """One preset. Times in ms are at the preset's sample rate.

    Args:
        parameters: trained values of encoder and decoder.
        weight_bytes: what the exported model keeps in memory.
        receptive_field_ms: how much of the input one output sample depends on.
        delay_ms: how late the sound comes out when it is played block by block; the player's buffer comes
            on top.
        speed: a block of one hop, streamed on this machine with one thread; None where it was not measured.
    Notebook: 03.
    """

    name: str
    causal: bool
    parameters: int
    weight_bytes: int
    hop_length: int
    latent_rate_hz: float
    receptive_field_ms: float
    delay_ms: float
    speed: Measurement | None


def row(config: ModelConfig, seconds: float = 0.5) -> Row:
    """Build the model of a configuration and take its measure.

    Args:
        seconds: of timing; 0 leaves the timing out.
    Notebook: 03.
    """
    model = RAVE(config).eval()
    model.noise_level.fill_(1.0)  # as a finished model is played
    exported = ExportedRAVE(model).eval()
    speed = None
    if seconds > 0:
        speed = measure(playable(model, config.preset), "forward", config.hop_length, seconds)
    to_ms = 1000 / config.sample_rate
    return Row(
        config.preset,
        config.causal,
        model.parameters_of("encoder") + model.parameters_of("decoder"),
        sum(tensor.numel() * tensor.element_size() for tensor in exported.state_dict().values()),
        config.hop_length,
        config.sample_rate / config.hop_length,
        receptive_field(model) * to_ms,
        exported.delay_samples * to_ms,
        speed,
    )


def table(names: Sequence[str] = tuple(PRESETS), seconds: float = 0.5, progress: bool = True) -> list[Row]:
    """One row for each preset and one for its causal form, where it is not causal by itself.

    Args:
        seconds: of timing for each; 0 leaves the timing out.
        progress: show a bar.
    Raises:
        RaveCourseError: no such preset.
    Notebook: 03.
    """
    configs = [preset(name, causal=causal) for name in names for causal in sorted({preset(name).causal, True})]
    return [row(config, seconds) for config in tqdm(configs, "presets", unit="model", disable=not progress)]


def as_text(rows: Sequence[Row]) -> str:
    """The rows as a table for the terminal, with a legend. Notebook: 03."""
    lines = [
        f"{'preset':18}{'parameters':>11}{'size':>8}{'hop':>6}{'latents/s':>10}{'field':>9}{'delay':>9}"
        f"{'real time':>11}{'median':>9}{'p99':>9}{'deadline':>10}"
    ]
    for r in rows:
        speed = r.speed
        timing = (
            f"{speed.real_time_factor:>9.1f} x{speed.median_ms:>6.2f} ms{speed.p99_ms:>6.2f} ms"
            f"{speed.deadline_ms:>7.1f} ms"
            if speed
            else f"{'-':>11}{'-':>9}{'-':>9}{'-':>10}"
        )
        lines.append(
            f"{r.name + (' causal' if r.causal else ''):18}{r.parameters / 1e6:>9.2f} M"
            f"{r.weight_bytes / 1e6:>5.0f} MB{r.hop_length:>6}{r.latent_rate_hz:>10.1f}"
            f"{r.receptive_field_ms:>6.0f} ms{r.delay_ms:>6.1f} ms{timing}"
        )
    lines += [
        "",
        "field: the receptive field, how much of the input one output sample depends on. delay: how late the sound",
        "comes out, before the player's own buffer. real time: streamed in blocks of one hop, one thread, on this machine;",
        "above 1 keeps up.",
    ]
    return "\n".join(lines)
