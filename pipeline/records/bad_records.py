"""Records that cannot be used, and what becomes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NoReturn

from lpe.transforms.errors import DataError


@dataclasses.dataclass(frozen=True)
class BadRecord:
    """One image that could not be read: where it is (file, record) and why not."""

    where: str
    reason: str

    def error(self) -> DataError:
        return DataError(f"{self.where}: {self.reason}; remove or replace it, or pass --on-bad-record skip")


OnBadRecord = Callable[[BadRecord], None]
"""Called for every bad record; it raises (policy `fail`) or takes note of it (policy `skip`)."""


_REMEDY = "remove or replace it, or pass --on-bad-record skip"


def fail(remedy: str = _REMEDY) -> OnBadRecord:
    def raise_error(record: BadRecord) -> NoReturn:
        raise DataError(f"{record.where}: {record.reason}; {remedy}")

    return raise_error


def fail_on_bad_record(record: BadRecord) -> NoReturn:
    """An `OnBadRecord`. Raises DataError for the first one."""
    raise record.error()
