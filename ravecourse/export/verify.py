"""Verify an exported file against what its model computes, in a process of its own that starts from the file alone.

Notebook: 09.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ravecourse.errors import RaveCourseError
from ravecourse.model import RAVE

from . import contract

PEAKS = 10.0  # by how much the largest error may pass the root mean square of what a lower precision costs
TOLERANCE = 1e-5  # of full scale, or of the largest value where that is more: float32 rounds in proportion
CHILD = "import sys; from ravecourse.export.verify import main; sys.exit(main(sys.argv[1:]))"


@dataclass(frozen=True)
class Delays:
    """How late each method of an exported model is, in its own unit. Notebook: 09."""

    encode_delay_frames: int
    decode_delay_samples: int
    delay_samples: int


def reference(model: RAVE, latent_size: int, blocks: list[int], seed: int = 0) -> dict[str, Tensor]:
    """What an export must compute: test audio and the offline model's latents and audio for it, without noise.

    Args:
        blocks: lengths of the blocks in hops; their sum is the length.
        seed: random seed of the test audio.
    Returns:
        `audio` [2, C, T]: white noise and a sweep of sines, with pauses; `latents` [2, latent_size, F];
        `output` [2, C, T].
    Notebook: 09.
    """
    samples = sum(blocks) * model.hop_length
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / model.sample_rate
    sweep = torch.sin(2 * torch.pi * 40 * time * (1 + time * 200 / time[-1])).expand(1, model.channels, -1)
    audio = 0.3 * torch.cat([torch.randn(1, model.channels, samples, generator=generator).clamp(-3, 3), sweep])
    audio *= (torch.sin(2 * torch.pi * 3 * time) > -0.5).float()
    with torch.no_grad():
        basis = model.latent_pca[: latent_size - model.named]  # [learned, D]
        encoded = model.encode(audio)[0]
        named, centred = encoded[:, : model.named], encoded[:, model.named :] - model.latent_mean[:, None]
        latents = torch.cat([named, torch.einsum("ld,bdf->blf", basis, centred)], 1)
        learned = torch.einsum("ld,blf->bdf", basis, latents[:, model.named :]) + model.latent_mean[:, None]
        restored = torch.cat([named, learned], 1)
        return {"audio": audio, "latents": latents, "output": model.decode(restored, noise=False)}


def verify_file(
    path: Path, model: RAVE, latent_size: int, delays: Delays, precision_error: float = 0.0
) -> dict[str, float]:
    """Run the file `path` in a fresh process, block by block, and compare it with the offline model.

    Args:
        latent_size: latents of the exported model.
        delays: how late its methods are.
        precision_error: what a precision below float32 costs, as a share of the level; 0 for float32.
    Returns:
        the largest difference of each method, relative to full scale.
    Raises:
        RaveCourseError: the file breaks the contract of nn~, or computes something else.
    Notebook: 09.
    """
    hops = delays.delay_samples // model.hop_length + 12
    blocks = [1, 2, 3, 8] * (hops // 14 + 1)
    expected = io.BytesIO()
    torch.save(
        {
            **reference(model, latent_size, blocks),
            "blocks": blocks,
            "hop_length": model.hop_length,
            "encode_delay_frames": delays.encode_delay_frames,
            "decode_delay_samples": delays.decode_delay_samples,
            "delay_samples": delays.delay_samples,
            "precision_error": precision_error,
        },
        expected,
    )
    package = Path(__file__).resolve().parents[2]
    search = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path.resolve())],
        input=expected.getvalue(),  # through a pipe: a file would be left behind where the export is killed
        cwd=package,  # so that no module of the folder that the person is in comes first
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
    )
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode != 0:
        what = said or (done.stderr.decode(errors="replace").strip().splitlines() or ["it ended without a word"])[-1]
        raise RaveCourseError(f"The exported file does not do what the model does, so it was not kept: {what}")
    return dict(json.loads(said))


def compare(path: Path, expected: dict[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Load the file, check its contract, run its methods block by block and compare.

    Args:
        path: the `.ts`.
        expected: `reference`, the blocks and the delays.
    Returns:
        the largest difference of each method, and every violation as a sentence.
    Raises:
        RaveCourseError: the file cannot be loaded.
    Notebook: 09.
    """
    hop, blocks = expected["hop_length"], expected["blocks"]
    latents = expected["latents"]
    tolerance = TOLERANCE + PEAKS * expected["precision_error"]
    latent_scale, audio_scale = (max(1.0, float(expected[key].abs().max())) for key in ("latents", "output"))

    def run(method: str, signal: Tensor, unit: int) -> Tensor:
        module = contract.load(path).module  # a fresh copy: the state of the stream starts at zero
        for attribute in module.get_attributes():
            getattr(module, f"set_{attribute}")(0.0)
        with torch.inference_mode():
            call: Callable[[Tensor], Tensor] = getattr(module, method)
            return torch.cat([call(part) for part in signal.split([b * unit for b in blocks], -1)], -1)

    cases = {
        "encode": (run("encode", expected["audio"], hop), latents, expected["encode_delay_frames"], latent_scale),
        "decode": (run("decode", latents, 1), expected["output"], expected["decode_delay_samples"], audio_scale),
        "forward": (run("forward", expected["audio"], hop), expected["output"], expected["delay_samples"], audio_scale),
    }
    differences, violations = {}, contract.violations(contract.load(path))
    for method, (got, wanted, delay, scale) in cases.items():
        difference = float((got[..., delay:] - wanted[..., : wanted.shape[-1] - delay]).abs().max()) / scale
        differences[method] = difference
        if not difference < tolerance:
            violations.append(
                f"`{method}`, block by block, differs from the offline model by {difference:.1e} "
                f"(at most {tolerance:.0e} is allowed)."
            )
    return differences, violations


def main(arguments: Sequence[str]) -> int:
    """Compare the file that is named with what comes on standard input; 0 if they agree, else 1. Notebook: 09."""
    torch.set_num_threads(1)
    try:
        expected = torch.load(io.BytesIO(sys.stdin.buffer.read()), weights_only=True)
        differences, violations = compare(Path(arguments[0]), expected)
    except RaveCourseError as error:
        print(error)
        return 1
    print(" ".join(violations) if violations else json.dumps(differences))
    return 1 if violations else 0
