"""Failures of shards, and how they pass through a runner, which passes errors on as text alone."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence

from lpe.pipeline.dataset.receipt import ShardReceipt
from lpe.pipeline.records.bad_records import BadRecord, summary
from lpe.transforms.errors import DataError

Finish = Callable[[list[ShardReceipt]], None]
"""The last step of a job; gets the receipt of every shard, in no order. Raises JobFailedError."""

_MOST_REASONS = 100  # an error's text has its limits
_MOST_BAD_RECORDS = 20
_PACKED = re.compile(r"<lpe:([A-Za-z0-9+/=]+)>")


class ShardsFailedError(DataError):
    """Raised where a job was started, when shards could not be done; its notes list the images that cannot be read.

    Attributes:
      reasons: why, each once; of very many the first.
      count: how many reasons there are.
      images: those in the shards that were done.
    """

    def __init__(
        self,
        reasons: list[str],
        count: int,
        images: int,
        bad: Sequence[dict[str, str]] = (),
        bad_count: int = 0,
    ) -> None:
        """`bad` has the first images that cannot be read, as {where, reason}, of `bad_count`."""
        super().__init__(reasons[0] + (f" (and {count - 1} more like this)" if count > 1 else ""))
        self.reasons = reasons
        self.count = count
        self.images = images
        if bad:
            self.details = {"bad_records": bad_count, "unreadable": list(bad)}
        if bad_count > 1:
            for record in bad:
                # What is in parentheses stands in the line above.
                self.add_note(f"  {record['where']}: {record['reason'].partition(' (')[0]}")
        if bad_count > len(bad):
            self.add_note(f"  and {bad_count - len(bad):,} more")


class JobFailedError(Exception):
    """Raised by a job's last step, on whatever machine, when shards could not be done.

    A runner passes an error on as text, quoted and with its own words around it: the reasons stand there once
    for people and once, in base64, for `failure_in`.

    Args:
      reasons: see `ShardsFailedError`.
      images: those in the shards that were done.
      bad: all images that cannot be read, as {where, reason}.
    """

    def __init__(self, reasons: list[str], images: int, bad: Sequence[dict[str, str]] = ()) -> None:
        value = {
            "reasons": reasons[:_MOST_REASONS],
            "count": len(reasons),
            "images": images,
            "bad": list(bad[:_MOST_BAD_RECORDS]),
            "bad_count": len(bad),
        }
        packed = base64.b64encode(json.dumps(value).encode()).decode()
        super().__init__(f"<lpe:{packed}> {'; '.join(reasons[:3])}")


def failure_in(error: Exception) -> ShardsFailedError | None:
    """The failed shards that a runner's error reports; None if it is about something else."""
    match = _PACKED.search(str(error))
    return ShardsFailedError(**json.loads(base64.b64decode(match[1]))) if match else None


def fail_if_any(receipts: list[ShardReceipt]) -> None:
    """Raises JobFailedError if shards could not be done; usable as a job's last step."""
    failed = [receipt for receipt in receipts if receipt.failure is not None]
    reasons = sorted({str(receipt.failure) for receipt in failed if not receipt.bad})
    # Of augmented copies each has the same.
    bad = sorted({(record["where"], record["reason"]) for receipt in failed for record in receipt.bad})
    if bad:
        reasons.append(summary(BadRecord(*bad[0]), len(bad)))
    if reasons:
        done = sum(receipt.images for receipt in receipts)
        raise JobFailedError(reasons, done, [{"where": where, "reason": reason} for where, reason in bad])
