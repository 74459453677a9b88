"""Labels of a folder's images from a table, CSV or Parquet: `--labels FILE`."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import re
from collections.abc import Iterator, Sequence

from lpe.pipeline import storage
from lpe.pipeline.sources.labels_layout import table_layout
from lpe.pipeline.sources.layout import Layout
from lpe.pipeline.sources.limits import MOST_NAME_BYTES, MOST_TABLE_BYTES, Limits
from lpe.pipeline.sources.passed_over import PassedOver
from lpe.pipeline.sources.split_names import all_names, usual_split
from lpe.pipeline.storage.documents import is_plain_text, read_bounded
from lpe.transforms.errors import DataError, one_line

PATHS = ("path", "file", "filename", "file_name", "image")
"""Names of the column of paths, in upper or lower case."""
LABELS = ("label", "class")
"""Names of the column of labels."""
SPLIT = ("split",)
"""The name of the column of splits, which may be missing."""
ENDINGS = (".csv", ".parquet")
"""Of tables."""

_MOST_LINE = 1 << 20
_VALUES = "texts or whole numbers"
_REMEDY = "mend the table"
_Row = tuple[object, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class LabelsTable:
    """A table of labels.

    Attributes:
      path: the file.
      digest: SHA-256 (hex) of it.
      paths: of the images, below the folder or what is in it.
      labels: theirs.
      splits: theirs, by their usual names; None where the table has none.
    """

    path: str
    digest: str
    paths: list[str]
    labels: list[str]
    splits: list[str] | None

    @staticmethod
    def read(path: str, limits: Limits) -> LabelsTable:
        """Reads a table.

        Args:
          path: a local or remote file.
          limits: on rows, as on the members of an archive, and on what a Parquet file unpacks to.

        Raises:
          DataError: it is missing, damaged, too large, or has not the columns; or a row is not complete.
        """
        content = _content(path)
        rows = _parquet_rows(content, path, limits) if path.endswith(".parquet") else _csv_rows(content, path)
        names = [str(name) for name in next(rows)]
        columns = [_column(names, PATHS, path), _column(names, LABELS, path), _column(names, SPLIT, path)]
        paths: list[str] = []
        labels: list[str] = []
        splits: list[str] = []
        same: dict[str, str] = {}
        for number, row in enumerate(rows, start=2):
            if len(paths) == limits.members:
                raise DataError(
                    f"{path}: more than {limits.members} rows; raise that with lpe ingest --max-members if you trust it"
                )
            where = f"{path}: row {number}"
            image, label, split = (None if at is None else _text(row, at, names, where) for at in columns)
            paths.append((image or "").removeprefix("./"))
            labels.append(same.setdefault(label or "", label or ""))
            if split is not None:
                splits.append(_split(split, where))
        if not paths:
            raise DataError(f"{path}: no rows; {_REMEDY}")
        _check_unique(paths, path)
        return LabelsTable(
            path,
            hashlib.sha256(content).hexdigest(),
            paths,
            labels,
            splits if columns[2] is not None else None,
        )

    def sort_out(self, names: Sequence[str], folder: str, passed_over: PassedOver) -> Layout:
        """The layout of the files that the table names, see `table_layout`."""
        return table_layout(names, self.paths, self.labels, self.splits, (folder, self.path), passed_over)


def _content(path: str) -> bytes:
    if not path.endswith(ENDINGS):
        raise DataError(f"{path}: --labels takes a table whose name ends in {' or '.join(ENDINGS)}")
    try:
        return read_bounded(path, _REMEDY, most=MOST_TABLE_BYTES)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; --labels takes a table") from None
    except OSError as error:
        raise storage.explain(error) from error


def _column(names: list[str], known: tuple[str, ...], path: str) -> int | None:
    there = [i for i, name in enumerate(names) if name.strip().lower() in known]
    if len(there) > 1 or (not there and known != SPLIT):
        raise DataError(
            f"{path}: {len(there)} columns called {' or '.join(known)}, among {one_line(', '.join(names), 100)}; the "
            "first line must name one of paths and one of labels"
        )
    return there[0] if there else None


def _text(row: _Row, at: int, names: list[str], where: str) -> str:
    value = row[at] if at < len(row) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        what = "nothing" if value is None or value == "" else one_line(repr(value), 40)
        raise DataError(f"{where}: {what} as {names[at].strip()!a}, not {_VALUES}; {_REMEDY}")
    if len(value) > MOST_NAME_BYTES or not is_plain_text(value):
        raise DataError(f"{where}: {value[:40]!a} is too long or has control characters; {_REMEDY}")
    return value.strip()


def _split(name: str, where: str) -> str:
    split = usual_split(name)
    if split is None:
        raise DataError(f"{where}: no split is called {name[:40]!a}; there are {all_names()}")
    return split


def _check_unique(paths: list[str], path: str) -> None:
    if len({*paths}) == len(paths):
        return
    seen: set[str] = set()
    twice = next(each for each in paths if each in seen or seen.add(each))  # type: ignore[func-returns-value]
    raise DataError(f"{path}: {twice!r} is in it more than once; leave one of its rows")


def _csv_rows(content: bytes, path: str) -> Iterator[_Row]:
    """The rows of a CSV file, its header first."""
    lines = _lines(io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline=""), path)
    try:
        header = next(lines, "")
        delimiter = max(",;\t", key=header.count)
        yield tuple(next(csv.reader([header], delimiter=delimiter), ()))
        for row in csv.reader(lines, delimiter=delimiter, strict=True):
            if row:  # an empty line
                yield tuple(row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no CSV in UTF-8 ({one_line(error, 100)}); save it again as that") from error


def _lines(text: io.TextIOWrapper, path: str) -> Iterator[str]:
    while line := text.readline(_MOST_LINE):
        if len(line) == _MOST_LINE and not re.search(r"[\r\n]\Z", line):
            raise DataError(f"{path}: a line of more than {_MOST_LINE} characters; {_REMEDY}")
        yield line


def _parquet_rows(content: bytes, path: str, limits: Limits) -> Iterator[_Row]:
    """The names of the columns of a Parquet file, and its rows: texts in a dictionary are made once each."""
    import pyarrow as pa  # noqa: PLC0415  (slow to import)

    from lpe.pipeline.records.parquet_file import arrow_file, damaged, footer_of, read_end  # noqa: PLC0415
    from lpe.pipeline.sources.parquet_files import check_size  # noqa: PLC0415

    file = io.BytesIO(content)
    end = read_end(file, path, _REMEDY)
    with damaged(path, _REMEDY):
        footer = footer_of(end)
        schema = arrow_file(file, end).schema_arrow
    check_size(path, footer, len(content), limits)
    known = {*PATHS, *LABELS, *SPLIT}
    wanted = [name for name in schema.names if name.strip().lower() in known]
    yield tuple(wanted) if len({*wanted}) == len(wanted) else tuple(schema.names)
    texts = []
    for name in wanted:
        kind = schema.field(name).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_string(inner) or pa.types.is_large_string(inner):
            texts.append(name)
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            raise DataError(f"{path}: {name!a} is a column of {one_line(kind, 60)}, not {_VALUES}; {_REMEDY}")
    file.seek(0)
    with damaged(path, _REMEDY):
        # A text that stands in many rows takes its bytes once.
        arrow = arrow_file(file, end, read_dictionary=texts)
        batches = arrow.iter_batches(1 << 14, columns=wanted, use_threads=False)
    while True:
        with damaged(path, _REMEDY):
            batch = next(batches, None)
            if batch is None:
                return
            columns = [batch.column(name) for name in wanted]
            values = [_values(column, isinstance(column, pa.DictionaryArray)) for column in columns]
        yield from zip(*values, strict=True)


def _values(column: object, is_dictionary: bool) -> list[object]:
    if not is_dictionary:
        return column.to_pylist()  # type: ignore[attr-defined, no-any-return]
    texts = column.dictionary.to_pylist()  # type: ignore[attr-defined]
    numbers = column.indices.to_pylist()  # type: ignore[attr-defined]
    if any(number is not None and not 0 <= number < len(texts) for number in numbers):
        raise ValueError("a dictionary has not all values")
    return [None if number is None else texts[number] for number in numbers]
