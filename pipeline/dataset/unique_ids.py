"""The rule that an id occurs once in a dataset, checked shard by shard and then across shards.

With one key per image, an id that occurred twice would give two images one key. Shards hand over 8 bytes of a hash
of each id, so that a dataset of a million images is checked in 8 MB.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable

import numpy as np

from lpe.transforms.errors import DataError

_DIGEST_BYTES = 8
_PIECE = 1 << 16


class ShardIds:
    """The ids of one shard, as they come.

    Args:
      where: the shard, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._digests = bytearray()

    def add(self, ids: Iterable[str]) -> None:
        """Takes the ids of some images."""
        self._digests += b"".join(map(_digest, ids))

    def digests(self) -> bytes:
        """The digests of all ids, 8 bytes each. Raises DataError if an id occurs twice."""
        repeated = _repeated(self._digests.copy())
        if repeated:
            raise DataError(f"{self._where}: {repeated} ids occur twice; give every image an id of its own")
        return bytes(self._digests)


def check_unique(digests: Iterable[bytes]) -> None:
    """Raises DataError if an id occurs in two shards.

    Args:
      digests: of each shard, as `ShardIds.digests` gives them.
    """
    repeated = _repeated(bytearray().join(digests))
    if repeated:
        raise DataError(
            f"{repeated} ids occur in more than one shard; every image needs an id of its own: restore the dataset "
            "from a copy, or write it again without --keep-ids"
        )


def known_ids(ids: Iterable[str], digests: Iterable[bytes]) -> list[bool]:
    """Whether each id is among those of some shards.

    Args:
      ids: the ids.
      digests: of each shard, as `ShardIds.digests` gives them.
    """
    known = set(np.frombuffer(bytearray().join(digests), np.uint64).tolist())
    return [int.from_bytes(_digest(image_id), sys.byteorder) in known for image_id in ids]


def _digest(image_id: str) -> bytes:
    return hashlib.blake2b(image_id.encode(), digest_size=_DIGEST_BYTES).digest()


def _repeated(digests: bytearray) -> int:
    """How many of the digests (8 bytes each) have been there before; sorts them, to take no more memory."""
    numbers = np.frombuffer(digests, np.uint64)
    numbers.sort()
    repeated = 0
    for start in range(0, len(numbers) - 1, _PIECE):
        piece = numbers[start : start + _PIECE + 1]
        repeated += int((piece[1:] == piece[:-1]).sum())
    return repeated
