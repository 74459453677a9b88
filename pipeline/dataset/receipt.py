"""The receipt of one shard's work: written beside a finished shard, and handed from workers to the last step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.dataset.metadata import ShardInfo


@dataclasses.dataclass(frozen=True)
class ShardReceipt:
    """What became of one shard.

    Attributes:
      split, index: which shard.
      shard: the file that was written; None if it could not be, or if the job writes none.
      bad: skipped records, as {where, reason}.
      failure: why it could not be done; None if it was.
      images: how many were written, or checked.
      seconds: by phase, what it took in this run.
      kept: an earlier run had finished it.
    """

    split: str
    index: int
    shard: ShardInfo | None
    bad: tuple[dict[str, str], ...] = ()
    failure: str | None = None
    images: int = 0
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    kept: bool = False

    def to_json(self) -> dict[str, Any]:
        """The content of the file beside a finished shard. Raises ValueError for a shard that is not finished."""
        if self.shard is None:
            raise ValueError(f"{self.split} shard {self.index}: only a finished shard has a receipt on disk")
        shard = dataclasses.asdict(self.shard)
        return {"split": self.split, "index": self.index, "shard": shard, "bad": list(self.bad)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ShardReceipt:
        """The receipt of a shard that an earlier run finished; the inverse of `to_json`."""
        shard = ShardInfo(**value["shard"])
        bad = tuple(value["bad"])
        return cls(value["split"], value["index"], shard, bad, images=shard.examples, kept=True)
