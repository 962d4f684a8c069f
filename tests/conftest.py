"""What all tests share: no windows, one thread each (two tests run at a time), the project's folder, a built nn~."""

import os
import subprocess
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")


LONGEST_FIRST = ("test_browser.py", "10_", "04_", "06_", "00_", "08_", "test_pd_", "test_demo.py", "test_training.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, so that no worker waits at the end; then the notebooks, then the rest."""

    def turn(item: pytest.Item) -> tuple[int, bool]:
        name = item.path.name
        first = next((n for n, start in enumerate(LONGEST_FIRST) if name.startswith(start)), len(LONGEST_FIRST))
        return first, item.path.suffix != ".ipynb"

    items.sort(key=turn)  # keeps the order within a file


@pytest.fixture(scope="session")
def project() -> Path:
    """The folder of the project."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def externals(project: Path) -> Path:
    """The folder with the nn~ that pd_setup/build_nn.sh built; the tests of nn~ are skipped where Pd cannot be had."""
    built = subprocess.run(["bash", "pd_setup/build_nn.sh"], cwd=project, capture_output=True, text=True)
    if built.returncode != 0 and "Missing:" in built.stderr:  # neither root nor sudo: the script names the packages
        pytest.skip(f"Pure Data cannot be installed here: {built.stderr.strip()}")
    assert built.returncode == 0, built.stdout + built.stderr
    return Path(built.stdout.splitlines()[-1]).parent
