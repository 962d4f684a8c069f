"""Open a patch of the course in a real Pd: in batch mode with its sound card replaced by tables, or under Xvfb."""

import os
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ravecourse import audio as sound
from ravecourse.playback.patch_assets import patches_folder
from ravecourse.playback.puredata import RATE, PdRun, program, run_patch

NAMES = {1: "1-timbre-transfer", 2: "2-latent-playing", 3: "3-looper-crossfade", 4: "4-low-latency"}

# In place of dac~ and adc~, which are nothing without a sound card.
TO_TABLES = """#N canvas 0 0 300 200 12;
#X obj 10 10 inlet~;
#X obj 150 10 inlet~;
#X obj 10 60 tabwrite~ heard-left;
#X obj 150 60 tabwrite~ heard-right;
#X obj 10 35 r begin;
#X connect 0 0 2 0;
#X connect 1 0 3 0;
#X connect 4 0 2 0;
#X connect 4 0 3 0;
"""
FROM_TABLE = """#N canvas 0 0 300 200 12;
#X obj 10 10 r begin;
#X obj 10 60 tabplay~ microphone;
#X obj 10 90 outlet~;
#X connect 0 0 1 0;
#X connect 1 0 2 0;
"""


def beside(folder: Path, materials: Path) -> None:
    """Put what the patches need into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in materials.iterdir():
        if path.suffix in (".ts", ".wav") and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)


def text_of(number: int) -> str:
    return (patches_folder() / f"{NAMES[number]}.pd").read_text()


def render(
    number: int,
    messages: Sequence[tuple[float, str]],
    seconds: float,
    folder: Path,
    materials: Path,
    externals: Path,
    listen: str = "",
) -> PdRun:
    """Play a patch for some seconds in batch mode; `audio` [2, T] is what it sends to the sound card.

    Args:
        messages: pairs of milliseconds and what is sent then, like "p1-mix 0".
        listen: the name of a receiver whose messages are printed as INFO.
    """
    beside(folder, materials)
    (folder / "to-tables~.pd").write_text(TO_TABLES)
    (folder / "from-table~.pd").write_text(FROM_TABLE)
    text = re.sub(r" dac~ 1 2;", " to-tables~;", re.sub(r" adc~ 1;", " from-table~;", text_of(number)))
    samples = int(RATE * seconds)
    lines = [
        "obj r render",
        "obj t b b",
        "msg \\; pd dsp 1 \\; begin bang",
        f"obj delay {1000 * seconds + 20:g}",
        "obj t b b",
        "msg write -wave -bytes 4 heard.wav heard-left heard-right",
        "obj soundfiler",
        "msg \\; pd quit",
        f"obj table heard-left {samples}",
        f"obj table heard-right {samples}",
        f"obj table microphone {samples}",
    ]
    wires = ["0 0 1 0", "1 1 2 0", "1 0 3 0", "3 0 4 0", "4 1 5 0", "5 0 6 0", "4 0 7 0"]
    if listen:
        lines += [f"obj r {listen}", "obj print INFO"]
        wires.append("11 0 12 0")
    for when, what in messages:
        lines += [f"obj delay {when:g}", "msg \\; " + what.replace(",", "\\,")]
        wires += [f"1 0 {len(lines) - 2} 0", f"{len(lines) - 2} 0 {len(lines) - 1} 0"]
    body = "".join(f"#X {line.split(' ', 1)[0]} 10 {20 * i} {line.split(' ', 1)[1]};\n" for i, line in enumerate(lines))
    body += "".join(f"#X connect {wire};\n" for wire in wires)
    text += f"#N canvas 0 0 500 500 driver 0;\n{body}#X restore 10 1500 pd driver;\n"
    (folder / "heard.wav").unlink(missing_ok=True)
    ran = run_patch(text, folder, externals, first_message="render bang", seconds=200)
    audio = sound.read(folder / "heard.wav")[0] if (folder / "heard.wav").is_file() else None
    return PdRun(audio, ran.console, ran.status)


def why_no_pictures() -> str:
    """What is missing to look at Pd's windows, after trying to install it; "" if nothing is."""
    script = patches_folder().parent / "system_packages.sh"
    ran = subprocess.run(["bash", script, "--install", "screen"], capture_output=True, text=True)
    return "" if ran.returncode == 0 else ran.stderr.strip()


def seen(framebuffer: Path) -> Image.Image:
    """What Xvfb shows, from the file that it keeps it in (the format of xwd)."""
    data = framebuffer.read_bytes()
    header = np.frombuffer(data, ">u4", 25)
    size, width, height, line, colours = (int(header[i]) for i in (0, 4, 5, 12, 19))
    pixels = np.frombuffer(data, "u1", line * height, size + 12 * colours).reshape(height, line)[:, : 4 * width]
    return Image.fromarray(pixels.reshape(height, width, 4)[:, :, 2::-1].copy())


def picture(patch: Path, target: Path, externals: Path, folder: Path) -> str:
    """Open a patch in a Pd with windows, on a screen that nobody sees; write what is seen; return the console."""
    height = int(patch.read_text().split()[5])
    reading, writing = os.pipe()
    screen = subprocess.Popen(
        [
            "Xvfb",
            "-displayfd",
            str(writing),
            "-screen",
            "0",
            f"1100x{height + 120}x24",
            "-nolisten",
            "tcp",
            "-fbdir",
            str(folder),
        ],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            display = told.readline().strip()  # a free one, as soon as it is ready
        pd = subprocess.Popen(
            [program(), "-noaudio", "-noprefs", "-stderr", "-r", str(RATE), "-path", str(externals), str(patch)],
            env={**os.environ, "DISPLAY": f":{display}", "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            shown = _settled(folder / "Xvfb_screen0", pd)
        finally:
            pd.terminate()
            console = pd.communicate(timeout=20)[1]
    finally:
        screen.terminate()
        screen.wait(timeout=20)
    x, y = 60, 71  # where each patch's window opens, below Pd's menu
    shown.crop((x, y, x + 900, y + height)).quantize(32).save(target, optimize=True)
    return console


def _settled(framebuffer: Path, pd: subprocess.Popen) -> Image.Image:
    """What is seen when nothing changes any more."""
    before, same, until = seen(framebuffer), 0, time.monotonic() + 90
    while same < 5 and time.monotonic() < until and pd.poll() is None:
        time.sleep(1)
        now = seen(framebuffer)
        drawn = len(now.getcolors(1 << 20)) > 8
        same = same + 1 if drawn and now.tobytes() == before.tobytes() else 0
        before = now
    return before
