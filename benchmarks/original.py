"""Run the original RAVE (acids-rave) in its own environment and write down what it does; see original_env.sh.

    python benchmarks/original.py check
    python benchmarks/original.py make FOLDER --config v2 --config causal --override CAPACITY=8

`make` builds a model by the names of the original's settings, gives it random weights that behave like trained ones,
and writes a run folder as the original's training does (`config.gin`, `version_0/checkpoints/last.ckpt`), with
`pairs.pt` beside it: inputs and what the original makes of them at every stage,
without noise and with a known noise.
"""

import argparse
import logging
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import scipy.signal
import torch
from torch import Tensor, nn

warnings.filterwarnings("ignore")


def adapt_scipy() -> None:
    """Give SciPy back the three spellings that the original's filter design was written for."""
    kaiserord, firwin = scipy.signal.kaiserord, scipy.signal.firwin

    def scalar(value: object) -> float:
        return float(np.asarray(value, dtype=float).reshape(-1)[0])

    def firwin_of_old(taps: int, cutoff: object, *args: object, nyq: float | None = None, **options: object):
        if nyq is not None:
            options["fs"] = 2 * nyq
        return firwin(int(taps), scalar(cutoff), *args, **options)

    scipy.signal.kaiser = scipy.signal.windows.kaiser
    scipy.signal.kaiserord = lambda ripple, width: kaiserord(ripple, scalar(width))
    scipy.signal.firwin = firwin_of_old


adapt_scipy()
import cached_conv  # noqa: E402
import gin  # noqa: E402
import pytorch_lightning  # noqa: E402
import rave  # noqa: E402


def build(configs: list[str], overrides: list[str], channels: int, cached: bool = False) -> nn.Module:
    """The original's model of these settings; `cached` for its streaming form."""
    logging.getLogger().setLevel(logging.CRITICAL)  # gin reports every place where it looks for a file
    gin.clear_config()
    cached_conv.use_cached_conv(cached)
    gin.parse_config_files_and_bindings(
        [f"{name}.gin" for name in configs], [f"RAVE.n_channels={channels}", *overrides]
    )
    model = rave.RAVE(n_channels=channels)
    cached_conv.use_cached_conv(False)
    return model


