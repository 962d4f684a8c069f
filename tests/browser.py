"""JupyterLab in a real browser, as a student meets it: a server of its own, a page, and what a hand would do there.

Nothing of the person's settings is read or changed: the server has its configuration, its data and a copy of the
notebooks in a temporary folder. No request leaves the machine, and the test fails where a page tries.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chromium-headless-shell")
ON_MACOS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PATIENCE_SECONDS = 240  # the one limit of every wait: a class laptop is busy with other things
expect.set_options(timeout=1000 * PATIENCE_SECONDS)
SETTINGS = {  # what would ask, write or fetch on its own
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}


def find_browser() -> str | None:
    """The Chromium or Chrome to use: CHROMIUM, one on the path, or one of macOS's applications; None without."""
    wanted = [os.environ.get("CHROMIUM", ""), *NAMES, *ON_MACOS]
    return next((path for name in wanted if name and (path := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser without a window."""
    quiet = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--no-first-run",
        "--mute-audio",
        "--autoplay-policy=no-user-gesture-required",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        quiet.append("--no-sandbox")  # Chromium has no sandbox for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=quiet)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serve(project: Path, folder: Path, notebooks: list[Path]) -> Iterator[str]:
    """The JupyterLab of `make lab`, on a free port, with copies of the notebooks in `folder`.

    Yields:
        its address, token included, with {path} where a notebook's path from the server's root goes.
    """
    work = folder / "course"
    for name in ("docs", "pd_setup"):
        shutil.copytree(project / name, work / name)
    for notebook in notebooks:
        target = work / notebook.relative_to(project)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(notebook, target)
    for name, values in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    homes = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    environment = {
        **os.environ,
        **{name: str(folder / place) for name, place in homes.items()},
        "PYTHONPATH": str(project),
        "JUPYTER_TOKEN": "only-for-this-test",
    }
    environment.pop("MPLBACKEND", None)  # the notebooks choose their own
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    command = ["bash", str(work / "pd_setup" / "lab.sh"), "--no-browser", "--ServerApp.port=0"]  # as `make lab` does
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield _address(server, folder)
        finally:
            _end(server)


def _address(server: subprocess.Popen, folder: Path) -> str:
    """Where the server answers, as soon as it does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        for file in (folder / "runtime").glob("jpserver-*.json"):
            try:
                said = json.loads(file.read_text())
                address = f"http://127.0.0.1:{said['port']}/lab/tree/{{path}}?token={said['token']}"
                with urllib.request.urlopen(f"http://127.0.0.1:{said['port']}/api", timeout=5):
                    return address
            except (ValueError, OSError):  # half-written, or not listening yet
                pass
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{(folder / 'server.log').read_text()[-2000:]}")


def _end(server: subprocess.Popen) -> None:
    """End the server, its process group and its kernels, which have groups of their own."""
    family = []
    if server.poll() is None:
        family = psutil.Process(server.pid).children(recursive=True)
        os.killpg(server.pid, signal.SIGTERM)  # it shuts its kernels down
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    for process in psutil.wait_procs(family, timeout=3)[1]:
        process.kill()


class Notebook:
    """A notebook that is open in a page."""

    def __init__(self, browser: Browser, address: str, path: str, color_scheme: str = "light"):
        self.address = address
        self.requests_elsewhere: list[str] = []
        self.page_errors: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=color_scheme)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE_SECONDS)
        self.page.route("**/*", self._only_here)
        self.page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        self.page.goto(address.format(path=path), wait_until="domcontentloaded")
        self.panel: Locator = self.page.locator(".jp-NotebookPanel:visible")
        self._connected()
        self.idle()

    def _only_here(self, route) -> None:
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.continue_()
        else:
            self.requests_elsewhere.append(route.request.url)
            route.abort()

    def _connected(self) -> None:
        """Wait until the page talks to its kernel: until then, Run does nothing, although it looks idle."""
        kernels = self.address.replace("/lab/tree/{path}", "/api/kernels")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            said = self.page.request.get(kernels)  # fails for a moment where another kernel is just ending
            if said.ok and any(kernel["connections"] and kernel["execution_state"] == "idle" for kernel in said.json()):
                break
            assert time.monotonic() < deadline, "the notebook got no kernel"
            self.page.wait_for_timeout(100)
        expect(self.panel.get_by_title("Switch kernel")).to_contain_text("Python 3")

    def idle(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the kernel waits."""
        indicator = self.panel.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
        expect(indicator).to_have_count(1, timeout=1000 * seconds)

    def close(self) -> None:
        """Close the page, and end the kernels: the next chapter needs the memory."""
        sessions = self.address.replace("/lab/tree/{path}", "/api/sessions")
        for session in self.page.request.get(sessions).json():
            self.page.request.delete(sessions.replace("/api/sessions", f"/api/sessions/{session['id']}"))
        self.context.close()

    def menu(self, *words: str) -> None:
        """Choose from the menu bar, as in menu("Run", "Run All Cells")."""
        self.page.locator(".lm-MenuBar-item", has_text=words[0]).first.click()
        for depth, word in enumerate(words[1:]):
            menu = self.page.locator(".lm-Menu").nth(depth)
            menu.locator(".lm-Menu-item", has=self.page.get_by_text(word, exact=True)).first.click()

    def run_all(self, seconds: float) -> None:
        """Clear all outputs, Run All, and wait until each cell has run or one has failed."""
        self.menu("Edit", "Clear Outputs of All Cells")
        self.menu("Run", "Run All Cells")
        finished = """panel => {
            const prompts = [...panel.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent);
            const failed = panel.querySelector('[data-mime-type="application/vnd.jupyter.error"]');
            return failed !== null || prompts.length > 0 && prompts.every(text => /\\[\\d+\\]/.test(text));
        }"""
        deadline = time.monotonic() + seconds
        while not self.panel.evaluate(finished):
            assert time.monotonic() < deadline, f"after {seconds} s: {self.prompts()}"
            self.page.wait_for_timeout(200)
        self.idle()

    def prompts(self) -> list[str]:
        """What stands before the code cells: [1], [2], [*] ..."""
        return self.panel.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()

    def errors(self) -> list[str]:
        """What went wrong: in cells, in widgets, in the page, and requests to elsewhere."""
        shown = self.panel.locator('[data-mime-type="application/vnd.jupyter.error"]').all_text_contents()
        broken = self.panel.get_by_text("Error displaying widget").all_text_contents()
        return shown + broken + self.page_errors + self.requests_elsewhere

    def sounds(self) -> list[float]:
        """The length in seconds of each player in the notebook, as the browser decodes it."""
        players = self.panel.locator("audio")
        return [
            players.nth(number).evaluate(  # -1 for what cannot be played
                "player => new Promise((done, fail) => {"
                "  if (player.readyState) return done(player.duration);"
                "  player.onloadedmetadata = () => done(player.duration);"
                "  player.onerror = () => done(-1); player.load(); })"
            )
            for number in range(players.count())
        ]

    def figures(self) -> int:
        """How many pictures there are."""
        return self.panel.locator(".jp-OutputArea img").count()

    def until(self, condition: str, what: str) -> None:
        """Wait until a JavaScript function of the notebook's panel is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.panel.evaluate(condition):
            assert time.monotonic() < deadline, f"after {PATIENCE_SECONDS} s: {what}"
            self.page.wait_for_timeout(100)

    def picture_width(self, name: str) -> int:
        """The width in pixels of a picture from docs/ in the text, as loaded; it is scrolled to first."""
        self.until(f"panel => panel.querySelector('img[src*=\"{name}\"], img[alt]') !== null", "no picture in the text")
        picture = self.panel.locator(f'.jp-MarkdownOutput img[src*="{name}"]').first
        picture.scroll_into_view_if_needed()
        self.until(
            f"""panel => panel.querySelector('.jp-MarkdownOutput img[src*="{name}"]').complete""", f"{name} loads"
        )
        return picture.evaluate("picture => picture.naturalWidth")

    def widgets(self) -> list[Locator]:
        """The outputs that hold a slider, from top to bottom, once every widget of the page is drawn."""
        self.until(
            """panel => [...panel.querySelectorAll(
                '[data-mime-type="application/vnd.jupyter.widget-view+json"]')].every(
                output => output.querySelector('.jupyter-widgets') !== null)""",
            "widgets that are not drawn yet",
        )
        outputs = self.panel.locator(".jp-OutputArea", has=self.page.get_by_role("slider")).filter(
            has_not=self.page.locator(".jp-OutputArea")
        )
        return [outputs.nth(number) for number in range(outputs.count())]

    def content(self, widget: Locator) -> dict[str, list[str]]:
        """What a widget shows and plays now: a fingerprint of the bytes of each picture and sound."""
        return widget.evaluate("""async widget => {
            const prints = async kind => Promise.all([...widget.querySelectorAll(kind)].map(async element => {
                const bytes = await (await fetch(element.currentSrc || element.src)).arrayBuffer();
                return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-1", bytes))).join();
            }));
            for (let tries = 0; ; tries++) {
                try {
                    return {figures: await prints("img"), sounds: await prints("audio")};
                } catch (error) {  // a picture or sound was replaced between its address and its bytes
                    if (tries === 100) throw error;
                    await new Promise(done => setTimeout(done, 50));
                }
            }
        }""")

    def press(self, widget: Locator, slider: int, key: str) -> list[str]:
        """Move a slider of a widget by a key; what changed: "figures", "sounds"."""
        before = self.content(widget)
        handle = widget.get_by_role("slider").nth(slider)
        value = handle.get_attribute("aria-valuetext")
        handle.scroll_into_view_if_needed()
        handle.focus()
        self.page.keyboard.press(key)
        expect(handle).not_to_have_attribute("aria-valuetext", value)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (after := self.content(widget)) == before and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        self.idle()
        while (settled := self.content(widget)) != after and time.monotonic() < deadline:  # picture first, sound next
            after = settled
            self.page.wait_for_timeout(300)
        return [kind for kind in settled if settled[kind] != before[kind]]

    def theme(self, name: str) -> None:
        """Choose a theme from the menu, as in theme("JupyterLab Dark")."""
        self.menu("Settings", "Theme", name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)

    def screenshot(self, path: Path, cell: Locator | None = None) -> None:
        """What is to be seen; of a cell, after scrolling to it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if cell is None:
            self.page.screenshot(path=path)
        else:
            cell.scroll_into_view_if_needed()
            cell.screenshot(path=path)
