"""The environment: how it is made, that its lists agree, and what `make` offers.

Making it really takes a minute, so create_env.sh runs here against stand-ins for Python and conda that write
down what they were asked for, in a copy of the project whose path has spaces. environment.yml is solved for
real, against a channel of empty packages.
"""

import asyncio
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import rattler
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

tomllib = pytest.importorskip("tomllib", reason="reads pyproject.toml; in Python from 3.11")

TOOLS = (
    "awk basename bash cat chmod cp cut df dirname env find flock grep head ls make mkdir mv rm sed sh "
    "sha256sum shasum sleep sort tail tr uname wc"
)

PYTHON = r"""#!/bin/sh
# stands in for python: answers what create_env.sh asks, writes down the rest
case "$2" in
    *python_version*) cat "$STAND_IN/version"; exit 0 ;;
    *ensurepip*) exit "$(cat "$STAND_IN/usable")" ;;
esac
printf '%s' python >>"$STAND_IN/calls"
for argument in "$@"; do printf '|%s' "$argument" >>"$STAND_IN/calls"; done
echo >>"$STAND_IN/calls"
case "$*" in
    "-m venv"*) mkdir -p "$3/bin" && cp "$STAND_IN/python" "$3/bin/python" ;;
    *--dry-run*) exit "$(cat "$STAND_IN/no_cpu_wheel")" ;;
    *"pip install"*) echo "pip says hello"; exit "$(cat "$STAND_IN/pip_status")" ;;
    *pytest*) exit "$(cat "$STAND_IN/pip_status")" ;;
esac
"""

CONDA = r"""#!/bin/sh
# stands in for micromamba, mamba or conda: makes the prefix, writes down how it was called
printf '%s' "$(basename "$0")" >>"$STAND_IN/calls"
for argument in "$@"; do printf '|%s' "$argument" >>"$STAND_IN/calls"; done
echo >>"$STAND_IN/calls"
echo "$CONDA_ALWAYS_YES $MAMBA_ALWAYS_YES" >"$STAND_IN/yes"
while [ $# -gt 0 ]; do
    case "$1" in -p) prefix="$2" ;; -f) cp "$2" "$STAND_IN/given.yml" ;; esac
    shift
done
mkdir -p "$prefix/bin"
if [ "$(cat "$STAND_IN/conda_status")" != 0 ]; then echo "conda could not solve it"; exit 1; fi
cp "$STAND_IN/python" "$prefix/bin/python"
"""


class Sandbox:
    """A copy of the project's setup with stand-ins in place of every Python and conda."""

    def __init__(self, project: Path, folder: Path):
        self.root = folder / "my sounds and models" / "rave course"
        self.root.mkdir(parents=True)
        self.stand_in = folder / "stand in"
        self.bin = folder / "bin"
        self.home = folder / "home"
        for path in (self.stand_in, self.bin, self.home):
            path.mkdir()
        for name in ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile"):
            shutil.copy(project / name, self.root)
        shutil.copytree(project / "pd_setup", self.root / "pd_setup")
        for tool in TOOLS.split():
            if path := shutil.which(tool):
                (self.bin / tool).symlink_to(path)
        self.say(version="3.11.9", usable=0, no_cpu_wheel=0, pip_status=0, conda_status=0)
        self.program(self.stand_in / "python", PYTHON)
        self.program(self.bin / "python3.11", PYTHON)

    def program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def say(self, **answers: object) -> None:
        for name, answer in answers.items():
            (self.stand_in / name).write_text(f"{answer}\n")

    def add_conda(self, *names: str) -> None:
        for name in names:
            self.program(self.bin / name, CONDA)

    def command(self, *command: str, **variables: str) -> subprocess.CompletedProcess:
        set_to = {"PATH": str(self.bin), "HOME": str(self.home), "STAND_IN": str(self.stand_in), **variables}
        return subprocess.run(command, cwd=self.root, env=set_to, capture_output=True, text=True, timeout=60)

    def create(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        return self.command("bash", "pd_setup/create_env.sh", *arguments, **variables)

    def calls(self) -> list[list[str]]:
        """What the stand-ins were asked since the last look: a list of arguments for each call."""
        path = self.stand_in / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.split("|") for line in lines]

    def stamps(self) -> list[str]:
        return sorted(path.name for path in self.root.glob(".env-stamp*"))


