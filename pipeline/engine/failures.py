"""Failures of shards, and how they pass through a runner that knows errors as text alone."""

from __future__ import annotations

import base64
import json
import re

from lpe.pipeline.dataset.writer import ShardReceipt
from lpe.transforms.errors import DataError

_MOST_REASONS = 100  # an error's text has its limits


class ShardsFailedError(DataError):
    """Shards could not be done.

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
    """Raised by the last step when shards could not be done.

    A runner passes an error on as text, quoted and with its own words around it: the reasons stand there once
    for people and once so that they can be found again.
    """

    def __init__(self, reasons: list[str], images: int) -> None:
        told = {"reasons": reasons[:_MOST_REASONS], "count": len(reasons), "images": images}
        packed = base64.b64encode(json.dumps(told).encode()).decode()
        super().__init__(f"<lpe:{packed}> {'; '.join(reasons[:3])}")


def parse_failure(error: Exception) -> ShardsFailedError | None:
    """What a runner's error says of failed shards, if it is about that."""
    found = re.search(r"<lpe:([A-Za-z0-9+/=]+)>", str(error))
    return ShardsFailedError(**json.loads(base64.b64decode(found[1]))) if found else None


def fail_if_any(receipts: list[ShardReceipt]) -> None:
    """A last step: raises JobFailedError if shards could not be done."""
    failures = sorted({receipt.failure for receipt in receipts if receipt.failure is not None})
    if failures:
        raise JobFailedError(failures, sum(receipt.images for receipt in receipts))
