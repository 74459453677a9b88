"""One check of `lpe doctor`: what was looked at, what was found, and what to do about it."""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

from lpe.pipeline import storage
from lpe.transforms.errors import LpeError

Status = Literal["ok", "note", "fault"]

_REMEDY = re.compile(r"; |: (?=pip install )")
"""What divides our errors: before it stands what was wrong, after it what to do."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One row of the report.

    Attributes:
      name: what was looked at.
      status: `fault` where something will fail, `note` where something may be missed, `ok` otherwise.
      detail: what was found.
      remedy: the line to type, or what to do; every fault has one.
    """

    name: str
    status: Status
    detail: str
    remedy: str | None = None


def fault(name: str, detail: str, remedy: str) -> Check:
    """A check that found what will fail."""
    return Check(name, "fault", detail, remedy)


def failed(name: str, error: LpeError | OSError) -> Check:
    """A check that ended in an error of ours, or of the file system: a fault."""
    text = str(storage.explain(error) if isinstance(error, OSError) else error)
    detail, *remedies = _REMEDY.split(text, maxsplit=1)
    return fault(name, detail, remedies[0] if remedies else "mend that and run lpe doctor again")
