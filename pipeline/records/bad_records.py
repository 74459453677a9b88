"""Records that cannot be used, and the policy for them: fail at the first, or take note and go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NoReturn

from lpe.transforms.errors import DataError

REPLACE_OR_SKIP = "remove or replace it, or pass --on-bad-record skip"
"""The remedy that a job which reads images for the first time offers."""


@dataclasses.dataclass(frozen=True)
class BadRecord:
    """One image that cannot be read.

    Attributes:
      where: the file and the record, or the image's own name; it may name a patient.
      reason: what is wrong with it; never pixels or keys.
    """

    where: str
    reason: str

    def error(self) -> DataError:
        """The error of a job that stops at this record."""
        return _error(self, REPLACE_OR_SKIP)


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
        raise _error(record, remedy)

    return raise_error


def fail_on_bad_record(record: BadRecord) -> NoReturn:
    """The policy `fail(REPLACE_OR_SKIP)`."""
    raise record.error()


def _error(record: BadRecord, remedy: str) -> DataError:
    return DataError(f"{record.where}: {record.reason}; {remedy}")
