"""Grey images of colour ones."""

from __future__ import annotations

import dataclasses

import numpy as np

from lpe.transforms.errors import UsageError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.reductions.base import Reduction

_LUMA = (np.uint32(299), np.uint32(587), np.uint32(114))
"""ITU-R BT.601, in thousandths."""


@dataclasses.dataclass(frozen=True)
class Grey(Reduction):
    """Luma, as of ITU-R BT.601: three channels become one."""

    name = "grey"
    takes = ""

    @classmethod
    def read(cls, value: str) -> Grey:
        """From its argument, of which it has none. Raises UsageError."""
        if value:
            raise UsageError(f"{cls.name}={value}: it takes no value; write {cls.name}")
        return cls()

    def __str__(self) -> str:
        """See `Reduction`."""
        return self.name

    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """See `Reduction`."""
        if image_shape[2] != 3:
            raise UsageError(f"{self}: needs images of 3 channels, not {image_shape[2]}; leave it out")
        return (*image_shape[:2], 1)

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """See `Reduction`."""
        self.reduced_shape(image_shape_of(images))
        red, green, blue = (images[..., i] * weight for i, weight in enumerate(_LUMA))
        return ((red + green + blue + np.uint32(500)) // np.uint32(1000)).astype(np.uint8)[..., None]
