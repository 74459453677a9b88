"""verify in Python: what it finds, what it cannot compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from lpe.pipeline.dataset import open_dataset
from lpe.pipeline.encryption.batch_transforms import Identity
from lpe.pipeline.engine.check_shard import CheckShard
from lpe.pipeline.jobs.verify import verify
from lpe.pipeline.sources.plan import plan_dataset
from lpe.transforms.errors import DataError, UsageError
from tests.pipeline.running import encrypt, flipped


@pytest.fixture
def encrypted(lpe, keystore, plain, tmp_path) -> Path:
    home = tmp_path / "enc" / "shapes"
    assert encrypt(lpe, keystore, f"dataset:{plain}", home).code == 0
    return home


def test_a_whole_dataset_has_no_problems(keystore, plain, encrypted):
    alone = verify(str(encrypted))
    assert (alone.problems, alone.compared, alone.examples) == ((), False, 120)
    compared = verify(str(encrypted), keystore, str(plain))
    assert (compared.problems, compared.compared, compared.examples) == ((), True, 120)
    assert compared.to_json()["ok"] is True
    assert compared.metrics is not None
    assert compared.metrics.images == 120


def test_every_damaged_shard_is_a_problem(encrypted):
    shards = sorted(encrypted.glob("1.0.0/*.tfrecord-*"))
    for shard in shards[:2]:
        shard.write_bytes(flipped(shard.read_bytes(), 200))
    verification = verify(str(encrypted))
    assert len(verification.problems) == 2
    for shard, problem in zip(shards[:2], verification.problems, strict=True):
        assert str(shard) in problem
    assert verification.to_json()["ok"] is False


def test_comparing_needs_a_key_and_a_plain_dataset(keystore, encrypted, plain):
    with pytest.raises(DataError, match="pass --keystore"):
        verify(str(encrypted), None, str(plain))
    with pytest.raises(DataError, match="encrypted too; name a plain one"):
        verify(str(encrypted), keystore, str(encrypted))


def test_it_cannot_be_staged(encrypted):
    with pytest.raises(UsageError, match="leave out --template_location"):
        verify(str(encrypted), beam=("--template_location=gs://bucket/template",))


def test_ids_that_repeat_within_a_shard_are_found(plain):
    task = plan_dataset(open_dataset(str(plain))).tasks[0]
    (batch,) = task.reader.batches(lambda bad: None)

    class Doubled:
        def open(self):
            return lambda batch: type(batch)([batch.ids[0]] * len(batch), batch.images, batch.labels)

    check = CheckShard(Doubled(), None)
    check.setup()
    with pytest.raises(DataError, match=f"{len(batch) - 1} ids occur twice"):
        check.run(task)
    whole = CheckShard(Identity(), None)
    whole.setup()
    assert whole.run(task).images == len(batch)


def test_another_shards_content_under_this_ones_name_is_found(encrypted):
    train, test = (next(encrypted.glob(f"1.0.0/*-{split}.tfrecord-*")) for split in ("train", "test"))
    test.write_bytes(train.read_bytes())
    (problem,) = verify(str(encrypted)).problems
    assert str(test) in problem