def sound(batch: int, channels: int, samples: int, seed: int) -> Tensor:
    """Decaying partials and some noise: [batch, channels, samples]."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / 44100
    x = 0.02 * torch.randn(batch, channels, samples, generator=generator)
    for _ in range(10):
        draw = torch.rand(4, batch, channels, 1, generator=generator)
        decay = torch.exp(-5 * (time * (1 + 4 * draw[2]) % 0.4))
        x = x + 0.1 * draw[3] * torch.sin(2 * math.pi * (60 * 2 ** (7 * draw[0]) * time + draw[1])) * decay
    return x


@torch.no_grad()
def randomise(model: nn.Module, channels: int, seed: int) -> None:
    """Random weights, gains, statistics and PCA, scaled so that every layer's output is about of unit size."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(like.shape, generator=generator)

    def gain(layer: nn.Module) -> Tensor:
        return layer.weight_g if hasattr(layer, "weight_g") else layer.weight

    def rescale(layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
        gain(layer).div_(output.std())
        return output / output.std()

    def statistics(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        layer.running_mean.copy_(inputs[0].mean((0, 2)))
        layer.running_var.copy_(inputs[0].var((0, 2)))
        layer.weight.copy_(uniform(layer.weight, 0.6, 1.5))
        layer.bias.copy_(uniform(layer.bias, -0.3, 0.3))

    model.eval()
    layers = [layer for part in (model.encoder, model.decoder) for layer in part.modules()]
    hooks = []
    for layer in layers:
        if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
            if hasattr(layer, "weight_g"):
                layer.weight_g.mul_(uniform(layer.weight_g, 0.7, 1.4))
            hooks.append(layer.register_forward_hook(rescale))
        elif isinstance(layer, nn.BatchNorm1d):
            hooks.append(layer.register_forward_pre_hook(statistics))
    if hasattr(model.decoder, "warmed_up"):
        model.decoder.set_warmed_up(True)  # so that the noise is scaled too
    encoded = model.encoder(bands_of(model, sound(2, channels, 65536, seed)))
    model.decoder(encoded[:, : model.latent_size])
    for hook in hooks:
        hook.remove()
    size = model.latent_size
    model.latent_pca.copy_(torch.linalg.qr(torch.randn(size, size, generator=generator))[0])
    model.latent_mean.copy_(0.3 * torch.randn(size, generator=generator))
    variance = torch.linspace(2, 0.1, size).square()
    model.fidelity.copy_(torch.cumsum(variance, 0) / variance.sum())
    causal = "mode = 'causal'" in gin.operative_config_str()
    model.receptive_field.copy_(torch.tensor([40000, 0 if causal else 20000]))


def bands_of(model: nn.Module, audio: Tensor) -> Tensor:
    """[B, C, T] -> [B, C * n_bands, T / n_bands], by the original's filter bank."""
    bands = model.pqmf(audio.reshape(-1, 1, audio.shape[-1]))
    return bands.reshape(len(audio), -1, bands.shape[-1])


@torch.no_grad()
def pairs(model: nn.Module, channels: int) -> dict[str, Tensor]:
    """What the original makes of a sound, stage by stage."""
    found: dict[str, Tensor] = {"audio": sound(1, channels, 65536, 77)}
    found["bands"] = bands_of(model, found["audio"])
    found["encoder_out"] = model.encoder(found["bands"])
    found["latent"] = found["encoder_out"][:, : model.latent_size].contiguous()
    noise = getattr(model.decoder, "noise_module", None)
    phases = hasattr(model.decoder, "warmed_up")  # v1: the noise belongs to the second phase
    if phases:
        model.decoder.set_warmed_up(False)
    elif noise is not None:
        noise.forward = lambda x: torch.zeros(())
    found["decoded_bands"] = model.decoder(found["latent"])
    joined = model.pqmf.inverse(found["decoded_bands"].reshape(channels, -1, found["decoded_bands"].shape[-1]))
    found["decoded_audio"] = joined.reshape(1, channels, -1)

    if noise is not None:
        del noise.forward
    if phases:
        model.decoder.set_warmed_up(True)
    draw = torch.rand_like

    def recorded(like: Tensor) -> Tensor:
        found["noise"] = draw(like)  # [1, frames, bands, samples]
        return found["noise"]

    torch.rand_like = recorded
    found["decoded_bands_with_noise"] = model.decoder(found["latent"])
    torch.rand_like = draw
    return found


def write_run(model: nn.Module, folder: Path) -> None:
    """A run folder as the original's training leaves it, with optimiser states, loops and callbacks."""
    (folder / "version_0/checkpoints").mkdir(parents=True, exist_ok=True)
    (folder / "config.gin").write_text(gin.operative_config_str())
    trainer = pytorch_lightning.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(folder / "scratch"),
        callbacks=[
            pytorch_lightning.callbacks.ModelCheckpoint(dirpath=str(folder), monitor="validation"),
            rave.model.BetaWarmupCallback(),
            rave.model.QuantizeCallback(),
            rave.model.WarmupCallback(),
        ],
    )
    trainer.strategy.connect(model)
    model.trainer = trainer
    trainer.strategy.setup_optimizers(trainer)
    trainer.save_checkpoint(folder / "version_0/checkpoints/last.ckpt")


def main(arguments: list[str]) -> None:
    """Parse the command line and run one verb."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("check", "make"))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--config", action="append", default=[], help="a name of the original's settings, repeatable")
    parser.add_argument("--override", action="append", default=[], help="NAME=VALUE in the original's settings")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bare", action="store_true", help="leave the weights as they are made, and no pairs.pt")
    options = parser.parse_args(arguments)
    if options.verb == "check":
        build(["v1"], ["CAPACITY=4"], 1)
        return
    torch.manual_seed(options.seed)
    model = build(options.config, options.override, options.channels)
    if not options.bare:
        randomise(model, options.channels, options.seed)
        found = pairs(model, options.channels)
    write_run(model, options.folder)
    if not options.bare:
        torch.save(found, options.folder / "pairs.pt")


if __name__ == "__main__":
    main(sys.argv[1:])
