"""Propagation of relations between neighbours to all positions, the surest first.

Where every relation is an XOR byte between two neighbouring positions, everything is known up to one byte once each
position is reached. Of all ways to reach them the surest are taken (a maximum spanning tree, by Borůvka), so that a
doubtful relation is used only where there is no other: each position joins the neighbour that it is surest of, then
each group of them the surest of its neighbouring groups, until all are one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Relation = tuple[np.ndarray, np.ndarray]
"""For an axis of [H,W,P]: the byte between each position and the next (uint8), and how sure that is (a number)."""


def follow(shape: tuple[int, ...], relations: Sequence[Relation]) -> np.ndarray:
    """The byte of each position relative to the first one, uint8 of this shape.

    Args:
      shape: (H, W, P).
      relations: one for each axis, a position shorter along it.
    """
    position = np.arange(int(np.prod(shape))).reshape(shape)
    size = position.size
    surest = np.argsort(-np.concatenate([sureness.reshape(-1) for _, sureness in relations]), kind="stable")
    between = np.concatenate([byte.reshape(-1) for byte, _ in relations])[surest]
    one, other = (
        np.concatenate([position.take(_along(shape, axis, end), axis=axis).reshape(-1) for axis in range(3)])[
            surest
        ]
        for end in (0, 1)
    )
    # Each position's group, and its byte relative to the position that the group is called after.
    group, relative = position.reshape(-1).copy(), np.zeros(size, np.uint8)
    while True:
        apart = np.flatnonzero(group[one] != group[other])
        one, other, between = one[apart], other[apart], between[apart]
        if not len(one):
            return np.asarray(relative ^ relative[0]).reshape(shape)
        joined, byte = _joined(size, group[one], group[other], between ^ relative[one] ^ relative[other])
        relative ^= byte[group]
        group = joined[group]


def _along(shape: tuple[int, ...], axis: int, end: int) -> range:
    """All indices of an axis but the last (end 0) or the first (end 1)."""
    return range(end, shape[axis] - 1 + end)


def _joined(
    size: int, one: np.ndarray, other: np.ndarray, between: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each group the one that it becomes part of (int64 [size]), and its byte relative to that (uint8 [size]).

    Args:
      size: how many groups there may be.
      one, other: pairs of neighbouring groups, the surest first.
      between: the bytes between them.
    """
    first = np.full(size, -1)
    order = np.arange(len(one))[::-1]
    first[other[::-1]] = order
    behind = first.copy()
    first[one[::-1]] = order
    first = np.where((behind >= 0) & (behind < first), behind, first)
    to, byte = np.arange(size), np.zeros(size, np.uint8)
    joining = np.flatnonzero(first >= 0)
    relation = first[joining]
    to[joining] = one[relation] + other[relation] - joining
    byte[joining] = between[relation]
    # Two that are each other's surest: one of them stays what it is.
    stays = joining[(to[to[joining]] == joining) & (joining < to[joining])]
    to[stays], byte[stays] = stays, 0
    while True:
        further = to[to]
        if (further == to).all():
            return to, byte
        byte ^= byte[to]
        to = further
