"""A dataset version under construction, out of sight until it is complete.

    <home>/_work/<version>-<job>/plan.json        the job's fingerprint
    <home>/_work/<version>-<job>/data/...         becomes <home>/<version>/ at the end
    <home>/_work/<version>-<job>/receipts/*.json  one per finished shard
    <home>/_work/<version>-<job>/ids/*.parquet    one per finished shard of plain data

A job that is killed and run again finds its plan, keeps the shards that have receipts, and writes
the rest. Each job has a folder of its own: workers elsewhere may go on for a while after their job was
given up, and what they write must not get into another job's version.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lpe.pipeline import storage
from lpe.pipeline.dataset import layout
from lpe.pipeline.dataset.dataset import Dataset, ShardInfo, committed_versions, open_dataset
from lpe.pipeline.dataset.metadata import write_metadata
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.storage import locks
from lpe.transforms.errors import DataError

_FIRST_VERSION = "1.0.0"
_LOCK_FILE = "lock"


@dataclasses.dataclass(frozen=True)
class ShardReceipt:
    """What became of one shard.

    Attributes:
      split, index: which shard.
      shard: the file that was written; None if it could not be, or if the job writes none.
      bad: skipped records, as {where, reason}.
      failure: why it could not be done.
      images: how many were written, or checked.
      seconds: by stage, what it took in this run.
      kept: an earlier run had finished it.
    """

    split: str
    index: int
    shard: ShardInfo | None
    bad: tuple[dict[str, str], ...] = ()
    failure: str | None = None
    images: int = 0
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    kept: bool = False

    def to_json(self) -> dict[str, Any]:
        """What is written beside a finished shard."""
        assert self.shard is not None
        shard = dataclasses.asdict(self.shard)
        return {"split": self.split, "index": self.index, "shard": shard, "bad": list(self.bad)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ShardReceipt:
        """The receipt of a shard that an earlier run finished."""
        shard = ShardInfo(**value["shard"])
        bad = tuple(value["bad"])
        return cls(value["split"], value["index"], shard, bad, images=shard.examples, kept=True)


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a job writes.

    Attributes:
      home: the dataset's home, `<root>/<name>`.
      version: the version that the job will commit.
      encrypted: whether ciphertext is written.
      class_names, format: as the dataset will have them.
      job: the job's fingerprint.
    """

    home: str
    version: str
    job: str
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
        return storage.join(self.home, "_work", f"{self.version}-{self.job[:12]}")

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
        """Publishes the version; nothing happens if it was published before.

        Raises:
          DataError: another job has published it meanwhile, or shards are gone.
        """
        if storage.exists(storage.join(self.directory, layout.INFO_FILE)):
            there = open_dataset(self.directory).manifest or {}
            if there.get("job") != self.job:
                raise DataError(
                    f"{self.directory}: another job has written this version meanwhile; run the same command again"
                )
            return
        ordered = sorted(shards, key=lambda receipt: (receipt.split, receipt.index))
        by_split = {
            split: [r.shard for r in ordered if r.split == split and r.shard is not None] for split in splits
        }
        missing = {shard.file for part in by_split.values() for shard in part} - {
            *storage.list_names(self.data)
        }
        if missing:
            raise DataError(
                f"{self.data}: {len(missing)} finished shards are gone, first {min(missing)}; delete {self.work} and "
                "run the same command again"
            )
        # Lost workers leave them, whose shards the runner had others do.
        storage.delete_temporary_files(self.data)
        if not self.encrypted:
            self._merge_ids(ordered)
        bad = [record for receipt in ordered for record in receipt.bad]
        if bad:
            lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in bad)
            storage.write_atomic(storage.join(self.data, layout.BAD_RECORDS_FILE), lines.encode())
        write_metadata(
            self.data,
            name=self.name,
            version=self.version,
            class_names=self.class_names,
            fmt=self.format,
            shards=by_split,
            manifest={**manifest, "bad_records": len(bad)},
            encrypted=self.encrypted,
        )
        storage.publish_directory(self.data, self.directory, last=layout.INFO_FILE)

    def _merge_ids(self, receipts: list[ShardReceipt]) -> None:
        """One map from neutral id to original name, where the source had names."""
        parts = [self.ids_path(receipt.split, receipt.index) for receipt in receipts]
        tables = [pq.read_table(pa.BufferReader(storage.read_bytes(p))) for p in parts if storage.exists(p)]
        if tables:
            write_ids(storage.join(self.data, layout.IDS_FILE), pa.concat_tables(tables))


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
    restart: bool = False,
) -> Output | Dataset:
    """Decides what a job's output is: a new version, one to be continued, or one that is there already.

    Args:
      home: `<root>/<name>`.
      fingerprint: identifies the job: same input, same settings.
      origin: digest of the source that the images came from in the beginning; versions of one
        home have one origin.
      restart: an unfinished other job that could be restarted too gives way to this one.

    Returns:
      An `Output` to write, or the `Dataset` that this very job has committed before.

    Raises:
      DataError: the home holds another dataset, or an unfinished other job.
    """
    if not storage.is_remote(home) and Path(home).is_file():
        raise DataError(f"{home}: a file stands where the dataset should go; choose another --output")
    if storage.exists(storage.join(home, layout.INFO_FILE)):
        raise DataError(f"{home}: this is a version of a dataset; name a home, ROOT/NAME, as --output")
    layout.check_name(storage.base_name(home))
    versions = committed_versions(home)
    for version in reversed(versions):
        there = open_dataset(storage.join(home, version))
        if there.manifest is not None and there.manifest["job"] == fingerprint:
            return there
        if there.encrypted != encrypted or there.origin != origin:
            raise DataError(f"{home}: holds a different dataset; choose another --output, or delete it first")
    begun = storage.list_names(storage.join(home, "_work"))
    # A publication may have been cut in the middle.
    started = {_version_of(name) for name in begun}
    if not versions and not {*storage.list_names(home)} <= {"_work", *started}:
        raise DataError(f"{home}: holds files that are no dataset; choose another --output")
    version = _next(versions[-1]) if versions else _FIRST_VERSION
    output = Output(home, version, fingerprint, encrypted, class_names, fmt)
    for name in begun:
        work = storage.join(home, "_work", name)
        if _version_of(name) == version and work != output.work:
            if storage.exists(plan := _plan_path(work)):
                found = json.loads(storage.read_bytes(plan))
                if not (restart and found["restart"]):
                    raise DataError(
                        f"{work}: an unfinished job with other settings or input; run that one again, or delete this "
                        "folder"
                    )
            storage.delete(work)
    storage.delete_temporary_files(output.data)
    plan_of_this = {"job": fingerprint, "restart": restart}
    storage.write_atomic(_plan_path(output.work), json.dumps(plan_of_this).encode())
    return output


def _plan_path(work: str) -> str:
    return storage.join(work, "plan.json")


def _version_of(work_name: str) -> str:
    return work_name.partition("-")[0]


def _next(version: str) -> str:
    major, minor, patch = layout.version_key(version)
    return f"{major}.{minor}.{patch + 1}"


@contextlib.contextmanager
def locked(home: str) -> Iterator[locks.Lock]:
    """Holds a home for one job; tidies up when the job ends. Raises BusyError if another one has it."""
    lock = storage.join(home, "_work", _LOCK_FILE)
    try:
        with locks.held(lock, home, remove=True) as held:
            try:
                yield held
            finally:
                _tidy(home)
    finally:
        if not storage.is_remote(home):
            # What holds nothing goes; another job may have begun meanwhile.
            for folder in (Path(home, "_work"), Path(home)):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _tidy(home: str) -> None:
    """Removes the work of committed versions and what has no finished shard."""
    work = storage.join(home, "_work")
    for name in storage.list_names(work):
        committed = storage.exists(storage.join(home, _version_of(name), layout.INFO_FILE))
        if name != _LOCK_FILE and (committed or not storage.list_names(storage.join(work, name, "receipts"))):
            storage.delete(storage.join(work, name))
