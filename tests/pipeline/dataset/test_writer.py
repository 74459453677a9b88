"""A version under construction: out of sight until its commit, resumed by the same job, refused to another."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lpe.pipeline import records, storage
from lpe.pipeline.dataset import ShardInfo, committed_versions, open_dataset
from lpe.pipeline.dataset.id_map import id_map, write_id_map
from lpe.pipeline.dataset.layout import shard_name
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.dataset.unique_ids import ShardIds
from lpe.pipeline.dataset.writer import NewVersion, VersionIdentity, hold_home, new_version
from lpe.pipeline.records import RecordFormat, tfrecord
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import BusyError, DataError

FORMAT = RecordFormat((2, 2, 3), "raw", 3)
IDENTITY = VersionIdentity("a" * 64, "origin", False, ("cat", "dog"), FORMAT)


def write(version: NewVersion, split: str, index: int, count: int) -> ShardReceipt:
    """One shard of three images, with its receipt."""
    names = [f"{split}-{3 * index + i:07d}" for i in range(3)]
    pixels = np.full((3, 2, 2, 3), index, np.uint8)
    data = records.encode(ImageBatch(names, pixels, np.arange(3) % 2), FORMAT)
    file = shard_name(version.name, split, index, count)
    storage.write_atomic(storage.join(version.data, file), data)
    table = id_map(names, split, [f"{name}.png" for name in names])
    write_id_map(version.ids_path(split, index), [table])
    crc, sha256 = f"{tfrecord.extend_crc32c(0, data):08x}", hashlib.sha256(data).hexdigest()
    ids = ShardIds(split)
    ids.add(names)
    receipt = ShardReceipt(
        split,
        index,
        ShardInfo(file, 3, len(data), crc, sha256),
        images=3,
        ids=ids.digests(),
        class_counts=(2, 1),
    )
    storage.write_atomic(version.receipt_path(split, index), receipt.to_bytes(None))
    return receipt


def commit(version: NewVersion, receipts: list[ShardReceipt], splits: list[str]) -> None:
    version.commit(receipts, {"job": version.identity.job, "origin": version.identity.origin}, splits)


def killed(home: str, identity: VersionIdentity = IDENTITY, *, shards: int = 1) -> NewVersion:
    """A job that was killed when it had finished some shards of two."""
    with contextlib.suppress(KeyboardInterrupt), new_version(home, identity) as version:
        for index in range(shards):
            write(version, "train", index, 2)
        raise KeyboardInterrupt
    return version


def make(home: str, identity: VersionIdentity = IDENTITY) -> None:
    with new_version(home, identity) as version:
        commit(version, [write(version, "train", 0, 1)], ["train"])


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "shapes")


def test_nothing_is_seen_before_the_commit_and_all_of_it_afterwards(home):
    with new_version(home, IDENTITY) as version:
        receipts = [write(version, "train", i, 2) for i in range(2)] + [write(version, "test", 0, 1)]
        assert not version.is_committed()
        assert committed_versions(home) == []
        commit(version, receipts[::-1], ["train", "test"])  # receipts come in any order
        assert version.is_committed()
    made = open_dataset(home)
    assert (made.version, made.class_names, list(made.splits)) == ("1.0.0", ("cat", "dog"), ["train", "test"])
    assert made.splits["train"].shard_lengths == (3, 3)
    ids = pq.read_table(f"{home}/1.0.0/ids.parquet").to_pydict()
    assert ids["name"] == [f"{name}.png" for name in ids["id"]]
    assert len(ids["id"]) == 9
    assert not Path(home, "_work").exists()


def test_the_same_job_finds_its_version_committed(home):
    make(home)
    with new_version(home, IDENTITY) as version:
        assert version.committed is not None
        assert version.committed.directory == f"{home}/1.0.0"


def test_another_job_makes_the_next_version(home):
    make(home)
    make(home, dataclasses.replace(IDENTITY, job="b" * 64))
    assert committed_versions(home) == ["1.0.0", "1.0.1"]


@pytest.mark.parametrize("change", [{"origin": "other"}, {"encrypted": True}])
def test_versions_of_one_home_have_one_origin_and_kind(home, change):
    make(home)
    other = dataclasses.replace(IDENTITY, job="b" * 64, **change)
    with pytest.raises(DataError, match="holds a different dataset"), new_version(home, other):
        pass


def test_finished_shards_are_found_again(home):
    killed(home)
    with new_version(home, IDENTITY) as again:
        finished = again.finished("train", 0, 2, None)
        assert finished is not None
        assert finished.kept
        assert finished.images == 3
        assert again.finished("train", 1, 2, None) is None


@pytest.mark.parametrize(
    "content", ["", "{", '{"split": "train", "index": 0}', '{"split": "test", "index": 0}']
)
def test_a_damaged_receipt_counts_as_none(home, content):
    version = killed(home)
    Path(version.receipt_path("train", 0)).write_text(content)
    with new_version(home, IDENTITY) as again:
        assert again.finished("train", 0, 2, None) is None
        make_receipts = [write(again, "train", index, 2) for index in range(2)]
        commit(again, make_receipts, ["train"])


def test_an_id_in_two_shards_is_not_published(home):
    with new_version(home, IDENTITY) as version:
        receipts = [write(version, "train", index, 2) for index in range(2)]
        receipts[1] = dataclasses.replace(receipts[1], ids=receipts[1].ids[:-8] + receipts[0].ids[:8])
        with pytest.raises(DataError, match="1 ids occur in more than one shard"):
            commit(version, receipts, ["train"])
        assert not version.is_committed()


def test_work_without_a_finished_shard_goes(home):
    killed(home, shards=0)
    assert not Path(home).exists()


def test_an_unfinished_other_job_stays_unless_both_are_restartable(home):
    version = killed(home, dataclasses.replace(IDENTITY, restartable=True))
    other = dataclasses.replace(IDENTITY, job="b" * 64)
    with pytest.raises(DataError, match="unfinished job with other settings"), new_version(home, other):
        pass
    with new_version(home, dataclasses.replace(other, restartable=True)) as given_way:
        assert given_way.finished("train", 0, 2, None) is None
    assert not Path(version.work).exists()


def test_a_lost_shard_is_not_published(home):
    with new_version(home, IDENTITY) as version:
        receipt = write(version, "train", 0, 1)
        storage.delete(storage.join(version.data, receipt.shard.file))
        with pytest.raises(DataError, match="1 finished shards are gone"):
            commit(version, [receipt], ["train"])
        assert not version.is_committed()


def test_a_version_that_another_job_published_meanwhile_is_not_overwritten(home):
    with new_version(home, IDENTITY) as version:
        receipts = [write(version, "train", 0, 1)]
        commit(version, receipts, ["train"])
        commit(version, receipts, ["train"])  # by another worker of the same job: nothing happens
        other = dataclasses.replace(version, identity=dataclasses.replace(IDENTITY, job="b" * 64))
        with pytest.raises(DataError, match="another job has written this version meanwhile"):
            commit(other, receipts, ["train"])


def test_a_home_is_held_by_one_job(home):
    with (
        hold_home(home),
        pytest.raises(BusyError, match="another job is writing here"),
        new_version(home, IDENTITY),
    ):
        pass


def test_skipped_records_are_listed(home):
    with new_version(home, IDENTITY) as version:
        receipt = dataclasses.replace(
            write(version, "train", 0, 1), bad=({"where": "a.png", "reason": "cut off"},)
        )
        commit(version, [receipt], ["train"])
    lines = Path(home, "1.0.0", "bad_records.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"where": "a.png", "reason": "cut off"}]
    assert open_dataset(home).manifest.bad_records == 1


@pytest.mark.parametrize("place", ["file", "version", "junk"])
def test_a_place_that_is_no_home_is_refused(tmp_path, home, place):
    if place == "file":
        Path(home).write_bytes(b"x")
        message = "a file stands where"
    elif place == "version":
        make(home)
        home, message = f"{home}/1.0.0", "this is a version of a dataset"
    else:
        Path(home).mkdir()
        Path(home, "holiday.jpg").write_bytes(b"x")
        message = "files that are no dataset"
    raised = pytest.raises((DataError, OSError), match=None if place == "file" else message)
    with raised, new_version(home, IDENTITY):
        pass


def test_an_unfinished_shard_has_no_receipt():
    with pytest.raises(ValueError, match="only a finished shard"):
        ShardReceipt("train", 0, None, failure="cut off").to_bytes(None)
