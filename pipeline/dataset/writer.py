"""A dataset version under construction, out of sight until it is complete.

    <home>/_work/<version>-<job>/plan.json        the job's fingerprint
    <home>/_work/<version>-<job>/data/...         becomes <home>/<version>/ at the end
    <home>/_work/<version>-<job>/receipts/*.json  one per finished shard
    <home>/_work/<version>-<job>/ids/*.parquet    one per finished shard of plain data

A job that is killed and run again finds its fingerprint, keeps the shards that have receipts and are as these say,
and writes the rest. An encrypted version's receipts have a MAC, so that nobody else can finish its shards. Each job
has a folder of its own: workers on other machines may go on for a while after their job was
given up, and what they write must not get into another job's version.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lpe.pipeline import storage
from lpe.pipeline.dataset import layout
from lpe.pipeline.dataset.dataset import Dataset, committed_versions, open_dataset
from lpe.pipeline.dataset.layout import WORK_DIRECTORY
from lpe.pipeline.dataset.manifest import ShardInfo, Sign
from lpe.pipeline.dataset.metadata import file_sha256, write_metadata
from lpe.pipeline.dataset.predecessor import Predecessor, class_counts, next_numbers
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.dataset.unique_ids import check_unique
from lpe.pipeline.records import RecordFormat
from lpe.pipeline.storage import locks
from lpe.pipeline.storage.documents import read_document
from lpe.transforms.errors import DataError

_FIRST_VERSION = "1.0.0"
_LOCK_FILE = "lock"
_IDENTITY_FILE = "plan.json"
_JOB = re.compile(rf"{layout.VERSION.pattern}-[0-9a-f]{{8,12}}", re.ASCII)
"""The folder of a job, or of a version that is being deleted."""


@dataclasses.dataclass(frozen=True)
class VersionIdentity:
    """What a job will make: two jobs with equal identities give the same bytes.

    Attributes:
      job: fingerprint of the input and all settings (hex), keyed for an encrypted version.
      origin: stands for the source that the images came from in the beginning; versions of one home have one.
      encrypted: whether ciphertext is written.
      class_names: class i will be called class_names[i].
      format: how records will be laid out.
      restartable: an unfinished other job that is restartable too gives way to this one.
    """

    job: str
    origin: str
    encrypted: bool
    class_names: tuple[str, ...]
    format: RecordFormat
    restartable: bool = False


@dataclasses.dataclass(frozen=True)
class NewVersion:
    """A version that a job writes; a small picklable value that travels to the workers.

    Attributes:
      home: the dataset's home, `<root>/<name>`.
      version: the version that the job will commit.
      identity: what the job makes.
      committed: the dataset, if this very job has committed it before: there is nothing to write.
      predecessor: the version that this one is appended to; None if it is not.
    """

    home: str
    version: str
    identity: VersionIdentity
    committed: Dataset | None = None
    predecessor: Predecessor | None = None

    @property
    def name(self) -> str:
        """The dataset's name."""
        return storage.base_name(self.home)

    @property
    def directory(self) -> str:
        """The version directory that the commit makes."""
        return storage.join(self.home, self.version)

    @property
    def work(self) -> str:
        """The job's own folder."""
        return storage.join(self.home, WORK_DIRECTORY, f"{self.version}-{self.identity.job[:12]}")

    @property
    def data(self) -> str:
        """The folder that becomes the version directory."""
        return storage.join(self.work, "data")

    @property
    def receipts(self) -> str:
        """The folder of the finished shards' receipts."""
        return storage.join(self.work, "receipts")

    def shard_name(self, split: str, index: int, count: int) -> str:
        """The file name of a shard."""
        kind = self.identity.format.file_format
        return layout.shard_name(self.name, split, index, count, file_format=kind)

    def receipt_path(self, split: str, index: int) -> str:
        """Where the receipt of a finished shard is."""
        return storage.join(self.receipts, f"{split}-{index:05d}.json")

    def ids_path(self, split: str, index: int) -> str:
        """Where a finished plain shard's map of ids to original names is."""
        return storage.join(self.work, "ids", f"{split}-{index:05d}.parquet")

    def is_committed(self) -> bool:
        """Whether the version is there for readers."""
        return storage.exists(storage.join(self.directory, layout.INFO_FILE))

    def finished(self, split: str, index: int, count: int, sign: Sign | None) -> ShardReceipt | None:
        """The receipt of a shard that is complete; None if it is not, or shard or receipt is not as it was written.

        Args:
          split, index, count: which shard of how many.
          sign: makes the MACs of an encrypted version; None for plain data.
        """
        file = self.shard_name(split, index, count)
        try:
            fields = read_document(self.receipt_path(split, index), "write the shard again")
            receipt = ShardReceipt.from_fields(fields, sign)
            shard = receipt.shard
            if shard is None or (receipt.split, receipt.index, shard.file) != (split, index, file):
                return None
            return receipt if file_sha256(storage.join(self.data, file)) == shard.sha256 else None
        except (FileNotFoundError, DataError):
            return None

    def carry(self, split: str, index: int, count: int, path: str, shard: ShardInfo) -> ShardReceipt:
        """Takes a shard of the version before over as it is, by a link or a copy.

        Args:
          split, index, count: which shard of how many it becomes.
          path: its file.
          shard: what was recorded of it, which counts for the new version as well: its readers compare.

        Raises:
          DataError: it is missing.
        """
        named = dataclasses.replace(shard, file=self.shard_name(split, index, count))
        try:
            storage.link_or_copy(path, storage.join(self.data, named.file))
        except FileNotFoundError:
            raise DataError(f"{path}: this shard is missing; restore it from a copy") from None
        receipt = ShardReceipt(split, index, named, images=shard.examples, kept=True, carried=True)
        storage.write_atomic(self.receipt_path(split, index), receipt.to_bytes(None))  # for progress
        return receipt

    def commit(
        self,
        receipts: list[ShardReceipt],
        manifest: Mapping[str, Any],
        splits: list[str],
        sign: Sign | None = None,
    ) -> None:
        """Publishes the version; nothing happens if it was published before.

        Args:
          receipts: of all shards, in any order.
          manifest: goes into manifest.json or encryption.json; its `numbers` are those that the job gave.
          splits: their order in the metadata.
          sign: makes the MACs of an encrypted version's manifest.

        Raises:
          DataError: another job has published it meanwhile, finished shards are gone, or an id occurs twice.
        """
        if self.is_committed():
            committed = open_dataset(self.directory).manifest
            if committed is None or committed.job != self.identity.job:
                raise DataError(
                    f"{self.directory}: another job has written this version meanwhile; run the same command again"
                )
            return
        ordered = sorted(receipts, key=lambda receipt: (receipt.split, receipt.index))
        shards = {
            split: [r.shard for r in ordered if r.split == split and r.shard is not None] for split in splits
        }
        self._check_all_there(shards)
        check_unique(receipt.ids for receipt in ordered)
        # Lost workers leave temporary files; the runner had others do their shards.
        storage.delete_temporary_files(self.data)
        before = self.predecessor
        if not self.identity.encrypted:
            self._merge_ids(ordered, _copies(manifest))
        bad = [
            json.dumps(record, ensure_ascii=False).encode() for receipt in ordered for record in receipt.bad
        ]
        listed = before.bad_record_lines() if before is not None else []
        # A grown folder still has the files that could not be read the first time.
        bad = [*listed, *(line for line in bad if line not in listed)]
        if bad:
            lines = b"".join(line + b"\n" for line in bad)
            storage.write_atomic(storage.join(self.data, layout.BAD_RECORDS_FILE), lines)
        measured = {
            "bad_records": len(bad),
            "class_counts": class_counts(ordered, splits, len(self.identity.class_names), before),
            "numbers": next_numbers(ordered, splits, manifest.get("numbers", {}), before),
        }
        write_metadata(
            self.data,
            name=self.name,
            version=self.version,
            class_names=self.identity.class_names,
            fmt=self.identity.format,
            shards=shards,
            manifest={**manifest, **measured},
            encrypted=self.identity.encrypted,
            sign=sign,
        )
        storage.publish_directory(self.data, self.directory, last=layout.INFO_FILE)

    def _check_all_there(self, shards: Mapping[str, list[ShardInfo]]) -> None:
        missing = {shard.file for part in shards.values() for shard in part} - {
            *storage.list_names(self.data)
        }
        if missing:
            raise DataError(
                f"{self.data}: {len(missing)} finished shards are gone, first {min(missing)}; delete {self.work} and "
                "run the same command again"
            )

    def _merge_ids(self, receipts: list[ShardReceipt], copies: set[str]) -> None:
        """Writes one map from neutral id to original name, where the source had names; `copies` have none."""
        remedy = f"delete {self.work} and run the same command again"
        before = self.predecessor.id_map() if self.predecessor is not None else None
        parts = {
            self.ids_path(receipt.split, receipt.index): receipt.images
            for receipt in receipts
            if receipt.images and not receipt.carried and receipt.split not in copies
        }
        there = [part for part in parts if storage.exists(part)]
        if there and len(there) < len(parts):
            missing = next(part for part in parts if part not in there)
            raise DataError(f"{missing}: missing; {remedy}")
        if there or before is not None:
            from lpe.pipeline.dataset.id_map import merge_id_maps, read_id_map, write_id_map  # noqa: PLC0415  (slow)

            whole = storage.join(self.data, layout.IDS_FILE)
            added = (read_id_map(part, parts[part], remedy) for part in there)
            write_id_map(whole, added if before is None else merge_id_maps(before, added))


