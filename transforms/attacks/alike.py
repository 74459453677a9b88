"""A jigsaw of blocks that all lie alike: only their cells are open.

Two blocks fit side by side as well as the outermost columns of one and of the other agree, summed over all images, and
one above another likewise. The layout grows from one block: whatever open cell and free block fit best, measured by
how well the second best block would fit there. Of a few starts the cheapest result counts.
"""

from __future__ import annotations

import numpy as np

_STARTS = 4
_SMALL = 512
"""With more blocks one start is enough."""
_EDGE_BYTES = 1 << 26
"""As many bytes of edges are looked at, at most."""
_TINY = 1e-6


def assemble(content: np.ndarray, grid: tuple[int, int]) -> tuple[float, np.ndarray]:
    """How badly blocks fit as they are laid, and the block of each cell, in raster order, int64 [B].

    Args:
      content: uint8 [N,B,b,b,C], in all N images alike.
      grid: (rows, columns), with rows · columns = B.
    """
    count, side, channels = content.shape[1], content.shape[2], content.shape[4]
    few = content[: max(1, _EDGE_BYTES // (count * side * channels * 4 * 4))].astype(np.float32)
    # By block: [B, n·b·C].
    left, right, top, bottom = (
        np.ascontiguousarray(edge.swapaxes(0, 1)).reshape(count, -1)
        for edge in (few[..., 0, :], few[..., -1, :], few[:, :, 0], few[:, :, -1])
    )
    beside, below = _misfits(right, left), _misfits(bottom, top)
    # How badly each block fits next to a cell's neighbour, for each step from that neighbour to the cell.
    misfits = {(0, 1): beside, (0, -1): beside.T, (1, 0): below, (-1, 0): below.T}
    starts = _STARTS if count <= _SMALL else 1
    grown = (_grow(misfits, grid, start * count // starts) for start in range(starts))
    return min(grown, key=lambda result: result[0])


def _misfits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared differences of edges [B,L] of each, relative to the second least: float32 [B,B]."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * (one @ other.T)
    np.maximum(squares, 0, out=squares)
    np.fill_diagonal(squares, np.inf)
    if len(squares) > 2:
        second = np.sqrt(np.partition(squares, 1, axis=1)[:, 1:2] * np.partition(squares, 1, axis=0)[1:2])
        squares /= np.maximum(second, _TINY)
    return np.asarray(squares)


def _grow(
    misfits: dict[tuple[int, int], np.ndarray], grid: tuple[int, int], first: int
) -> tuple[float, np.ndarray]:
    """The cost of a layout that starts from one block, and the block of each cell."""
    count = len(misfits[0, 1])
    free = np.ones(count, bool)
    placed: dict[tuple[int, int], int] = {}
    offers: dict[tuple[int, int], tuple[float, int]] = {}
    total = 0.0
    cell, block = (0, 0), first
    low, high = [0, 0], [0, 0]

    def offer(at: tuple[int, int]) -> tuple[float, int]:
        around = [
            misfits[step][placed[at[0] - step[0], at[1] - step[1]]]
            for step in misfits
            if (at[0] - step[0], at[1] - step[1]) in placed
        ]
        cost = np.where(free, np.mean(around, axis=0), np.inf)
        best = int(cost.argmin())
        return float(cost[best]), best

    def fits(at: tuple[int, int]) -> bool:
        return all(max(high[i], at[i]) - min(low[i], at[i]) < grid[i] for i in (0, 1))

    while True:
        placed[cell], free[block] = block, False
        low = [min(low[i], cell[i]) for i in (0, 1)]
        high = [max(high[i], cell[i]) for i in (0, 1)]
        if len(placed) == count:
            break
        offers.pop(cell, None)
        changed = {(cell[0] + y, cell[1] + x) for y, x in misfits}
        changed |= {at for at, (_, wanted) in offers.items() if wanted == block}
        offers.update({at: offer(at) for at in changed if at not in placed})
        offers = {at: made for at, made in offers.items() if fits(at)}
        cell = min(offers, key=lambda at: offers[at][0])
        cost, block = offers[cell]
        total += cost
    order = [placed[at] for at in sorted(placed)]
    return total, np.array(order)
