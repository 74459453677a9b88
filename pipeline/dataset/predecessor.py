"""The version that a new one is appended to, as far as the new one's metadata are made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lpe.pipeline import storage
from lpe.pipeline.dataset.layout import BAD_RECORDS_FILE, IDS_FILE
from lpe.pipeline.dataset.manifest import REMEDY
from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.transforms.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from lpe.pipeline.dataset.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Predecessor:
    """The version that a new one is appended to; a small picklable value.

    Attributes:
      directory: its version directory.
      examples: how many it has.
      bad_records: how many images were left out of it.
      class_counts: of each split, its images of each class.
      numbers: see `Manifest`.
    """

    directory: str
    examples: int
    bad_records: int
    class_counts: Mapping[str, tuple[int, ...]]
    numbers: Mapping[str, int | None]

    @classmethod
    def of(cls, dataset: Dataset) -> Predecessor:
        """An opened version as predecessor. Raises DataError for one of which too little was recorded."""
        manifest = dataset.manifest
        if manifest is None or manifest.numbers is None or manifest.class_counts is None:
            raise DataError(
                f"{dataset.directory}: nobody recorded which numbers its ids have had, so that none can follow; write "
                "the dataset again with this version of lpe"
            )
        examples = sum(split.examples for split in dataset.splits.values())
        return cls(dataset.directory, examples, manifest.bad_records, manifest.class_counts, manifest.numbers)

    def id_map(self) -> pa.Table | None:
        """The map of its ids, or of some, to original names; None where there is none. Raises DataError for damage."""
        path = storage.join(self.directory, IDS_FILE)
        if not storage.exists(path):
            return None
        from lpe.pipeline.dataset.id_map import read_id_map  # noqa: PLC0415  (pyarrow is slow)

        return read_id_map(path, self.examples, REMEDY, whole=False)

    def bad_record_lines(self) -> list[bytes]:
        """The lines of its list of images that were left out."""
        if not self.bad_records:
            return []
        return storage.read_bytes(storage.join(self.directory, BAD_RECORDS_FILE)).splitlines()


def class_counts(
    receipts: Sequence[ShardReceipt], splits: Sequence[str], classes: int, before: Predecessor | None
) -> dict[str, list[int]]:
    """How many images of each class each split has, from the receipts of new shards and the version before."""

    def of(split: str) -> Iterator[Sequence[int]]:
        if before is not None and split in before.class_counts:
            old = before.class_counts[split]
            yield [*old, *[0] * (classes - len(old))]
        yield from (r.class_counts for r in receipts if r.split == split and not r.carried)

    return {split: [sum(counts) for counts in zip(*of(split), strict=True)] for split in splits}


def next_numbers(
    receipts: Sequence[ShardReceipt],
    splits: Sequence[str],
    given: Mapping[str, int],
    before: Predecessor | None,
) -> dict[str, int | None]:
    """The number after those that each split has given; None where an id is not neutral.

    Args:
      receipts: of all shards.
      splits: their names.
      given: of each split, the number after those that the job gave, also to images that could not be read.
      before: the version before.
    """
    numbers: dict[str, int | None] = {}
    for split in splits:
        found = [r.numbers for r in receipts if r.split == split and not r.carried]
        if before is not None and split in before.numbers:
            found.append(before.numbers[split])
        known = [number for number in found if number is not None]
        numbers[split] = max(given.get(split, 0), *known, 0) if len(known) == len(found) else None
    return numbers
