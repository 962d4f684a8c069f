"""nn~ under AddressSanitizer and ThreadSanitizer, with a stub in place of libtorch, which cannot be instrumented.

A driver calls the engine from an audio thread and a message thread at the same time; then a real Pd runs the object
through thousands of random messages, models that are replaced, objects that are deleted, changes of block size.
"""

import os
import subprocess
from pathlib import Path

import pytest
import soundfile
import torch
from test_pd_robust import flood, random_messages

from ravecourse.playback.puredata import Patch, PdRun, run_patch

KINDS = {"plain": "", "address": "libasan.so", "thread": "libtsan.so"}
SAID = ("ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "runtime error", "FAILED")


@pytest.fixture(scope="module", params=KINDS)
def build(request: pytest.FixtureRequest, project: Path, externals: Path, tmp_path_factory) -> tuple[str, Path]:
    """The driver and a stub nn~, built with one sanitizer or none."""
    folder = project / "build" / f"nn-{request.param}"
    sanitizer = [] if request.param == "plain" else [f"-DNN_SANITIZE={request.param}"]
    for command in (
        ["cmake", "-S", project / "pd_setup" / "nn", "-B", folder, "-DNN_STUB=ON", *sanitizer],
        ["cmake", "--build", folder, "--parallel", "1"],
    ):
        ran = subprocess.run(command, capture_output=True, text=True)
        if "cannot find" in ran.stderr + ran.stdout and "san" in ran.stderr + ran.stdout:
            pytest.skip(f"this compiler came without the library of the {request.param} sanitizer")
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return request.param, folder


def environment() -> dict[str, str]:
    return {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=66", "TSAN_OPTIONS": "exitcode=66"}


def test_the_engine_between_two_threads(build):
    """Also: the callback allocates nothing, locks nothing and starts no thread (the plain build counts)."""
    kind, folder = build
    # Leaks are looked for here, where no Pd is around that leaves things for the system to clear.
    ran = subprocess.run(
        [folder / "driver"],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "ASAN_OPTIONS": "exitcode=66", "TSAN_OPTIONS": "exitcode=66"},
    )
    if "LeakSanitizer has encountered a fatal error" in ran.stderr:  # may not trace itself, as in some containers
        ran = subprocess.run(
            [folder / "driver"], capture_output=True, text=True, timeout=200, env={**os.environ, **environment()}
        )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0 and "all good" in said and not any(word in said for word in SAID), said[-4000:]


def run(build: tuple[str, Path], text: str, folder: Path, batch: bool = True) -> PdRun:
    """Pd with the sanitizer's library loaded first; the patch quits by itself."""
    kind, where = build
    settings = environment()
    if KINDS[kind]:
        found = subprocess.run(["g++", f"-print-file-name={KINDS[kind]}"], capture_output=True, text=True)
        library = found.stdout.strip()
        if not Path(library).is_file():
            pytest.skip(f"there is no {KINDS[kind]}")
        settings["LD_PRELOAD"] = library
    soundfile.write(folder / "played.wav", 0.3 * torch.randn(48000, 2).numpy(), 48000, subtype="FLOAT")
    ran = run_patch(
        text,
        folder,
        where,
        first_message="render played.wav recorded.wav",
        seconds=120,
        batch=batch,
        environment=settings,
    )
    if "unexpected memory mapping" in ran.console:
        pytest.skip("the kernel places memory where this ThreadSanitizer cannot work")
    assert ran.status == 0 and not any(word in ran.console for word in SAID), ran.console[-4000:]
    assert (folder / "recorded.wav").is_file(), ran.console[-2000:]
    return ran


def stub(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("\n".join(["nn-stub", "rate 48000", *lines]) + "\n")


def models(folder: Path) -> list[str]:
    stub(folder, "one.ts", "method forward 1 1 1 1", "attribute gain")
    stub(
        folder,
        "two.ts",
        "method forward 2 1 2 1",
        "method encode 2 1 8 256",
        "method decode 8 256 2 1",
        "attribute gain",
    )
    stub(folder, "wide.ts", "method forward 1 1 40 1")
    stub(folder, "nan.ts", "method forward 1 1 1 1", "does nan")
    stub(folder, "fails.ts", "method forward 1 1 1 1", "does throw")
    (folder / "broken.ts").write_text("nonsense\n")
    return ["one.ts", "two.ts", "wide.ts", "nan.ts", "fails.ts", "broken.ts", "missing.ts"]


@pytest.mark.parametrize("buffer", [0, 256])
def test_random_messages_in_pd(build, buffer, tmp_path):
    messages = random_messages(3000, buffer, models(tmp_path))
    ran = run(build, flood(messages, tmp_path, f"two.ts encode {buffer}", 48000), tmp_path)
    assert ran.console.count("there is no message") > 20


@pytest.mark.parametrize("buffer", [0, 64, 1024])
def test_models_blocks_and_objects_that_come_and_go_in_pd(build, buffer, tmp_path):
    names = models(tmp_path)
    crowd = "\n".join(f"#X obj 10 {20 * i} nn~ {names[i % 7]} forward {buffer};" for i in range(40))
    messages = [(20 * i + 10, f"load {name}") for i, name in enumerate(names * 4)]
    messages += [(30 * i + 15, f"; block set {size}") for i, size in enumerate((1, 2048, 16, 8192, 64, 4096))]
    messages += [(200 + 7 * i, f"; pd dsp {i % 2}") for i in range(40)]
    messages += [(600, "; pd-crowd clear"), (700.5, "; pd-player clear")]
    text = Patch(f"two.ts encode {buffer}", 2, 8, messages=messages).text(48000)
    run(build, f"{text}#N canvas 0 0 500 500 crowd 0;\n{crowd}\n#X restore 500 500 pd crowd;\n", tmp_path)


@pytest.mark.parametrize("buffer", [0, 256])
def test_in_real_time_in_pd(build, buffer, tmp_path):
    names = models(tmp_path)
    messages = [(13 * i, f"load {names[i % 7]}") for i in range(60)] + [(17 * i, "bufsize 128") for i in range(20)]
    messages += [(19 * i, "set gain 0.5") for i in range(40)] + [(23 * i, "dump") for i in range(30)]
    text = Patch(f"one.ts forward {buffer}", messages=[*messages, (800, "; pd-player clear")]).text(44100)
    run(build, text, tmp_path, batch=False)
