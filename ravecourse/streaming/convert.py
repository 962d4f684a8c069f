"""From an offline block to its streaming form, which carries the same weights and knows its delay.

Notebook: 07.
"""

import torch
from torch import Tensor, nn

from ravecourse.errors import RaveCourseError
from ravecourse.model import Conv, Residual, UpConv

from .layers import Delay, StreamActivation, StreamConv, StreamResidual, StreamSequence, StreamUpConv

Converted = StreamSequence | StreamConv | StreamUpConv | StreamResidual | StreamActivation


def convert(module: nn.Module, delay: int) -> tuple[Converted, int]:
    """The streaming form of an offline block, and the delay of its output.

    Args:
        module: a block of `ravecourse.model`; it is not changed.
        delay: samples that its input runs behind the offline signal.
    Raises:
        RaveCourseError: a layer of a type that has no streaming form.
    Notebook: 07.
    """
    if isinstance(module, nn.Sequential):
        return convert_sequence(module, delay)
    if isinstance(module, Conv):
        layer = convert_conv(module, delay)
        return layer, layer.delay_out
    if isinstance(module, UpConv):
        up = StreamUpConv(module, delay)
        return up, up.delay_out
    if isinstance(module, Residual):
        branch, branch_delay = convert_sequence(module.branch, delay)
        wait = Delay(branch_delay - delay, _inputs(module.branch))
        return StreamResidual(branch, wait), branch_delay
    if isinstance(module, nn.LeakyReLU):
        return StreamActivation(module.negative_slope), delay
    raise RaveCourseError(
        f"A layer of the type {type(module).__name__} has no streaming form; "
        "build the model from the blocks of ravecourse.model."
    )


def convert_sequence(layers: nn.Sequential, delay: int) -> tuple[StreamSequence, int]:
    """As `convert`; batch normalisation is folded into the convolution before it. Notebook: 07."""
    streams: list[Converted] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            _fold_batch_norm(streams[-1], layer)
            continue
        stream, delay = convert(layer, delay)
        streams.append(stream)
    return StreamSequence(*streams), delay


def convert_conv(conv: Conv, delay: int) -> StreamConv:
    """The streaming form of one convolution. Notebook: 07."""
    return StreamConv(
        _dense(conv),
        None if conv.bias is None else conv.bias.detach(),
        stride=conv.stride[0],
        dilation=conv.dilation[0],
        left=conv.left,
        right=conv.right,
        delay=delay,
    )


def _inputs(layers: nn.Sequential) -> int:
    """Channels that a sequence takes: those of its first convolution."""
    return next(layer.in_channels for layer in layers if isinstance(layer, Conv))


def _dense(conv: Conv) -> Tensor:
    """The weight of a convolution with its groups written out: [outputs, inputs, taps]."""
    weight = conv.weight.detach()
    dense = torch.zeros(conv.out_channels, conv.in_channels, weight.shape[2])
    outputs, inputs = conv.out_channels // conv.groups, weight.shape[1]
    for g in range(conv.groups):
        rows = slice(g * outputs, (g + 1) * outputs)
        dense[rows, g * inputs : (g + 1) * inputs] = weight[rows]
    return dense


def _fold_batch_norm(conv: Converted, norm: nn.BatchNorm1d) -> None:
    """Write the fixed scale and shift of a trained batch normalisation into the convolution before it."""
    if not isinstance(conv, StreamConv) or norm.running_mean is None or norm.running_var is None:
        raise RaveCourseError("Batch normalisation streams only right after a convolution, with running statistics.")
    scale = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    conv.weight.mul_(scale)
    conv.bias.sub_(norm.running_mean).mul_(scale).add_(norm.bias.detach())
