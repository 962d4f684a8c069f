"""The sizes of the discriminators of phase two.

Notebook: 06.
"""

import dataclasses
from dataclasses import dataclass

from ravecourse.errors import RaveCourseError

from .records import WIDEST, check_types


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The sizes of the discriminators of phase two. They shape a training, and no weight of the model.

    Source: RAVE (arXiv 2111.05011), section 3.2; the published `v2` settings. Notebook: 06.
    """

    scales: int = 3  # multi-scale: at full rate, half, a quarter ...
    scale_capacity: int = 16
    scale_layers: int = 4
    scale_strides: int = 4
    periods: tuple[int, ...] = ()  # multi-period: one for each
    period_capacity: int = 32

    def __post_init__(self) -> None:
        check_types(self)
        sizes = (self.scale_capacity, self.scale_layers, self.scale_strides, self.period_capacity, *self.periods)
        if self.scales < 0 or not self.scales + len(self.periods) or min(sizes) < 1:
            raise RaveCourseError("A discriminator needs a scale or a period, and sizes of 1 or more.")
        wide = max(self.scale_capacity << min(self.scale_layers, 20), self.period_capacity << 4)
        if wide > WIDEST or self.scales > 16:
            raise RaveCourseError(
                f"The discriminator has {self.scales} scales and a layer of {wide} channels; "
                f"16 scales and {WIDEST} channels are the most."
            )


DISCRIMINATOR_FIELDS = {field.name for field in dataclasses.fields(DiscriminatorConfig)}
