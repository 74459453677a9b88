"""Augmentation by the owner: flips and crops before encryption, since nobody can flip an encrypted image.

What is done to an image follows from a seed, the image's id and the number of the copy, so that it is the same on
any machine.
"""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from lpe.transforms import labels
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import UsageError

KINDS = ("flip", "crop")
"""The kinds of augmentation; see `Augmentation`."""
_PAD = 4  # pixels on each side
_DRAW_BYTES = 24  # three uint64: rows, columns, flip


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How copies of images are varied.

    Attributes:
      kinds: `flip`: mirrored left to right, every other image. `crop`: moved by up to 4 pixels down or up and right or
        left, with black where nothing was (random crops of the image padded by 4, as usual for CIFAR).
      copies: how many varied copies of each image, besides the image as it is; at least 1.
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
        """Copy number `copy` of each image of a batch.

        Args:
          batch: plain images, uint8 [N, H, W, C]; not changed.
          copy: from 1 on.

        Returns:
          As many images of the same shape, with the same labels and ids of their own: `ID-augmented-COPY`.
        """
        draws = np.array([self._draw(image_id, copy) for image_id in batch.ids], np.uint64).reshape(-1, 3)
        images = batch.images
        if "crop" in self.kinds:
            span = 2 * _PAD + 1
            images = _moved(images, draws[:, 0] % span, draws[:, 1] % span)
        if "flip" in self.kinds:
            flipped = draws[:, 2] % 2 == 1
            images = np.where(flipped[:, None, None, None], images[:, :, ::-1], images)
        ids = [f"{image_id}-augmented-{copy}" for image_id in batch.ids]
        return ImageBatch(ids, np.ascontiguousarray(images), batch.labels)

    def _draw(self, image_id: str, copy: int) -> np.ndarray:
        """Independent random numbers for a copy of an image, uint64 [3]."""
        preimage = labels.augmented_copy(self.seed, copy, image_id)
        return np.frombuffer(hashlib.blake2b(preimage, digest_size=_DRAW_BYTES).digest(), "<u8")


def _moved(images: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A window of each image, padded by 4 black pixels, from `down` and `right` (uint64 [N], 0..8) on."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (_PAD, _PAD), (_PAD, _PAD), (0, 0)))
    rows = down.astype(np.int64)[:, None] + np.arange(height)
    columns = right.astype(np.int64)[:, None] + np.arange(width)
    windows: np.ndarray = padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return windows
