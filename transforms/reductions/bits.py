"""The top bits of each byte."""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.transforms.image_shape import ImageShape
from lpe.transforms.reductions.base import Reduction, whole_number


@dataclasses.dataclass(frozen=True)
class Bits(Reduction):
    """Each byte's top bits, the others 0.

    Attributes:
      count: how many bits are kept, 1..7.
    """

    count: int
    name = "bits"
    takes = "how many bits are kept"
    reshapes = False

    @classmethod
    def read(cls, value: str) -> Bits:
        """From its argument. Raises UsageError."""
        return cls(whole_number(cls.name, value, 1, 7))

    def __str__(self) -> str:
        """See `Reduction`."""
        return f"{self.name}={self.count}"

    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """See `Reduction`."""
        return image_shape

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """See `Reduction`."""
        return images & np.uint8(256 - (1 << (8 - self.count)))
