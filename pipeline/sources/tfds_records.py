"""Serialised examples of TFDS's ArrayRecord and Parquet files, a part of a split at a time.

`as_dataset` cannot read ArrayRecord, and reads each Parquet file into memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow.parquet

_CHUNK = 64
"""Examples that are in memory at once, before they are decoded."""

Record = tuple[bytes, bytes]
"""What `as_dataset` calls `tfds_id`, `FILE__NUMBER`, and the serialised example."""


def read_records(builder: Any, split: str, positions: np.ndarray) -> Iterator[list[Record]]:
    """The examples at `positions` (int64, ascending) of a split, in order, some at a time.

    Raises:
      ValueError: a file holds another number of examples than TFDS noted.
      OSError: a file cannot be read.
    """
    first, last = int(positions[0]), int(positions[-1])
    wanted = iter(np.isin(np.arange(first, last + 1), positions).tolist())
    array_record = builder.info.file_format.value == "array_record"
    for part in builder.info.splits[f"{split}[{first}:{last + 1}]"].file_instructions:
        read = _array_record if array_record else _parquet
        file = part.filename.rpartition("/")[2]
        number = part.skip
        for chunk in read(part.filename, part.skip, part.skip + part.take, part.examples_in_shard):
            numbered = [(f"{file}__{number + i}".encode(), data) for i, data in enumerate(chunk)]
            number += len(chunk)
            if kept := list(itertools.compress(numbered, itertools.islice(wanted, len(chunk)))):
                yield kept


def _array_record(path: str, start: int, stop: int, examples: int) -> Iterator[list[bytes]]:
    from array_record.python.array_record_module import ArrayRecordReader  # noqa: PLC0415  (comes with TFDS)

    reader = ArrayRecordReader(
        path, "readahead_buffer_size:0,max_parallelism:0"
    )  # it reads no more than asked for
    try:
        _check_count(path, reader.num_records(), examples)
        for i in range(start, stop, _CHUNK):
            yield reader.read(i, min(i + _CHUNK, stop))
    finally:
        reader.close()


def _parquet(path: str, start: int, stop: int, examples: int) -> Iterator[list[bytes]]:
    with pyarrow.parquet.ParquetFile(path) as file:
        _check_count(path, file.metadata.num_rows, examples)
        ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])
        groups = range(int(np.searchsorted(ends, start, "right")), int(np.searchsorted(ends, stop)) + 1)
        at = int(ends[groups[0] - 1]) if groups[0] else 0
        for batch in file.iter_batches(_CHUNK, groups):
            rows = batch.slice(max(0, start - at), max(0, min(stop, at + len(batch)) - max(start, at)))
            at += len(batch)
            if len(rows):
                yield rows.column(0).to_pylist()


def _check_count(path: str, found: int, noted: int) -> None:
    if found != noted:
        raise ValueError(f"{path.rpartition('/')[2]} holds {found} of {noted} examples")
