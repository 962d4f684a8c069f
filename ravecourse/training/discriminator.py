"""The discriminators of phase two: networks that learn to distinguish recordings from reconstructions.

Each is a stack of strided convolutions. The multi-scale ones look at the waveform at full, half and quarter rate; the
multi-period ones fold it into rows of p samples, so that whatever repeats every p samples stands in a column.

Notebook: 06.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ravecourse.config import DiscriminatorConfig

SLOPE = 0.2  # of the leaky rectifier
SCALE_KERNEL = 15
PERIOD_KERNEL = 5
PERIOD_LAYERS, PERIOD_STRIDE = 4, 4


class SubDiscriminator(nn.Module):
    """One stack of strided convolutions whose channels double from layer to layer, and a score on top.

    Args:
        dimensions: 1 for signals `[B, C, T]`, 2 for folded signals `[B, C, T/p, p]` (the last axis is never
            mixed).
        channels: input channels C, 1 or more.
        capacity: channels after the first layer; the k-th layer has `capacity * 2**k`.
        layers, kernel, stride: how many strided layers, their kernel (odd) and stride along time.
    Source: RAVE (arXiv 2111.05011), section 3.2; HiFi-GAN (arXiv 2010.05646), section 2.3. Notebook: 06.
    """

    def __init__(self, dimensions: int, channels: int, capacity: int, layers: int, kernel: int, stride: int) -> None:
        super().__init__()

        def convolution(before: int, after: int) -> nn.Module:
            if dimensions == 1:
                return nn.Conv1d(before, after, kernel, stride, kernel // 2)
            return nn.Conv2d(before, after, (kernel, 1), (stride, 1), (kernel // 2, 0))

        widths = [channels] + [capacity * 2**k for k in range(layers)]
        self.body = nn.ModuleList(
            weight_norm(convolution(before, after)) for before, after in zip(widths[:-1], widths[1:], strict=True)
        )
        self.score = nn.Conv1d(widths[-1], 1, 1) if dimensions == 1 else nn.Conv2d(widths[-1], 1, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """What each layer saw, before its rectifier; the last entry is the score, one number a patch of
        signal.

        Source: see the class. Notebook: 06.
        """
        features = []
        for layer in self.body:
            features.append(layer(x))
            x = F.leaky_relu(features[-1], SLOPE)
        return features + [self.score(x)]


class Discriminator(nn.Module):
    """All discriminators of a training: one for each period, then one for each scale.

    Args:
        config: their number and sizes.
        channels: of the audio, 1 mono, 2 stereo.
        seed: of the first weights.
    Source: RAVE, section 3.2, for the scales (after MelGAN, arXiv 1910.06711); HiFi-GAN (arXiv 2010.05646),
        section 2.3, for the periods. Notebook: 06.
    """

    def __init__(self, config: DiscriminatorConfig, channels: int = 1, seed: int = 0) -> None:
        super().__init__()
        self.periods = config.periods
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.by_period = nn.ModuleList(
                SubDiscriminator(2, channels, config.period_capacity, PERIOD_LAYERS, PERIOD_KERNEL, PERIOD_STRIDE)
                for _ in config.periods
            )
            self.by_scale = nn.ModuleList(
                SubDiscriminator(
                    1, channels, config.scale_capacity, config.scale_layers, SCALE_KERNEL, config.scale_strides
                )
                for _ in range(config.scales)
            )

    def forward(self, audio: Tensor) -> list[list[Tensor]]:
        """Judge `audio`.

        Args:
            audio: `[B, C, T]`, any length from `2**(scales - 1)` samples on.
        Returns:
            one list of features for each, as `SubDiscriminator.forward` gives them: periods first, then scales.
        Source: see the class. Notebook: 06.
        """
        judged = [network(fold(audio, p)) for network, p in zip(self.by_period, self.periods, strict=True)]
        for k, network in enumerate(self.by_scale):
            if k:
                audio = F.avg_pool1d(audio, 2)  # [B, C, T/2**k]
            judged.append(network(audio))
        return judged


def fold(audio: Tensor, period: int) -> Tensor:
    """Cut a signal into rows of `period` samples; zeros fill the last row.

    Args:
        audio: `[B, C, T]`.
        period: samples a row, 1 or more.
    Returns:
        `[B, C, ceil(T / period), period]`.
    Source: HiFi-GAN (arXiv 2010.05646), section 2.3. Notebook: 06.
    """
    audio = F.pad(audio, (0, -audio.shape[-1] % period))
    return audio.unflatten(-1, (-1, period))  # [B, C, T/p, p]


def scores(judged: list[list[Tensor]]) -> list[Tensor]:
    """The last entry of each discriminator's list: its scores. Notebook: 06."""
    return [features[-1] for features in judged]


def count_parameters(module: nn.Module) -> int:
    """How many numbers of `module` are trained. Notebook: 06."""
    return sum(torch.numel(p) for p in module.parameters() if p.requires_grad)
