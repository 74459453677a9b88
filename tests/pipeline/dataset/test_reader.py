"""The reader of a shard: all that was written, in order, or an error that names the file."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from lpe.pipeline import records
from lpe.pipeline.dataset.reader import ShardReader, file_crc32c
from lpe.pipeline.records.bad_records import BadRecord, fail
from lpe.transforms.errors import DataError
from tests.pipeline.dataset.making import CLASSES, batch, make


@pytest.fixture
def reader(tmp_path) -> ShardReader:
    data = make(tmp_path / "shapes", {"train": (50,)})
    (path,), recorded = data.shard_paths("train"), data.shards("train")
    assert recorded is not None
    return ShardReader(path, data.format, 50, len(CLASSES), recorded[0])


def ids(reader: ShardReader, on_bad_record=fail("restore it")) -> list[str]:  # noqa: B008
    return [image_id for part in reader.batches(on_bad_record) for image_id in part.ids]


def flip(reader: ShardReader, at: int) -> None:
    data = bytearray(Path(reader.path).read_bytes())
    data[at] ^= 1
    Path(reader.path).write_bytes(data)


def test_it_gives_what_was_written(reader):
    written = batch("train", 0, 50)
    parts = list(reader.batches(fail("restore it")))
    assert reader.expected() == 50
    assert [image_id for part in parts for image_id in part.ids] == written.ids
    assert np.array_equal(np.concatenate([part.images for part in parts]), written.images)
    assert np.array_equal(np.concatenate([part.labels for part in parts]), written.labels)


def test_it_travels_and_reads_again(reader):
    copied = pickle.loads(pickle.dumps(reader))
    assert copied == reader
    assert ids(copied) == ids(reader) == ids(reader)


def test_several_threads_read_at_once(reader):
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(ids(reader))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [batch("train", 0, 50).ids] * 4


def test_a_missing_shard_is_named(reader):
    Path(reader.path).unlink()
    with pytest.raises(DataError, match=rf"{reader.path}: this shard is missing; restore it"):
        ids(reader)


def test_a_damaged_record_fails_or_is_left_out(reader):
    size = Path(reader.path).stat().st_size
    flip(reader, size // 50 * 7 + 40)
    with pytest.raises(DataError, match=rf"{reader.path}: record 7: its checksum does not match; restore it"):
        ids(reader)
    bad: list[BadRecord] = []
    rest = ids(reader, bad.append)
    assert rest == [name for name in batch("train", 0, 50).ids if name != "train-0000007"]
    assert bad == [BadRecord(f"{reader.path}: record 7", "its checksum does not match")]


def test_a_shard_with_fewer_records_is_refused(reader):
    data = Path(reader.path).read_bytes()
    Path(reader.path).write_bytes(data[: len(data) // 50 * 49])
    with pytest.raises(DataError, match="49 records, 50 were written"):
        ids(reader)


def test_a_whole_shard_of_another_dataset_is_refused(reader):
    other = batch("train", 0, 50)
    Path(reader.path).write_bytes(records.encode(other.replace_images(other.images + 1), reader.format))
    with pytest.raises(
        DataError, match=r"checksum \w{64}, \w{64} was recorded: another file has taken its place"
    ):
        ids(reader)
    assert len(ids(dataclasses.replace(reader, recorded=None))) == 50


def test_a_label_of_no_class_is_refused(reader):
    with pytest.raises(DataError, match=r"a label outside 0\.\.0 near record 0; the shard does not belong"):
        ids(dataclasses.replace(reader, classes=1))


def test_the_checksum_of_a_file(tmp_path):
    data = bytes(range(256)) * 100
    (tmp_path / "file").write_bytes(data)
    assert file_crc32c(str(tmp_path / "file")) == f"{google_crc32c.value(data):08x}"
    (tmp_path / "empty").touch()
    assert file_crc32c(str(tmp_path / "empty")) == "00000000"