@pytest.fixture
def sandbox(project: Path, tmp_path: Path) -> Sandbox:
    return Sandbox(project, tmp_path)


def pins(project: Path) -> dict[str, Version]:
    lines = [line for line in (project / "constraints.txt").read_text().splitlines() if line[:1] != "#"]
    exact = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    assert all(exact), "constraints.txt holds exact versions only"
    return {name(match[1]): Version(match[2]) for match in exact if match}


def name(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


# --- create_env.sh: the venv branch -------------------------------------------------------------------------


def test_venv_is_made_once_and_only_in_the_project(sandbox: Sandbox, project: Path) -> None:
    first = sandbox.create()
    assert first.returncode == 0, first.stderr
    calls = sandbox.calls()
    assert [call[1:3] for call in calls] == [
        ["-m", "venv"],
        ["-m", "pip"],
        ["-m", "pip"],
        ["-m", "pip"],
        ["pd_setup/fix_torchaudio.py"],
    ]
    assert calls[0][3] == str(sandbox.root / ".venv")
    torch, rest = calls[2], calls[3]
    assert torch[-1] == f"torch=={pins(project)['torch']}+cpu"
    assert rest[-2:] == ["-e", ".[test]"]
    assert all(call[call.index("-c") + 1] == "constraints.txt" for call in (torch, rest))
    assert sandbox.stamps() == [".env-stamp-venv"]
    assert "pip says hello" not in first.stdout, "pip's noise belongs in the log"
    assert "pip says hello" in (sandbox.root / "build" / "env.log").read_text()
    assert list(sandbox.home.iterdir()) == []

    second = sandbox.create()
    assert second.returncode == 0 and "current" in second.stdout
    assert sandbox.calls() == []


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt", "pd_setup/create_env.sh"])
def test_a_changed_list_is_installed_into_the_same_venv(sandbox: Sandbox, file: str) -> None:
    sandbox.create()
    sandbox.calls()
    with open(sandbox.root / file, "a") as changed:
        changed.write("# changed\n")
    assert sandbox.create().returncode == 0
    calls = sandbox.calls()
    assert [] == [call for call in calls if "venv" in call]
    assert calls[2][-2:] == ["-e", ".[test]"]
    sandbox.create()
    assert sandbox.calls() == []


def test_a_new_python_under_the_venv_is_noticed(sandbox: Sandbox) -> None:
    sandbox.create()
    sandbox.calls()
    sandbox.say(version="3.11.10")
    sandbox.create()
    assert ["-e", ".[test]"] in [call[-2:] for call in sandbox.calls()]


def test_when_pip_fails_the_log_is_shown_and_the_next_run_starts_anew(sandbox: Sandbox) -> None:
    sandbox.say(pip_status=1)
    failed = sandbox.create()
    assert failed.returncode != 0
    assert "pip says hello" in failed.stderr and "build/env.log" in failed.stderr
    assert ".env-stamp-venv" not in sandbox.stamps()
    (sandbox.root / ".venv" / "half-made").touch()
    sandbox.say(pip_status=0)
    again = sandbox.create()
    assert again.returncode == 0 and "incomplete" in again.stdout
    assert not (sandbox.root / ".venv" / "half-made").exists()
    assert sandbox.stamps() == [".env-stamp-venv"]


def test_a_venv_that_a_person_made_is_kept(sandbox: Sandbox) -> None:
    (sandbox.root / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(sandbox.stand_in / "python", sandbox.root / ".venv" / "bin" / "python")
    (sandbox.root / ".venv" / "mine").touch()
    assert sandbox.create().returncode == 0
    assert (sandbox.root / ".venv" / "mine").exists()
    assert [] == [call for call in sandbox.calls() if "venv" in call]


def test_a_venv_that_does_not_run_or_was_moved_is_made_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.create()
    sandbox.program(sandbox.root / ".venv" / "bin" / "python", "#!/bin/sh\nexit 127\n")
    sandbox.calls()
    assert sandbox.create().returncode == 0
    assert sandbox.calls()[0][1:3] == ["-m", "venv"]
    moved = tmp_path / "elsewhere"
    sandbox.root.rename(moved)
    sandbox.root = moved
    assert sandbox.create().returncode == 0
    assert sandbox.calls()[0][1:] == ["-m", "venv", str(moved / ".venv")]


def test_without_a_cpu_wheel_it_says_what_will_be_downloaded(sandbox: Sandbox, project: Path) -> None:
    sandbox.say(no_cpu_wheel=1)
    run = sandbox.create()
    assert run.returncode == 0
    assert sandbox.calls()[2][-1] == f"torch=={pins(project)['torch']}"
    if os.uname().sysname == "Linux":
        assert "3 GB" in run.stdout and "--help" in run.stdout


def test_cuda_is_asked_for_once_and_remembered(sandbox: Sandbox, project: Path) -> None:
    version = pins(project)["torch"]
    assert sandbox.create(TORCH="cuda").returncode == 0
    assert sandbox.calls()[1][-1] == f"torch=={version},!={version}+cpu"
    assert "current" in sandbox.create().stdout
    assert sandbox.calls() == []
    assert sandbox.create(TORCH="cpu").returncode == 0
    assert sandbox.calls()[0][1:3] == ["-m", "venv"]
    wrong = sandbox.create(TORCH="rocm")
    assert wrong.returncode != 0 and "TORCH=rocm" in wrong.stderr


def test_too_old_a_python_is_named(sandbox: Sandbox) -> None:
    sandbox.say(version="3.9.2", usable=3)
    run = sandbox.create()
    assert run.returncode != 0
    assert "python3.11 is 3.9.2" in run.stdout and "3.10" in run.stdout
    assert sandbox.stamps() == [".env-stamp-venv.building"]


def test_python_3_10_gets_the_pinned_torch_and_the_rest_by_range(sandbox: Sandbox, project: Path) -> None:
    sandbox.say(version="3.10.14")
    assert sandbox.create().returncode == 0
    rest = sandbox.calls()[3]
    given = (sandbox.root / rest[rest.index("-c") + 1]).read_text().split()
    exact = pins(project)
    assert sorted(given) == [f"torch=={exact['torch']}", f"torchaudio=={exact['torchaudio']}"]


def test_what_the_book_needs_is_installed_when_it_is_asked_for(sandbox: Sandbox) -> None:
    assert sandbox.create("--book").returncode == 0
    calls = sandbox.calls()
    assert ["-e", ".[test]"] in [call[-2:] for call in calls] and calls[-1][-2:] == ["-e", ".[book]"]
    assert "-c" in calls[-1]
    assert sandbox.create("--book").returncode == 0 and sandbox.calls() == []
    with open(sandbox.root / "constraints.txt", "a") as changed:
        changed.write("# changed\n")
    sandbox.create()
    assert [".[book]"] not in [call[-1:] for call in sandbox.calls()], "make env leaves the book out"
    sandbox.create("--book")
    assert sandbox.calls()[-1][-1] == ".[book]"


# --- create_env.sh: the conda branch ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tool, verb", [("micromamba", ["create"]), ("mamba", ["env", "create"]), ("conda", ["env", "create"])]
)
def test_conda_makes_the_prefix_and_pip_fills_it(sandbox: Sandbox, tool: str, verb: list[str]) -> None:
    sandbox.add_conda(tool)
    run = sandbox.create()
    assert run.returncode == 0, run.stderr
    calls = sandbox.calls()
    prefix = str(sandbox.root / ".conda")
    assert calls[0] == [tool, *verb, "-p", prefix, "-f", "build/environment-conda.yml"]
    assert (sandbox.stand_in / "yes").read_text().split() == ["true", "true"]
    assert calls[3][-2:] == ["-e", ".[test]"] and calls[4][1] == "pd_setup/fix_torchaudio.py"
    assert not (sandbox.root / ".venv").exists()
    whole = yaml.safe_load((sandbox.root / "environment.yml").read_text())
    given = yaml.safe_load((sandbox.stand_in / "given.yml").read_text())
    assert given["channels"] == whole["channels"]
    assert given["dependencies"] == [spec for spec in whole["dependencies"] if isinstance(spec, str)]

    sandbox.create()
    assert sandbox.calls() == [], "a second run does nothing"

    with open(sandbox.root / "pyproject.toml", "a") as changed:
        changed.write("# changed\n")
    sandbox.create()
    calls = sandbox.calls()
    assert all(call[0] == "python" for call in calls) and calls[2][-2:] == ["-e", ".[test]"]

    with open(sandbox.root / "environment.yml", "a") as changed:
        changed.write("# changed\n")
    sandbox.create()
    assert sandbox.calls()[0][0] == tool


def test_the_order_of_conda_programs_and_how_to_choose_another(sandbox: Sandbox) -> None:
    sandbox.add_conda("conda", "mamba", "micromamba")
    sandbox.create()
    assert sandbox.calls()[0][0] == "micromamba"
    shutil.rmtree(sandbox.root / ".conda")
    (sandbox.bin / "micromamba").unlink()
    sandbox.create()
    assert sandbox.calls()[0][0] == "mamba"
    shutil.rmtree(sandbox.root / ".conda")
    sandbox.create(CONDA="conda")
    assert sandbox.calls()[0][0] == "conda"
    sandbox.create(CONDA="none")
    assert sandbox.calls()[0][1:3] == ["-m", "venv"]
    wrong = sandbox.create(CONDA="snake")
    assert wrong.returncode != 0 and "CONDA=snake" in wrong.stderr


def test_conda_outside_of_path_is_found(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "mini conda"
    (folder / "bin").mkdir(parents=True)
    sandbox.program(folder / "bin" / "conda", CONDA)
    assert sandbox.create(CONDA=str(folder)).returncode == 0
    assert sandbox.calls()[0][0] == "conda"
    shutil.rmtree(sandbox.root / ".conda")
    assert sandbox.create(CONDA_EXE=str(folder / "bin" / "conda")).returncode == 0
    assert sandbox.calls()[0][0] == "conda"


def test_when_conda_fails_nothing_counts_as_made(sandbox: Sandbox) -> None:
    sandbox.add_conda("mamba")
    sandbox.say(conda_status=1)
    failed = sandbox.create()
    assert failed.returncode != 0 and "conda could not solve it" in failed.stderr
    assert ".env-stamp-conda" not in sandbox.stamps()
    sandbox.say(conda_status=0)
    sandbox.calls()
    assert sandbox.create().returncode == 0
    assert sandbox.calls()[0][0] == "mamba"
    assert sandbox.stamps() == [".env-stamp-conda"]


# --- create_env.sh: running things in it --------------------------------------------------------------------


def test_run_puts_the_environment_first(sandbox: Sandbox) -> None:
    before = sandbox.create("--run", "python", "-V")
    assert before.returncode != 0 and "make env" in before.stderr
    sandbox.create()
    python = str(sandbox.root / ".venv" / "bin" / "python")
    assert sandbox.create("--print-python").stdout.strip() == python
    run = sandbox.create("--run", "sh", "-c", 'command -v python; echo "$1"', "sh", "two  words")
    assert run.stdout.splitlines() == [python, "two  words"]
    assert sandbox.create("--run", "sh", "-c", "exit 7").returncode == 7


def test_help_and_unknown_options(sandbox: Sandbox) -> None:
    assert "TORCH=cuda" in sandbox.create("--help").stdout
    unknown = sandbox.create("--fast")
    assert unknown.returncode != 0 and "--fast" in unknown.stderr


# --- system packages ----------------------------------------------------------------------------------------


def apt(sandbox: Sandbox, user: int) -> None:
    sandbox.program(sandbox.bin / "id", f"#!/bin/sh\necho {user}\n")
    sandbox.program(sandbox.bin / "apt-get", '#!/bin/sh\necho "apt-get|$*" >>"$STAND_IN/calls"\n')


def test_system_packages_are_installed_as_root(sandbox: Sandbox) -> None:
    apt(sandbox, user=0)
    run = sandbox.command("bash", "pd_setup/system_packages.sh", "python")
    assert run.returncode == 0
    assert [call[1] for call in sandbox.calls()] == ["update -qq", "install -y -qq python3 python3-venv"]


def test_the_browser_is_installed_without_what_it_only_recommends(sandbox: Sandbox) -> None:
    def ask(system: str = "debian", **settings: str) -> subprocess.CompletedProcess:
        (sandbox.root / "os-release").write_text(f"NAME=x\nID={system}\n")
        return sandbox.command("bash", "pd_setup/system_packages.sh", "browser", OS_RELEASE="os-release", **settings)

    apt(sandbox, user=0)
    assert ask().returncode == 0
    assert sandbox.calls()[-1][1] == "install -y -qq --no-install-recommends chromium fonts-dejavu-core"
    sandbox.program(sandbox.bin / "my browser", "#!/bin/sh\n")
    assert ask(CHROMIUM=str(sandbox.bin / "my browser")).returncode == 0
    told = ask("ubuntu")
    assert told.returncode == 1 and "Missing: chromium" in told.stderr and "Google Chrome" in told.stderr
    assert sandbox.calls() == []
    apt(sandbox, user=1000)
    told = ask()
    assert told.returncode == 1
    assert "apt-get install -y --no-install-recommends chromium fonts-dejavu-core" in told.stderr


def test_system_packages_are_named_where_they_cannot_be_installed(sandbox: Sandbox) -> None:
    apt(sandbox, user=1000)
    run = sandbox.command("bash", "pd_setup/system_packages.sh", "optional")
    assert run.returncode == 1 and sandbox.calls() == []
    assert "sudo apt-get install -y ffmpeg" in run.stderr
    sandbox.program(sandbox.bin / "ffmpeg", "#!/bin/sh\n")
    assert sandbox.command("bash", "pd_setup/system_packages.sh", "optional").returncode == 0
    assert sandbox.command("bash", "pd_setup/system_packages.sh", "nonsense").returncode == 2


# --- make ---------------------------------------------------------------------------------------------------


def targets(project: Path) -> list[str]:
    return re.search(r"^\.PHONY:(.*)$", (project / "Makefile").read_text(), re.M)[1].split()


def test_make_alone_lists_every_target(sandbox: Sandbox, project: Path) -> None:
    run = sandbox.command("make")
    assert run.returncode == 0
    listed = [re.match(r"make ([a-z-]+) +\S", line) for line in run.stdout.splitlines()]
    assert [match[1] for match in listed] == targets(project)
    assert sandbox.calls() == []


def test_what_the_readme_tells_to_type_exists(project: Path) -> None:
    readme = project / "README.md"
    if not readme.exists():
        pytest.skip("no README yet")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", readme.read_text(), re.S))
    told = set(re.findall(r"\bmake ([a-z][a-z-]*)", code))
    assert told <= set(targets(project)), f"not in the Makefile: {told - set(targets(project))}"
    assert {"demo", "test"} <= told


@pytest.mark.parametrize(
    "given, passed",
    [
        (None, []),
        ("/recordings/two  words", ["--data", "/recordings/two  words"]),
        ("~/my sounds", ["--data", "{home}/my sounds"]),
        ("it's", ["--data", "it's"]),
    ],
)
def test_make_demo_hands_the_folder_on(sandbox: Sandbox, given: str | None, passed: list[str]) -> None:
    run = sandbox.command("make", "demo", *([f"DATA={given}"] if given else []))
    assert run.returncode == 0, run.stderr
    expected = [argument.format(home=sandbox.home) for argument in passed]
    assert sandbox.calls()[-1] == ["python", "-m", "ravecourse.cli.demo", *expected]


def test_make_test_runs_tests_and_notebooks_and_passes_the_result_on(sandbox: Sandbox) -> None:
    (sandbox.root / "notebooks").mkdir()
    (sandbox.root / "pd_setup" / "lint.sh").write_text("exit 1\n")
    assert sandbox.command("make", "test").returncode != 0  # what lint finds ends it before the tests
    (sandbox.root / "pd_setup" / "lint.sh").write_text("exit 0\n")
    assert sandbox.command("make", "test").returncode == 0
    call = sandbox.calls()[-1]
    assert call[1:3] == ["-m", "pytest"] and call[-2:] == ["notebooks", "tests"] and "--nbval-lax" in call
    sandbox.say(pip_status=1)
    assert sandbox.command("make", "test").returncode != 0


def test_make_clean_keeps_the_environment_and_the_models(sandbox: Sandbox) -> None:
    sandbox.create()
    (sandbox.root / "runs").mkdir()
    assert sandbox.command("make", "clean").returncode == 0
    assert not (sandbox.root / "build").exists()
    assert (sandbox.root / "runs").exists() and (sandbox.root / ".venv").exists()
    assert "current" in sandbox.create().stdout


def test_ci_runs_make_test(project: Path) -> None:
    script = project / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec make test")


def test_shell_scripts_are_clean(project: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not in PATH")
    scripts = [project / ".ci" / "run", *sorted((project / "pd_setup").glob("*.sh"))]
    run = subprocess.run(["shellcheck", "-x", *scripts], cwd=project, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


# --- the lists agree ----------------------------------------------------------------------------------------


def test_every_dependency_has_an_exact_version_in_its_range(project: Path) -> None:
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    exact = pins(project)
    for line in [*told["dependencies"], *sum(told["optional-dependencies"].values(), [])]:
        wanted = Requirement(line)
        assert name(wanted.name) in exact, f"{wanted.name} has no exact version in constraints.txt"
        assert wanted.specifier.contains(exact[name(wanted.name)]), f"{line}, not {exact[name(wanted.name)]}"


def test_what_is_installed_is_what_is_pinned(project: Path) -> None:
    """For the packages that the course names itself: a newer one by hand would test something else."""
    from importlib.metadata import version

    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    exact = pins(project)
    for line in told["dependencies"]:
        package = Requirement(line).name
        assert Version(Version(version(package)).public) == exact[name(package)]


@pytest.mark.parametrize("python", ["3.11.0", "3.11.2", "3.12.0", "3.13.0"])
def test_pins_can_be_installed_on_the_first_of_each_python(project: Path, python: str) -> None:
    """Debian 12 has 3.11.2, and pip searches without end where a pin asks for a later patch version."""
    refused = {}
    for package in pins(project):
        try:
            asks = importlib.metadata.metadata(package)["Requires-Python"]
        except importlib.metadata.PackageNotFoundError:
            continue  # of an extra or a platform that is not this one
        if asks and python not in SpecifierSet(asks):
            refused[package] = asks
    assert not refused


def test_one_python_everywhere(project: Path) -> None:
    versions = dict(re.findall(r"^(\w+)=([\w.]+)", (project / "pd_setup" / "versions.env").read_text(), re.M))
    told = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((project / "environment.yml").read_text())["dependencies"]
    assert told["requires-python"] == f">={versions['PYTHON_OLDEST']}"
    assert f"python={versions['PYTHON_PREFERRED']}" in conda
    assert conda[-1] == {"pip": ["-c constraints.txt", "-e .[test]"]}


# --- environment.yml, solved --------------------------------------------------------------------------------

STUBS = [  # name, version, depends
    ("python", "3.10.14", []),
    ("python", "3.11.9", []),
    ("python", "3.11.13", []),
    ("python", "3.13.1", []),
    ("pip", "25.0", ["python >=3.9"]),
    ("cxx-compiler", "1.9.0", ["gxx_linux-64 13.*"]),
    ("gxx_linux-64", "13.3.0", []),
    ("cmake", "3.30.1", []),
    ("ninja", "1.12.1", []),
]


def solve(specs: list[str], folder: Path) -> dict[str, str]:
    """Solve as conda would, against a channel in a folder whose packages are only names."""
    for subdir, stubs in (("linux-64", STUBS), ("noarch", [])):
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        records = {
            f"{stub}-{version}-0.conda": {
                "name": stub,
                "version": version,
                "build": "0",
                "build_number": 0,
                "depends": depends,
                "subdir": subdir,
                "md5": "0" * 32,
                "sha256": "0" * 64,
                "size": 1,
            }
            for stub, version, depends in stubs
        }
        index = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": records, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(index))

    async def run() -> dict[str, str]:
        gateway = rattler.Gateway(cache_dir=str(folder / "cache"))
        found = await rattler.solve(
            [rattler.Channel(folder.as_uri())], specs, gateway=gateway, platforms=["linux-64", "noarch"]
        )
        return {record.name.normalized: str(record.version) for record in found}

    return asyncio.run(run())


def test_environment_yml_solves(project: Path, tmp_path: Path) -> None:
    told = yaml.safe_load((project / "environment.yml").read_text())
    assert told["channels"] == ["conda-forge", "nodefaults"]
    specs = [spec for spec in told["dependencies"] if isinstance(spec, str)]
    found = solve(specs, tmp_path)
    assert {"python", "pip", "cxx-compiler", "cmake", "ninja"} <= set(found)
    assert found["python"] == "3.11.13"
    assert "gxx_linux-64" in found, "the channel's dependencies are followed"
    for wrong in ("python=3.7", "cmake>=99", "ninjja"):
        with pytest.raises(Exception, match="(?i)solve|candidates|installable"):
            solve([*specs, wrong], tmp_path)


# --- torchaudio ---------------------------------------------------------------------------------------------


@pytest.fixture
def fix(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """fix_torchaudio.py as a module, looking at a pretended torchaudio that fails while it has extensions."""
    file = project / "pd_setup" / "fix_torchaudio.py"
    spec = importlib.util.spec_from_file_location("fix_torchaudio", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    package = tmp_path / "torchaudio"
    (package / "lib").mkdir(parents=True)
    (package / "__init__.py").touch()
    module.real_problem = module.problem
    module.package = package
    pretended = importlib.util.spec_from_file_location("torchaudio", package / "__init__.py")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: pretended)
    monkeypatch.setattr(module, "problem", lambda: "no CUDA" if list((package / "lib").glob("*.so")) else "")
    return module


def test_torchaudio_works_here(fix) -> None:
    assert fix.real_problem() == ""


def test_extensions_that_do_not_load_are_deleted(fix, capsys: pytest.CaptureFixture) -> None:
    for file in ("a.so", "b.so", "__init__.py"):
        (fix.package / "lib" / file).touch()
    assert fix.main() == 0
    assert [path.name for path in (fix.package / "lib").iterdir()] == ["__init__.py"]
    assert "deleted a.so" in capsys.readouterr().out
    assert fix.main() == 0
    assert "deleted" not in capsys.readouterr().out


def test_extensions_that_load_are_kept_and_other_trouble_is_told(fix, monkeypatch, capsys) -> None:
    (fix.package / "lib" / "a.so").touch()
    monkeypatch.setattr(fix, "problem", lambda: "")
    assert fix.main() == 0
    assert (fix.package / "lib" / "a.so").exists()
    monkeypatch.setattr(fix, "problem", lambda: "No module named 'torch'")
    assert fix.main() == 1
    assert "No module named 'torch'" in capsys.readouterr().out
