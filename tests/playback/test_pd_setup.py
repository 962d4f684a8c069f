"""The scripts that build, install, check and remove nn~: against stand-ins for cmake, the compiler, git and macOS,
in folders whose names have spaces; and once for real.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = (
    "awk basename bash cat chmod cksum cmp cp cut dirname env find flock grep head id ls make mkdir mktemp mv rm "
    "rmdir sed sh sha256sum sort tail tee touch tr true wc"
)
SCRIPTS = ("build_nn.sh", "install_nn.sh", "check_nn.sh", "uninstall_nn.sh")

STAND_INS = {
    "uname": """case "$1" in -m) cat "$STAND_IN/machine" ;; *) cat "$STAND_IN/system" ;; esac""",
    "cmake": """if [ "$1" = --version ]; then echo "cmake version $(cat "$STAND_IN/cmake_version")"; exit 0; fi
printf '%s|' cmake "$@" >>"$STAND_IN/calls"; echo >>"$STAND_IN/calls"
if [ "$1" = -S ]; then cp -r "$2" "$STAND_IN/configured" 2>/dev/null; exit 0; fi
[ ! -f "$STAND_IN/cmake_fails" ] || { echo "x.cpp:3:1: error: no such luck"; exit 1; }
case "$(cat "$STAND_IN/system")" in Darwin) end=pd_darwin ;; *) end=pd_linux ;; esac
mkdir -p "$2/deep"; to="$2"; case "$2" in *upstream*) to="$2/deep" ;; esac
cat "$STAND_IN/built" >"$to/nn~.$end" """,
    "c++": """[ ! -f "$STAND_IN/compiler_old" ] || { echo "unrecognized option -std=c++20" >&2; exit 1; }; exit 0""",
    "git": """printf '%s|' git "$@" >>"$STAND_IN/calls"; echo >>"$STAND_IN/calls"
[ ! -f "$STAND_IN/offline" ] || { echo "fatal: unable to access: Could not resolve host" >&2; exit 128; }
for to; do :; done
mkdir -p "$to/src"; echo "project(nn)" >"$to/src/CMakeLists.txt" """,
    "ldd": """cat "$STAND_IN/ldd" """,
    "pd": "exit 0",
    "python": """case "$*" in
