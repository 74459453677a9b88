"""What an encoder of a learned reduction is to be."""

from __future__ import annotations

import dataclasses

from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions.convolution import MOST_CHANNELS
from lpe.transforms.reductions.encoder import MOST_SIDE

_MOST_HALVINGS = 3
_BOUNDS = {
    "channels": (1, 64),
    "side": (1, 64),
    "width": (1, 64),
    "convolutions": (1, 4),
    "adversary": (0, 1000),
    "noise": (0, 255),
    "epochs": (1, 1000),
    "seed": (0, 2**32 - 1),
}


@dataclasses.dataclass(frozen=True)
class FitSpec:
    """An encoder, and how it is fitted.

    Attributes:
      channels: of what is released, K.
      side: the longer side of what is released.
      width: channels of the first convolution; each that halves the sides has twice as many.
      convolutions: convolutions at each resolution.
      adversary: how much a decoder's error weighs against the label's loss; 0 fits for the label alone.
      noise: the standard deviation, of 255, of noise on the released values while the encoder is fitted, so that
        `learned:DIR,noise=SD` costs little.
      epochs: passes over the images.
      seed: of weights and of the images' order.

    Raises:
      UsageError: a number out of bounds.
    """

    channels: int = 3
    side: int = 8
    width: int = 32
    convolutions: int = 2
    adversary: float = 1.0
    noise: int = 0
    epochs: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise UsageError(f"--{name} {value}: give a number from {least} to {most:,}")

    def halvings(self, image_shape: ImageShape) -> int:
        """How often the encoder halves the sides of images. Raises UsageError for images that are too small."""
        longer = max(image_shape[:2])
        if longer < self.side:
            raise UsageError(
                f"--side {self.side}: images of {image_shape[0]}×{image_shape[1]} are smaller; give at most {longer}"
            )
        fitting = [n for n in range(_MOST_HALVINGS + 1) if self.side << n <= min(longer, MOST_SIDE)]
        return fitting[-1]

    def shrunk_side(self, image_shape: ImageShape) -> int | None:
        """The longer side that images are shrunk to before the convolutions; None where they stay as they are."""
        side = self.side << self.halvings(image_shape)
        return side if side < max(image_shape[:2]) else None

    def widths(self, image_shape: ImageShape) -> list[int]:
        """The channels after each convolution that halves, or of the only one."""
        return [min(self.width << n, MOST_CHANNELS) for n in range(max(1, self.halvings(image_shape)))]
