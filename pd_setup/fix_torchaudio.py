"""Make `import torchaudio` work with the installed version of torch.

Torchaudio's wheel for Linux contains compiled extensions that are linked against CUDA. With a torch without CUDA, or
with another version of CUDA, they cannot be loaded and the import fails. The course uses none of them (resampling is
plain torch), and torchaudio works without them. So if the import fails, this script deletes them.

Run with the environment's interpreter: `python pd_setup/fix_torchaudio.py`. Running it twice does no harm.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

CHECK = """
import torch, torchaudio
tone = torch.sin(torch.arange(4800) * 0.05)[None]
half = torchaudio.functional.resample(tone, 48000, 24000)
assert half.shape == (1, 2400), half.shape
assert (half[0, 100:-100] - tone[0, 200:-200:2]).abs().max() < 0.01, "resampling changed a slow sine"
"""


def problem() -> str:
    """Import torchaudio in a new process and resample with it: the last line of its error, or ""."""
    run = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True)
    if run.returncode == 0:
        return ""
    return (run.stderr.strip().splitlines() or [f"python ended with status {run.returncode}"])[-1]


def main() -> int:
    """Check, repair if needed, check again; 0 if torchaudio works in the end."""
    spec = importlib.util.find_spec("torchaudio")
    if spec is None or spec.origin is None:
        print("torchaudio is not installed: run `make env`")
        return 1
    why = problem()
    if not why:
        print("torchaudio works")
        return 0
    extensions = sorted((Path(spec.origin).parent / "lib").glob("*.so"))
    for extension in extensions:
        extension.unlink()
        print(f"deleted {extension.name}: it does not load with this torch ({why})")
    why = problem() if extensions else why
    print(f"torchaudio does not work: {why}" if why else "torchaudio works without its compiled extensions")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
