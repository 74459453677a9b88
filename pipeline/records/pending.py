"""Single examples collected to batches of one image shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lpe.transforms.batch import ImageBatch

_BATCH_BYTES = 64 << 20


class Pending:
    """Examples that wait for others of their shape.

    Args:
      where: the name of their file; its last component is the prefix of ids where records have none.
      batch_size: the most images in a batch; of large ones fewer, so that it has at most 64 MiB or one image.
    """

    def __init__(self, where: str, batch_size: int) -> None:
        self._where = where
        self._batch_size = batch_size
        self._examples: list[tuple[str, np.ndarray, int]] = []

    def add(self, index: int, image_id: str | None, image: np.ndarray, label: int) -> Iterator[ImageBatch]:
        """Takes record `index` of the file; yields the examples before it where they are a batch now."""
        room = min(self._batch_size, max(1, _BATCH_BYTES // image.nbytes))
        if self._examples and (len(self._examples) >= room or self._examples[0][1].shape != image.shape):
            yield from self.rest()
        name = numbered(self._where, index, 1)[0] if image_id is None else image_id
        self._examples.append((name, image, label))

    def rest(self) -> Iterator[ImageBatch]:
        """Yields what is still waiting, if anything."""
        if self._examples:
            ids, images, labels = zip(*self._examples, strict=True)
            self._examples = []
            yield ImageBatch(list(ids), np.stack(images), np.array(labels, np.int64))


def numbered(where: str, first: int, count: int) -> list[str]:
    """The ids of records `first`, … of a file whose records have none."""
    prefix = where.rsplit("/", 1)[-1]
    return [f"{prefix}-{i:07d}" for i in range(first, first + count)]
