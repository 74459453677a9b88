"""Images that are reduced as they are read, before they are augmented and encrypted."""

from __future__ import annotations

import dataclasses
import functools
import secrets
from collections.abc import Iterator
from typing import Protocol

from lpe.pipeline.dataset.reader import Reader
from lpe.pipeline.encryption.metadata import Encryption
from lpe.pipeline.encryption.reduction import RecordedReduction, Reduce, reduced_shape
from lpe.pipeline.keystore import KeyRef
from lpe.pipeline.records.bad_records import OnBadRecord
from lpe.pipeline.sources.plan import Plan
from lpe.transforms.batch import ImageBatch
from lpe.transforms.ciphers.derive import SECRET_BYTES
from lpe.transforms.errors import UsageError
from lpe.transforms.reductions import Chain


class ReductionRef(Protocol):
    """A picklable description of a reduction; it names keys without holding them."""

    def open(self) -> Reduce:
        """The reduction as a function. Raises KeyStoreError if a key cannot be had."""


@dataclasses.dataclass(frozen=True)
class DatasetReduction:
    """The reduction of an encrypted dataset's images.

    Attributes:
      keystore: where the dataset's key is.
      key_name, key_id, check_value, salt: see `Encryption`.
      recorded: the reduction.
    """

    keystore: str
    key_name: str
    key_id: int
    check_value: str
    salt: str
    recorded: RecordedReduction

    @classmethod
    def of(cls, encryption: Encryption, keystore: str) -> DatasetReduction | None:
        """That of a dataset; None where nothing was reduced."""
        if encryption.reduction is None:
            return None
        spec, recorded = encryption.spec, encryption.reduction
        key = encryption.key_name, encryption.key_id, encryption.check_value
        return cls(keystore, *key, spec.salt, recorded)

    def open(self) -> Reduce:
        """See `ReductionRef`."""
        return _opened(self)


@functools.lru_cache(8)
def _opened(reduction: DatasetReduction) -> Reduce:
    """The reduction, opened once for all shards that a process reads."""
    key = KeyRef(reduction.keystore, reduction.key_name, reduction.key_id).open()
    key.verify(reduction.salt, reduction.check_value)
    return reduction.recorded.open(key, reduction.salt, reduction.keystore)


@dataclasses.dataclass(frozen=True)
class ReductionForShow:
    """A reduction of images that nobody keeps: its noise is another one each time.

    Attributes:
      chain: the reductions.
    """

    chain: Chain

    def open(self) -> Reduce:
        """See `ReductionRef`."""
        secret = secrets.token_bytes(SECRET_BYTES)
        return lambda images: self.chain.apply(images, secret)


@dataclasses.dataclass(frozen=True)
class ReducedReader:
    """The reader of another one's images, reduced; ids, labels and names stay as they are.

    Attributes:
      reader: reads plain images.
      reduction: what is done to them.
    """

    reader: Reader
    reduction: ReductionRef

    def expected(self) -> int:
        """See `Reader`."""
        return self.reader.expected()

    def batches(self, on_bad_record: OnBadRecord) -> Iterator[ImageBatch]:
        """See `Reader`."""
        reduce = self.reduction.open()
        for batch in self.reader.batches(on_bad_record):
            yield batch.replace_images(reduce(batch.images))


def with_reduced_shape(plan: Plan, chain: Chain) -> Plan:
    """The plan with the shape that its images have once they are reduced; how they are read is left to `reduced`.

    Raises:
      UsageError: its images cannot be reduced so.
    """
    try:
        shape = reduced_shape(chain, plan.image_shape)
    except UsageError as error:
        raise UsageError(f"{plan.source}: {error}") from None
    if not chain or shape is None:
        return plan
    return dataclasses.replace(plan, image_shape=shape, channels=shape[2], shape_read=plan.image_shape)


def reduced(plan: Plan, reduction: ReductionRef | None) -> Plan:
    """The plan with readers that reduce what they read; itself where nothing is to be reduced."""
    if reduction is None:
        return plan
    tasks = tuple(
        dataclasses.replace(task, reader=ReducedReader(task.reader, reduction)) for task in plan.tasks
    )
    return dataclasses.replace(plan, tasks=tasks)


def reduced_for_show(plan: Plan, chain: Chain) -> Plan:
    """The plan with images reduced as those of a dataset would be. Raises UsageError if they cannot be."""
    return reduced(with_reduced_shape(plan, chain), ReductionForShow(chain) if chain else None)
