"""The owner's augmentation: flips and crops before encryption, since nobody can flip an encrypted image.

What is done to an image follows from a seed, its id and the number of the copy, so that it is the same on any machine.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import UsageError

KINDS = ("flip", "crop")
_PAD = 4


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How copies of images are varied.

    Attributes:
      kinds: `flip`: mirrored left to right, every other image. `crop`: moved by up to 4 pixels down or up and right or
        left, with black where nothing was (random crops of the image padded by 4, as usual for CIFAR).
      copies: how many of each image, besides the image as it is.
      seed: other seeds give other copies.

    Raises:
      UsageError: unknown kinds, or no copies.
    """

    kinds: tuple[str, ...]
    copies: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.kinds or not set(self.kinds) <= set(KINDS) or len(set(self.kinds)) < len(self.kinds):
            raise UsageError(
                f"augmentation {','.join(self.kinds) or 'of no kind'}: give some of {', '.join(KINDS)}, each once"
            )
        if self.copies < 1:
            raise UsageError(f"augmented copies: at least 1, not {self.copies}")

    def apply(self, batch: ImageBatch, copy: int) -> ImageBatch:
        """Copy number `copy` (from 1) of each image, with ids of its own: `ID-augmented-COPY`.

        Args:
          batch: plain images.
        """
        draws = (
            np.stack([self._draw(name, copy) for name in batch.ids])
            if len(batch)
            else np.empty((0, 8), np.uint8)
        )
        images = batch.images
        if "crop" in self.kinds:
            span = 2 * _PAD + 1
            images = _moved(images, draws[:, 0] % span, draws[:, 1] % span)
        if "flip" in self.kinds:
            flipped = draws[:, 2] % 2 == 1
            images = np.where(flipped[:, None, None, None], images[:, :, ::-1], images)
        ids = [f"{name}-augmented-{copy}" for name in batch.ids]
        return ImageBatch(ids, np.ascontiguousarray(images), batch.labels)

    def _draw(self, name: str, copy: int) -> np.ndarray:
        """Independent numbers for an image, uint64 [3]."""
        digest = hashlib.blake2b(
            f"lpe/v1/augment|{self.seed}|{copy}|{name}".encode(), digest_size=24
        ).digest()
        return np.frombuffer(digest, "<u8")


def _moved(images: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A window of each image, padded by 4 black pixels, from `down` and `right` (int [N], 0..8) on."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (_PAD, _PAD), (_PAD, _PAD), (0, 0)))
    rows = down.astype(np.int64)[:, None] + np.arange(height)
    columns = right.astype(np.int64)[:, None] + np.arange(width)
    return padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
