"""Ciphertext-only attack on etc: the blocks are a jigsaw puzzle, of which some ten ciphertexts are copies.

In one small image a 4×4 block fits many others as well as its true neighbour. But with a key for the dataset
all images are cut and shuffled alike: two blocks that fit in every image are neighbours. The edge of a block
is its 12 outermost bytes in each of n images; how badly two edges fit is the squared difference of
these 12·n numbers. A block may lie in 8 · 6 · 2 ways (`symmetries`). Inverting is a change of sign around 127.5,
so a scalar product decides for both.

Greedy assembly (as in jigsaw solvers for EtC, Chuman & Kiya): start with one block; then, over all open
cells next to what lies, all blocks left and all their ways, take what fits its neighbours best; stay within
the image's size. Of a few starts the cheapest result counts.

What comes out is right up to one view of the whole dataset (`photographs`), chosen by what is usual. With a
key per image there is one copy of each puzzle, and the method fails.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from lpe.transforms.attacks import blocks, photographs
from lpe.transforms.attacks.base import Attack, Evidence, Recovery, Target
from lpe.transforms.attacks.symmetries import arrangements
from lpe.transforms.ciphers import layout
from lpe.transforms.image_shape import ImageShape

_EDGE_BYTES = 1 << 26
"""As many bytes of edges are held, at most; more images than that allows do not help."""
_MOST_IMAGES = 48
_STARTS = 4

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
    to_blocks: Callable[[np.ndarray], np.ndarray], ciphertexts: np.ndarray, shape: ImageShape
) -> Recovery:
    """Solves the puzzle that the blocks of ciphertexts are, and chooses a view.

    Args:
      to_blocks: uint8 [N,H,W,C] -> blocks, each in any of its ways, uint8 [N,B,d].
      ciphertexts: uint8 [N,H,W,3].
      shape: (H, W, 3).

    Returns:
      A recovery that restores ciphertexts under the same key; no key is claimed.
    """
    grid = (shape[0] // layout.BLOCK, shape[1] // layout.BLOCK)
    content = to_blocks(ciphertexts)
    solved = assemble(content, grid)
    which = photographs.likeliest(blocks.join(solved.apply(content), shape), photographs.all_views(shape))
    return Recovery(
        lambda images: photographs.view(blocks.join(solved.apply(to_blocks(images)), shape), which)
    )


def assemble(content: np.ndarray, grid: tuple[int, int]) -> Layout:
    """Puts blocks side by side.

    Args:
      content: uint8 [N,B,d], each block in any of its ways, in all N images alike.
      grid: (rows, columns), with rows · columns = B.
    """
    count, size = content.shape[1:]
    ways = arrangements()
    most = _EDGE_BYTES // (count * ways[..., 0].size * ways.shape[2] // layout.BLOCK * 4)
    few = content[: max(1, min(_MOST_IMAGES, most))].astype(np.float32) - 127.5
    left = ways.reshape(8, 6, layout.BLOCK, layout.BLOCK, 3)[:, :, :, 0].reshape(8, 6, -1)
    # Left edges of every block in each of its ways: float32 [B, 8, 6, n·12].
    edges = few.transpose(1, 0, 2)[:, :, left].transpose(0, 2, 3, 1, 4).reshape(count, 8, 6, -1)
    best: tuple[float, dict[Cell, tuple[int, int, int, int]], tuple[int, int]] | None = None
    for start in range(_STARTS):
        for room in {grid, grid[::-1]}:  # the first block may lie on its side
            cost, placed = _grow(edges, start * count // _STARTS, room)
            if best is None or cost < best[0]:
                best = (cost, placed, room)
    assert best is not None
    return _layout(best[1], turned=best[2] != grid, ways=ways, size=size)


def _grow(
    edges: np.ndarray, first: int, room: tuple[int, int]
) -> tuple[float, dict[Cell, tuple[int, int, int, int]]]:
    """Lays all blocks from one on: the total cost, and (block, symmetry, order, negative) of each cell."""
    count = len(edges)
    flat = edges.reshape(count * 48, -1)
    squares = (flat**2).sum(axis=1).reshape(count, 8, 6)
    facing, opposite = _edge_of_way()
    placed: dict[Cell, tuple[int, int, int, int]] = {}
    costs: dict[Cell, np.ndarray] = {}
    neighbours: dict[Cell, int] = {}
    free = np.ones(count, bool)
    total = 0.0
    cell: Cell = (0, 0)
    chosen = (first, 0, 0, 0)
    while True:
        placed[cell] = chosen
        costs.pop(cell, None)
        block, square, order, negative = chosen
        free[block] = False
        if not free.any():
            return total, placed
        for step in _STEPS:
            beside = (cell[0] + step[0], cell[1] + step[1])
            if beside in placed:
                continue
            edge = edges[block, opposite[step][square], order] * np.float32(1 - 2 * negative)
            products = 2 * (flat @ edge).reshape(count, 8, 6)
            misfit = (edge @ edge + squares)[..., None] + np.stack([-products, products], axis=-1)
            costs[beside] = costs.get(beside, 0) + misfit[:, facing[step]]
            neighbours[beside] = neighbours.get(beside, 0) + 1
        rows, columns = [row for row, _ in placed], [column for _, column in placed]
        least = np.inf
        for candidate, cost in costs.items():
            if (
                max(*rows, candidate[0]) - min(*rows, candidate[0]) >= room[0]
                or max(*columns, candidate[1]) - min(*columns, candidate[1]) >= room[1]
            ):
                continue
            mean = np.where(free[:, None, None, None], cost / neighbours[candidate], np.inf)
            at = int(mean.argmin())
            if mean.flat[at] < least:
                least, cell = float(mean.flat[at]), candidate
                chosen = tuple(int(i) for i in np.unravel_index(at, mean.shape))  # type: ignore[assignment]
        total += least * neighbours[cell]


def _edge_of_way() -> tuple[dict[Cell, np.ndarray], dict[Cell, np.ndarray]]:
    """For each step and symmetry: the symmetry whose left edge is the edge that looks back, and ahead.

    An edge is read from left to right or from top to bottom.
    """
    squares = arrangements()[:, 0, ::3].reshape(8, layout.BLOCK, layout.BLOCK) // 3
    left = {tuple(square[:, 0]): i for i, square in enumerate(squares)}
    cut = {
        (0, 1): lambda square: square[:, 0],
        (0, -1): lambda square: square[:, -1],
        (1, 0): lambda square: square[0],
        (-1, 0): lambda square: square[-1],
    }
    facing = {step: np.array([left[tuple(cut[step](square))] for square in squares]) for step in _STEPS}
    return facing, {step: facing[(-step[0], -step[1])] for step in _STEPS}


def _layout(
    placed: dict[Cell, tuple[int, int, int, int]], turned: bool, ways: np.ndarray, size: int
) -> Layout:
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
