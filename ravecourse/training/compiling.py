"""`torch.compile` for training: tried on a copy, kept where it makes steps faster, left out where it fails.

Most of a step is spent inside convolutions, which a compiler leaves to the same libraries; what it gains on the rest
depends on the device, and only a trial shows it. What is computed stays the same to rounding.

Notebook: 10.
"""

import torch
from torch import Tensor

from .learner import Learner

TRIES = 4  # steps of each kind; the fastest counts, the first ones compile


def compile_if_faster(learner: Learner, audio: Tensor) -> str:
    """Compile the networks of `learner` if its steps get faster by that; its weights stay as they are.

    Args:
        audio: a batch `[B, C, T]` of the size that training will use.
    Returns:
        what was found, for people.
    Notebook: 10.
    """
    torch.compiler.reset()  # it keeps few programs a process, and an earlier training's would count
    plain = sum(learner.rehearse(audio, TRIES))
    try:
        compiled = sum(learner.rehearse(audio, TRIES, compiled=True))
    except Exception as error:  # of any type: no compiler, a layer it does not know, its own memory
        return f"torch.compile does not work here ({_reason(error)}); training continues without it."
    if compiled >= plain:
        return f"torch.compile makes steps {compiled / plain:.2f} times as long here; training continues without it."
    learner.compile()
    return f"torch.compile makes steps {plain / compiled:.2f} times as fast here; training uses it."


def _reason(error: Exception) -> str:
    """The first line of a long message that says something."""
    text = str(error)
    if "CppCompileError" in text and " " in torch.__file__:
        return f"PyTorch cannot compile where the name of its folder has a space, as {torch.__file__} has"
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.endswith("raised:")]
    return lines[0] if lines else type(error).__name__
