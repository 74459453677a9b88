"""A batch of labelled images of one shape, the unit that travels inside a shard."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageBatch:
    """Examples of one image shape, in order.

    A value: nothing that takes a batch changes its arrays.

    Attributes:
      ids: one identifier per image, unique in the dataset.
      images: uint8 [N, H, W, C], row-major, values 0..255.
      labels: int64 [N], class index, 0-based.
      origins: the images' original names where they are known; never written beside ciphertext.
      digests: the first 16 bytes of SHA-256 of each image's file, where it is one; likewise.

    Raises:
      ValueError: images of another type or number of axes, or arrays of different lengths.
    """

    ids: list[str]
    images: np.ndarray
    labels: np.ndarray
    origins: list[str] | None = None
    digests: list[bytes] | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise ValueError(f"images must be uint8 [N,H,W,C], got {self.images.dtype} {self.images.shape}")
        if not len(self.ids) == len(self.images) == len(self.labels):
            raise ValueError(
                f"ids, images and labels differ in length: {len(self.ids)}, {len(self.images)}, {len(self.labels)}"
            )

    def __len__(self) -> int:
        """N, the number of examples."""
        return len(self.ids)

    def __getitem__(self, part: slice) -> ImageBatch:
        """Some of the examples."""
        origins = None if self.origins is None else self.origins[part]
        digests = None if self.digests is None else self.digests[part]
        return ImageBatch(self.ids[part], self.images[part], self.labels[part], origins, digests)

    def replace_images(self, images: np.ndarray) -> ImageBatch:
        """The same examples with other pixels.

        Args:
          images: uint8 [N, H, W, C]; H, W and C may differ from this batch's.
        """
        return dataclasses.replace(self, images=images)
