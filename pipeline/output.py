"""A dataset version under construction, out of sight until it is complete.

    <home>/_work/<version>/plan.json            the job's fingerprint
    <home>/_work/<version>/data/...             becomes <home>/<version>/ at the end
    <home>/_work/<version>/receipts/*.json      one per finished shard
    <home>/_work/<version>/ids/*.parquet        one per finished shard of plain data

A job that is killed and run again finds its plan, keeps the shards that have receipts, and writes
the rest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import dataset, storage
from pipeline.dataset import Dataset, ShardInfo
from pipeline.records import RecordFormat
from transforms.errors import DataError

_FIRST_VERSION = "1.0.0"


@dataclasses.dataclass(frozen=True)
class ShardReceipt:
    """What became of one shard.

    Attributes:
      split, index: which shard.
      shard: the file that was written; None if it could not be.
      bad: skipped records, as {where, reason}.
      failure: why it could not be written.
    """

    split: str
    index: int
    shard: ShardInfo | None
    bad: tuple[dict[str, str], ...] = ()
    failure: str | None = None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ShardReceipt:
        shard = ShardInfo(**value["shard"]) if value["shard"] is not None else None
        return cls(value["split"], value["index"], shard, tuple(value["bad"]), value["failure"])


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a job writes.

    Attributes:
      home: the dataset's home, `<root>/<name>`.
      version: the version that the job will commit.
      encrypted: whether ciphertext is written.
      class_names, format: as the dataset will have them.
    """

    home: str
    version: str
    encrypted: bool
    class_names: tuple[str, ...]
    format: RecordFormat

    @property
    def name(self) -> str:
        return storage.base_name(self.home)

    @property
    def directory(self) -> str:
        """The version directory that the commit makes."""
        return storage.join(self.home, self.version)

    @property
    def work(self) -> str:
        return storage.join(self.home, "_work", self.version)

    @property
    def data(self) -> str:
        return storage.join(self.work, "data")

    @property
    def receipts(self) -> str:
        return storage.join(self.work, "receipts")

    def receipt_path(self, split: str, index: int) -> str:
        return storage.join(self.receipts, f"{split}-{index:05d}.json")

    def ids_path(self, split: str, index: int) -> str:
        return storage.join(self.work, "ids", f"{split}-{index:05d}.parquet")

    def finished(self, split: str, index: int) -> ShardReceipt | None:
        """The receipt of a shard that is complete."""
        path = self.receipt_path(split, index)
        if not storage.exists(path):
            return None
        return ShardReceipt.from_json(json.loads(storage.read_bytes(path)))

    def commit(self, shards: list[ShardReceipt], manifest: Mapping[str, Any], splits: list[str]) -> None:
        """Publishes the version; nothing happens if it was published before."""
        if storage.exists(storage.join(self.directory, dataset.INFO_FILE)):
            return
        ordered = sorted(shards, key=lambda receipt: (receipt.split, receipt.index))
        by_split = {
            split: [r.shard for r in ordered if r.split == split and r.shard is not None] for split in splits
        }
        if not self.encrypted:
            self._merge_ids(ordered)
        bad = [record for receipt in ordered for record in receipt.bad]
        if bad:
            lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in bad)
            storage.write_atomic(storage.join(self.data, dataset.BAD_RECORDS_FILE), lines.encode())
        dataset.write_metadata(
            self.data,
            name=self.name,
            version=self.version,
            class_names=self.class_names,
            fmt=self.format,
            shards=by_split,
            manifest={**manifest, "bad_records": len(bad)},
            encrypted=self.encrypted,
        )
        storage.publish_directory(self.data, self.directory, last=dataset.INFO_FILE)

    def _merge_ids(self, receipts: list[ShardReceipt]) -> None:
        """One map from neutral id to original name, where the source had names."""
        parts = [self.ids_path(receipt.split, receipt.index) for receipt in receipts]
        tables = [pq.read_table(pa.BufferReader(storage.read_bytes(p))) for p in parts if storage.exists(p)]
        if tables:
            write_ids(storage.join(self.data, dataset.IDS_FILE), pa.concat_tables(tables))


