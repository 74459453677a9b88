"""Files of a directory or in an archive, in columns: there may be a million of them."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence

import numpy as np

from lpe.pipeline.sources.ranges import ByteRange, Stamp


@dataclasses.dataclass(frozen=True)
class Place:
    """Where files lie.

    Attributes:
      path: a directory, local or remote; or the one file that they are parts of.
      whole: whether each is a file of its own, below the directory.
      stamp: see `ByteRange`.
    """

    path: str
    whole: bool = True
    stamp: Stamp | None = None

    def path_of(self, name: str) -> str:
        """The path of the file that holds one of this name."""
        return os.path.join(self.path, name) if self.whole else self.path  # noqa: PTH118  (a million times)


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """Some files of one place, a picklable value of a few bytes besides the names.

    Attributes:
      place: where they lie.
      names: their paths there, with slashes.
      sizes: their bytes, [N].
      offsets: where they begin in the file that they are parts of, [N]; None where each is a file.
      checksums: CRC-32 of their bytes, uint32 [N]; None where there are none.
    """

    place: Place
    names: Sequence[str]
    sizes: np.ndarray
    offsets: np.ndarray | None = None
    checksums: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def ranges(self) -> Iterator[ByteRange]:
        """Where the bytes of each are, in order."""
        offsets = itertools.repeat(0) if self.offsets is None else self.offsets.tolist()
        checksums = itertools.repeat(None) if self.checksums is None else self.checksums.tolist()
        for name, size, offset, checksum in zip(
            self.names, self.sizes.tolist(), offsets, checksums, strict=False
        ):
            yield ByteRange(self.place.path_of(name), offset, size, self.place.stamp, checksum)

    def take(self, rows: np.ndarray) -> Files:
        """Those of some rows, int64 [M], in that order."""
        return Files(
            self.place,
            tuple([self.names[row] for row in rows.tolist()]),
            compact(self.sizes[rows]),
            None if self.offsets is None else compact(self.offsets[rows]),
            None if self.checksums is None else self.checksums[rows],
        )


def compact(numbers: np.ndarray) -> np.ndarray:
    """The same numbers, none of them negative, in the smallest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max()) if len(numbers) else 0))


def sorted_files(
    place: Place,
    names: list[str],
    sizes: Sequence[int] | np.ndarray,
    offsets: Sequence[int] | np.ndarray | None = None,
    checksums: Sequence[int] | np.ndarray | None = None,
) -> Files:
    """Files sorted by name; of some with one name, as in an archive that was added to, the last one counts."""
    order = sorted(range(len(names)), key=names.__getitem__)
    last = [names[row] for row in order]
    kept = np.array(order, np.int64)
    if any(map(str.__eq__, last, itertools.islice(last, 1, None))):
        unique = [i for i, name in enumerate(last) if i + 1 == len(last) or last[i + 1] != name]
        last, kept = [last[i] for i in unique], kept[unique]
    return Files(
        place,
        last,
        np.asarray(sizes, np.int64)[kept],
        None if offsets is None else np.asarray(offsets, np.int64)[kept],
        None if checksums is None else np.asarray(checksums, np.uint32)[kept],
    )
