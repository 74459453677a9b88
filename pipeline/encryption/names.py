"""The original names of an encrypted version's images, kept on the owner's side.

A file name can name a patient, so beside ciphertext none stands in clear. The map of ids to names (`id_map`) is
encrypted under the dataset's key: shard by shard while the version is written, and as a whole in the key store, as
`names/KEYSET.KEY.JOB.bin`, before the version is published. There it stays until the key is destroyed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from lpe.pipeline import storage
from lpe.pipeline.dataset import Dataset
from lpe.pipeline.dataset.layout import IDS_FILE
from lpe.pipeline.dataset.manifest import REMEDY
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.dataset.unique_ids import known_ids
from lpe.pipeline.dataset.writer import NewVersion
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.keystore import DatasetKey
from lpe.pipeline.keystore.names_path import names_path
from lpe.pipeline.seal.authentication import manifest_of
from lpe.transforms import labels
from lpe.transforms.errors import DataError, KeyStoreError

if TYPE_CHECKING:
    import pyarrow as pa


HideNames = Callable[["pa.Table", str, int], bytes]
"""The map of one shard, its split and index, to what may lie beside ciphertext."""


class NameKeeper(Protocol):
    """A picklable description of what becomes of the names of a new version's images."""

    def open(self) -> HideNames | None:
        """Fetches the key that hides the names of a shard; None if shards have no names to be hidden.

        Raises:
          KeyStoreError: the key cannot be had.
        """

    def keep(self, version: NewVersion, receipts: Sequence[ShardReceipt]) -> None:
        """Keeps all names, before the version is published; may be called again.

        Raises:
          DataError, KeyStoreError: names are missing or were changed.
        """


class NameMap(Protocol):
    """A place of a map of ids to names."""

    def read(self) -> pa.Table | None:
        """The map, with the columns of `id_map`; None if there is none. Raises LpeError if it was changed."""

    def write(self, table: pa.Table) -> None:
        """Puts a map there."""


@dataclasses.dataclass(frozen=True)
class PlainMap:
    """The map of a plain version.

    Attributes:
      path: of its file.
      rows: how many images it is of, at most.
    """

    path: str
    rows: int = 0

    @classmethod
    def of(cls, dataset: Dataset) -> PlainMap:
        """The map of a committed plain version."""
        return cls(storage.join(dataset.directory, IDS_FILE), named_images(dataset))

    def read(self) -> pa.Table | None:
        """See `NameMap`."""
        from lpe.pipeline.dataset.id_map import read_id_map  # noqa: PLC0415  (pyarrow is slow to import)

        return read_id_map(self.path, self.rows, REMEDY, whole=False) if storage.exists(self.path) else None

    def write(self, table: pa.Table) -> None:
        """See `NameMap`."""
        from lpe.pipeline.dataset.id_map import write_id_map  # noqa: PLC0415  (pyarrow is slow to import)

        write_id_map(self.path, [table])


@dataclasses.dataclass(frozen=True)
class HiddenMap:
    """The map of an encrypted version, in the key store.

    Attributes:
      keystore: its URI.
      encryption: the version's.
      job: the fingerprint of the job that wrote the version: one that was appended to shares its salt with the next.
      rows: how many images it is of, at most.
    """

    keystore: str
    encryption: Encryption
    job: str
    rows: int = 0

    @classmethod
    def of(cls, dataset: Dataset, encryption: Encryption, keystore: str) -> HiddenMap:
        """The map of a committed encrypted version."""
        return cls(keystore, encryption, manifest_of(dataset).job, named_images(dataset))

    @property
    def path(self) -> str:
        """Its file."""
        return names_path(self.keystore, self.encryption.key_name, self.encryption.key_id, self.job)

    def exists(self) -> bool:
        """Whether it is there."""
        return storage.exists(self.path)

    def read(self) -> pa.Table | None:
        """See `NameMap`."""
        from lpe.pipeline.dataset.id_map import parse_id_map  # noqa: PLC0415  (pyarrow is slow to import)

        if not self.exists():
            return None
        hidden = storage.read_bytes(self.path)
        key, remedy = self.encryption.open_key(self.keystore), "restore it from a copy of the key store"
        content = _reveal(
            key, self.encryption.spec.salt, hidden, labels.hidden_names(self.job), self.path, remedy
        )
        return parse_id_map(content, self.path, self.rows, remedy, whole=False)

    def write(self, table: pa.Table) -> None:
        """See `NameMap`."""
        from lpe.pipeline.dataset.id_map import id_map_bytes  # noqa: PLC0415  (pyarrow is slow to import)

        key = self.encryption.open_key(self.keystore)
        hidden = key.hide(self.encryption.spec.salt, id_map_bytes(table), labels.hidden_names(self.job))
        storage.write_atomic(self.path, hidden, private=True)