@contextlib.contextmanager
def new_version(home: str, identity: VersionIdentity, *, locked: bool = False) -> Iterator[NewVersion]:
    """Holds a home while a job writes its next version there; tidies up when the block ends.

    Args:
      home: `<root>/<name>`.
      identity: what the job makes.
      locked: the caller holds the home already, see `hold_home`.

    Yields:
      The version: a new one, one to be continued, or one that this very job has `committed` before.

    Raises:
      BusyError: another job holds the home.
      DataError: the home holds another dataset, or an unfinished other job.
    """
    home = home.rstrip("/")
    with contextlib.nullcontext() if locked else hold_home(home):
        yield _begin(home, identity)


@contextlib.contextmanager
def hold_home(home: str) -> Iterator[locks.Lock]:
    """Holds a home for one job; tidies up when the job ends.

    Raises:
      BusyError: another job has it.
      DataError: another user could have this one write elsewhere.
    """
    lock = storage.join(home, WORK_DIRECTORY, _LOCK_FILE)
    _check_own(home)
    try:
        with locks.held(lock, home, remove=True) as held:
            try:
                _check_own(home)  # which may have been made meanwhile
                yield held
            except BaseException:
                with contextlib.suppress(OSError):  # the error before says what is wrong
                    _tidy(home)
                raise
            _tidy(home)
    finally:
        if not storage.is_remote(home):
            # Empty folders go; another job may have begun meanwhile.
            for folder in (Path(home, WORK_DIRECTORY), Path(home)):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _check_own(home: str) -> None:
    if not storage.is_remote(home) and not Path(home).is_file():
        storage.check_own_directory(home, link=True)
        storage.check_own_directory(storage.join(home, WORK_DIRECTORY))


