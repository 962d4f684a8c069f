"""What all tests share: no windows, one thread each (two tests run at a time), the project's folder, a built nn~."""

import os
import subprocess
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def project() -> Path:
    """The folder of the project."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def externals(project: Path) -> Path:
    """The folder with the nn~ that pd_setup/build_nn.sh built; the tests of nn~ are skipped where Pd cannot be had."""
    packages = subprocess.run(["bash", "pd_setup/system_packages.sh", "--install", "pd"], cwd=project,
                              capture_output=True, text=True)
    if packages.returncode != 0:
        pytest.skip(f"Pure Data cannot be installed here: {packages.stderr.strip()}")
    built = subprocess.run(["bash", "pd_setup/build_nn.sh"], cwd=project, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return Path(built.stdout.splitlines()[-1]).parent
