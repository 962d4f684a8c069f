"""Exercises of chapter 07: the delay of a strided layer, caches, the tail of a transposed convolution.

Notebook: 07.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ravecourse.streaming import StreamConv

from .feedback import Verdict, ask, compare, exercise

DELAY_OF_THE_STACK = 18  # 2, 2 + 9, (11 + 4) // 4, 3 + 1, 4 * 4 + 2


@exercise(
    "07",
    "Output f needs the input at position f * stride + right + late. Which group of `stride` positions is that "
    "in? Take f = 0 and write down right + late = 0, 1, 2, ... with their groups.",
)
def late_out(answer: Callable[..., Any]) -> Verdict:
    """Check `late_out(right, stride, late)` against the package's streaming convolution. Notebook: 07."""
    cases = [(right, stride, late) for stride in (1, 2, 4) for right in (0, 1, 4) for late in (0, 1, 3, 7)]
    mistakes = {
        "Yours rounds up. An input in the middle of a group arrives together with the rest of that group.": [
            -(-(right + late) // stride) for right, stride, late in cases
        ],
        "Yours is not rounded. A stream produces one output per group, so only whole groups count.": [
            (right + late) / stride for right, stride, late in cases
        ],
        "The delay of the input must be divided too: it is counted in inputs, the answer in outputs.": [
            right // stride + late for right, stride, late in cases
        ],
        "Yours counts in inputs. Outputs are `stride` inputs apart.": [right + late for right, _, late in cases],
        "Yours leaves out that the input is already late.": [right // stride for right, stride, _ in cases],
    }
    answers = [ask(answer, *case) for case in cases]
    for place, (right, stride, late) in enumerate(cases):
        layer = StreamConv(torch.zeros(1, 1, right + 1), None, stride=stride, left=0, right=right, delay=late)
        usual = {sentence: values[place] for sentence, values in mistakes.items() if values == answers}
        verdict = compare(
            answers[place],
            layer.delay_out,
            f"the delay for right = {right}, stride = {stride}, late = {late}",
            usual=usual,
        )
        if not verdict.right:
            return verdict
    return Verdict(True, f"It agrees with the package in all {len(cases)} cases.")


@exercise(
    "07",
    "Join memory and block first, and compute both results from that: the output by a convolution without "
    "padding, the next memory from its end.",
)
def cached_conv(answer: Callable[..., Any]) -> Verdict:
    """Check `cached_conv(block, memory, weight, dilation)` against the offline convolution. Notebook: 07."""
    for taps, dilation, size in ((3, 1, 8), (3, 2, 8), (2, 5, 3), (4, 3, 1), (1, 1, 8), (1, 4, 3)):
        generator = torch.Generator().manual_seed(taps)
        x = torch.randn(1, 2, 24, generator=generator)
        weight = torch.randn(3, 2, taps, generator=generator)
        keep = (taps - 1) * dilation
        memory, outputs = torch.zeros(1, 2, keep), []
        for block in x.split(size, 2):
            where = f"taps = {taps}, dilation = {dilation}, blocks of {size}"
            output, memory = _pair(ask(answer, block, memory, weight, dilation))
            if output.shape != (1, 3, size):
                return Verdict(
                    False,
                    f"With {where}, your output has shape {list(output.shape)}; it must be "
                    f"[1, 3, {size}], as long as the block. Give the convolution memory and block "
                    "joined, and no padding.",
                )
            if memory.shape != (1, 2, keep):
                why = (
                    "the last (taps - 1) * dilation samples of memory and block joined (a block alone can be too short)"
                    if keep
                    else "with one tap there is nothing to remember, and the slice [-0:] is everything, not nothing"
                )
                return Verdict(
                    False,
                    f"With {where}, your next memory has shape {list(memory.shape)}; it must be [1, 2, {keep}]: {why}.",
                )
            outputs.append(output)
        forgotten = torch.cat([_causal(block, weight, dilation) for block in x.split(size, 2)], 2)
        usual = {"Yours starts every block from zeros: the memory is not used, or not returned.": forgotten}
        verdict = compare(
            torch.cat(outputs, 2), _causal(x, weight, dilation), f"the joined output ({where})", usual=usual, draw=True
        )
        if not verdict.right:
            return verdict
    return Verdict(
        True, "Equal to the offline convolution, also with blocks shorter than the memory and with a single tap."
    )


@exercise(
    "07",
    "Where the outputs of two blocks overlap, two sums are added. Add the bias where each sample passes "
    "exactly once: to the output that you return.",
)
def upsample(answer: Callable[..., Any]) -> Verdict:
    """Check `upsample(block, tail, weight, bias, stride)` against the offline layer. Notebook: 07."""
    for stride, size in ((2, 4), (4, 3), (4, 1)):
        generator = torch.Generator().manual_seed(stride)
        x = torch.randn(1, 2, 12, generator=generator)
        weight = torch.randn(2, 3, 2 * stride, generator=generator)
        bias = 1 + torch.rand(3, generator=generator)
        tail, outputs = torch.zeros(1, 3, stride), []
        for block in x.split(size, 2):
            output, tail = _pair(ask(answer, block, tail, weight, bias, stride))
            for name, shape, wanted in (
                ("output", output.shape, (1, 3, size * stride)),
                ("next tail", tail.shape, (1, 3, stride)),
            ):
                if tuple(shape) != wanted:
                    return Verdict(
                        False,
                        f"For {size} frames and a stride of {stride}, your {name} has shape "
                        f"{list(shape)}; it must be {list(wanted)}.",
                    )
            outputs.append(output)
        plain = F.conv_transpose1d(x, weight, stride=stride)[..., : 12 * stride]
        parts = [F.conv_transpose1d(block, weight, bias, stride=stride) for block in x.split(size, 2)]
        twice = torch.cat([part[..., :-stride] for part in parts], 2)
        cut = twice.clone()
        for place in range(size * stride, 12 * stride, size * stride):
            twice[..., place : place + stride] += parts[place // (size * stride) - 1][..., -stride:]
        usual = {
            "Where a tail is added, the bias is in the sum twice: once with the tail and once with the block.": twice,
            "The tail of the last block is missing at the start of each block.": cut,
            "The bias is missing.": plain,
        }
        verdict = compare(
            torch.cat(outputs, 2),
            plain + bias[:, None],
            f"the joined output (stride {stride}, blocks of {size} frames)",
            usual=usual,
            draw=True,
        )
        if not verdict.right:
            return verdict
    return Verdict(True, "Equal to the offline layer, bias and all.")


@exercise(
    "07",
    "Layer by layer: 0 -> 2 -> ? -> ? -> ? -> ?. A convolution adds its look-ahead; a strided one adds it, "
    "then divides by the stride and rounds down; a transposed one multiplies, then adds its crop.",
)
def delay_of_a_stack(answer: Any) -> Verdict:
    """Check the predicted delay of the stack in exercise 7.4. Notebook: 07."""
    usual = {
        "The residual units are missing: their branch is late, and the skip waits for it.": 6,
        "The crop of the transposed convolution is missing.": 16,
        "That rounds up at the strided convolution: (11 + 4) / 4 = 3.75 falls in group 3.": 22,
        "You do not round at the strided convolution: a stream produces one output per group.": 21,
        "That is in frames of the strided convolution; the transposed one turns each into 4 samples.": 4,
    }
    return compare(answer, DELAY_OF_THE_STACK, "the delay", usual=usual, unit="samples")


def _causal(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    return F.conv1d(F.pad(x, ((weight.shape[2] - 1) * dilation, 0)), weight, dilation=dilation)


def _pair(answer: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise TypeError(f"return two things, the output and what to remember; yours is a {type(answer).__name__}")
    return answer[0], answer[1]
