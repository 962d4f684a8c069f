"""`torch.compile` for training: tried on a copy, kept where it makes steps faster, left out where it fails.

Most of a step is spent inside convolutions, which a compiler leaves to the same libraries; what it gains on the rest
depends on the device, and only trying tells. What is computed stays the same to rounding.

Notebook: 10.
"""

import torch
from torch import Tensor

from ravecourse.steps import Learner

TRIES = 4  # steps of each kind; the fastest counts, the first ones compile


def compile_if_faster(learner: Learner, audio: Tensor) -> str:
    """Compile the networks of `learner` if its steps get faster by that; its weights stay as they are.

    Args:
        audio: a batch `[B, C, T]` of the size that training will use.
    Returns:
        what was found, for people.
    Source: this course. Notebook: 10.
    """
    torch.compiler.reset()  # it keeps few programs a process, and an earlier training's would count
    plain = sum(learner.rehearse(audio, TRIES))
    try:
        compiled = sum(learner.rehearse(audio, TRIES, compiled=True))
    except Exception as error:  # of any type: no compiler, a layer it does not know, its own memory
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return f"torch.compile does not work here ({reason.strip()}); training goes on without it."
    if compiled >= plain:
        return f"torch.compile makes steps {compiled / plain:.2f} times as long here; training goes on without it."
    learner.compile()
    return f"torch.compile makes steps {plain / compiled:.2f} times as fast here; training uses it."
