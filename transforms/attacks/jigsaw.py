"""Ciphertext-only attack on etc: the blocks are a jigsaw puzzle, of which some ten ciphertexts are copies.

In one small image a 4×4 block fits many others as well as its true neighbour. But with a key for the dataset
all images are cut and shuffled alike: two blocks that fit in every image are neighbours. The edge of a block
is its 12 outermost bytes in each of n images (of a larger block more); how badly two edges fit is the squared
difference of these 12·n numbers. A block may lie in 8 · 6 · 2 ways (`symmetries`). Inverting is a change of sign
around 127.5, so a scalar product decides for both.

Greedy assembly (as in jigsaw solvers for EtC, Chuman & Kiya): start with one block; then, over all open
cells next to what lies, the blocks left and all their ways, take what fits its neighbours best; stay within
the image's size. Of a few starts the cheapest result counts. The blocks tried in a cell are those whose edges fit a
neighbour's best in the sum of the channels, which their order does not change.

What comes out is right up to one view of the whole dataset (`photographs`), chosen by what is usual. With a
key per image there is one copy of each puzzle, and the method fails.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable

import numpy as np

from lpe.transforms.attacks import blocks, photographs
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.symmetries import arrangements
from lpe.transforms.ciphers import layout
from lpe.transforms.ciphers.colour import ORDERS
from lpe.transforms.image_shape import ImageShape

_EDGE_BYTES = 1 << 26
"""As many bytes of edges are held, at most; more images than that allows do not help."""
_MOST_IMAGES = 48
_GREY_IMAGES = 16
"""As many images tell which edges may fit."""
_STARTS = 4
_SMALL = 512
"""With more blocks one start is enough, as it has the choice of so many pairs."""
_FITTING = 64
"""Edges that are tried beside an edge: those that fit it best."""
_ROWS = 16
"""Edges that are compared with all others at once: what that takes fits the processor's cache."""

_BACK = np.argsort(ORDERS, axis=1)
"""The order that undoes each order of the channels, int64 [6,3]."""

Cell = tuple[int, int]
_STEPS: tuple[Cell, ...] = ((0, 1), (0, -1), (1, 0), (-1, 0))


@dataclasses.dataclass(frozen=True)
class Layout:
    """The solution of a puzzle: what lies in each cell, in raster order.

    Attributes:
      block: int64 [B], the block in cell j.
      source: int64 [B,d], byte i of cell j is byte `source[j, i]` of that block.
      mask: uint8 [B], 255 where the block is inverted, else 0.
    """

    block: np.ndarray
    source: np.ndarray
    mask: np.ndarray

    def apply(self, content: np.ndarray) -> np.ndarray:
        """Blocks as they came (uint8 [N,B,d]) put where they belong."""
        return np.asarray(content[:, self.block[:, None], self.source] ^ self.mask[:, None])


class Jigsaw(Attack):
    """Ten ciphertexts and more; a mirror image half of the time."""

    name = "jigsaw"
    adversary = "ciphertext-only"
    leaves_open = "mirror"
    source = "jigsaw solvers for EtC (Chuman & Kiya); over many images under one key: ours"

    def applies_to(self, target: Target) -> bool:
        """Whether the target is etc with one key for the dataset."""
        return target.cipher == "etc" and target.scope == "dataset"

    def learn(self, evidence: Evidence) -> Recovery:
        """Puts the blocks of all ciphertexts together at once."""
        shape = evidence.target.image_shape
        return puzzle(blocks.split, evidence.ciphertexts, shape)


