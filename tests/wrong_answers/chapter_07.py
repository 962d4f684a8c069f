"""Typical wrong answers to the exercises of chapter 07, each with a word that the feedback must hold."""

import torch
import torch.nn.functional as F
from torch import Tensor


def forgets(block: Tensor, memory: Tensor, weight: Tensor, dilation: int) -> tuple[Tensor, Tensor]:
    joined = torch.cat([memory, block], 2)
    return F.conv1d(joined, weight, dilation=dilation), torch.zeros_like(memory)


def keeps_the_block_alone(block: Tensor, memory: Tensor, weight: Tensor, dilation: int) -> tuple[Tensor, Tensor]:
    joined = torch.cat([memory, block], 2)
    return F.conv1d(joined, weight, dilation=dilation), block[..., -memory.shape[2] :]


def without_dilation(block: Tensor, memory: Tensor, weight: Tensor, dilation: int) -> tuple[Tensor, Tensor]:
    joined = torch.cat([memory, block], 2)
    keep = weight.shape[2] - 1
    return F.conv1d(joined, weight, dilation=dilation), joined[..., joined.shape[2] - keep :]


def everything_with_one_tap(block: Tensor, memory: Tensor, weight: Tensor, dilation: int) -> tuple[Tensor, Tensor]:
    joined = torch.cat([memory, block], 2)
    return F.conv1d(joined, weight, dilation=dilation), joined[..., -(weight.shape[2] - 1) * dilation :]


def bias_twice(block: Tensor, tail: Tensor, weight: Tensor, bias: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    output = F.conv_transpose1d(block, weight, bias, stride=stride)
    output[..., :stride] += tail
    return output[..., :-stride], output[..., -stride:]


def tail_dropped(block: Tensor, tail: Tensor, weight: Tensor, bias: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    output = F.conv_transpose1d(block, weight, bias, stride=stride)
    return output[..., :-stride], output[..., -stride:]


WRONG = {
    "late_out": [
        (lambda right, stride, late: -(-(right + late) // stride), "rounds up"),
        (lambda right, stride, late: right // stride + late, "must be divided too"),
        (lambda right, stride, late: right + late, "counts in inputs"),
    ],
    "cached_conv": [
        (forgets, "starts every block from zeros"),
        (keeps_the_block_alone, "too short"),
        (without_dilation, "dilation"),
        (everything_with_one_tap, "one tap"),
    ],
    "upsample": [(bias_twice, "twice"), (tail_dropped, "missing")],
    "delay_of_a_stack": [(6, "residual"), (22, "rounds up")],
}
