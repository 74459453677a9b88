"""Parquet files by a pattern: their paths, the splits that their names tell, and their rows."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.dataset.layout import IDS_FILE
from lpe.pipeline.records.parquet_file import arrow_file, damaged, footer_of, read_end
from lpe.pipeline.records.parquet_footer import Footer
from lpe.pipeline.sources.limits import Limits
from lpe.pipeline.sources.parquet_columns import REMEDY, Columns
from lpe.pipeline.sources.split_names import usual_split
from lpe.pipeline.storage import objects
from lpe.pipeline.storage.documents import is_plain_text
from lpe.transforms.errors import DataError

_BATCH_BYTES = 16 << 20
_MOST_ROWS = 1024  # in a batch
_BUFFER = 1 << 20  # a column is read by so many bytes, however long its row groups are
_WILD = re.compile(r"[*?\[]")
_NUMBERED = re.compile(r"-\d{5}-of-\d{5}(-[0-9a-f]+)?$")
_KNOWN = re.compile(r"(train|validation|test)(_\w+)?", re.ASCII)


@dataclasses.dataclass(frozen=True)
class ParquetPart:
    """A file of a source.

    Attributes:
      path: where it is.
      name: its path below what all files have in common.
      rows: how many it has.
    """

    path: str
    name: str
    rows: int


def find(pattern: str) -> list[str]:
    """The files that a pattern names, sorted, but for our maps of ids. Raises DataError if there are none."""
    found = _find_remote(pattern) if storage.is_remote(pattern) else _find_local(pattern)
    paths = [path for path in found if storage.base_name(path) != IDS_FILE]
    if not paths:
        raise DataError(
            f"{pattern}: no such file; name Parquet files by a pattern, e.g. parquet:DIR/*.parquet"
        )
    for path in paths:
        if not is_plain_text(path):
            raise DataError(f"{path[:60]!a}: not UTF-8, or with control characters; rename the file")
    return paths


def _find_local(pattern: str) -> list[str]:
    return sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())  # noqa: PTH207


def _find_remote(pattern: str) -> list[str]:
    fixed = _WILD.split(pattern, maxsplit=1)[0]
    prefix = fixed[: fixed.rindex("/") + 1]
    loose = pattern.replace("**/", "*")
    return [
        path
        for path in objects.list_sizes(prefix)
        if fnmatch.fnmatchcase(path, loose) and ("**" in pattern or path.count("/") == pattern.count("/"))
    ]


def split_of(path: str) -> str:
    """The split that a file's name tells, e.g. `train-00000-of-00002.parquet`; `train` where it tells none."""
    stem = storage.base_name(path).removesuffix(".parquet")
    for word in (stem, *_last_words(_NUMBERED.sub("", stem))):
        split = usual_split(word) or word
        if _KNOWN.fullmatch(split):
            return split
    return "train"


def _last_words(stem: str) -> tuple[str, str]:
    return stem.rpartition("-")[2], re.split(r"[-_.]", stem)[-1]


@contextlib.contextmanager
def opened(path: str) -> Iterator[tuple[Any, Footer, int]]:
    """An open file: Arrow's view of it, its description, its size. Raises DataError for what is no such file."""
    try:
        file = storage.open_read(path)
    except FileNotFoundError:
        raise DataError(f"{path}: missing; put it back") from None
    except OSError as error:
        raise storage.explain(error) from error
    with file:
        size = file.seek(0, os.SEEK_END)
        end = read_end(file, path, REMEDY)
        with damaged(path, REMEDY):
            footer = footer_of(end)
            arrow = arrow_file(file, end, buffer_size=_BUFFER)
        yield arrow, footer, size


def check_size(path: str, footer: Footer, file_bytes: int, limits: Limits) -> None:
    """Raises DataError if a file says that it unpacks to more than is allowed, or to other rows than it has."""
    if sum(group.size for group in footer.groups) > limits.unpacked(file_bytes):
        raise DataError(
            f"{path}: unpacks to more than {limits.unpacked(file_bytes)} bytes; raise that with lpe ingest "
            "--max-unpacked-bytes if you trust it"
        )
    count = sum(group.rows for group in footer.groups)
    if count != footer.rows:
        raise DataError(f"{path}: its row groups have {count} rows, not {footer.rows}; {REMEDY}")


def largest_label(path: str, label: str) -> int:
    """The largest number in a column; -1 if there is none."""
    most = -1
    with opened(path) as (arrow, _, _), damaged(path, REMEDY):
        for batch in arrow.iter_batches(1 << 16, columns=[label], use_threads=False):
            most = max([most, *(value for value in batch.column(0).to_pylist() if value is not None)])
    return most


def rows(
    part: ParquetPart, wanted: np.ndarray, columns: Columns
) -> Iterator[tuple[int, bytes | None, int | None]]:
    """Number, image as it is stored and label of some rows of a file; None for what is missing.

    Args:
      part: the file.
      wanted: numbers of rows, int64 [N], ascending.
      columns: what is read.

    Raises:
      DataError: the file is damaged, or not the one that was planned.
    """
    with opened(part.path) as (arrow, footer, _):
        if footer.rows != part.rows:
            raise DataError(
                f"{part.path}: {footer.rows} rows, {part.rows} when the job began; leave it alone and run again"
            )
        start = 0
        names = [columns.image + ".bytes" if columns.within else columns.image, columns.label]
        for number, group in enumerate(footer.groups):
            first, stop = np.searchsorted(wanted, [start, start + group.rows])
            if first < stop:
                size = _BATCH_BYTES * group.rows // max(1, group.size)
                inside = wanted[first:stop] - start
                for row, image, label in _in_group(
                    arrow, part.path, number, inside, names, columns, min(_MOST_ROWS, max(1, size))
                ):
                    yield start + row, image, label
            start += group.rows


def _in_group(
    arrow: Any, path: str, number: int, wanted: np.ndarray, names: list[str], columns: Columns, size: int
) -> Iterator[tuple[int, bytes | None, int | None]]:
    with damaged(path, REMEDY):
        batches = arrow.iter_batches(size, row_groups=[number], columns=names, use_threads=False)
    start = found = 0
    while True:
        with damaged(path, REMEDY):
            batch = next(batches, None)
            if batch is None:
                break
            images, labels = batch.column(columns.image), batch.column(columns.label)
            stored = images.flatten()[0] if columns.within else images
        first, stop = np.searchsorted(wanted, [start, start + len(batch)])
        for row in wanted[first:stop].tolist():
            yield row, stored[row - start].as_py(), labels[row - start].as_py()
        found += int(stop - first)
        start += len(batch)
    if found != len(wanted):
        raise DataError(f"{path}: row group {number} has fewer rows than it says; {REMEDY}")


def common_directory(paths: list[str]) -> str:
    """What the paths of all files begin with, up to a slash."""
    prefix = os.path.commonprefix(paths)  # noqa: RUF071  (cut at a slash below)
    return prefix[: prefix.rfind("/") + 1]