def _begin(home: str, identity: VersionIdentity) -> NewVersion:
    if not storage.is_remote(home) and Path(home).is_file():
        raise DataError(f"{home}: a file stands where the dataset should go; choose another --output")
    if storage.exists(storage.join(home, layout.INFO_FILE)):
        raise DataError(f"{home}: this is a version of a dataset; name a home, ROOT/NAME, as --output")
    layout.check_name(storage.base_name(home))
    versions = committed_versions(home)
    for version in reversed(versions):
        existing = open_dataset(storage.join(home, version))
        if existing.manifest is not None and existing.manifest.job == identity.job:
            return NewVersion(home, version, identity, committed=existing)
        if existing.encrypted != identity.encrypted or existing.origin != identity.origin:
            raise DataError(f"{home}: holds a different dataset; choose another --output, or delete it first")
    unfinished = _jobs(home)
    # A publication may have been cut in the middle.
    started = {_version_of(job) for job in unfinished}
    if not versions and not {*storage.list_names(home)} <= {WORK_DIRECTORY, *started}:
        raise DataError(f"{home}: holds files that are no dataset; choose another --output")
    new = NewVersion(home, _next(versions[-1]) if versions else _FIRST_VERSION, identity)
    for job in unfinished:
        work = storage.join(home, WORK_DIRECTORY, job)
        if _version_of(job) == new.version and work != new.work:
            _replace_unfinished(work, identity)
    storage.delete_temporary_files(new.data)
    recorded = {"job": identity.job, "restart": identity.restartable}
    storage.write_atomic(storage.join(new.work, _IDENTITY_FILE), json.dumps(recorded).encode())
    return new


def _replace_unfinished(work: str, identity: VersionIdentity) -> None:
    """Deletes another job's work. Raises DataError unless both jobs are restartable."""
    path = storage.join(work, _IDENTITY_FILE)
    if storage.exists(path):
        remedy = f"delete {work} and run the same command again"
        if not (identity.restartable and read_document(path, remedy).boolean("restart")):
            raise DataError(
                f"{work}: an unfinished job with other settings or input; run that one again, or delete this folder"
            )
    storage.delete(work)


def _jobs(home: str) -> list[str]:
    """The folders of unfinished jobs; what else lies there is not ours to delete."""
    return [name for name in storage.list_names(storage.join(home, WORK_DIRECTORY)) if _JOB.fullmatch(name)]


def _version_of(job: str) -> str:
    return job.partition("-")[0]


def _copies(manifest: Mapping[str, Any]) -> set[str]:
    """The splits of augmented copies that a manifest tells of."""
    augmentation = manifest.get("augmentation")
    return (
        set()
        if augmentation is None
        else {*layout.copy_splits(augmentation["split"], augmentation["copies"])}
    )


def _next(version: str) -> str:
    major, minor, patch = layout.version_key(version)
    return f"{major}.{minor}.{patch + 1}"


def _tidy(home: str) -> None:
    """Removes the work of committed versions, and work without a finished shard."""
    folder = storage.join(home, WORK_DIRECTORY)
    for job in _jobs(home):
        committed = storage.exists(storage.join(home, _version_of(job), layout.INFO_FILE))
        if committed or not storage.list_names(storage.join(folder, job, "receipts")):
            storage.delete(storage.join(folder, job))
