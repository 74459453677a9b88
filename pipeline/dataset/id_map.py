"""The map of a plain dataset's ids to the original names of its images, as Parquet files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lpe.pipeline import storage
from lpe.transforms.errors import DataError, one_line

_DIGEST_BYTES = 16
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "split", "name")] + [("digest", pa.binary(_DIGEST_BYTES))]
)
_MOST_ROW_BYTES = 1 << 14  # three texts: a name has at most 4,096 bytes, and a number for its length
_LEAST_BYTES = 1 << 20


def id_map(ids: list[str], split: str, names: list[str], digests: list[bytes] | None = None) -> pa.Table:
    """The map of some images of one split.

    Args:
      ids: theirs.
      split: its name.
      names: the original ones.
      digests: of their files, 16 bytes each; None where they are none.
    """
    digest = [None] * len(ids) if digests is None else digests
    return pa.table([ids, [split] * len(ids), names, digest], schema=_SCHEMA)


def write_id_map(path: str, parts: Iterable[pa.Table]) -> None:
    """Writes a map, one part after the other."""
    with (
        storage.open_atomic(path) as file,
        pq.ParquetWriter(file, _SCHEMA, write_page_checksum=True) as writer,
    ):
        for part in parts:
            writer.write_table(part)


def id_map_bytes(table: pa.Table) -> bytes:
    """A map as the content of a Parquet file."""
    file = io.BytesIO()
    pq.write_table(table, file, write_page_checksum=True)
    return file.getvalue()


def merge_id_maps(before: pa.Table, added: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """A map, and those of images that were added to it. Raises DataError if an id is there already."""
    yield before
    known = before["id"].combine_chunks()
    for part in added:
        again = part.filter(pc.is_in(part["id"], known))
        if again.num_rows:
            raise DataError(
                f"{again['name'][0].as_py()!a}: an image of this name is there already, with another content; rename "
                "the new one"
            )
        yield part


def read_id_map(path: str, rows: int, remedy: str, *, whole: bool = True) -> pa.Table:
    """Reads a map.

    Args:
      path: the file.
      rows: how many images it is of.
      remedy: what to do about damage, for messages.
      whole: whether it must have a row of each.

    Raises:
      DataError: it is damaged.
      OSError: it cannot be read.
    """
    return parse_id_map(storage.read_bytes(path), path, rows, remedy, whole=whole)


def parse_id_map(content: bytes, path: str, rows: int, remedy: str, *, whole: bool = True) -> pa.Table:
    """The map that a file holds; see `read_id_map`."""
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            described = file.metadata
            groups = [described.row_group(i) for i in range(described.num_row_groups)]
            size = sum(group.total_byte_size for group in groups)
            fits = described.num_rows == rows if whole else described.num_rows <= rows
            if not file.schema_arrow.equals(_SCHEMA) or not fits:
                raise DataError(f"{path}: not the map of {rows} ids; {remedy}")
            if size > _LEAST_BYTES + _MOST_ROW_BYTES * rows:
                raise DataError(f"{path}: {size} bytes for {rows} ids; {remedy}")
            table = file.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: damaged ({one_line(error)}); {remedy}") from error
    if table.num_rows != described.num_rows or any(
        table[name].null_count for name in ("id", "split", "name")
    ):
        raise DataError(f"{path}: not the map of {rows} ids; {remedy}")
    return table
