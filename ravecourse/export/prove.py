"""Check an exported file against what its model computed; run in a process of its own by `export`.

    python -m ravecourse.prove model.ts expected.pt

Exits 0 and prints the largest differences as JSON, or exits 1 and prints what is wrong.

Notebook: 09.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from . import contract

PEAKS = 10.0  # by how much the largest error may pass the root mean square of what a lower precision costs
TOLERANCE = 1e-5  # of full scale, or of the largest value where that is more: float32 rounds in proportion


def prove(path: Path, expected_path: Path) -> tuple[dict[str, float], list[str]]:
    """Load the file, read its contract, run its methods block by block and compare.

    Args:
        path: the `.ts`; expected_path: a file with `export.reference`, the blocks and the delays.
    Returns:
        the largest difference of each method, and every complaint as a sentence.
    Raises:
        RaveCourseError: the file cannot be loaded.
    Source: this course. Notebook: 09.
    """
    expected = torch.load(expected_path, weights_only=True)
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
    differences, complaints = {}, contract.problems(contract.load(path))
    for method, (got, wanted, delay, scale) in cases.items():
        difference = float((got[..., delay:] - wanted[..., : wanted.shape[-1] - delay]).abs().max()) / scale
        differences[method] = difference
        if not difference < tolerance:
            complaints.append(
                f"`{method}`, block by block, differs from the offline model by {difference:.1e} "
                f"(at most {tolerance:.0e} is allowed)."
            )
    return differences, complaints


if __name__ == "__main__":
    torch.set_num_threads(1)
    measured, wrong = prove(Path(sys.argv[1]), Path(sys.argv[2]))
    print(" ".join(wrong) if wrong else json.dumps(measured))
    sys.exit(1 if wrong else 0)
