"""Batches of images as Parquet files, written and read; `parquet_schema` says in which columns.

What decides the bytes of a file is which examples it holds, not in which batches they came: row groups have so many
rows as fill them. Images are neither compressed nor made a dictionary of (cipher noise does not repeat itself), so
that a file's size bounds what reading it takes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lpe.pipeline.records.bad_records import BadRecord, OnBadRecord
from lpe.pipeline.records.batches import RecordFormat
from lpe.pipeline.records.encoded_images import from_encoded, to_png
from lpe.pipeline.records.parquet_file import arrow_file, damaged, exactly, footer_of, read_end
from lpe.pipeline.records.parquet_footer import RowGroup
from lpe.pipeline.records.parquet_schema import schema_of
from lpe.pipeline.records.pending import Pending, numbered
from lpe.transforms.batch import ImageBatch
from lpe.transforms.errors import DataError, one_line

GROUP_BYTES = 1 << 20
"""Bytes of a row group, but for one that a single image fills."""
_PIECE = 1 << 20
_REPLACE = "restore the file from a copy or write the dataset again"


class Writer:
    """Writes examples as one Parquet file.

    Args:
      file: where its bytes are appended.
      fmt: how an example is laid out.
      class_names: class i is called class_names[i].
    """

    def __init__(self, file: Any, fmt: RecordFormat, class_names: tuple[str, ...]) -> None:
        self._fmt = fmt
        self._schema = schema_of(fmt, class_names)
        self._file = pq.ParquetWriter(
            file,
            self._schema,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            data_page_size=GROUP_BYTES,
        )
        self._ids: list[str] = []
        self._labels: list[np.ndarray] = []
        self._images: list[Any] = []
        self._room = GROUP_BYTES

    def write(self, batch: ImageBatch) -> None:
        """Appends examples. Raises DataError for images of more pixels than could be read again."""
        if self._fmt.encoding == "png":
            for i in range(len(batch)):
                data = to_png(batch.images[i])
                self._add(batch.ids[i : i + 1], batch.labels[i : i + 1], data, len(data))
            return
        flat = batch.images.reshape(len(batch), math.prod(batch.images.shape[1:]))
        start = 0
        while start < len(batch):
            part = slice(start, start + max(1, self._room // flat.shape[1]))
            self._add(batch.ids[part], batch.labels[part], flat[part], flat[part].size)
            start = part.stop

    def _add(self, ids: list[str], labels: np.ndarray, images: Any, size: int) -> None:
        self._ids += ids
        self._labels.append(labels)
        self._images.append(images)
        self._room -= size
        least = 1 if self._fmt.encoding == "png" else size // len(ids)
        if self._room < least:
            self._end_group()

    def _end_group(self) -> None:
        columns = [self._image_column(), pa.array(np.concatenate(self._labels).astype(np.int64, copy=False))]
        if self._fmt.id_key is not None:
            columns.append(pa.array(self._ids, pa.string()))
        self._file.write_table(pa.table(columns, schema=self._schema), row_group_size=len(self._ids))
        self._ids, self._labels, self._images, self._room = [], [], [], GROUP_BYTES

    def _image_column(self) -> pa.Array:
        kind = self._schema.types[0]
        if self._fmt.encoding == "png":
            data = pa.array(self._images, pa.binary())
            return pa.StructArray.from_arrays([data, pa.nulls(len(data), pa.string())], fields=list(kind))
        rows = self._images[0] if len(self._images) == 1 else np.concatenate(self._images)
        buffer = pa.py_buffer(np.ascontiguousarray(rows))
        return pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, buffer])

    def close(self) -> None:
        """Writes what is left and the description of it all; the file below stays open."""
        if self._ids:
            self._end_group()
        self._file.close()


def decode(
    file: BinaryIO, fmt: RecordFormat, *, where: str, on_bad_record: OnBadRecord, batch_size: int
) -> Iterator[ImageBatch]:
    """Reads all examples of a file that `Writer` wrote; see `records.decode`."""
    end = read_end(file, where, _REPLACE)
    source = _Source(file, end, where)
    with damaged(where, _REPLACE):
        footer = footer_of(end)
        opened = arrow_file(source, end)
        names = opened.schema_arrow
    expected = schema_of(fmt)
    if [(field.name, field.type) for field in names] != [(field.name, field.type) for field in expected]:
        raise DataError(
            f"{where}: its columns are {_columns(names)}, not {_columns(expected)}; it does not belong to this "
            "dataset: restore it or write the dataset again"
        )
    pending = Pending(where, batch_size)
    index = 0
    for number, group in enumerate(footer.groups):
        with damaged(where, _REPLACE):
            start, stop = _place(group, fmt)
        rows = group.rows
        source.show(start, stop)
        with damaged(where, _REPLACE):
            table = opened.read_row_group(number, use_threads=False)
            table.validate(full=True)
            columns = [column.combine_chunks() for column in table.columns]
        if table.num_rows != rows:
            raise DataError(f"{where}: damaged Parquet (a row group has another number of rows); {_REPLACE}")
        for column, field in zip(columns, expected, strict=True):
            if column.null_count:
                row = index + int(np.argmin(column.is_valid().to_numpy(zero_copy_only=False)))
                raise DataError(f"{where}: record {row} has no {field.name}; {_REPLACE}")
        labels = columns[1].to_numpy()
        ids = columns[2].to_pylist() if fmt.id_key is not None else numbered(where, index, rows)
        if fmt.encoding == "raw":
            images = _raw(columns[0], fmt)
            for at in range(0, rows, batch_size):
                part = slice(at, at + batch_size)
                yield ImageBatch(ids[part], images[part], labels[part])
        else:
            for row, payload in enumerate(columns[0].field("bytes")):
                try:
                    image = _encoded(payload.as_py(), fmt)
                except DataError as error:
                    on_bad_record(BadRecord(f"{where}: record {index + row}", str(error)))
                else:
                    yield from pending.add(index + row, ids[row], image, int(labels[row]))
        index += rows
    yield from pending.rest()
    source.finish()


def _columns(schema: pa.Schema) -> str:
    return one_line(", ".join(f"{field.name} ({field.type})" for field in schema))


def _raw(column: pa.Array, fmt: RecordFormat) -> np.ndarray:
    shape = fmt.image_shape
    assert shape is not None  # raw images have one
    size = math.prod(shape)
    values = np.frombuffer(column.buffers()[1], np.uint8, len(column) * size, column.offset * size)
    return values.reshape(len(column), *shape)


def _encoded(payload: bytes | None, fmt: RecordFormat) -> np.ndarray:
    if payload is None:
        raise DataError("it has no image")
    return from_encoded(payload, fmt.channels, fmt.image_shape)


def _place(group: RowGroup, fmt: RecordFormat) -> tuple[int, int]:
    """Where a row group starts and stops. Raises ValueError if that cannot be so."""
    if not all(chunk.plain for chunk in group.chunks):
        raise ValueError("a column is not stored plainly")
    start = min(chunk.start for chunk in group.chunks)
    stop = max(chunk.start + chunk.size for chunk in group.chunks)
    least = math.prod(fmt.image_shape or ()) if fmt.encoding == "raw" else 1
    if group.rows * least > stop - start or stop - start > GROUP_BYTES + fmt.most_bytes:
        raise ValueError("the size of a row group is not that of its rows")
    return start, stop


class _Source:
    """A file of which Arrow sees one row group at a time, read from its start to its end.

    Args:
      file: the open file, at its start.
      end: its last bytes; they must be the same when the file has been read that far.
      where: its name.
    """

    closed = False

    def __init__(self, file: BinaryIO, end: bytes, where: str) -> None:
        self._file = file
        self._where = where
        self._end = end
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._read = 0
        self._at = 0
        self._start, self._shown = 0, b""

    def show(self, start: int, stop: int) -> None:
        """Reads on to the row group from byte `start` to `stop`. Raises DataError if it is not further on."""
        if not self._read <= start <= stop <= self._size - len(self._end):
            raise DataError(f"{self._where}: damaged Parquet (its row groups are not in order); {_REPLACE}")
        self._pass(start - self._read)
        self._start, self._shown = start, exactly(self._file, stop - start, self._where, _REPLACE)
        self._read = stop

    def finish(self) -> None:
        """Reads the rest. Raises DataError if the end is another one than it was."""
        self._pass(self._size - len(self._end) - self._read)
        if exactly(self._file, len(self._end), self._where, _REPLACE) != self._end or self._file.read(1):
            raise DataError(f"{self._where}: changed while it was read; run the same command again")

    def _pass(self, size: int) -> None:
        while size:
            size -= len(exactly(self._file, min(size, _PIECE), self._where, _REPLACE))

    def read(self, size: int = -1) -> memoryview:
        """For Arrow."""
        offset = self._at - self._start
        if size < 0 or offset < 0 or offset + size > len(self._shown):
            raise OSError("a page lies outside of its row group")
        self._at += size
        return memoryview(self._shown)[offset : offset + size]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """For Arrow."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """For Arrow."""
        return self._at

    def readable(self) -> bool:
        """For Arrow."""
        return True

    def seekable(self) -> bool:
        """For Arrow."""
        return True

    def close(self) -> None:
        """For Arrow; the file below stays open."""
