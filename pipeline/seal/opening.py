"""Sealed images opened in memory, batch by batch, by whoever has the data key.

Tink is imported when a seal is opened, not before.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lpe.pipeline.dataset import Dataset
from lpe.pipeline.seal.spec import SealSpec
from lpe.pipeline.storage.documents import Fields
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, UsageError

if TYPE_CHECKING:
    from lpe.pipeline.seal.data_key import DataKey


class DataKeySource(Protocol):
    """Whoever can give the data key of a dataset."""

    def load(self) -> DataKey:
        """The data key. Raises KeyStoreError if it cannot be had."""


@dataclasses.dataclass(frozen=True)
class DataKeyFile:
    """An exported data key in a file.

    Attributes:
      path: the file's.
    """

    path: str

    def load(self) -> DataKey:
        """See `DataKeySource`."""
        from lpe.pipeline.seal.data_key import load_data_key  # noqa: PLC0415  (imports Tink)

        return load_data_key(self.path)

    def __str__(self) -> str:
        return self.path


def data_key_source(data_key: str | DataKeySource) -> DataKeySource:
    """What gives the data key, where it may be named by the path of its file."""
    return DataKeyFile(data_key) if isinstance(data_key, str) else data_key


@dataclasses.dataclass(frozen=True)
class SealOpener:
    """A function from batches as they are stored to the batches within the seal.

    It travels to other processes with what gives the key, which is asked anew there, when the first batch is opened.

    Attributes:
      data_key: what gives the key.
      seal: the dataset's description of its seal.
      where: the dataset, for the message if the key is another one's.
    """

    data_key: DataKeySource
    seal: SealSpec
    where: str

    def open(self) -> Callable[[ImageBatch], ImageBatch]:
        """The function with its key read: sealed images -> those within.

        Raises:
          KeyStoreError: the key is missing, or another dataset's.
        """
        _ = self.key
        return self

    def __call__(self, batch: ImageBatch) -> ImageBatch:
        """The images within a batch of sealed ones, in memory.

        Raises:
          DataError: an image was changed, or is not in its place.
          KeyStoreError: the key is missing, or another dataset's.
        """
        try:
            return self.key.unseal(batch, self.seal.image_shape)
        except DataError as error:
            raise DataError(f"{self.where}: {error}") from error

    @functools.cached_property
    def key(self) -> DataKey:
        """The data key, read once in a process. Raises KeyStoreError if it is missing, or another dataset's."""
        key = self.data_key.load()
        key.verify(self.seal, self.where)
        return key

    def __reduce__(self) -> tuple[type[SealOpener], tuple[DataKeySource, SealSpec, str]]:
        """Leaves the key behind, which is in no pickle."""
        return SealOpener, (self.data_key, self.seal, self.where)


def seal_opener(dataset: Dataset, data_key: str | DataKeySource) -> SealOpener:
    """The opener of a sealed dataset, once the key is found to be its, and its manifest to be what was sealed.

    Args:
      dataset: the dataset.
      data_key: the path of its exported data key, or what else gives it.

    Raises:
      UsageError: the dataset is not sealed.
      KeyStoreError: the key is missing, may be read by others, or is another dataset's.
      DataError: the dataset's manifest was changed.
    """
    manifest = dataset.manifest
    if manifest is None or not dataset.sealed:
        raise UsageError(
            f"{dataset.directory}: not sealed; leave out the data key {data_key}, or, if its owner sealed it and "
            "the seal was stripped, restore it from a copy"
        )
    seal = SealSpec.from_json(
        Fields(manifest.content, manifest.path, "restore it from a copy").object("seal")
    )
    opener = SealOpener(data_key_source(data_key), seal, dataset.directory)
    from lpe.pipeline.seal.authentication import check_under_data_key  # noqa: PLC0415  (imports Tink)

    check_under_data_key(dataset, opener.key)
    return opener


def opener_if_sealed(dataset: Dataset, data_key: str | DataKeySource | None) -> SealOpener | None:
    """The opener of a dataset that may be sealed; None for one that is not.

    Args:
      dataset: the dataset.
      data_key: the path of its exported data key, or what else gives it; None for none.

    Raises:
      DataError: the dataset is sealed and there is no data key, or its manifest was changed.
      UsageError: the dataset is not sealed and there is one.
      KeyStoreError: the key is missing, may be read by others, or is another dataset's.
    """
    if data_key is not None:
        return seal_opener(dataset, data_key)
    if dataset.sealed:
        raise DataError(
            f"{dataset.directory}: this dataset is sealed; give its data key with --data-key FILE (in Python "
            "data_key=FILE), or write an opened copy: lpe unseal --source dataset:DIR --data-key FILE"
        )
    return None