def puzzle(
    to_blocks: Callable[[np.ndarray], np.ndarray],
    ciphertexts: np.ndarray,
    shape: ImageShape,
    side: int = layout.BLOCK,
) -> Recovery:
    """Solves the puzzle that the blocks of ciphertexts are, and chooses a view.

    Args:
      to_blocks: uint8 [N,H,W,C] -> blocks, each in any of its ways, uint8 [N,B,d].
      ciphertexts: uint8 [N,H,W,3].
      shape: (H, W, 3).
      side: of a block, in pixels.

    Returns:
      A recovery that restores ciphertexts under the same key; no key is claimed.
    """
    grid = (shape[0] // side, shape[1] // side)
    content = to_blocks(ciphertexts)
    solved = assemble(content, grid, side)
    joined = blocks.join(solved.apply(content), shape, side)
    which = photographs.likeliest(joined, photographs.all_views(shape))
    return Recovery(
        lambda images: photographs.view(blocks.join(solved.apply(to_blocks(images)), shape, side), which)
    )


def assemble(content: np.ndarray, grid: tuple[int, int], side: int = layout.BLOCK) -> Layout:
    """Puts blocks side by side.

    Args:
      content: uint8 [N,B,d], each block in any of its ways, in all N images alike.
      grid: (rows, columns), with rows · columns = B.
      side: of a block, in pixels.
    """
    count, size = content.shape[1:]
    ways = arrangements(side)
    few = content[: max(1, min(_MOST_IMAGES, _EDGE_BYTES // (count * 8 * side * 3 * 4)))]
    left = ways[:, 0].reshape(8, side, side, 3)[:, :, 0].reshape(8, -1)
    # Left edges of every block in each of its symmetries: [B, 8, n·12].
    edges = few.transpose(1, 0, 2)[:, :, left].transpose(0, 2, 1, 3).reshape(count, 8, -1)
    all_edges = _Edges(edges.astype(np.float32) - np.float32(127.5), side)
    starts = _STARTS if count <= _SMALL else 1
    grown = []
    for start in range(starts):
        for room in sorted({grid, grid[::-1]}):  # the first block may lie on its side
            growth = _Growth(all_edges, room)
            growth.from_block(start * count // starts)
            grown.append((growth.cost, growth.placed, room))
    _, placed, room = min(grown, key=lambda each: each[0])
    return _layout(placed, turned=room != grid, ways=ways, size=size)


class _Edges:
    """The left edges of all blocks in each of their symmetries, and for each the blocks whose edges fit it best.

    Args:
      edges: float32 [B, 8, n·side·3], the bytes of n images around 0.
      side: of a block, in pixels.
    """

    def __init__(self, edges: np.ndarray, side: int) -> None:
        self.edges = edges
        self.side = side
        self.squares = (edges**2).sum(axis=2)
        self.block, self.way, self.scale = self._fitting()

    def in_orders(self, block: int, way: int, order: int, negative: int) -> np.ndarray:
        """An edge as it lies, its channels as a block beside it has them in each order: float32 [L,6]."""
        edge = self.edges[block, way].reshape(-1, 3)[:, ORDERS[order][_BACK]] * np.float32(1 - 2 * negative)
        return np.asarray(edge.swapaxes(1, 2).reshape(-1, len(_BACK)))

    def _fitting(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What fits each edge best with channels together, whichever their order.

        Returns:
          Blocks and symmetries, int64 [B, 8, k] each, and how badly the second best block fits, float32 [B, 8]: where
          all is flat a wrong block fits well, and only a far better one says something.
        """
        count, ways, size = self.edges.shape
        images = min(size // (self.side * 3), _GREY_IMAGES)
        grey = self.edges.reshape(count, ways, -1, self.side, 3)[:, :, :images].sum(axis=4)
        grey = grey.reshape(count, ways, -1)
        by_way = grey.swapaxes(0, 1).reshape(ways * count, -1)
        squares = (by_way**2).sum(axis=1)
        others = min(_FITTING // 2, count - 1)
        few = min(_FITTING, others * ways)
        found, scale = np.empty((count, ways, few), np.int64), np.empty((count, ways), np.float32)
        held = np.empty((_ROWS, len(by_way)), np.float32)
        flipped = (np.arange(ways) + 4) % ways
        for way in range(ways):
            if flipped[way] < way:  # the same edges, read from the other end
                there = found[:, flipped[way]]
                found[:, way], scale[:, way] = (
                    there // ways * ways + flipped[there % ways],
                    scale[:, flipped[way]],
                )
                continue
            for at in range(0, count, _ROWS):
                some = slice(at, at + _ROWS)
                edge = grey[some, way]
                misfit = np.matmul(edge, by_way.T, out=held[: len(edge)])
                np.abs(misfit, out=misfit)  # of an edge or its negative, whichever fits
                misfit *= -2
                misfit += squares
                misfit = misfit.reshape(-1, ways, count)
                row = np.arange(len(misfit))
                misfit[row, :, at + row] = np.inf
                by_block = misfit.min(axis=1)
                block = np.argpartition(by_block, others - 1, axis=1)[:, :others]
                second = np.partition(np.take_along_axis(by_block, block, axis=1), min(1, others - 1), axis=1)
                own = squares.reshape(ways, count)[way, some]
                scale[some, way] = np.maximum(second[:, min(1, others - 1)] + own, 1)
                fit = misfit[row[:, None, None], np.arange(ways)[:, None], block[:, None]].reshape(
                    len(row), -1
                )
                best = np.argpartition(fit, few - 1, axis=1)[:, :few]
                found[some, way] = np.take_along_axis(block, best % others, axis=1) * ways + best // others
        return found // ways, found % ways, scale


_Laid = tuple[int, int, int, int]
"""Block, symmetry, order of the channels, negative or not."""


class _Growth:
    """A puzzle that grows from one block.

    Args:
      edges: of all blocks.
      room: (rows, columns) within which it stays.
    """

    def __init__(self, edges: _Edges, room: tuple[int, int]) -> None:
        self._edges = edges
        self._room = room
        self._facing, self._opposite = _edge_of_way(edges.side)
        self._square_of_facing = {step: np.argsort(ways) for step, ways in self._facing.items()}
        self._free = np.ones(len(edges.edges), bool)
        self._low, self._high = [0, 0], [0, 0]
        self._offers: list[tuple[float, int, Cell, _Laid]] = []
        self._latest: dict[Cell, int] = {}
        self._numbers = itertools.count()
        self.placed: dict[Cell, _Laid] = {}
        self.cost = 0.0

    def from_block(self, first: int) -> None:
        """Lays all blocks, beginning with this one."""
        self._lay((0, 0), (first, 0, 0, 0))
        while self._offers:
            mean, number, cell, laid = heapq.heappop(self._offers)
            if number != self._latest.get(cell) or not self._fits(cell):
                continue
            if self._free[laid[0]]:
                self.cost += mean * len(self._neighbours(cell))
                self._lay(cell, laid)
            else:
                self._offer(cell)

    def _fits(self, cell: Cell) -> bool:
        return all(
            max(high, at) - min(low, at) < room
            for low, high, at, room in zip(self._low, self._high, cell, self._room, strict=True)
        )

    def _lay(self, cell: Cell, laid: _Laid) -> None:
        self.placed[cell] = laid
        self._latest.pop(cell, None)
        self._free[laid[0]] = False
        self._low = [min(low, at) for low, at in zip(self._low, cell, strict=True)]
        self._high = [max(high, at) for high, at in zip(self._high, cell, strict=True)]
        for step in _STEPS if self._free.any() else ():
            beside = (cell[0] + step[0], cell[1] + step[1])
            if beside not in self.placed and self._fits(beside):
                self._offer(beside)

    def _neighbours(self, cell: Cell) -> list[tuple[Cell, _Laid]]:
        """What lies around a cell, with the step from there to the cell."""
        around = (((-y, -x), (cell[0] + y, cell[1] + x)) for y, x in _STEPS)
        return [(step, self.placed[beside]) for step, beside in around if beside in self.placed]

    def _offer(self, cell: Cell) -> None:
        """Looks for the free block that fits best in a cell."""
        edges, around = self._edges, self._neighbours(cell)
        blocks_, squares = [], []
        for step, (laid, turned, _, _) in around:
            exposed = self._opposite[step][turned]
            blocks_.append(edges.block[laid, exposed])
            squares.append(self._square_of_facing[step][edges.way[laid, exposed]])
        block, square = np.concatenate(blocks_), np.concatenate(squares)
        free = self._free[block]
        block, square = block[free], square[free]
        if not len(block):  # all that fit are laid elsewhere
            some = np.flatnonzero(self._free)[:_FITTING]
            block, square = np.repeat(some, 8), np.tile(np.arange(8), len(some))
        misfit = np.zeros((len(block), 6, 2), np.float32)
        for step, (laid, turned, order, negative) in around:
            exposed = self._opposite[step][turned]
            edge = edges.in_orders(laid, exposed, order, negative)
            way = self._facing[step][square]
            products = 2 * (edges.edges[block, way] @ edge)
            sums = (edge[:, 0] @ edge[:, 0] + edges.squares[block, way])[:, None]
            misfit += np.stack([sums - products, sums + products], axis=2) / edges.scale[laid, exposed]
        at, order, negative = (int(i) for i in np.unravel_index(int(misfit.argmin()), misfit.shape))
        number = self._latest[cell] = next(self._numbers)
        mean = float(misfit[at, order, negative]) / len(around)
        heapq.heappush(self._offers, (mean, number, cell, (int(block[at]), int(square[at]), order, negative)))


def _edge_of_way(side: int) -> tuple[dict[Cell, np.ndarray], dict[Cell, np.ndarray]]:
    """For each step and symmetry: the symmetry whose left edge is the edge that looks back, and ahead.

    An edge is read from left to right or from top to bottom.
    """
    squares = arrangements(side)[:, 0, ::3].reshape(8, side, side) // 3
    left = {tuple(square[:, 0]): i for i, square in enumerate(squares)}
    cut = {
        (0, 1): lambda square: square[:, 0],
        (0, -1): lambda square: square[:, -1],
        (1, 0): lambda square: square[0],
        (-1, 0): lambda square: square[-1],
    }
    facing = {step: np.array([left[tuple(cut[step](square))] for square in squares]) for step in _STEPS}
    return facing, {step: facing[(-step[0], -step[1])] for step in _STEPS}


def _layout(placed: dict[Cell, _Laid], turned: bool, ways: np.ndarray, size: int) -> Layout:
    """The layout in raster order; a puzzle that grew on its side is turned."""
    top, leftmost = min(row for row, _ in placed), min(column for _, column in placed)
    cells = {(row - top, column - leftmost): laid for (row, column), laid in placed.items()}
    order = [cells[cell] for cell in sorted(cells)]
    block = np.array([laid[0] for laid in order])
    source = np.array([ways[square, colour] for _, square, colour, _ in order])
    mask = np.array([255 * negative for *_, negative in order], np.uint8)
    if turned:
        columns = 1 + max(column for _, column in cells)
        at = np.rot90(np.arange(len(order)).reshape(-1, columns)).reshape(-1)
        quarter = ways[1, 0]
        return Layout(block[at], source[at][:, quarter], mask[at])
    return Layout(block, source, mask)
