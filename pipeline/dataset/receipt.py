"""The receipt of one shard's work: written beside a finished shard, and handed from workers to the last step."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hmac
from collections.abc import Mapping
from typing import Any

from lpe.pipeline.dataset import checksummed
from lpe.pipeline.dataset.manifest import ShardInfo, Sign, read_shard
from lpe.pipeline.storage.documents import Fields
from lpe.transforms import labels


@dataclasses.dataclass(frozen=True)
class ShardReceipt:
    """What became of one shard.

    Attributes:
      split, index: which shard.
      shard: the file that was written; None if it could not be, or if the job writes none.
      bad: records that were skipped, or that are why it could not be done, as {where, reason}.
      failure: why it could not be done; None if it was.
      images: how many were written, or checked.
      seconds: by phase, what it took in this run.
      kept: an earlier run had finished it.
      ids: 8 bytes of a hash of each image's id, see `unique_ids`.
      class_counts: how many images it holds of each class.
      numbers: the number after the highest one among its ids; None if one of them is not neutral, see `numbers`.
      carried: it is a shard of the version before, as that was; ids, counts and numbers are that version's.
    """

    split: str
    index: int
    shard: ShardInfo | None
    bad: tuple[dict[str, str], ...] = ()
    failure: str | None = None
    images: int = 0
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    kept: bool = False
    ids: bytes = b""
    class_counts: tuple[int, ...] = ()
    numbers: int | None = None
    carried: bool = False

    def to_bytes(self, sign: Sign | None) -> bytes:
        """The content of the file beside a finished shard. Raises ValueError for a shard that is not finished.

        Args:
          sign: makes the MACs of an encrypted version; None for plain data.
        """
        if self.shard is None:
            raise ValueError(f"{self.split} shard {self.index}: only a finished shard has a receipt on disk")
        value: dict[str, Any] = {
            "split": self.split,
            "index": self.index,
            "shard": dataclasses.asdict(self.shard),
            "bad": list(self.bad),
            "ids": base64.b64encode(self.ids).decode(),
            "class_counts": list(self.class_counts),
            "numbers": self.numbers,
            "carried": self.carried,
        }
        if sign is not None:
            value["mac"] = dict(sign(_message(value)))
        return checksummed.to_bytes(value)

    @classmethod
    def from_fields(cls, fields: Fields, sign: Sign | None) -> ShardReceipt:
        """The receipt of a shard that an earlier run finished; the inverse of `to_bytes`.

        Raises:
          DataError: it is damaged, or nobody wrote it who has the keys of `sign`.
        """
        if sign is not None:
            _check_mac(fields, sign)
        info = read_shard(fields.object("shard"))
        try:
            ids = base64.b64decode(fields.text("ids"), validate=True)
        except binascii.Error:
            fields.refuse("'ids' is not base64")
        if len(ids) != 8 * info.examples:
            fields.refuse(f"{len(ids)} bytes of ids for {info.examples} examples")
        if fields.boolean("carried"):
            fields.refuse("it is of a shard of the version before")
        counts = fields.integers("class_counts")
        if sum(counts) != info.examples:
            fields.refuse(f"class counts of {sum(counts)} for {info.examples} examples")
        bad = tuple(
            {"where": bad.text("where"), "reason": bad.text("reason")} for bad in fields.objects("bad")
        )
        return cls(
            fields.text("split"),
            fields.integer("index"),
            info,
            bad,
            images=info.examples,
            kept=True,
            ids=ids,
            class_counts=counts,
            numbers=None if fields.is_null("numbers") else fields.integer("numbers"),
        )


def _message(value: Mapping[str, Any]) -> bytes:
    """What the MACs are of."""
    return labels.RECEIPT + checksummed.to_bytes(value)


def _check_mac(fields: Fields, sign: Sign) -> None:
    recorded = fields.object("mac")
    expected = sign(_message({name: value for name, value in fields.raw().items() if name != "mac"}))
    for under, mac in expected.items():
        if not hmac.compare_digest(recorded.optional_text(under, checksummed.DIGEST) or "", mac or ""):
            fields.refuse("another job wrote it")
