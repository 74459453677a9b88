"""What an encoder keeps that its owner fitted to their own images."""

from __future__ import annotations

import numpy as np

from lpe.transforms.image_shape import ImageShape
from lpe.transforms.not_picklable import NotPicklable
from lpe.transforms.reductions.base import Reduction
from lpe.transforms.reductions.encoder import Encoder


class Learned(NotPicklable, Reduction):
    """An owner's encoder.

    Args:
      encoder: the encoder; it is a secret like a key, and so in no pickle and not printed.
    """

    name = "learned"
    takes = "the folder that lpe fit-reduction wrote"

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def __str__(self) -> str:
        """`learned:DIGEST`, where the encoder is not told by."""
        return f"{self.name}:{self.encoder.digest}"

    def __eq__(self, other: object) -> bool:
        """Whether it is the same encoder."""
        return isinstance(other, Learned) and self.encoder.digest == other.encoder.digest

    def __hash__(self) -> int:
        """See `__eq__`."""
        return hash(self.encoder.digest)

    def reduced_shape(self, image_shape: ImageShape) -> ImageShape:
        """See `Reduction`."""
        self.encoder.check(image_shape)
        return self.encoder.released_shape

    def apply(self, images: np.ndarray, secret: bytes | None = None) -> np.ndarray:
        """See `Reduction`."""
        return self.encoder.encode(images)
