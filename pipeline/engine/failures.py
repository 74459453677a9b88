"""Failures of shards, and how they pass through a runner, which passes errors on as text alone."""

from __future__ import annotations

import base64
import json
import re

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.transforms.errors import DataError

_MOST_REASONS = 100  # an error's text has its limits
_PACKED = re.compile(r"<lpe:([A-Za-z0-9+/=]+)>")


class ShardsFailedError(DataError):
    """Raised where a job was started, when shards could not be done.

    Attributes:
      reasons: why, each once; of very many the first.
      count: how many reasons there are.
      images: those in the shards that were done.
    """

    def __init__(self, reasons: list[str], count: int, images: int) -> None:
        super().__init__(reasons[0] + (f" (and {count - 1} more like this)" if count > 1 else ""))
        self.reasons = reasons
        self.count = count
        self.images = images


class JobFailedError(Exception):
    """Raised by a job's last step, on whatever machine, when shards could not be done.

    A runner passes an error on as text, quoted and with its own words around it: the reasons stand there once
    for people and once, in base64, for `failure_in`.
    """

    def __init__(self, reasons: list[str], images: int) -> None:
        value = {"reasons": reasons[:_MOST_REASONS], "count": len(reasons), "images": images}
        packed = base64.b64encode(json.dumps(value).encode()).decode()
        super().__init__(f"<lpe:{packed}> {'; '.join(reasons[:3])}")


def failure_in(error: Exception) -> ShardsFailedError | None:
    """The failed shards that a runner's error reports; None if it is about something else."""
    match = _PACKED.search(str(error))
    return ShardsFailedError(**json.loads(base64.b64decode(match[1]))) if match else None


def fail_if_any(receipts: list[ShardReceipt]) -> None:
    """Raises JobFailedError if shards could not be done; usable as a job's last step."""
    failures = sorted({receipt.failure for receipt in receipts if receipt.failure is not None})
    if failures:
        raise JobFailedError(failures, sum(receipt.images for receipt in receipts))
