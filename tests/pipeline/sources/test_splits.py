"""Splits and shards: every image of a source is in exactly one of each, for any size, by arithmetic alone."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lpe.pipeline.sources.splits import cut, shard_bounds
from lpe.transforms.errors import UsageError

FRACTIONS = st.sampled_from(["0.1", "0.25", "0.37", "0.5", "0.9", "1e-3", "1/3"])


@given(
    train=st.integers(0, 500),
    test=st.integers(0, 20),
    fraction=st.none() | FRACTIONS,
    bytes_per_image=st.integers(1, 10**7),
)
def test_every_image_is_in_exactly_one_split_and_one_shard(train, test, fraction, bytes_per_image):
    seen: dict[str, list[int]] = {"train": [], "test": []}
    parts = cut({"train": train, "test": test}, fraction)
    for part in parts.values():
        bounds = shard_bounds(len(part), bytes_per_image)
        shards = [np.asarray(part.positions(start, stop)) for start, stop in bounds]
        assert all((np.diff(shard) > 0).all() for shard in shards)
        seen[part.source_split] += np.concatenate(shards).tolist()
    assert sorted(seen["train"]) == list(range(train))
    assert sorted(seen["test"]) == list(range(test))
    assert all(len(part) for part in parts.values())


@given(size=st.integers(10, 5000), tenths=st.integers(1, 9))
def test_the_cut_is_even_so_that_sorted_classes_are_cut_alike(size, tenths):
    validation = cut({"train": size}, f"0.{tenths}").get("validation")
    assert validation is not None
    assert len(validation) == size * tenths // 10
    positions = np.asarray(validation.positions(0, len(validation)))
    steps = np.diff(positions)
    assert steps.size == 0 or steps.max() - steps.min() <= 1


def test_the_order_of_splits():
    assert list(cut({"train": 10, "test": 5}, "0.2")) == ["train", "validation", "test"]
    assert list(cut({"test": 5, "train": 10, "empty": 0}, None)) == ["test", "train"]


@pytest.mark.parametrize("fraction", ["0", "1", "1.5", "-0.1", "a tenth", "1/0", ""])
def test_a_fraction_that_is_none(fraction):
    with pytest.raises(UsageError, match="--validation-fraction must be between 0 and 1"):
        cut({"train": 10}, fraction)


@pytest.mark.parametrize("splits", [{"test": 10}, {"train": 10, "validation": 5}])
def test_a_cut_needs_training_images_and_no_validation_split(splits):
    with pytest.raises(UsageError, match=rf"this source has {', '.join(splits)}"):
        cut(splits, "0.1")


@given(images=st.integers(1, 10**10), size=st.integers(1, 10**6))
def test_shards_are_neither_too_large_nor_too_many(images, size):
    assume(images * size < 10**13)
    bounds = shard_bounds(images, size)
    assert [start for start, _ in bounds[1:]] == [stop for _, stop in bounds[:-1]]
    assert (bounds[0][0], bounds[-1][1]) == (0, images)
    largest = max(stop - start for start, stop in bounds)
    assert largest * size <= 1e9 + size
    assert len(bounds) <= 10_001 or largest * size > 0.9e9
    if len(bounds) < 10_000:
        assert largest * size <= 128e6 + size


@pytest.mark.parametrize(("images", "shards"), [(1, 1), (64, 1), (128, 2), (511, 7), (512, 8), (100_000, 8)])
def test_there_are_eight_shards_where_there_are_images_enough(images, shards):
    assert len(shard_bounds(images, 10)) == shards


@given(
    size=st.integers(2, 500), fraction=st.sampled_from(["0.1", "0.25", "0.37", "0.5", "0.9"]), data=st.data()
)
def test_positions_by_arithmetic_are_those_of_an_array(size, fraction, data):
    parts = cut({"train": size}, fraction)
    whole = [np.asarray(part.positions(0, len(part))) for part in parts.values()]
    assert sorted(np.concatenate(whole).tolist()) == list(range(size))
    for part, expected in zip(parts.values(), whole, strict=True):
        start = data.draw(st.integers(0, len(part)))
        stop = data.draw(st.integers(start, len(part)))
        positions = part.positions(start, stop)
        assert len(positions) == stop - start
        assert (np.asarray(positions) == expected[start:stop]).all()
        inner = slice(data.draw(st.integers(-5, 50)), data.draw(st.integers(-5, 50)))
        assert (positions[inner] == expected[start:stop][inner]).all()


def test_positions_of_millions_are_as_small_as_of_one():
    part = cut({"train": 10**9}, "0.1")["validation"]
    assert len(pickle.dumps(part.positions(0, len(part)))) < 500
    assert part.positions(0, len(part))[:3].tolist() == [9, 19, 29]
