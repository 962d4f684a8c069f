"""Whether a folder of HTML pages is whole: each link leads somewhere, each picture and sound is there and can be read.

python -m book.links build/book
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import soundfile

LOADED = {
    "img": "src",
    "audio": "src",
    "source": "src",
    "script": "src",
    "link": "href",
    "video": "src",
    "iframe": "src",
}


class Page(HTMLParser):
    """What one page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.loads: list[tuple[str, str]] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Called by HTMLParser for each tag."""
        told = {name: value or "" for name, value in attributes}
        self.ids |= {told[name] for name in ("id", "name") if name in told}
        if tag == "a" and "href" in told:
            self.links.append(told["href"])
        elif tag in LOADED and LOADED[tag] in told and told.get("rel") not in ("canonical", "search", "next", "prev"):
            self.loads.append((tag, told[LOADED[tag]]))


def problems(folder: Path) -> list[str]:
    """What is wrong with the pages in `folder`; empty if nothing is."""
    folder = folder.resolve()
    pages = {
        path: Page(path) for path in sorted(folder.rglob("*.html")) if "_static" not in path.relative_to(folder).parts
    }  # there the theme keeps templates
    if not pages:
        return [f"{folder} has no pages"]
    found = []
    for path, page in pages.items():
        name = path.relative_to(folder)
        for link in page.links:
            if urlsplit(link).scheme in ("http", "https", "mailto"):
                continue
            target, place = _target(path, link)
            if not target.exists():
                found.append(f"{name}: the link {link} leads nowhere")
            elif place and target in pages and place not in pages[target].ids:
                found.append(f"{name}: the link {link} leads to no place in {target.name}")
        for tag, link in page.loads:
            found += [f"{name}: {problem}" for problem in _loaded(path, tag, link)]
    return found


def _target(page: Path, link: str) -> tuple[Path, str]:
    """The file that a link leads to, and the place in it."""
    parts = urlsplit(link)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return (target / "index.html" if target.is_dir() else target), unquote(parts.fragment)


def _loaded(page: Path, tag: str, link: str) -> list[str]:
    """What is wrong with something that a page loads."""
    parts = urlsplit(link)
    if parts.scheme == "data":
        too_long = tag in ("audio", "source")
        return [f"a sound of {len(link)} characters stands in the page itself"] if too_long else []
    if parts.scheme or parts.netloc:
        return [f"it loads {link} from elsewhere"]
    target, _ = _target(page, link)
    if not target.is_file():
        return [f"{link} is missing"]
    if not target.stat().st_size:
        return [f"{link} is empty"]
    if tag in ("audio", "source"):
        try:
            if not soundfile.info(target).frames:
                return [f"{link} has no samples"]
        except soundfile.SoundFileError as error:
            return [f"{link} cannot be played: {error}"]
    return []


def main(argv: list[str]) -> int:
    """Print what is wrong; 1 if something is."""
    if len(argv) != 1:
        print("usage: python -m book.links FOLDER", file=sys.stderr)
        return 2
    found = problems(Path(argv[0]))
    print("\n".join(found) if found else f"{argv[0]}: all links, pictures and sounds are there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
