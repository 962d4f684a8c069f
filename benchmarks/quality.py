"""The kit's class preset beside the original: the same recordings, the same processor time, the same judges.

    python -m benchmarks.quality [--minutes 10] [--only cello drums] [--models tiny raspberry] [--judge-again]

Renders material (`benchmarks.material`), trains every model on every material for so many minutes of one thread, and lets it
play a recording of another seed. Writes into build/benchmarks/quality/10min: quality.txt, quality.json, quality.png, and the
sounds as MATERIAL/recording.wav and MATERIAL/MODEL.wav. A pair that is done is kept, so that a run that was stopped resumes;
it is trained anew where the settings of its preset have changed since. After changes of the code delete the pair's folder
(MATERIAL/MODEL), or, where only the judges changed, give --judge-again.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from ravecourse import audio, upstream
from ravecourse.cli.demo import choose_steps
from ravecourse.config import PRESETS, TRAINING_PRESETS, preset, training_preset
from ravecourse.course import plots
from ravecourse.dataset import Dataset, prepare
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import frechet_distance, heard_distance, onset_accuracy, pitch_accuracy, stillness, through
from ravecourse.files import write_json, write_text
from ravecourse.model import RAVE, load_model
from ravecourse.runtime import threads
from ravecourse.training import Progress, fit_to_sound, log_mel_distance, train

from .material import render_material
from .quality_table import Judged, figure, table

PITCHED = ("cello", "flute", "clarinet", "choir", "violin")
UNPITCHED = ("drums", "piano", "mixture", "bars")
ORIGINALS = ("raspberry", "v1", "v2_small")
MODELS = ("tiny", *ORIGINALS)
ORIGINAL_PYTHON = Path("build/original-env/bin/python")
TRAINING_SEED, HELD_SEED = 1, 1001
TRAINING_MINUTES, HELD_SECONDS = 6.0, 40.0
HELD_FRAMES = 40
NOTE = "result.json"
VERSION = 1  # raise it when the material changes
JUDGES = {field.name for field in fields(Judged)}


def train_ours(name: str, sounds: Path, folder: Path, seconds: float) -> dict[str, float]:
    """Train a preset of the kit as the demo does, both phases, until `seconds` of this thread's time are used.

    What validates, saves and measures latents counts too.
    """
    prepare([sounds], folder / "dataset", validation=0.0, progress=False)
    store = Dataset(folder / "dataset")
    config, settings, said = fit_to_sound(
        preset(name, sample_rate=store.sample_rate), training_preset(name), store
    )  # as `ravecourse train` does
    print(said, end="\n" if said else "")
    plan = choose_steps(store, config, seconds, time.thread_time, settings)
    begin = time.thread_time()

    def goes_on(progress: Progress) -> bool:
        return time.thread_time() - begin < seconds

    result = train(
        store,
        folder / "run",
        config,
        plan.config,
        device="cpu",
        resume=False,
        progress=False,
        tensorboard=False,
        on_step=goes_on,
    )
    used = time.thread_time() - begin
    shutil.rmtree(folder / "dataset")
    model = load_model(folder / "run")
    weights = sum(p.numel() for part in (model.encoder, model.decoder) for p in part.parameters())
    planned = plan.config.phase_one_steps + plan.config.phase_two_steps
    return {"steps": result.step, "planned": planned, "seconds": used, "weights": weights}


def train_original(name: str, sounds: Path, held: Path, folder: Path, seconds: float) -> dict[str, float]:
    """Train the original in its own environment; its sound is then in FOLDER/output.wav, its run in FOLDER/run."""
    command = [str(ORIGINAL_PYTHON), "-m", "benchmarks.original_training", str(sounds), str(held), str(folder)]
    done = subprocess.run(
        [*command, "--config", name, "--seconds", str(seconds)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RaveCourseError(f"The original's {name} could not be trained: {done.stderr.strip()[-500:]}")
    return json.loads((folder / "training.json").read_text(encoding="utf-8"))


def judge(
    material: str,
    name: str,
    training: dict[str, float],
    recording: Tensor,
    output: Tensor,
    rate: int,
    model: RAVE | None,
) -> Judged:
    """Every judge on one pair.

    Args:
        recording, output: `[1, T]`.
        model: None where the kit cannot read it: then latents are not held.
    """
    onsets = onset_accuracy(recording, output, rate)
    melody = pitch_accuracy(recording, output, rate, HELD_SECONDS) if material in PITCHED else None
    still = stillness(model, recording, HELD_FRAMES).held if model is not None and material in PITCHED else None
    return Judged(
        material=material,
        pitched=material in PITCHED,
        model=name,
        original=name in ORIGINALS,
        steps=int(training["steps"]),
        seconds=training["seconds"],
        weights=int(training["weights"]),
        log_mel=float(log_mel_distance(recording, output, rate)),
        silence=float(log_mel_distance(recording, torch.zeros_like(recording), rate)),
        heard=heard_distance(recording, output, rate),
        heard_silence=heard_distance(recording, torch.zeros_like(recording), rate),
        frechet=frechet_distance(recording, output, rate),
        onsets=onsets.f_measure if onsets else None,
        pitch=melody.raw_pitch if melody else None,
        chroma=melody.raw_chroma if melody else None,
        held_pitch=still.pitch if still else None,
        still=still.still if still else None,
    )


def settings(name: str, seconds: float) -> dict[str, Any]:
    """What the training of a pair depends on, beside the code."""
    made = repr((PRESETS[name], TRAINING_PRESETS[name])) if name not in ORIGINALS else f"original {name}"
    return {"version": VERSION, "seconds": seconds, "made": made}


def kept(material: str, name: str, folder: Path, seconds: float) -> dict[str, Any] | None:
    """What an earlier run with the same settings noted about a pair: `training` and `judged`; None where there is none."""
    note = folder / material / name / NOTE
    found = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    return found if found.get("settings") == settings(name, seconds) else None


def pair(material: str, name: str, sounds: Path, folder: Path, seconds: float, again: bool = False) -> None:
    """Train and judge one model on one material, unless an earlier run did.

    Args:
        sounds: the folder with `dev` and `held`.
        folder: of the results, for all materials.
        again: judge anew what is trained already.
    """
    place, held, played = (
        folder / material / name,
        folder / material / "recording.wav",
        folder / material / f"{name}.wav",
    )
    recording, rate = audio.read(held)
    found = kept(material, name, folder, seconds)
    if found and set(found["judged"]) == JUDGES and not again:
        return
    if not found:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        if name in ORIGINALS:
            training = train_original(name, sounds / "dev" / material, held, place, seconds)
            output, _ = audio.read(place / "output.wav")
            (place / "output.wav").unlink()
        else:
            training = train_ours(name, sounds / "dev" / material, place, seconds)
            output = through(load_model(place / "run"), recording)
        soundfile.write(played, output.clamp(-1, 1)[0].numpy(), rate, subtype="PCM_24")
        found = {"settings": settings(name, seconds), "training": training}
        write_json(place / NOTE, {**found, "judged": {}})
    model = as_ours(place / "run", rate) if name in ORIGINALS else load_model(place / "run")
    judged = judge(material, name, found["training"], recording, audio.read(played)[0], rate, model)
    write_json(place / NOTE, {**found, "judged": asdict(judged)})


def write(folder: Path, seconds: float) -> str:
    """Write table and figure of all that is known in a folder, and return the table."""
    pairs = ((material, name) for material in (*PITCHED, *UNPITCHED) for name in (*PRESETS, *ORIGINALS))
    notes = [found for pair in pairs if (found := kept(*pair, folder, seconds))]
    judged = [Judged(**found["judged"]) for found in notes if set(found["judged"]) == JUDGES]
    text = table(judged)
    write_text(folder / "quality.txt", text + "\n")
    write_json(folder / "quality.json", [asdict(entry) for entry in judged])
    plots.save(figure(judged), folder / "quality.png")
    return text


def as_ours(run: Path, sample_rate: int) -> RAVE | None:
    """The original's run read into the kit's model; None where that has no place for all of it."""
    try:
        return upstream.read(run, sample_rate=sample_rate).model
    except RaveCourseError:
        return None


def material_for(names: list[str], folder: Path, results: Path) -> None:
    """Render what is to be learned and what is to be played, and put each of the latter into one file."""
    render_material(folder / "dev", names, TRAINING_MINUTES, TRAINING_SEED)
    for place in render_material(folder / "held", names, HELD_SECONDS / 60, HELD_SEED):
        pieces = [audio.read(path) for path in sorted(place.glob("*.wav"))]
        whole = torch.cat([sound for sound, _ in pieces], 1)
        (results / place.name).mkdir(parents=True, exist_ok=True)
        soundfile.write(results / place.name / "recording.wav", whole[0].numpy(), pieces[0][1], subtype="PCM_24")


def main(arguments: list[str]) -> int:
    """Parse the command line, work through the pairs, and print the table after each."""
    everything = (*PITCHED, *UNPITCHED)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of one thread, a model (default: %(default)g)")
    parser.add_argument("--only", nargs="+", default=list(everything), choices=everything, metavar="MATERIAL")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=(*PRESETS, *ORIGINALS), metavar="MODEL")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/quality"))
    parser.add_argument(
        "--judge-again", action="store_true", help="also what was judged before; it is not trained again"
    )
    options = parser.parse_args(arguments)
    results = options.out / f"{options.minutes:g}min"
    names = list(options.models)
    if not ORIGINAL_PYTHON.is_file() and set(names) & set(ORIGINALS):
        print("The original is not installed here (benchmarks/original_env.sh): ours alone.", file=sys.stderr)
        names = [name for name in names if name not in ORIGINALS]
    seconds, text = 60 * options.minutes, ""
    try:
        if options.minutes <= 0 or not names:
            raise RaveCourseError(f"{options.minutes:g} minutes for {len(names)} models: both must be above 0.")
        material_for(options.only, options.out / "material", results)
        with threads(1):
            for material in options.only:
                for name in names:
                    print(f"{material}: {name} ...", file=sys.stderr, flush=True)
                    pair(material, name, options.out / "material", results, seconds, options.judge_again)
                    text = write(results, seconds)
    except RaveCourseError as error:
        print(error, file=sys.stderr)
        return 2
    print(text)
    print(f"\nTable, figure and sounds: {results}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
