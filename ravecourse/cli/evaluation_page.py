"""An evaluation as a page to read, see and hear: one file that needs no other.

Notebook: 10.
"""

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass

import soundfile
from matplotlib.figure import Figure
from torch import Tensor

from ravecourse.course import plots
from ravecourse.evaluation import Closeness, HeldSound, score_rows

SHOWN_SECONDS = 20.0  # of recording and output: a page that loads at once

STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: .15rem .8rem; text-align: right } td:first-child { text-align: left }
tr.heading td { font-weight: bold; padding-top: .8rem; text-align: left }
img { max-width: 100% } figure { margin: 1rem 0 } audio { width: 100%; max-width: 32rem; display: block }
"""


@dataclass(frozen=True)
class PageContent:
    """What the page shows.

    Attributes:
        title: its heading.
        about: sentences under it.
        scores: label -> what was measured.
        recording, output: `[C, T]`; the first 20 s are shown.
        held: latents that were held; none leaves the section out.
        sample_rate: Hz.
    Notebook: 10.
    """

    title: str
    about: tuple[str, ...]
    scores: Mapping[str, Closeness]
    recording: Tensor
    output: Tensor
    held: tuple[HeldSound, ...]
    sample_rate: int


def page(content: PageContent) -> str:
    """The page as HTML, with its figures and sounds inside.

    Notebook: 10.
    """
    rate, shown = content.sample_rate, round(SHOWN_SECONDS * content.sample_rate)
    sounds = {"recording": content.recording[:, :shown], "reconstruction": content.output[:, :shown]}
    parts = [
        f"<h1>{html.escape(content.title)}</h1>",
        *(f"<p>{html.escape(sentence)}</p>" for sentence in content.about),
        _table(content.scores),
        "<h2>Recording and reconstruction</h2>",
        _picture(plots.spectrograms(sounds, rate), "Spectrograms of the recording and of the reconstruction"),
        *(_player(label, sound, rate) for label, sound in sounds.items()),
    ]
    if content.held:
        named = {f"{one.hertz:.0f} Hz, the latent of {one.at_seconds:.2f} s": one.sound for one in content.held}
        parts += [
            "<h2>Held latents</h2>",
            "<p>The latent of one frame, held for a second. A model that describes the sound keeps its pitch; one that "
            "describes the waveform buzzes at the frame rate.</p>",
            _picture(plots.spectrograms(named, rate), "Spectrograms of held latents"),
            *(_player(label, sound, rate) for label, sound in named.items()),
        ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(content.title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _table(scores: Mapping[str, Closeness]) -> str:
    lines = ["<table>", "<tr><td></td>" + "".join(f"<th>{html.escape(label)}</th>" for label in scores) + "</tr>"]
    for name, cells in score_rows(scores):
        kind = "" if cells else ' class="heading"'
        span = "" if cells else f' colspan="{len(scores) + 1}"'
        values = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        lines.append(f"<tr{kind}><td{span}>{html.escape(name.strip())}</td>{values}</tr>")
    return "\n".join([*lines, "</table>"])


def _picture(figure: Figure, words: str) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    return f'<figure><img alt="{html.escape(words)}" src="data:image/png;base64,{_text(data)}"></figure>'


def _player(label: str, sound: Tensor, sample_rate: int) -> str:
    data = io.BytesIO()
    samples = sound.clamp(-1, 1).T.contiguous().numpy()
    soundfile.write(data, samples, sample_rate, format="FLAC", subtype="PCM_16")
    name = html.escape(label)
    source = f"data:audio/flac;base64,{_text(data)}"
    return f'<figure><figcaption>{name}</figcaption><audio controls src="{source}"></audio></figure>'


def _text(data: io.BytesIO) -> str:
    return base64.b64encode(data.getvalue()).decode("ascii")