@dataclasses.dataclass(frozen=True)
class NewNames:
    """The names that a source gives: hidden shard by shard, and put together in the key store.

    Attributes:
      target: where they go.
      splits: those whose images have names: copies have none.
      before: where the names of the images are that new ones are appended to; None for a new dataset.
    """

    target: HiddenMap
    splits: tuple[str, ...]
    before: HiddenMap | None = None

    def open(self) -> HideNames:
        """See `NameKeeper`."""
        from lpe.pipeline.dataset.id_map import id_map_bytes  # noqa: PLC0415  (pyarrow is slow to import)

        encryption, job = self.target.encryption, self.target.job
        key, salt = encryption.open_key(self.target.keystore), encryption.spec.salt

        def hide(part: pa.Table, split: str, index: int) -> bytes:
            return key.hide(salt, id_map_bytes(part), labels.hidden_names_of_shard(job, split, index))

        return hide

    def keep(self, version: NewVersion, receipts: Sequence[ShardReceipt]) -> None:
        """See `NameKeeper`."""
        _write(self.target, self.before, self._parts(version, receipts))

    def _parts(self, version: NewVersion, receipts: Sequence[ShardReceipt]) -> Iterator[pa.Table]:
        from lpe.pipeline.dataset.id_map import parse_id_map  # noqa: PLC0415  (pyarrow is slow to import)

        encryption, job = self.target.encryption, self.target.job
        key, salt = encryption.open_key(self.target.keystore), encryption.spec.salt
        remedy = f"delete {version.work} and run the same command again"
        for receipt in sorted(receipts, key=lambda receipt: (receipt.split, receipt.index)):
            if receipt.split not in self.splits or not receipt.images or receipt.carried:
                continue
            path = version.ids_path(receipt.split, receipt.index)
            if not storage.exists(path):
                raise DataError(f"{path}: missing; {remedy}")
            context = labels.hidden_names_of_shard(job, receipt.split, receipt.index)
            content = _reveal(key, salt, storage.read_bytes(path), context, path, remedy)
            yield parse_id_map(content, path, receipt.images, remedy)


@dataclasses.dataclass(frozen=True)
class CarriedNames:
    """The names that the input has: taken along to the new version.

    Attributes:
      source: where they are; there may be none.
      target: where they go.
      before: see `NewNames`.
    """

    source: NameMap
    target: NameMap
    before: HiddenMap | None = None

    def open(self) -> None:
        """Shards have no names of their own."""

    def keep(self, version: NewVersion, receipts: Sequence[ShardReceipt]) -> None:
        """See `NameKeeper`."""
        table = self.source.read()
        if table is not None and any(receipt.bad or receipt.carried for receipt in receipts):
            # Of images that were left out, and of those that were there before, the names are not among the new ones.
            written = (receipt.ids for receipt in receipts if not receipt.carried)
            table = table.filter(known_ids(table["id"].to_pylist(), written))
        _write(self.target, self.before, [] if table is None else [table])


def read_names(dataset: Dataset, encryption: Encryption, keystore: str) -> pa.Table | None:
    """The map of an encrypted version's ids to the original names, with the columns of `id_map`.

    Args:
      dataset: the version.
      encryption: its encryption.
      keystore: the key store's URI.

    Returns:
      The map; None if no names were kept.

    Raises:
      KeyStoreError: the key cannot be had, or the map was changed.
      DataError: it is not of these images.
    """
    return HiddenMap.of(dataset, encryption, keystore).read()


def named_images(dataset: Dataset) -> int:
    """How many images of a dataset can have names: copies have none."""
    copies = dataset.copy_splits
    return sum(split.examples for name, split in dataset.splits.items() if name not in copies)


def _reveal(key: DatasetKey, salt: str, hidden: bytes, context: bytes, path: str, remedy: str) -> bytes:
    try:
        return key.reveal(salt, hidden, context)
    except KeyStoreError as error:
        raise KeyStoreError(f"{path}: not what was written there; {remedy}") from error


def _write(target: NameMap, before: HiddenMap | None, new: Iterable[pa.Table]) -> None:
    """Writes the names of the images that were there before, and those of new ones, if there are any."""
    import pyarrow as pa  # noqa: PLC0415  (slow to import)

    old = before.read() if before is not None else None
    tables = [*([old] if old is not None else []), *new]
    if tables:
        target.write(pa.concat_tables(tables))
