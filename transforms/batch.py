"""The unit that travels inside a shard: a batch of images of one shape."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageBatch:
    """Examples of one image shape, in order.

    Attributes:
      ids: one identifier per image, unique in the dataset.
      images: uint8 [N, H, W, C], row-major, values 0..255.
      labels: int64 [N], class index, 0-based.
      origins: the images' original names where they are known; never written beside ciphertext.
    """

    ids: list[str]
    images: np.ndarray
    labels: np.ndarray
    origins: list[str] | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(f"images must be uint8 [N,H,W,C], got {self.images.dtype} {self.images.shape}")
        if not len(self.ids) == len(self.images) == len(self.labels):
            raise ValueError(
                f"ids, images and labels differ in length: {len(self.ids)}, {len(self.images)}, {len(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def replace_images(self, images: np.ndarray) -> ImageBatch:
        """The same examples with other pixels (uint8 [N,H,W,C])."""
        return dataclasses.replace(self, images=images)
