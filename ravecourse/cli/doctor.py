"""What is on this machine, what is missing for the course, and what to do about it.

Notebook: 00
"""

import glob
import os
import platform
import shutil
import site
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ravecourse.bundled import PROJECT

OK, MISSING, OPTIONAL = "OK", "missing", "optional"
DISK_NEEDED_GB = 2.0  # a dataset, a run with its checkpoints, and the demo
SOUND_FORMATS = ("WAV", "FLAC", "OGG", "MP3", "AIFF")
EXTERNAL_FOLDERS = (
    "~/Documents/Pd/externals",
    "~/.local/lib/pd/extra",
    "~/Library/Pd",
    "/usr/local/lib/pd-externals",
    "/usr/lib/pd/extra",
)


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Args:
        name: what was looked for.
        status: "OK", "missing" (the course does not run without it) or "optional" (a part of it needs it).
        found: what is there, or "-".
        advice: what to do; "" where nothing needs doing.

    Notebook: 00
    """

    name: str
    status: str
    found: str
    advice: str = ""


def table() -> list[Check]:
    """Look at everything that the course uses, in the order in which a person meets it.

    Returns: one Check a line; a look that itself fails becomes a line that says so.

    Notebook: 00
    """
    looks: list[tuple[str, Callable[[], Check]]] = [
        ("Python", _python),
        ("PyTorch", _torch),
        ("device", _device),
        ("torchaudio", _torchaudio),
        ("sound files", _sound_files),
        ("ffmpeg", _ffmpeg),
        ("notebooks", _notebooks),
        ("cores, memory", _machine),
        ("disk", _disk),
        ("audio output", _audio_output),
        ("C++ compiler", _compiler),
        ("CMake", _cmake),
        ("Pure Data", _pure_data),
        ("nn~ external", _external),
    ]
    checks = []
    for name, look in looks:
        try:
            checks.append(look())
        except Exception as error:  # a doctor that crashes helps nobody
            checks.append(Check(name, MISSING, f"{type(error).__name__} while looking: {error}", "make env"))
    return checks


def print_table(checks: list[Check] | None = None) -> None:
    """Print the table, and under it what to do, one line for each thing that is not there.

    Args:
        checks: lines from `table`; None looks now.

    Notebook: 00
    """
    checks = table() if checks is None else checks
    wide = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{check.name:<{wide}}  {check.status:<8}  {check.found}")
    advised = [check for check in checks if check.advice]
    if advised:
        print("\nWhat to do:")
        for check in advised:
            print(f"  {check.name} ({check.status}): {check.advice}")
    missing = [check.name for check in checks if check.status == MISSING]
    print(f"\nNot ready: {', '.join(missing)} missing." if missing else "\nReady for the course.")


def run() -> int:
    """Print the table; 0 if all that is required is there, else 1.

    Notebook: 00
    """
    checks = table()
    print_table(checks)
    return int(any(check.status == MISSING for check in checks))


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if tuple(int(part) for part in platform.python_version_tuple()[:2]) < (3, 10):
        return Check("Python", MISSING, found, "install Python 3.11, then type make env")
    return Check("Python", OK, found)


def _torch() -> Check:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("PyTorch", MISSING, f"{error}", _from_elsewhere() or "make env")
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    return Check("PyTorch", OK, f"{torch.__version__.split('+')[0]}, {build}")


def _from_elsewhere() -> str:
    """What to do where packages from outside the environment get in the way of its own; "" where none do."""
    if os.environ.get("PYTHONPATH"):
        return f"unset PYTHONPATH (it is {os.environ['PYTHONPATH']}, whose packages come before the environment's)"
    user = site.getusersitepackages() if site.ENABLE_USER_SITE else ""
    if user and os.path.isdir(os.path.join(user, "torch")):
        return f"export PYTHONNOUSERSITE=1 (the packages in {user} come before the environment's)"
    return ""


def _device() -> Check:
    try:
        import torch
    except (ImportError, OSError):
        return Check("device", MISSING, "-", "make env")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Check("device", OK, f"cuda: {torch.cuda.get_device_name(0)}, {memory:.0f} GiB")
    if torch.backends.mps.is_available():
        return Check("device", OK, "mps: Apple GPU")
    if shutil.which("nvidia-smi") and not torch.version.cuda:
        return Check(
            "device", OPTIONAL, "cpu; there is an NVIDIA GPU, but PyTorch is a CPU build", "make env TORCH=cuda"
        )
    return Check("device", OK, f"cpu, {torch.get_num_threads()} threads: enough for the preset tiny")


def _torchaudio() -> Check:
    fix = f'"{sys.executable}" "{PROJECT / "pd_setup" / "fix_torchaudio.py"}"'
    try:
        import torch
        import torchaudio

        torchaudio.functional.resample(torch.zeros(1, 480), 48000, 44100)
    except ModuleNotFoundError as error:
        return Check("torchaudio", MISSING, f"{error}", "make env")
    except Exception as error:
        return Check("torchaudio", MISSING, f"does not load: {str(error).splitlines()[0][:80]}", fix)
    return Check("torchaudio", OK, f"{metadata.version('torchaudio')}, resamples")


def _sound_files() -> Check:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        return Check("sound files", MISSING, f"{error}", "make env")
    readable = soundfile.available_formats()
    have = [name for name in SOUND_FORMATS if name in readable]
    lack = [name for name in SOUND_FORMATS if name not in readable]
    found = f"{', '.join(have)} (libsndfile {soundfile.__libsndfile_version__})"
    if lack:
        advice = f"cannot read {', '.join(lack)}: convert those files to WAV, or install a newer libsndfile"
        return Check("sound files", MISSING if "WAV" in lack else OPTIONAL, found, advice)
    return Check("sound files", OK, found)


def _ffmpeg() -> Check:
    path = shutil.which("ffmpeg")
    if path is None:
        return Check("ffmpeg", OPTIONAL, "-", f"only for M4A, WMA and such: {_install('ffmpeg')}")
    return Check("ffmpeg", OK, _first_line(path, "-version").partition(" Copyright")[0] or path)


def _notebooks() -> Check:
    try:
        return Check("notebooks", OK, f"JupyterLab {metadata.version('jupyterlab')}")
    except metadata.PackageNotFoundError:
        return Check("notebooks", MISSING, "-", "make env")


def _machine() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = f"{cores} core{'s' if cores > 1 else ''}"
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return Check("cores, memory", OK, found)
    found = f"{found}, {memory:.0f} GiB"
    if memory < 3.5:
        return Check("cores, memory", OPTIONAL, found, "training wants 4 GiB: close other programs")
    return Check("cores, memory", OK, found)


def _disk() -> Check:
    free = shutil.disk_usage(PROJECT).free / 1e9
    found = f"{free:.0f} GB free at {PROJECT}" if free >= 10 else f"{free:.1f} GB free at {PROJECT}"
    if free < DISK_NEEDED_GB:
        return Check("disk", MISSING, found, f"make room: the course needs {DISK_NEEDED_GB:.0f} GB")
    return Check("disk", OK, found)


def _audio_output() -> Check:
    advice = "notebooks play in the browser all the same; live playing in Pd needs a sound card here"
    if sys.platform in ("darwin", "win32"):
        return Check("audio output", OK, "the system's")
    cards = Path("/proc/asound/cards")
    text = cards.read_text(errors="replace") if cards.is_file() else ""
    names = [line.partition("]: ")[2].strip() for line in text.splitlines() if "]: " in line]
    if names:
        return Check("audio output", OK, ", ".join(names))
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    for socket, server in (("pulse/native", "PulseAudio"), ("pipewire-0", "PipeWire")):
        if runtime and Path(runtime, socket).exists():
            return Check("audio output", OK, server)
    if os.environ.get("PULSE_SERVER"):
        return Check("audio output", OK, f"PulseAudio at {os.environ['PULSE_SERVER']}")
    return Check("audio output", OPTIONAL, "no sound card", advice)


def _compiler() -> Check:
    names = [os.environ.get("CXX", "").strip(), "c++", "g++", "clang++"]
    path = next((path for name in names if name and (path := shutil.which(name))), None)
    if path is None:
        return Check("C++ compiler", OPTIONAL, "-", f"builds the external for Pd: {_install('g++')}")
    return Check("C++ compiler", OK, _first_line(path, "--version") or path)


def _cmake() -> Check:
    path = shutil.which("cmake")
    if path is None:
        return Check("CMake", OPTIONAL, "-", f"builds the external for Pd: {_install('cmake')}")
    return Check("CMake", OK, _first_line(path, "--version").removeprefix("cmake version ") or path)


def _pure_data() -> Check:
    path = shutil.which("pd") or shutil.which("puredata")
    if path is None and sys.platform == "darwin":
        path = next(iter(sorted(glob.glob("/Applications/Pd*.app/Contents/Resources/bin/pd"))), None)
    if path is None:
        advice = (
            f"plays the models: {_install('puredata')}"
            if sys.platform.startswith("linux")
            else "plays the models: install Pd from puredata.info"
        )
        return Check("Pure Data", OPTIONAL, "-", advice)
    return Check("Pure Data", OK, _first_line(path, "-version") or path)


def _external() -> Check:
    for folder in EXTERNAL_FOLDERS:
        for pattern in ("nn~.*", "nn~/nn~.*", "nn_tilde/nn~.*"):
            for path in sorted(Path(folder).expanduser().glob(pattern)):
                if path.suffix.startswith((".pd_", ".d_", ".l_", ".dll", ".so")):
                    return Check("nn~ external", OK, str(path))
    where = Path(EXTERNAL_FOLDERS[0]).expanduser()
    return Check("nn~ external", OPTIONAL, "-", f"plays the models in Pd: make pd-install puts it into {where}")


def _install(package: str) -> str:
    """The command that installs a package here (Debian's name, which Homebrew mostly shares)."""
    if shutil.which("apt-get"):
        return f"sudo apt-get install -y {package}"
    if shutil.which("brew"):
        return f"brew install {package}"
    return f"install {package} with your system's package manager"


def _first_line(*command: str) -> str:
    """The first line that a program prints about itself; "" if it prints none, fails or hangs."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = (run.stdout.strip() or run.stderr.strip()).splitlines()
    return lines[0].strip() if run.returncode == 0 and lines else ""


if __name__ == "__main__":
    sys.exit(run())
