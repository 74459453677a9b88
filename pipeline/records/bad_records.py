"""Records that cannot be used, and the policies for them: fail at the first, fail with all, or go on without."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NoReturn

from lpe.transforms.errors import DataError

REPLACE_OR_SKIP = "remove or replace it, or pass --on-bad-record skip"
"""The remedy that a job which reads images for the first time offers."""
_REPLACE_OR_SKIP_ALL = "remove or replace them, or pass --on-bad-record skip"


@dataclasses.dataclass(frozen=True)
class BadRecord:
    """One image that cannot be read.

    Attributes:
      where: the file and the record, or the image's own name; it may name a patient.
      reason: what is wrong with it; never pixels or keys.
    """

    where: str
    reason: str


class BadRecordsError(DataError):
    """Raised by a job that takes no bad records for a shard that has some, once it is known which.

    Attributes:
      records: the bad ones; of very many the first.
    """

    def __init__(self, records: Sequence[BadRecord]) -> None:
        super().__init__(summary(records[0], len(records)))
        self.records = tuple(records)


def summary(first: BadRecord, count: int) -> str:
    """The line that says that so many records are bad, and what to do."""
    named = f"{first.where}: {first.reason}"
    if count == 1:
        return f"{named}; {REPLACE_OR_SKIP}"
    return f"{count:,} images cannot be read, the first {named}; {_REPLACE_OR_SKIP_ALL}"


OnBadRecord = Callable[[BadRecord], None]
"""A policy, called once for every bad record, in order, on the thread that reads: it raises, or takes note."""


def fail(remedy: str) -> OnBadRecord:
    """The policy `fail`: the first bad record ends the reading.

    Args:
      remedy: what the reader of the message should do, e.g. `REPLACE_OR_SKIP`.

    Returns:
      A function that raises DataError, `WHERE: REASON; REMEDY`.
    """

    def raise_error(record: BadRecord) -> NoReturn:
        raise DataError(f"{record.where}: {record.reason}; {remedy}")

    return raise_error