*ravecourse.playback.puredata*) printf '%s|' "$@" >>"$STAND_IN/calls"; exit "$(cat "$STAND_IN/proof")" ;;
*) cat "$STAND_IN/torch" ;; esac""",
}


class Sandbox:
    """A copy of the project's setup with stand-ins for everything that it starts."""

    def __init__(self, project: Path, folder: Path):
        self.root = folder / "my music" / "rave course"
        self.stand_in, self.bin, self.home = folder / "stand in", folder / "bin", folder / "my home"
        for path in (self.root / ".venv" / "bin", self.stand_in, self.bin, self.home):
            path.mkdir(parents=True)
        shutil.copytree(project / "pd_setup", self.root / "pd_setup", ignore=shutil.ignore_patterns("patches"))
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "environment.yml"):
            shutil.copy(project / name, self.root)
        patches = self.root / "pd_setup" / "patches"
        patches.mkdir()
        (patches / "01 timbre.pd").write_text("#N canvas 1;\n")
        (patches / "nn~-help.pd").write_text("#N canvas 2;\n")
        for tool in TOOLS.split():
            if path := shutil.which(tool):
                (self.bin / tool).symlink_to(path)
        for name, text in STAND_INS.items():
            place = self.root / ".venv" / "bin" if name == "python" else self.bin
            (place / name).write_text(f"#!/bin/sh\n{text}\n")
            (place / name).chmod(0o755)
        self.torch = folder / "torch prefix" / "cmake"
        (self.torch / "Torch").mkdir(parents=True)
        (self.torch / "Torch" / "TorchConfig.cmake").touch()
        self.header = folder / "pd headers"
        self.header.mkdir()
        (self.header / "m_pd.h").touch()
        self.say(
            machine="x86_64",
            system="Linux",
            cmake_version="3.25.1",
            built="nn~ one",
            proof="0",
            ldd="\tlibtorch_cpu.so => /torch/lib/libtorch_cpu.so (0x0)",
            torch=f"x86_64\n2.13.0\n{self.torch}",
        )
        self.settings = {"PD_INCLUDE": str(self.header)}

    def say(self, **files: str) -> None:
        for name, text in files.items():
            (self.stand_in / name).write_text(text + "\n")

    def run(self, script: str, *arguments: str, **settings: str) -> tuple[int, str]:
        """A script's exit status and everything that it said."""
        ran = subprocess.run(
            [self.bin / "bash", self.root / "pd_setup" / script, *arguments],
            cwd=self.home,
            env={
                "PATH": str(self.bin),
                "HOME": str(self.home),
                "STAND_IN": str(self.stand_in),
                **self.settings,
                **settings,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        return ran.returncode, ran.stdout + ran.stderr

    @property
    def calls(self) -> str:
        path = self.stand_in / "calls"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def box(project: Path, tmp_path: Path) -> Sandbox:
    return Sandbox(project, tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_says_what_a_script_does_and_does_nothing(box, script):
    status, said = box.run(script, "--help")
    assert status == 0 and "Usage" in said and not box.calls
    if script != "uninstall_nn.sh":
        assert box.run(script, "--nonsense")[0] != 0 and not box.calls


def test_building(box):
    status, said = box.run("build_nn.sh")
    assert status == 0, said
    assert said.splitlines()[-1] == f"{box.root}/build/nn/nn~.pd_linux"
    configure, build = box.calls.splitlines()
    assert f"|-DCMAKE_PREFIX_PATH={box.torch}|" in configure and f"|-DPD_INCLUDE={box.header}|" in configure
    assert configure.startswith("cmake|-S|pd_setup/nn|-B|build/nn|") and build.startswith("cmake|--build|build/nn|")
    (box.root / "build" / "nn" / "CMakeCache.txt").touch()
    (box.root / "build" / "nn" / "kept").touch()
    assert box.run("build_nn.sh")[0] == 0 and (box.root / "build" / "nn" / "kept").exists()
    box.say(torch=f"x86_64\n2.14.0\n{box.torch}")
    assert box.run("build_nn.sh")[0] == 0 and not (box.root / "build" / "nn" / "kept").exists(), "made anew"


MISSING = [
    ({"cmake_version": "3.9.2"}, "cmake is version 3.9.2"),
    ({"compiler_old": ""}, "cannot compile C++20"),
    ({"torch": "aarch64\n2.13.0\nTORCH"}, "the architectures must match"),
    ({"torch": "x86_64\n2.13.0\n/nowhere"}, "has no C++ headers"),
    ({"system": "SunOS"}, "this system is SunOS"),
    ({"cmake_fails": ""}, "error: no such luck"),
    ({"ldd": "\tlibc10.so => not found"}, "libc10.so => not found"),
]


@pytest.mark.parametrize("files, message", MISSING, ids=[message for _, message in MISSING])
def test_what_is_missing_is_said_and_nothing_is_installed(box, files, message):
    box.say(**{name: text.replace("TORCH", str(box.torch)) for name, text in files.items()})
    for script in ("build_nn.sh", "install_nn.sh"):
        status, said = box.run(script)
        assert status != 0 and message in said, said
    assert not any(path.is_file() for path in box.home.rglob("*"))


def test_no_environment_no_compiler_no_header(box):
    assert "No C++ compiler at CXX=nothing" in box.run("build_nn.sh", CXX="nothing")[1]
    box.say(system="Darwin")
    status, said = box.run("build_nn.sh", PD_INCLUDE="/nowhere", APPLICATIONS="/nowhere")
    assert status != 0 or Path("/usr/include/m_pd.h").exists()
    (box.root / ".venv" / "bin" / "python").unlink()
    status, said = box.run("build_nn.sh")
    assert status != 0 and "make env" in said


def test_macos_finds_the_header_in_pd_app(box, tmp_path):
    source = tmp_path / "My Applications" / "Pd-0.55-2.app" / "Contents" / "Resources" / "src"
    source.mkdir(parents=True)
    shutil.move(box.header / "m_pd.h", source)
    box.say(system="Darwin", machine="arm64", torch=f"arm64\n2.13.0\n{box.torch}")
    status, said = box.run("build_nn.sh", APPLICATIONS=str(tmp_path / "My Applications"))
    assert status == 0 and said.splitlines()[-1].endswith("/build/nn/nn~.pd_darwin"), said
    if not Path("/usr/include/m_pd.h").exists() and not Path("/usr/include/pd/m_pd.h").exists():
        assert f"-DPD_INCLUDE={source}" in box.calls
    status, said = box.run("install_nn.sh", APPLICATIONS=str(tmp_path / "My Applications"))
    assert status == 0 and (box.home / "Documents" / "Pd" / "externals" / "nn~" / "nn~.pd_darwin").is_file(), said


def test_upstream_is_cloned_at_a_version_and_built(box):
    status, said = box.run("build_nn.sh", NN="upstream")
    assert status == 0 and said.splitlines()[-1].endswith("build/nn-upstream/deep/nn~.pd_linux"), said
    clone = box.calls.splitlines()[0]
    assert clone.startswith("git|clone|") and "|--branch|v" in clone and "nn_tilde.git|" in clone
    assert box.run("build_nn.sh", NN="upstream")[0] == 0 and box.calls.count("git|clone|") == 1, "cloned once"


def test_upstream_without_a_network(box):
    box.say(offline="")
    status, said = box.run("build_nn.sh", NN="upstream")
    assert status != 0 and "needs a network connection" in said and "The default, NN=kit, needs neither" in said
    assert not list((box.root / "build").glob("nn_tilde*/")), "nothing half-cloned"
    status, said = box.run("build_nn.sh", NN="downstream")
    assert status != 0 and "choose NN=kit or NN=upstream" in said


def test_upstream_from_a_checkout_says_what_it_needs(box, tmp_path):
    checkout = tmp_path / "their nn tilde"
    status, said = box.run("build_nn.sh", NN="upstream", NN_TILDE_DIR=str(checkout))
    assert status != 0 and "is not a checkout of nn_tilde" in said
    (checkout / "src" / "json").mkdir(parents=True)
    (checkout / "src" / "CMakeLists.txt").write_text("project(nn)\n")
    (checkout / ".gitmodules").write_text('[submodule "json"]\n\tpath = src/json\n\turl = x\n')
    status, said = box.run("build_nn.sh", NN="upstream", NN_TILDE_DIR=str(checkout))
    assert status != 0 and "needs its submodule src/json" in said and "cmake|-S" not in box.calls
    (checkout / "src" / "json" / "json.hpp").touch()
    status, said = box.run("build_nn.sh", NN="upstream", NN_TILDE_DIR=str(checkout))
    assert status == 0 and "git|clone|" not in box.calls, said
    puredata = checkout / "src" / "frontend" / "puredata" / "nn_tilde"
    puredata.mkdir(parents=True)
    (puredata / "CMakeLists.txt").write_text("execute_process(COMMAND git describe --tags)\n")
    status, said = box.run("build_nn.sh", NN="upstream", NN_TILDE_DIR=str(checkout))
    assert status != 0 and "needs its git history" in said
    (checkout / ".git").mkdir()
    assert box.run("build_nn.sh", NN="upstream", NN_TILDE_DIR=str(checkout))[0] == 0
    (checkout / "src" / "CMakeLists.txt").write_text("find_package(CURL REQUIRED)\n")
    status, said = box.run("build_nn.sh", NN="upstream", NN_TILDE_DIR=str(checkout))
    has_curl = Path("/usr/include/curl/curl.h").exists() or list(Path("/usr/include").glob("*/curl/curl.h"))
    assert has_curl or (status != 0 and "needs libcurl" in said)


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".installed-by-ravecourse"
    }


def test_installing_twice_and_removing(box, tmp_path):
    target = tmp_path / "pd externals"
    (target / "other").mkdir(parents=True)
    (target / "other" / "mine.pd").write_text("mine\n")
    for text in ("nn~ one", "nn~ two"):
        box.say(built=text)
        status, said = box.run("install_nn.sh", PD_EXTERNALS=str(target))
        assert status == 0 and "Installed 3 files" in said, said
        assert files(target / "nn~") == {
            "nn~.pd_linux": f"{text}\n",
            "nn~-help.pd": "#N canvas 2;\n",
            "patches/01 timbre.pd": "#N canvas 1;\n",
        }
    status, said = box.run("uninstall_nn.sh", PD_EXTERNALS=str(target))
    assert status == 0 and files(target) == {"other/mine.pd": "mine\n"} and not (target / "nn~").exists(), said
    status, said = box.run("uninstall_nn.sh", PD_EXTERNALS=str(target))
    assert status == 0 and "Nothing to remove" in said


def test_a_patch_that_was_changed_is_kept(box):
    target = box.home / "Documents" / "Pd" / "externals" / "nn~"
    assert box.run("install_nn.sh")[0] == 0
    (target / "patches" / "01 timbre.pd").write_text("my own\n")
    (target / "patches" / "new one.pd").write_text("also mine\n")
    (box.root / "pd_setup" / "patches" / "01 timbre.pd").write_text("#N canvas newer;\n")
    status, said = box.run("install_nn.sh")
    assert status == 0 and files(target)["patches/01 timbre.yours.pd"] == "my own\n", said
    assert files(target)["patches/01 timbre.pd"] == "#N canvas newer;\n"
    (target / "nn~-help.pd").write_text("with notes\n")
    status, said = box.run("install_nn.sh", "--uninstall")
    assert "You changed nn~-help.pd: it is kept" in said
    assert set(files(target)) == {"patches/01 timbre.yours.pd", "patches/new one.pd", "nn~-help.pd"}


def test_models_and_sounds_come_with_the_patches(box):
    """As ravecourse.patches writes them; one that was put in place of ours stays."""
    target = box.home / "Documents" / "Pd" / "externals" / "nn~"
    made = box.root / "build" / "patches"
    made.mkdir(parents=True)
    (made / "strings.ts").write_text("a model\n")
    (made / "voice.wav").write_text("a sound\n")
    assert box.run("install_nn.sh")[0] == 0
    assert files(target)["patches/strings.ts"] == "a model\n" and files(target)["patches/voice.wav"] == "a sound\n"
    (target / "patches" / "strings.ts").write_text("my model\n")
    (made / "strings.ts").write_text("a newer model\n")
    status, said = box.run("install_nn.sh")
    assert status == 0 and "You changed patches/strings.ts" in said
    assert files(target)["patches/strings.yours.ts"] == "my model\n"
    assert files(target)["patches/strings.ts"] == "a newer model\n"
    box.run("uninstall_nn.sh")
    assert files(target) == {"patches/strings.yours.ts": "my model\n"}


def test_what_a_newer_version_no_longer_has_goes(box):
    target = box.home / "Documents" / "Pd" / "externals" / "nn~"
    assert box.run("install_nn.sh")[0] == 0
    (box.root / "pd_setup" / "patches" / "01 timbre.pd").unlink()
    assert box.run("install_nn.sh")[0] == 0 and set(files(target)) == {"nn~.pd_linux", "nn~-help.pd"}


@pytest.mark.parametrize("place", ["nn~/nn~.pd_linux", "nn~.pd_linux", "nn~/nn~.l_amd64"])
def test_an_nn_of_somebody_else_is_left_alone(box, place):
    target = box.home / "Documents" / "Pd" / "externals"
    (target / place).parent.mkdir(parents=True)
    (target / place).write_text("theirs\n")
    status, said = box.run("install_nn.sh")
    assert status != 0 and "was not installed by this course" in said and files(target) == {place: "theirs\n"}
    box.run("uninstall_nn.sh")
    assert files(target) == {place: "theirs\n"}


def test_checking(box):
    status, said = box.run("check_nn.sh")
    assert status != 0 and "run make pd-install" in said
    assert box.run("install_nn.sh")[0] == 0
    status, said = box.run("check_nn.sh", MODEL="my model.ts")
    assert status == 0 and "uses the libtorch in /torch/lib" in said and "Next: in Pure Data" in said, said
    assert f"|{box.home}/Documents/Pd/externals/nn~|{box.home}/my model.ts|" in box.calls
    box.say(proof="1")
    status, said = box.run("check_nn.sh")
    assert status != 0 and "does not work correctly" in said
    box.say(ldd="\tlibtorch_cpu.so => not found")
    status, said = box.run("check_nn.sh")
    assert status != 0 and "moved or deleted" in said


def test_without_root_the_command_is_printed(project, tmp_path):
    """system_packages.sh as somebody who is not root and has no sudo."""
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    for name in ("id", "apt-get", "sudo"):
        (tmp_path / name).write_text({"id": "#!/bin/sh\necho 1000\n"}.get(name, "#!/bin/sh\nexit 1\n"))
        (tmp_path / name).chmod(0o755)
    for tool in ("bash", "cat"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    ran = subprocess.run(
        ["bash", project / "pd_setup" / "system_packages.sh", "--install", "pd"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1 and "sudo apt-get install -y" in ran.stderr.replace("update && ", "")
    assert "puredata-core" in ran.stderr and "cmake" in ran.stderr


def test_for_real(project, tmp_path, externals):
    """`make pd-install` into a folder with spaces, a proof in a real Pd, and `make pd-uninstall`."""
    settings = {**os.environ, "PD_EXTERNALS": str(tmp_path / "my externals"), "OMP_NUM_THREADS": "1"}
    for verb, words in [("install", "Installed"), ("check", "nn~ works"), ("uninstall", "Removed")]:
        script = f"pd_setup/{verb}_nn.sh"
        ran = subprocess.run(["bash", script], cwd=project, env=settings, capture_output=True, text=True)
        assert ran.returncode == 0 and words in ran.stdout, ran.stdout + ran.stderr
        if verb == "check":
            assert ran.stdout.count("largest difference") == 6
    assert not any((tmp_path / "my externals").rglob("*"))
    (tmp_path / "my externals" / "nn~").mkdir()
    (tmp_path / "my externals" / "nn~" / "nn~.pd_linux").write_text("no library\n")
    ran = subprocess.run(["bash", "pd_setup/check_nn.sh"], cwd=project, env=settings, capture_output=True, text=True)
    assert ran.returncode != 0 and "was not built for this machine" in ran.stderr
