"""Training, both phases in one loop: prepare, rehearse, then step after step until done or asked to stop.

What a step computes is in `learner`; what is reported meanwhile, in `monitor`; what a run folder holds, in `run_state`.

Notebook: 04, 06.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ravecourse.config import ModelConfig, TrainingConfig
from ravecourse.dataset import CropSampler, Dataset
from ravecourse.errors import RaveCourseError
from ravecourse.model import Checkpoint, checkpoint, latent
from ravecourse.runtime import choose_device, threads

from . import finetuning, run_state, setup
from .compiling import compile_if_faster
from .learner import Learner, learning_rate
from .losses import beta_at
from .monitor import LOG_EVERY, NotFinite, Progress, TrainingLog, flat_steps
from .run_state import PHASE_ONE_NAME
from .stopping import asked_to_stop
from .thread_choice import ThreadWatch

VALIDATION_SECONDS = 30  # of held-out sound a validation, at most
LATENT_SECONDS = 90  # of training sound for the principal directions
LISTEN_SECONDS = 4  # of held-out sound in TensorBoard
LATENT_SEED = 1 << 34  # which crops the latent is measured on, apart from those of the steps


@dataclass(frozen=True)
class Result:
    """How a call of `train` ended.

    Notebook: 04.
    """

    run_folder: Path
    step: int  # steps done
    phase: int
    finished: bool  # all planned steps are done
    message: str  # what happened and how to resume, for people
    validation: dict[str, float] | None  # "spectral" and "log_mel" on held-out sound; None without any
    seconds: float  # trained, earlier calls included

    @property
    def interrupted(self) -> bool:
        """Stopped before the planned end. Notebook: 04."""
        return not self.finished

    @property
    def checkpoint(self) -> Path:
        """The file to resume or export from. Notebook: 04."""
        return self.run_folder / checkpoint.NAME


def train(
    dataset: Dataset | Path | str,
    run_folder: Path | str,
    model_config: ModelConfig | None = None,
    training_config: TrainingConfig | None = None,
    *,
    device: str = "auto",
    resume: bool = True,
    phase_two_now: bool = False,
    compiled: bool = False,
    base: finetuning.Base | Path | str | None = None,
    progress: bool = True,
    tensorboard: bool = True,
    on_step: Callable[[Progress], bool | None] | None = None,
) -> Result:
    """Train a model, or resume its training, until the planned steps are done.

    Ctrl-C (or SIGTERM) ends the step at hand, saves and returns; a second Ctrl-C stops at once. Going on from a
    checkpoint gives the same weights as never having stopped, on a CPU to the bit: crops and noise are functions of
    the seed and the step. How many threads compute is tried at the start, and changed when other programs come or go;
    the checkpoint keeps at which steps. What that may change is in `thread_choice`.

    Args:
        dataset: what `prepare` wrote.
        run_folder: gets `checkpoint.pt`, `phase_one.pt`, `losses.csv` and `tensorboard/`.
        model_config, training_config: None takes those of the run folder's checkpoint, or those for `base`.
        device: "auto" (CUDA, else MPS, else CPU) or a name that torch knows.
        resume: start from the run folder's checkpoint if there is one; False begins anew and replaces it.
        phase_two_now: end phase one here and begin phase two.
        compiled: try `torch.compile`, and use it where it makes steps faster; the weights are then the same to rounding.
        base: begin with the weights of this trained model: a bundled one's name, a checkpoint, a run folder. A run that
            began so is resumed with it or without.
        progress: show a bar and messages.
        tensorboard: write for TensorBoard.
        on_step: called after each step; training saves and ends when it returns False.
    Raises:
        RaveCourseError: settings that do not fit each other or the dataset, too little memory for either phase, a
            loss that is not a number.
    Source: RAVE (arXiv 2111.05011), section 3.1. Notebook: 04.
    """
    store = dataset if isinstance(dataset, Dataset) else Dataset(Path(dataset))
    run_folder, target = Path(run_folder), choose_device(device)
    found = checkpoint.load(run_folder) if resume and (run_folder / checkpoint.NAME).is_file() else None
    begin = base if base is None or isinstance(base, finetuning.Base) else finetuning.load_base(base)
    if found and (
        setup.can_start_over(found, store, model_config, training_config) or (begin and begin.replaces(found))
    ):
        found = None
    model_config, training_config = finetuning.settings(begin, found, model_config, training_config, run_folder)
    model_config, config = setup.resume_settings(found, model_config, training_config, phase_two_now, run_folder)
    setup.check_fit(store, model_config, config)
    if found:
        setup.check_same_recordings(found, store, run_folder)

    crops = CropSampler(store, "train", config.crop_samples, config.batch_size, config.seed, setup.augmentation(config))
    phase_two_start = setup.phase_two_start(found, config, phase_two_now)
    end = phase_two_start + config.phase_two_steps
    if found and found.step >= end:
        return _already_finished(found, run_folder)
    learner = Learner(model_config, config, target)
    if source := found or (begin.checkpoint if begin else None):
        run_state.restore_model(learner, source, run_folder)
    before = found.notes if found else finetuning.first_notes(begin)
    step, history = found.step if found else 0, list(before.validations)
    most = torch.get_num_threads() if target.type == "cpu" and not compiled else 1
    known = min(before.threads, torch.get_num_threads())
    count, pace = setup.rehearse(learner, crops.batch(0).audio, known)
    stretches = checkpoint.with_threads(before.stretches, step, count)
    if found:
        run_state.restore_training(learner, found, run_folder)

    def notes(seconds: float) -> checkpoint.Notes:
        return checkpoint.Notes(
            validations=tuple(history),
            seconds=seconds,
            stretches=stretches,
            dataset=store.path.name,
            recordings=tuple(sorted({segment.name for segment in store.train})),
            fingerprint=store.fingerprint,
            base=before.base,
            base_digest=before.base_digest,
        )

    if step == 0 or count != before.threads:
        # The first checkpoint replaces an earlier run's in one move, and only then are its other files removed: whenever
        # this process is killed, the same command finds one run, whole, with the number of threads that it began with.
        first = run_state.snapshot(learner, model_config, config, step, phase_two_start, notes(before.seconds))
        checkpoint.save(run_folder / checkpoint.NAME, first)
    if step == 0:
        run_state.clear(run_folder)
    log = TrainingLog(
        run_folder,
        start=step,
        phase_two_start=phase_two_start,
        end=end,
        seconds=before.seconds,
        pace=pace,
        bar=progress,
        tensorboard=tensorboard,
    )

    if not found:
        log.say(finetuning.announcement(begin, config))
    elif found.phase == 1:
        log.say(setup.changed_plan(found, config))

    def check_finite() -> None:
        log.collect()
        if not learner.is_finite():
            raise NotFinite(step, "a weight")

    def measure_latent(seconds: float) -> latent.LatentStatistics:
        check_finite()
        statistics = _measure_latent(learner, store, config, seconds)
        if not bool(statistics.kl.isfinite().all()):
            raise NotFinite(step, "a latent")
        if statistics.frames > 1:
            latent.write_statistics(learner.model, statistics)
        return statistics

    def save(name: str = checkpoint.NAME) -> None:
        check_finite()
        checkpoint.save(
            run_folder / name,
            run_state.snapshot(learner, model_config, config, step, phase_two_start, notes(log.seconds)),
        )

    saved, warned, stop = step, False, ""
    watch = ThreadWatch(learner, count, most, (0.0, 0.0) if known else pace)
    try:
        with threads(count), asked_to_stop() as asked, ThreadPoolExecutor(1) as reader:
            if compiled:
                log.say(compile_if_faster(learner, crops.batch(0).audio))
                log.restart_clock()
            upcoming = reader.submit(crops.batch, step)
            while step < end and not stop:
                if learner.phase == 1 and step >= phase_two_start:
                    measure_latent(LATENT_SECONDS)
                    save(PHASE_ONE_NAME)
                    learner.enter_phase_two()
                    log.restart_clock()
                audio = _on_the_way(upcoming.result().audio, target)
                upcoming = reader.submit(crops.batch, step + 1)
                values = watch.step(audio, step, phase_two_start)
                step += 1
                log.note(step, learner.phase, values)
                if changed := watch.adapt(audio, step, phase_two_start):
                    stretches = checkpoint.with_threads(stretches, step, watch.count)
                    log.say(changed)
                    log.restart_clock()

                validates = step % config.validation_every == 0 or step in (phase_two_start, end)
                statistics = None
                if validates:
                    if learner.phase == 1:
                        statistics = measure_latent(LATENT_SECONDS / 8)
                    validation = _validate(learner, store, config)
                    if validation:
                        log.validated(step, validation, statistics.kl if statistics else None)
                        history.append(
                            checkpoint.Validation(step, learner.phase, validation["spectral"], validation["log_mel"])
                        )
                        _let_hear(learner, store, log, step)
                    warned = _advise(log, learner, statistics, history, warned)
                    log.restart_clock()
                if step % LOG_EVERY == 0 or validates:
                    measured = {"alive_dimensions": latent.alive(statistics.kl)} if statistics else {}
                    log.row(step, learner.phase, **_settings(learner, config, step - 1, phase_two_start), **measured)
                if step % config.checkpoint_every == 0 and step < end:
                    save()
                    saved = step
                    log.restart_clock()
                if on_step is not None and on_step(log.progress(step, learner.phase)) is False:
                    stop = "Stopped"
                stop = stop or asked()
            if step >= end or step > saved:
                if learner.phase == 1:
                    measure_latent(LATENT_SECONDS)
                save()
    except NotFinite as error:
        raise RaveCourseError(_not_finite(error, crops, saved, run_folder, learner)) from error
    else:
        log.close(failed=False)
    finally:
        log.close()

    again = "The same command" if resume else "The same command without --fresh"
    message = (
        f"Trained {step} steps; the model is in {run_folder}."
        if step >= end
        else f"{stop} after {step} of {end} steps and saved. {again} resumes from here"
        + (", and with --phase-two-now in phase two." if learner.phase == 1 and config.phase_two_steps else ".")
    )
    return Result(run_folder, step, learner.phase, step >= end, message, _last(history), log.seconds)


def _already_finished(found: Checkpoint, run_folder: Path) -> Result:
    message = (
        f"Already finished: {found.step} steps were trained before, and nothing was trained now; the model is in "
        f"{run_folder}. For more steps raise --phase-one-steps or --phase-two-steps, or start over with --fresh."
    )
    notes = found.notes
    return Result(run_folder, found.step, found.phase, True, message, _last(notes.validations), notes.seconds)


def _last(history: Sequence[checkpoint.Validation]) -> dict[str, float] | None:
    return {"spectral": history[-1].spectral, "log_mel": history[-1].log_mel} if history else None


def _on_the_way(audio: Tensor, device: torch.device) -> Tensor:
    return audio.pin_memory() if device.type == "cuda" else audio


def _batches(config: TrainingConfig, sample_rate: int, seconds: float) -> int:
    return max(1, round(seconds * sample_rate / (config.batch_size * config.crop_samples)))


def _measure_latent(
    learner: Learner, store: Dataset, config: TrainingConfig, seconds: float
) -> latent.LatentStatistics:
    """Encode training sound as it is, without augmentation, for the statistics that the model keeps."""
    crops = CropSampler(store, "train", config.crop_samples, config.batch_size, LATENT_SEED + config.seed)
    count = min(_batches(config, store.sample_rate, seconds), 2 * len(crops))
    with torch.compiler.set_stance("force_eager"):  # what is compiled is compiled for the steps
        return latent.gather_statistics(learner.model, (crops.batch(i).audio for i in range(count)))


def _validate(learner: Learner, store: Dataset, config: TrainingConfig) -> dict[str, float] | None:
    if not store.validation:
        return None
    crops = CropSampler(store, "validation", config.crop_samples, config.batch_size, config.seed)
    count = min(len(crops), _batches(config, store.sample_rate, VALIDATION_SECONDS))
    return learner.validate(crops.batch(i).audio for i in range(count))


def _let_hear(learner: Learner, store: Dataset, log: TrainingLog, step: int) -> None:
    hop = learner.model.hop_length
    audio = store.held_out()[:, : LISTEN_SECONDS * store.sample_rate]
    audio = audio[:, : audio.shape[1] // hop * hop]
    if audio.shape[1]:
        made = learner.reconstruct(audio[None].to(learner.device))[0]
        log.sound("sound/recording", audio, step, store.sample_rate)
        log.sound("sound/reconstruction", made, step, store.sample_rate)


def _advise(
    log: TrainingLog,
    learner: Learner,
    statistics: latent.LatentStatistics | None,
    history: list[checkpoint.Validation],
    warned: bool,
) -> bool:
    """Say what a person may want to act on in phase one; a flat curve is reported once."""
    if statistics is None:
        return warned
    alarm = latent.collapse_alarm(statistics.kl, learner.model.fidelity.cpu())
    if alarm:
        log.say(alarm)
    flat = flat_steps([(int(step), spectral) for step, phase, spectral, _ in history if phase == 1]) if history else 0
    if flat and not warned:
        log.say(f"Phase one has been flat for {flat} steps: stop with Ctrl-C and resume with --phase-two-now.")
    return warned or bool(flat)


def _settings(learner: Learner, config: TrainingConfig, step: int, phase_two_start: int) -> dict[str, float]:
    """What the CSV holds beside the losses."""
    if learner.phase == 2:
        return {"learning_rate": learning_rate(config, step, phase_two_start)}
    return {
        "learning_rate": learning_rate(config, step),
        "beta": beta_at(step, config.beta_start, config.beta, config.beta_ramp_steps),
    }


def _not_finite(error: NotFinite, crops: CropSampler, saved: int, run_folder: Path, learner: Learner) -> str:
    batch = crops.batch(error.step - 1)
    broken = [name for audio, name in zip(batch.audio, batch.sources, strict=True) if not audio.isfinite().all()]
    where = (
        f"These recordings hold values that are not numbers: {', '.join(broken)}. Mend or remove them."
        if broken
        else f"Its batch came from {', '.join(batch.sources[:4])}"
        f"{' and others' if len(batch.sources) > 4 else ''}. Lower learning_rate "
        f"({learner.optimiser.param_groups[0]['lr']:g} at this step) in a new run, or look at these recordings."
    )
    kept = f"The checkpoint of step {saved} in {run_folder} is intact." if saved else "Nothing was saved yet."
    return f"{error.name} was not a number at step {error.step}, in phase {learner.phase}. {where} {kept}"