def write_ids(path: str, table: pa.Table) -> None:
    """Writes a map of ids to a Parquet file."""
    with storage.open_atomic(path) as file:
        pq.write_table(table, file)


def begin(
    home: str,
    *,
    fingerprint: str,
    origin: str,
    encrypted: bool,
    class_names: tuple[str, ...],
    fmt: RecordFormat,
) -> Output | Dataset:
    """Decides what a job's output is: a new version, one to be continued, or one that is there already.

    Args:
      home: `<root>/<name>`.
      fingerprint: identifies the job: same input, same settings.
      origin: digest of the source that the images came from in the beginning; versions of one
        home have one origin.

    Returns:
      An `Output` to write, or the `Dataset` that this very job has committed before.

    Raises:
      DataError: the home holds another dataset, or an unfinished other job.
    """
    if not storage.is_remote(home) and Path(home).is_file():
        raise DataError(f"{home}: a file stands where the dataset should go; choose another --output")
    if storage.exists(storage.join(home, dataset.INFO_FILE)):
        raise DataError(f"{home}: this is a version of a dataset; name a home, ROOT/NAME, as --output")
    dataset.check_name(storage.base_name(home))
    versions = dataset.committed_versions(home)
    for version in reversed(versions):
        there = dataset.open_dataset(storage.join(home, version))
        if there.manifest is not None and there.manifest["job"] == fingerprint:
            return there
        if there.encrypted != encrypted or there.origin != origin:
            raise DataError(f"{home}: holds a different dataset; choose another --output, or delete it first")
    if not versions and storage.list_names(home) not in ([], ["_work"]):
        raise DataError(f"{home}: holds files that are no dataset; choose another --output")
    version = _next(versions[-1]) if versions else _FIRST_VERSION
    output = Output(home, version, encrypted, class_names, fmt)
    plan_path = storage.join(output.work, "plan.json")
    plan = json.dumps({"job": fingerprint}).encode()
    if storage.exists(plan_path):
        if storage.read_bytes(plan_path) != plan:
            raise DataError(
                f"{output.work}: an unfinished job with other settings or input; run that one again, or delete "
                "this folder"
            )
        storage.delete_temporary_files(output.data)
    else:
        storage.write_atomic(plan_path, plan)
    return output


def _next(version: str) -> str:
    major, minor, patch = dataset.version_key(version)
    return f"{major}.{minor}.{patch + 1}"


@contextlib.contextmanager
def locked(home: str) -> Iterator[None]:
    """Holds a home for one job; tidies up when the job ends. Raises DataError if another one has it."""
    if storage.is_remote(home):
        yield
        return
    path = Path(home, "_work", "lock")
    descriptor = _lock(path, home)
    try:
        yield
    finally:
        _tidy(home, path)
        os.close(descriptor)


def _lock(path: Path, home: str) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # its folder was tidied away in between
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DataError(f"{home}: another job is writing here; wait for it to end") from None
        # The holder before may have removed the file after it was opened here.
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
        os.close(descriptor)


def _tidy(home: str, lock: Path) -> None:
    """Removes the work of committed versions and what has no finished shard, then folders that hold nothing."""
    work = storage.join(home, "_work")
    for version in storage.list_names(work):
        committed = storage.exists(storage.join(home, version, dataset.INFO_FILE))
        if version != lock.name and (
            committed or not storage.list_names(storage.join(work, version, "receipts"))
        ):
            storage.delete(storage.join(work, version))
    if storage.list_names(work) == [lock.name]:
        lock.unlink()
        for folder in (Path(work), Path(home)):
            if not any(folder.iterdir()):
                folder.rmdir()
