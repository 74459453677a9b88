"""Reduced images cut into windows, and the images before into the blocks that each window tells about.

A window is what surrounds a block: the cells near it one by one, and further ones by the mean of a few. Beyond the
edges the image is repeated. Images of a size that does not go into whole cells are made a little larger.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from lpe.transforms.image_shape import ImageShape

_MARGIN = 2
"""Cells around a block that a window has one by one, and whole blocks around it that it has by their means."""
_MOST_FEATURES = 600
"""Of a window; one of images with many channels has a margin of one cell."""
_ONE = 64.0
"""The feature that all windows have, which stands for the mean."""
_MIDDLE = np.float32(127.5)


@dataclasses.dataclass(frozen=True)
class _Axis:
    """Rows, or columns.

    Attributes:
      plain: pixels of the image before.
      reduced: pixels of the reduced one.
      scale: plain pixels a cell.
      unit: cells a block.
      blocks: how many blocks there are.
    """

    plain: int
    reduced: int
    scale: int
    unit: int
    blocks: int

    @classmethod
    def of(cls, plain: int, reduced: int) -> _Axis:
        """The axis of this many pixels before and after."""
        scale = max(1, plain // reduced)
        unit = {1: 4, 2: 2}.get(scale, 1)
        return cls(plain, reduced, scale, unit, -(-plain // (scale * unit)))

    @property
    def block(self) -> int:
        """Plain pixels a block."""
        return self.scale * self.unit

    def cells(self, images: np.ndarray, axis: int) -> np.ndarray:
        """Reduced images, float32, with cells of `scale` plain pixels each; between pixels by linear interpolation."""
        centre = (np.arange(self.blocks * self.unit) + 0.5) * self.scale
        at = np.clip(centre * self.reduced / self.plain - 0.5, 0, self.reduced - 1)
        low = at.astype(np.intp)
        part = (at - low).astype(np.float32)
        if not part.any():
            return images.take(low, axis)
        part = part.reshape([-1 if i == axis else 1 for i in range(4)])
        high = np.minimum(low + 1, self.reduced - 1)
        return np.asarray(images.take(low, axis) * (1 - part) + images.take(high, axis) * part)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where windows and blocks lie.

    Attributes:
      rows, columns: the axes.
      channels: of the images before.
      margin: cells around a block.
      features: how many values a window has.
    """

    rows: _Axis
    columns: _Axis
    channels: int
    margin: int
    features: int

    @classmethod
    def of(cls, plain: ImageShape, reduced: ImageShape) -> Layout:
        """The layout for images of this shape that become images of that shape."""
        rows, columns = _Axis.of(plain[0], reduced[0]), _Axis.of(plain[1], reduced[1])
        for margin in (_MARGIN, 1, 0):
            values = (rows.unit + 2 * margin) * (columns.unit + 2 * margin)
            if rows.unit * columns.unit > 1:
                values += (2 * margin + 1) ** 2
            if values * reduced[2] < _MOST_FEATURES:
                break
        return cls(rows, columns, plain[2], margin, values * reduced[2] + 1)

    @property
    def grid(self) -> tuple[int, int]:
        """Blocks from top to bottom, and from left to right."""
        return self.rows.blocks, self.columns.blocks

    @property
    def outputs(self) -> int:
        """How many values a block has."""
        return self.rows.block * self.columns.block * self.channels

    def positions(self) -> Iterator[tuple[int, int]]:
        """Of all blocks."""
        return ((y, x) for y in range(self.rows.blocks) for x in range(self.columns.blocks))

    def blocks(self, plain: np.ndarray) -> np.ndarray:
        """The blocks of uint8 [N, H, W, C], as float32 [rows, columns, N, outputs] about 0."""
        (high, wide), rows, columns = self.grid, self.rows, self.columns
        below, right = high * rows.block - rows.plain, wide * columns.block - columns.plain
        padded = np.pad(plain, ((0, 0), (0, below), (0, right), (0, 0)), "edge").astype(np.float32) - _MIDDLE
        parts = padded.reshape(len(plain), high, rows.block, wide, columns.block, self.channels)
        return parts.transpose(1, 3, 0, 2, 4, 5).reshape(high, wide, len(plain), self.outputs)

    def images(self, blocks: np.ndarray) -> np.ndarray:
        """The inverse of `blocks`, rounded: uint8 [N, H, W, C]."""
        high, wide, count, _ = blocks.shape
        rows, columns = self.rows, self.columns
        parts = blocks.reshape(high, wide, count, rows.block, columns.block, self.channels)
        whole = parts.transpose(2, 0, 3, 1, 4, 5).reshape(
            count, high * rows.block, wide * columns.block, self.channels
        )
        values = whole[:, : rows.plain, : columns.plain] + _MIDDLE
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)


class Windows:
    """The windows of reduced images, uint8 [N, h, w, k]."""

    def __init__(self, layout: Layout, reduced: np.ndarray) -> None:
        self._layout, self._count = layout, len(reduced)
        cells = layout.rows.cells(reduced.astype(np.float32) - _MIDDLE, 1)
        cells = layout.columns.cells(cells, 2)
        (high, wide), rows, columns, margin = (
            layout.grid,
            layout.rows.unit,
            layout.columns.unit,
            layout.margin,
        )
        around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
        self._near = np.pad(cells, around, "symmetric")
        self._far: np.ndarray | None = None
        if rows * columns > 1:
            means = cells.reshape(len(cells), high, rows, wide, columns, -1).mean(axis=(2, 4))
            self._far = np.pad(means, around, "symmetric")

    def at(self, y: int, x: int, which: slice | np.ndarray = slice(None)) -> np.ndarray:
        """The windows at one position, of all images or some: float32 [N, features]."""
        rows, columns, margin = self._layout.rows.unit, self._layout.columns.unit, self._layout.margin
        top, left = y * rows, x * columns
        near = self._near[which, top : top + rows + 2 * margin, left : left + columns + 2 * margin]
        parts = [near.reshape(len(near), -1), np.full((len(near), 1), _ONE, np.float32)]
        if self._far is not None:
            far = self._far[which, y : y + 2 * margin + 1, x : x + 2 * margin + 1]
            parts.append(far.reshape(len(near), -1))
        return np.concatenate(parts, axis=1)
