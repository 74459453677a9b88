"""Samples of a plan: which examples they are, and of which split."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from lpe.pipeline.sources.plan import ReadSpec, open_plan, plan_dataset
from lpe.pipeline.sources.samples import examples, first_examples, first_images, one_of_each_class
from lpe.transforms.errors import DataError
from tests.pipeline.dataset.making import batch, make


@pytest.fixture
def plan(tmp_path):
    return plan_dataset(make(tmp_path / "shapes", {"train": (5, 4), "test": (3,)}))


def test_examples_come_one_at_a_time_across_shards(plan):
    parts = list(examples(plan, "train"))
    assert [len(part) for part in parts] == [1] * 9
    assert [part.ids[0] for part in parts] == batch("train", 0, 9).ids


def test_the_test_split_is_preferred_and_the_first_one_taken_without_it(plan, tmp_path):
    assert next(examples(plan, None)).ids == ["test-0000000"]
    other = plan_dataset(make(tmp_path / "other", {"validation": (2,), "train": (3,)}))
    assert next(examples(other, None)).ids == ["validation-0000000"]


def test_a_split_that_is_not_there_is_named(plan):
    with pytest.raises(DataError, match="no split 'validation'; there is train, test"):
        next(examples(plan, "validation"))


def test_the_first_images_are_as_many_as_there_are(plan):
    assert np.array_equal(first_images(plan, "train", 7), batch("train", 0, 7).images)
    assert len(first_images(plan, "train", 100)) == 9


def test_the_first_examples_are_of_the_largest_split(plan):
    chosen, expected = first_examples(plan, None, 6), batch("train", 0, 6)
    assert chosen.ids == expected.ids
    assert np.array_equal(chosen.images, expected.images)
    assert np.array_equal(chosen.labels, expected.labels)
    assert first_examples(plan, "test", 2).ids == ["test-0000000", "test-0000001"]


def test_classes_come_before_others_and_in_order():
    with open_plan(ReadSpec("synthetic:100")) as plan:
        ten = one_of_each_class(plan, "train", 10)
        assert [int(example.labels[0]) for example in ten] == list(range(10))
        twelve = one_of_each_class(plan, "train", 12)
        assert [example.ids for example in twelve[:10]] == [example.ids for example in ten]
        first = [int(example.labels[0]) for example in itertools.islice(examples(plan, "train"), 3)]
        three = one_of_each_class(plan, "train", 3)
        assert [int(example.labels[0]) for example in three] == sorted(first)


def test_a_damaged_image_is_named_with_its_remedy(plan):
    path = plan.tasks[0].reader.path
    with Path(path).open("r+b") as file:
        file.seek(40)
        file.write(b"\xff\xff\xff")
    with pytest.raises(DataError, match=rf"{path}: record 0: .*; remove or replace it"):
        first_images(plan, "train", 2)
