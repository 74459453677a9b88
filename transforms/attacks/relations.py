"""Propagation of relations between neighbours to all positions, the surest first.

Where every relation is an XOR byte between two neighbouring positions, everything is known up to one byte once each
position is reached. Starting anywhere, the surest relation between what is reached and what is not is taken next
(a maximum spanning tree, by Prim), so that a doubtful one is used only where there is no other way.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np

Relation = tuple[np.ndarray, np.ndarray]
"""For an axis of [H,W,P]: the byte between each position and the next (uint8), and how sure that is (float64)."""


def follow(shape: tuple[int, ...], relations: Sequence[Relation]) -> np.ndarray:
    """The byte of each position relative to the first one, uint8 of this shape.

    Args:
      shape: (H, W, P).
      relations: one for each axis, a position shorter along it.
    """
    relative = np.zeros(int(np.prod(shape)), np.uint8)
    reached = np.zeros(relative.shape, bool)
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    waiting = [(0.0, 0, 0)]  # (−sureness, position, byte)
    while waiting:
        _, at, byte = heapq.heappop(waiting)
        if reached[at]:
            continue
        relative[at], reached[at] = byte, True
        place = [int(index) for index in np.unravel_index(at, shape)]
        for axis, (between, sureness) in enumerate(relations):
            for step in (1, -1):
                beside = at + step * strides[axis]
                if 0 <= place[axis] + step < shape[axis] and not reached[beside]:
                    pair = tuple(place[i] - (i == axis and step < 0) for i in range(len(shape)))
                    heapq.heappush(waiting, (-float(sureness[pair]), beside, byte ^ int(between[pair])))
    return relative.reshape(shape)
