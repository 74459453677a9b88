"""Shards in a bucket, read through a local cache."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from lpe.pipeline import storage
from lpe.pipeline.dataset.manifest import REMEDY, ShardInfo
from lpe.pipeline.dataset.reader import OpenShard
from lpe.pipeline.storage import download
from lpe.pipeline.storage.cache import FileCache
from lpe.transforms.errors import DamagedError

CACHE_BYTES = 20 * 10**9
"""The size of a cache, where nobody says otherwise."""


def default_directory() -> str:
    """The directory of the cache, where nobody says otherwise: as the XDG Base Directory Specification has it."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return str((home if home.is_absolute() else Path.home() / ".cache") / "lpe")


def opener(directory: str, cache: str | None = None, cache_bytes: int = CACHE_BYTES) -> OpenShard | None:
    """What opens the shards of a dataset: None, for the files themselves, where they are on this machine.

    Args:
      directory: the dataset's.
      cache: the cache's directory; None for the default one.
      cache_bytes: what the cache may take of the disk.

    Raises:
      DataError, UsageError: as `FileCache`.
    """
    if not storage.is_remote(directory):
        return None
    return CachedShards(FileCache(cache or default_directory(), cache_bytes))


class CachedShards:
    """Opens shards that lie in a bucket as files of a cache; an `OpenShard`.

    A shard is what was recorded of it, or is refused. Of a dataset of TFDS's own, of whose shards nothing is recorded,
    it is what the bucket had when it was first opened here.

    Args:
      cache: where they are kept.
    """

    def __init__(self, cache: FileCache) -> None:
        self._cache = cache
        self._unrecorded: dict[str, download.Wanted] = {}

    @property
    def cache_bytes(self) -> int:
        """What the cache may take of the disk."""
        return self._cache.most_bytes

    def __call__(self, path: str, recorded: ShardInfo | None) -> BinaryIO:
        """Opens a shard's file.

        Raises:
          DamagedError: it is missing, or is not what was recorded.
          DataError: it cannot be fetched or kept; see `FileCache.open`.
        """
        try:
            return self._cache.open(self._wanted(path, recorded))
        except FileNotFoundError:
            raise DamagedError(f"{path}: this shard is missing; {REMEDY}") from None

    def expect(self, order: Iterable[tuple[str, ShardInfo | None]]) -> None:
        """Says which shards will be opened next, in this order: see `FileCache.expect`."""
        self._cache.expect(
            [self._wanted(*shard) for shard in order if shard[1] or shard[0] in self._unrecorded]
        )

    def _wanted(self, path: str, recorded: ShardInfo | None) -> download.Wanted:
        if recorded is not None:
            return download.Wanted(path, recorded.bytes, recorded.checksum)
        if path not in self._unrecorded:
            self._unrecorded[path] = download.as_it_is(path)
        return self._unrecorded[path]
