"""Tasks: small values that read a slice of a source, under neutral ids or the original names."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from lpe.pipeline.records.bad_records import BadRecord, fail
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.synthetic import SyntheticSource
from lpe.pipeline.sources.task import ShardTask, SliceReader
from tests.pipeline.sources.images import encoded, pixels, write

FAIL = fail("restore it")


@pytest.fixture
def images():
    with SyntheticSource(100) as source:
        yield source.slice("train", np.arange(20, 50))


def test_ids_are_neutral_and_numbered_in_the_output_split(images):
    reader = SliceReader(images, "validation", 7)
    (batch,) = reader.batches(FAIL)
    assert reader.expected() == 30
    assert batch.ids == [f"validation-{number:07d}" for number in range(7, 37)]
    assert batch.origins == [f"train/{number:07d}" for number in range(20, 50)]


def test_original_names_can_be_kept(images):
    (batch,) = SliceReader(images, "validation", 7, keep_names=True).batches(FAIL)
    assert batch.ids == batch.origins == [f"train/{number:07d}" for number in range(20, 50)]


def test_a_bad_image_leaves_a_gap_in_the_ids(tmp_path):
    """Ids do not depend on whether bad images are skipped."""
    files = {f"cat/{number}.png": encoded(pixels(number)) for number in range(3)}
    write(tmp_path, {**files, "cat/3.png": b"none"})
    bad: list[BadRecord] = []
    with FolderSource(str(tmp_path), ReadOptions()) as source:
        (batch,) = SliceReader(source.slice("train", np.arange(4)), "train", 0).batches(bad.append)
        order = list(source.slice("train", np.arange(4)).files.names)
    assert batch.ids == [f"train-{i:07d}" for i, name in enumerate(order) if name != "cat/3.png"]
    assert [record.where for record in bad] == [f"{tmp_path}/cat/3.png"]


def test_a_task_travels_and_can_be_tried_again(images):
    task = ShardTask("train", 0, 1, SliceReader(images, "train", 0))
    copied = pickle.loads(pickle.dumps(task))
    for _ in range(2):
        (here,), (there,) = task.reader.batches(FAIL), copied.reader.batches(FAIL)
        assert here.ids == there.ids
        assert np.array_equal(here.images, there.images)
        assert np.array_equal(here.labels, there.labels)
