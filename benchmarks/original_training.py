"""Train the original RAVE for a given processor time, and let it play a recording that it has never heard.

    build/original-env/bin/python -m benchmarks.original_training SOUNDS HELD.wav OUT --config raspberry --seconds 600

Its own model, losses, optimisers, schedules and augmentation (random crops, phases turned by an allpass filter in four of five,
dither), by its own `training_step`, in batches of 8 x 65536 samples. Its trainer is left out: what that does between steps
(logging, progress, loading) costs it no time here. Writes OUT/output.wav, OUT/training.json and OUT/run, from which
`ravecourse import` reads the model.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from . import original  # adapts SciPy before the original is imported

import gin  # noqa: E402  isort: skip
import rave  # noqa: E402  isort: skip
from rave.dataset import random_phase_mangle  # noqa: E402  isort: skip
from rave.transforms import Dequantize, RandomApply, RandomCrop  # noqa: E402  isort: skip

BATCH, CROP = 8, 65536
GRID = 4096  # samples; a multiple of every hop


def prepared(config: str, sample_rate: int, seed: int) -> nn.Module:
    """A new model of these settings, as its training has it after its first look at the validation data."""
    torch.manual_seed(seed)
    model = original.build([config], [f"SAMPLING_RATE={sample_rate}"], 1)
    left, right = rave.core.get_rave_receptive_field(model)
    model.receptive_field[0], model.receptive_field[1] = left, right
    return model.train()


def train(model: nn.Module, recordings: list[np.ndarray], seconds: float) -> tuple[int, float]:
    """Train until `seconds` of this thread's time are used; steps, and seconds.

    Args:
        recordings: each `[1, T]`, T at least `CROP`.
    """
    change = RandomApply(lambda x: random_phase_mangle(x, 20, 2000, 0.99, model.sr), p=0.8)
    crop, dither = RandomCrop(CROP), Dequantize(16)
    lengths = [recording.shape[-1] for recording in recordings]
    (decoders, plan), (discriminators, _) = (
        (entry["optimizer"], entry.get("lr_scheduler", {}).get("scheduler")) for entry in model.configure_optimizers()
    )
    model.optimizers = lambda: (decoders, discriminators)
    model.log = model.log_dict = lambda *arguments, **options: None
    callbacks = [rave.model.WarmupCallback(), rave.model.BetaWarmupCallback()]
    step, used = 0, 0.0
    while used < seconds:
        chosen = random.choices(recordings, lengths, k=BATCH)
        crops = [dither(change(crop(recording).astype(np.float32))).astype(np.float32) for recording in chosen]
        batch = torch.from_numpy(np.stack(crops))  # [B, 1, T]
        start = time.thread_time()
        for callback in callbacks:
            callback.on_train_batch_start(None, model, batch, step)
        model.training_step(batch, step)
        plan.step()
        used += time.thread_time() - start
        step += 1
    del model.optimizers, model.log, model.log_dict
    return step, used


@torch.no_grad()
def play(model: nn.Module, sound: Tensor, seed: int) -> Tensor:
    """What the model makes of a recording `[1, T]`, from the means of its latents."""
    torch.manual_seed(seed)
    model.eval()
    padded = nn.functional.pad(sound, (0, -sound.shape[1] % GRID))[None]
    mean = model.encode(padded).chunk(2, 1)[0]
    return model.decode(mean)[0, :, : sound.shape[1]]


def write_run(model: nn.Module, run: Path, steps: int) -> None:
    """Weights and settings as `ravecourse import` reads them, without discriminators and optimisers."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.gin").write_text(gin.operative_config_str(), encoding="utf-8")
    weights = {name: value for name, value in model.state_dict().items() if not name.startswith("discriminator.")}
    torch.save({"state_dict": weights, "global_step": steps}, run / "last.ckpt")


def main(arguments: list[str]) -> None:
    """Parse the command line, train, play, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds", type=Path, metavar="SOUNDS", help="a folder of mono recordings of one rate")
    parser.add_argument("held", type=Path, metavar="HELD.wav", help="what it plays afterwards")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--config", default="raspberry", help="a name of the original's settings")
    parser.add_argument("--seconds", type=float, default=600.0, help="of processor time")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    random.seed(options.seed)
    np.random.seed(options.seed)
    held, rate = soundfile.read(options.held, dtype="float32", always_2d=True)
    recordings = [soundfile.read(path, dtype="float32")[0][None] for path in sorted(options.sounds.glob("*.wav"))]
    recordings = [recording for recording in recordings if recording.shape[1] >= CROP]
    model = prepared(options.config, rate, options.seed)
    steps, used = train(model, recordings, options.seconds)
    output = play(model, torch.from_numpy(held.T.copy()), options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    soundfile.write(options.out / "output.wav", output[0].numpy(), rate, subtype="FLOAT")
    write_run(model, options.out / "run", steps)
    weights = sum(p.numel() for part in (model.encoder, model.decoder) for p in part.parameters())
    made = {"steps": steps, "seconds": used, "weights": weights}
    (options.out / "training.json").write_text(json.dumps(made), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
