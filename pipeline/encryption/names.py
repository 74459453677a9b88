"""The original names of an encrypted version's images, kept on the owner's side.

A file name can name a patient, so beside ciphertext none stands in clear. The map of ids to names (`id_map`) is
encrypted under the dataset's key: shard by shard while the version is written, and as a whole in the key store, as
`names/KEYSET-KEY-SALT.bin` (`…-SALT-SOURCE.bin` for a version that was appended to another), before the version is
published.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from lpe.pipeline import storage
from lpe.pipeline.dataset.dataset import Dataset, named_images
from lpe.pipeline.dataset.layout import IDS_FILE
from lpe.pipeline.dataset.manifest import REMEDY
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.dataset.unique_ids import known_ids
from lpe.pipeline.dataset.writer import NewVersion
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.keystore import DatasetKey
from lpe.transforms import labels
from lpe.transforms.errors import DataError, KeyStoreError

if TYPE_CHECKING:
    import pyarrow as pa

_FOLDER = "names"
_SALT_DIGITS = 32
_SOURCE_DIGITS = 16

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
      rows: how many images it is of.
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

        return read_id_map(self.path, self.rows, REMEDY) if storage.exists(self.path) else None

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
      rows: how many images it is of.
    """

    keystore: str
    encryption: Encryption
    rows: int = 0

    @classmethod
    def of(cls, dataset: Dataset, encryption: Encryption, keystore: str) -> HiddenMap:
        """The map of a committed encrypted version."""
        return cls(keystore, encryption, named_images(dataset))

    @property
    def path(self) -> str:
        """Its file."""
        encryption = self.encryption
        name = f"{encryption.key_name}-{encryption.key_id}-{encryption.spec.salt[:_SALT_DIGITS]}"
        if encryption.appended_to is not None:  # under the salt of the version before
            name += f"-{hashlib.sha256(str(encryption.hidden_source).encode()).hexdigest()[:_SOURCE_DIGITS]}"
        return storage.join(self.keystore, _FOLDER, f"{name}.bin")

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
        content = _reveal(key, self.encryption.spec.salt, hidden, labels.HIDDEN_NAMES, self.path, remedy)
        return parse_id_map(content, self.path, self.rows, remedy)

    def write(self, table: pa.Table) -> None:
        """See `NameMap`."""
        from lpe.pipeline.dataset.id_map import id_map_bytes  # noqa: PLC0415  (pyarrow is slow to import)

        key = self.encryption.open_key(self.keystore)
        hidden = key.hide(self.encryption.spec.salt, id_map_bytes(table), labels.HIDDEN_NAMES)
        storage.write_atomic(self.path, hidden, private=True)

    def delete(self) -> None:
        """Deletes it, if it is there."""
        if self.exists():
            storage.delete(self.path)


@dataclasses.dataclass(frozen=True)
class NewNames:
    """The names that a source gives: hidden shard by shard, and put together in the key store.

    Attributes:
      target: where they go.
      splits: those whose images have names: copies have none.
    """

    target: HiddenMap
    splits: tuple[str, ...]

    def open(self) -> HideNames:
        """See `NameKeeper`."""
        from lpe.pipeline.dataset.id_map import id_map_bytes  # noqa: PLC0415  (pyarrow is slow to import)

        encryption = self.target.encryption
        key, salt = encryption.open_key(self.target.keystore), encryption.spec.salt

        def hide(part: pa.Table, split: str, index: int) -> bytes:
            return key.hide(salt, id_map_bytes(part), labels.hidden_names_of_shard(split, index))

        return hide

    def keep(self, version: NewVersion, receipts: Sequence[ShardReceipt]) -> None:
        """See `NameKeeper`."""
        table = self.read(version, receipts)
        if table is not None:
            self.target.write(table)

    def read(self, version: NewVersion, receipts: Sequence[ShardReceipt]) -> pa.Table | None:
        """The names of all images in these shards; None if there are no images."""
        import pyarrow as pa  # noqa: PLC0415  (slow to import)

        from lpe.pipeline.dataset.id_map import parse_id_map  # noqa: PLC0415  (pyarrow)

        encryption = self.target.encryption
        key, salt = encryption.open_key(self.target.keystore), encryption.spec.salt
        remedy = f"delete {version.work} and run the same command again"
        parts = []
        for receipt in sorted(receipts, key=lambda receipt: (receipt.split, receipt.index)):
            if receipt.split not in self.splits or not receipt.images:
                continue
            path = version.ids_path(receipt.split, receipt.index)
            if not storage.exists(path):
                raise DataError(f"{path}: missing; {remedy}")
            context = labels.hidden_names_of_shard(receipt.split, receipt.index)
            content = _reveal(key, salt, storage.read_bytes(path), context, path, remedy)
            parts.append(parse_id_map(content, path, receipt.images, remedy))
        return pa.concat_tables(parts) if parts else None


@dataclasses.dataclass(frozen=True)
class CarriedNames:
    """The names that the input has: taken along to the new version.

    Attributes:
      source: where they are; there may be none.
      target: where they go.
    """

    source: NameMap
    target: NameMap

    def open(self) -> None:
        """Shards have no names of their own."""

    def keep(self, version: NewVersion, receipts: Sequence[ShardReceipt]) -> None:
        """See `NameKeeper`."""
        table = self.source.read()
        if table is None:
            return
        if len(table) != sum(receipt.images for receipt in receipts):
            # Some are copies, which have none, and some may have been left out.
            table = table.filter(known_ids(table["id"].to_pylist(), (receipt.ids for receipt in receipts)))
        self.target.write(table)


@dataclasses.dataclass(frozen=True)
class AppendedNames:
    """The names of a version that is appended to another: those of that one, and those of the new images.

    Attributes:
      before: where those of the version before are; without them none are kept: a map is of all images.
      new: what gives those of new images: a source, or the map of the plain dataset, which has others too.
      target: where they go.
    """

    before: HiddenMap
    new: NewNames | PlainMap
    target: HiddenMap

    def open(self) -> HideNames | None:
        """See `NameKeeper`."""
        return self.new.open() if isinstance(self.new, NewNames) else None

    def keep(self, version: NewVersion, receipts: Sequence[ShardReceipt]) -> None:
        """See `NameKeeper`."""
        import pyarrow as pa  # noqa: PLC0415  (slow to import)

        added = [receipt for receipt in receipts if not receipt.carried]
        if isinstance(self.new, NewNames):
            names = self.new.read(version, added)
        else:
            names = self.new.read()
            if names is not None:
                names = names.filter(known_ids(names["id"].to_pylist(), (receipt.ids for receipt in added)))
        before = self.before.read()
        if before is not None:
            self.target.write(before if names is None else pa.concat_tables([before, names]))


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


def _reveal(key: DatasetKey, salt: str, hidden: bytes, context: bytes, path: str, remedy: str) -> bytes:
    try:
        return key.reveal(salt, hidden, context)
    except KeyStoreError as error:
        raise KeyStoreError(f"{path}: not what was written there; {remedy}") from error
