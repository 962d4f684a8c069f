"""Where each weight of the original RAVE has its place in our model.

Notebook: 10.
"""

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.model import PQMF, RAVE, cosine_modulated_bank

ENCODER = "encoder.encoder.net."  # where the original keeps its encoder's layers
# Entries of its files that are no weights of encoder or decoder.
NOT_NEEDED = re.compile(
    r"^(discriminator|pqmf|audio_distance|multiband_audio_distance)\."
    r"|^(receptive_field|latent_pca|latent_mean|fidelity)$|\.(warmed_up|target_size)$"
)


def _their_name(name: str, v1: bool, wave: str) -> str:
    """The original's name of one of our weights. `wave` is where it keeps a v2 model's last convolution."""
    name = name.replace(".parametrizations.weight.original0", ".weight_g")
    name = name.replace(".parametrizations.weight.original1", ".weight_v")
    if v1:

        def trunk(found: re.Match[str]) -> str:  # ours: conv, then (activation, up, 3 units) a stage
            stage, place = divmod(int(found[1]) - 1, 5)
            if place == 1:
                return f"decoder.net.{1 + 2 * stage}.net.1"
            unit = f"net.branches.0.net.{place - 2}.net.aligned.branches.0"
            return f"decoder.net.{2 + 2 * stage}.{unit}.{found[2]}"

        name = re.sub(r"^decoder\.trunk\.([1-9]\d*)(?:\.branch\.(\d))?", trunk, name)
        for i, head in enumerate(("wave", "loudness", "noise")):
            name = name.replace(f"decoder.{head}.", f"decoder.synth.branches.{i}.")
    name = name.replace("decoder.wave.", f"{wave}.").replace("decoder.noise.", "decoder.noise_module.")
    name = name.replace("decoder.trunk.", "decoder.net.").replace(".branch.", ".aligned.branches.0.net.")
    return re.sub(r"^encoder\.", ENCODER, name)


@torch.no_grad()
def fill(model: RAVE, state: dict[str, Tensor], file: Path) -> None:
    """Copy every weight of the original to its place in our model; none may be missing, left over or misshapen.

    Args:
        model: of the configuration that the weights belong to; it is changed.
        state: the original's weights by its names.
        file: where they come from, for the messages.
    Raises:
        RaveCourseError: a weight has no counterpart, or the filter bank is another.
    Notebook: 10.
    """
    v1 = model.config.architecture == "v1"
    separate = "decoder.waveform_module.weight_v" in state
    wave = "decoder.waveform_module" if separate else f"decoder.net.{len(model.decoder.trunk)}"
    parts = {
        name: value
        for part in ("encoder", "decoder")
        for name, value in getattr(model, part).state_dict(prefix=f"{part}.").items()
    }
    names = {name: _their_name(name, v1, wave) for name in parts}
    unknown = [
        name
        for name in state
        if name not in names.values()
        and not NOT_NEEDED.search(name)
        and (model.decoder.noise is not None or not name.startswith("decoder.noise_module."))
    ]
    if unknown:
        raise RaveCourseError(
            f"{file} holds weights that this kit has no place for ({', '.join(unknown[:3])}). "
            "It imports the original's v1 and v2 settings."
        )
    for ours, theirs in names.items():
        value = state.get(theirs)
        if value is None or value.shape != parts[ours].shape:
            shape = "missing" if value is None else f"of the shape {list(value.shape)}"
            raise RaveCourseError(
                f"In {file}, {theirs} is {shape}; a {model.config.architecture} model of this size "
                f"has it with the shape {list(parts[ours].shape)}."
            )
        parts[ours].copy_(value)
    _fill_bank(model, state, file)
    for name in ("latent_pca", "latent_mean", "fidelity"):
        getattr(model, name).copy_(state[name])
    if bool(model.fidelity.any()):  # the original keeps shares of the variance only: the strongest counts as 1
        shares = torch.diff(model.fidelity, prepend=torch.zeros(1)).clamp(min=0)
        model.latent_std.copy_((shares / shares.max()).sqrt())
    model.noise_level.fill_(float(state["decoder.warmed_up"]) if v1 else 1.0)


def _fill_bank(model: RAVE, state: dict[str, Tensor], file: Path) -> None:
    """The filter bank from the prototype in the file: the design differs a little between versions of SciPy.

    The bank beside it was computed in float32, whose cosines differ by up to 2e-4 between processors and threads.
    """
    n_bands, prototype = model.config.n_bands, state["pqmf.h"].double().numpy()
    bank, stored = cosine_modulated_bank(prototype, n_bands), state["pqmf.hk"].double().numpy()
    left = (stored.shape[1] - len(prototype)) // 2
    same = np.abs(stored[:, left : left + len(prototype)] - bank).max() < 1e-3 * np.abs(bank).max()
    theirs = PQMF(n_bands, "kaiser", prototype=prototype)
    if not same or theirs.analysis_weight.shape != model.pqmf.analysis_weight.shape:
        raise RaveCourseError(
            f"The filter bank in {file} is not the one of the original's settings "
            f"({len(prototype)} taps for {n_bands} bands); this kit cannot rebuild it."
        )
    model.pqmf.load_state_dict(theirs.state_dict())
