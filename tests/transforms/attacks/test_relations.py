"""Relations between neighbours give all positions relative to the first, and doubtful ones are gone round."""

from __future__ import annotations

import numpy as np

from lpe.transforms.attacks import relations

SHAPE = (5, 6, 2)


def relations_of(values: np.ndarray) -> list[relations.Relation]:
    """The true relations of uint8 [H,W,P], all equally sure."""
    out = []
    for axis, length in enumerate(values.shape):
        one, next_one = values.take(range(length - 1), axis), values.take(range(1, length), axis)
        out.append((one ^ next_one, np.ones(one.shape)))
    return out


def test_true_relations_give_all_positions():
    values = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    assert np.array_equal(relations.follow(SHAPE, relations_of(values)), values ^ values[0, 0, 0])


def test_a_doubtful_relation_is_used_only_where_there_is_no_other_way():
    values = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    doubtful = relations_of(values)
    for axis, place in ((0, (2, 3, 1)), (1, (0, 0, 0)), (2, (4, 5, 0))):
        between, sureness = doubtful[axis]
        between[place] ^= 0x55
        sureness[place] = 0.1
    assert np.array_equal(relations.follow(SHAPE, doubtful), values ^ values[0, 0, 0])
    # A single row of positions leaves no way round.
    row = relations_of(values[:1, :, :1])
    row[1][0][0, 2, 0] ^= 0x55
    wrong = relations.follow((1, 6, 1), row) ^ values[:1, :, :1] ^ values[0, 0, 0]
    assert wrong.ravel().tolist() == [0, 0, 0, 0x55, 0x55, 0x55]
