"""What goes into the book: chapters that were run, their sounds as small files, and the pages around them."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import soundfile
import soxr
from nbclient import NotebookClient

from ravecourse.files import replacing

from .clean_notebooks import MACHINE_TAG, WIDGETS

ROOT = Path(__file__).resolve().parent.parent
CELL_SECONDS = 900
PLAYER = re.compile(r'<audio.*?src="data:audio/[^;"]*;base64,([^"]+)".*?</audio>', re.S)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
PICTURES = (".svg", ".png", ".jpg")
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # in Hz, of MP3
COMPRESSION = 0.4  # of 0 to 1; about 60 kbit/s for one channel of 48 kHz


def fingerprint(*things: bytes | Path) -> str:
    """One name for all these bytes and files; folders count with what git would keep of them."""
    digest = hashlib.sha256()
    for thing in things:
        if isinstance(thing, Path):
            files = (
                [thing]
                if thing.is_file()
                else sorted(path for path in thing.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
            )
            for file in files:
                digest.update(str(file.relative_to(thing.parent)).encode() + b"\0" + file.read_bytes())
        else:
            digest.update(thing)
    return digest.hexdigest()[:20]


def run(path: Path, cache: Path, root: Path = ROOT) -> nbformat.NotebookNode:
    """The notebook with the output of a fresh run, or of an earlier one where nothing that it uses has changed.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    sources = json.dumps([cell["source"] for cell in notebook.cells]).encode()
    uses = [folder for folder in (root / "ravecourse", root / "data") if folder.exists()]
    kept = cache / f"{path.stem}-{fingerprint(sources, *uses)}.ipynb"
    if kept.exists():
        return nbformat.read(kept, as_version=4)
    settings = {**os.environ, "RAVECOURSE_WIDGETS": "static", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    settings.pop("MPLBACKEND", None)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    began = time.monotonic()
    client.execute(env=settings)
    print(f"run in {time.monotonic() - began:.0f} s, ", end="", file=sys.stderr)
    for older in cache.glob(f"{path.stem}-*.ipynb"):
        older.unlink()
    with replacing(kept) as temporary:
        nbformat.write(notebook, temporary)
    return notebook


def sound_file(wav: bytes, folder: Path) -> Path:
    """Write a WAV as an MP3 whose name is made from its content."""
    samples, rate = soundfile.read(io.BytesIO(wav), always_2d=True)  # [T, C]
    if rate not in RATES:
        better = next((other for other in RATES if other >= rate), RATES[-1])
        samples, rate = soxr.resample(samples, rate, better), better
    target = folder / f"{hashlib.sha256(wav).hexdigest()[:16]}.mp3"
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(target, samples, rate, format="MP3", compression_level=COMPRESSION)
    return target


def with_small_sounds(notebook: nbformat.NotebookNode, folder: Path, link: str) -> int:
    """Put the sounds of a notebook into files in `folder`, with players that load them from `link`; how many."""
    count = 0

    def player(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        file = sound_file(base64.b64decode(match[1]), folder)
        return f'<audio controls preload="none" src="{link}/{file.name}"></audio>'

    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if MACHINE_TAG in cell.metadata.get("tags", []):
            cell.outputs = []
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr" and not _moves(output)]
        for output in cell.outputs:
            data = output.get("data", {})
            if "text/html" in data:
                data["text/html"] = PLAYER.sub(player, "".join(data["text/html"]))
            for kind in [kind for kind in data if kind.startswith(WIDGETS)]:
                del data[kind]
    notebook.metadata.pop("widgets", None)
    return count


def _moves(output: dict[str, Any]) -> bool:
    """Whether an output is nothing without a kernel: a widget, or a progress bar, that brings no picture along."""
    data = output.get("data", {})
    return any(kind.startswith(WIDGETS) for kind in data) and not any(kind.startswith("image/") for kind in data)


def within(text: str, place: Path, inside: set[Path], root: Path) -> str:
    """Markdown whose links to what is not in the book are only their words.

    Args:
        place: the folder of the page in the project.
        inside: the files that the book has.
    """

    def link(match: re.Match[str]) -> str:
        picture, words, target = match[1], match[2], match[3].split("#")[0]
        if not target or re.match(r"[a-z]+:", target) or (place / target).resolve() in inside:
            return match[0]
        if not (place / target).exists():
            raise FileNotFoundError(f"{place.relative_to(root)}: the link {match[3]} leads nowhere")
        return match[0] if picture else words

    return LINK.sub(link, text)


def title(path: Path) -> str:
    """The first heading of a page or notebook."""
    if path.suffix == ".ipynb":
        cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    found = re.search(r"^# +(.+)$", text, re.M)
    return found[1] if found else path.stem


def index(readme: str, chapters: list[Path], pages: list[Path]) -> str:
    """The first page: what the README promises, its table of chapters, and what else there is."""
    promise = readme.split("\n## ")[0]
    table = re.search(r"^\| *chapter.*?(?=\n\n)", readme + "\n\n", re.M | re.S)
    parts = [
        promise,
        "## The chapters\n",
        table[0] if table else "",
        "",
        "Here they are as they come out of *Run All*: read, look, and listen. To steer what they show, and to do "
        "the exercises, run them yourself: `make lab`.\n",
    ]
    for caption, files in (("Chapters", chapters), ("Around them", pages)):
        if files:
            names = "\n".join(
                f"{title(file)} <{file.parent.name}/{file.stem}>"
                if file.parent.name in ("notebooks", "docs")
                else f"The kit <{file.stem}>"
                for file in files
            )
            parts.append(f"```{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n\n{names}\n```\n")
    return "\n".join(parts)


def lay_out(root: Path, source: Path, cache: Path) -> dict[str, int]:
    """Write what Sphinx reads into `source`; the number of players of each chapter."""
    if source.exists():
        shutil.rmtree(source)
    chapters = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    pages = sorted((root / "docs").glob("*.md"))
    pictures = [path for path in sorted((root / "docs").rglob("*")) if path.suffix in PICTURES]
    readme = root / "README.md"
    inside = {path.resolve() for path in (*chapters, *pages, *pictures, readme)}
    for picture in pictures:
        target = source / picture.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target)
    (source / "_static").mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("book.css"), source / "_static")
    shutil.copy(Path(__file__).with_name("conf.py"), source)
    for page in (*pages, readme):
        target = source / page.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(within(page.read_text(encoding="utf-8"), page.parent, inside, root), encoding="utf-8")
    (source / "index.md").write_text(
        within(index(readme.read_text(encoding="utf-8"), chapters, [*pages, readme]), root, inside, root),
        encoding="utf-8",
    )
    players = {}
    for chapter in chapters:
        print(f"{chapter.name} ... ", end="", flush=True, file=sys.stderr)
        notebook = run(chapter, cache, root)
        players[chapter.stem] = with_small_sounds(notebook, source / "_static" / "sounds", "../_static/sounds")
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = within(cell.source, chapter.parent, inside, root)
        (source / "notebooks").mkdir(exist_ok=True)
        nbformat.write(notebook, source / "notebooks" / chapter.name)
        print(f"{players[chapter.stem]} sounds", file=sys.stderr)
    return players
