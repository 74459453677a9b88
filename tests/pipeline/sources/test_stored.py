"""A dataset as a source: any of its images by their positions."""

from __future__ import annotations

import numpy as np
import pytest

from lpe.pipeline.records.bad_records import fail
from lpe.pipeline.sources.plan import ReadSpec, open_plan
from lpe.pipeline.sources.stored import DatasetSource
from lpe.transforms.errors import DataError
from tests.pipeline.running import encrypt


@pytest.fixture
def shards(lpe, tmp_path) -> str:
    """A dataset of 200 training images in several shards."""
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", "synthetic:200", "--output", home).code == 0
    return str(home)


def test_any_positions_are_those_images_of_the_shards(shards):
    with open_plan(ReadSpec(f"dataset:{shards}")) as plan:
        batches = [
            batch for task in plan.tasks if task.split == "train" for batch in task.reader.batches(fail("x"))
        ]
        assert len([task for task in plan.tasks if task.split == "train"]) == 3
    images = np.concatenate([batch.images for batch in batches])
    ids = [name for batch in batches for name in batch.ids]
    source = DatasetSource(shards)
    assert dict(source.info.splits) == {"train": 200, "test": 40}
    for positions in (np.arange(200), np.array([0, 65, 66, 67, 133, 199]), np.array([150]), np.arange(0)):
        part = source.slice("train", positions)
        assert len(part) == len(positions)
        read = list(part.batches(4, fail("x")))
        assert all(len(batch.names) <= 4 for batch in read)
        assert [int(offset) for batch in read for offset in batch.offsets] == list(range(len(positions)))
        assert [name for batch in read for name in batch.names] == [ids[i] for i in positions]
        if read:
            assert np.array_equal(np.concatenate([batch.images for batch in read]), images[positions])
        assert part.encoded(fail("x")) is None


def test_an_encrypted_one_is_refused(lpe, keystore, shards, tmp_path):
    home = tmp_path / "enc" / "shapes"
    encrypt(lpe, keystore, f"dataset:{shards}", home)
    with pytest.raises(DataError, match="encrypted already; lpe show draws it"):
        DatasetSource(str(home))
