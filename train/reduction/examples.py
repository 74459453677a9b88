"""Labelled images in memory, shrunk as an encoder shrinks them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

import numpy as np

from lpe.train.reduction.spec import FitSpec
from lpe.transforms.errors import DataError
from lpe.transforms.image_shape import ImageShape, image_shape_of
from lpe.transforms.reductions.thumbnail import Thumbnail


@dataclasses.dataclass(frozen=True)
class Examples:
    """Labelled images.

    Attributes:
      image_shape: (H, W, C) of the images as they were.
      images: uint8 [N, H', W', C], shrunk to `FitSpec.shrunk_side`.
      labels: int64 [N].
    """

    image_shape: ImageShape
    images: np.ndarray
    labels: np.ndarray

    @classmethod
    def read(cls, batches: Iterable[tuple[np.ndarray, np.ndarray]], spec: FitSpec) -> Examples:
        """Shrinks images as they come.

        Args:
          batches: images, uint8 [N, H, W, C], all of one shape, and their labels, int64 [N].
          spec: what is to be fitted to them.

        Raises:
          DataError: no images, or images that differ in shape.
          UsageError: images that are too small.
        """
        shapes, images, labels = set(), [], []
        for some, theirs in batches:
            shapes.add(image_shape_of(some))
            if len(shapes) > 1:
                raise DataError(
                    "the images differ in shape, and an encoder takes those of one; give --image-size HEIGHTxWIDTH"
                )
            side = spec.shrunk_side(image_shape_of(some))
            images.append(some if side is None else Thumbnail(side).apply(some))
            labels.append(theirs)
        if not shapes:
            raise DataError("no images to fit an encoder to; name a source that has some")
        return cls(shapes.pop(), np.concatenate(images), np.concatenate(labels).astype(np.int64))

    def of_classes(self, classes: Collection[int]) -> Examples:
        """Those of some classes, which keep their numbers."""
        wanted = np.isin(self.labels, list(classes))
        return dataclasses.replace(self, images=self.images[wanted], labels=self.labels[wanted])

    def part(self, count: int, seed: int) -> Examples:
        """So many of them, drawn at random; all where there are no more."""
        drawn = np.random.default_rng(seed).permutation(len(self.labels))[:count]
        drawn.sort()
        return dataclasses.replace(self, images=self.images[drawn], labels=self.labels[drawn])
