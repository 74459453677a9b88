"""What a Parquet file's description says of its row groups, read without Arrow.

Arrow's own view of a damaged description ends the whole process where it should raise an error. A description is a
struct in Thrift's compact protocol; the numbers here are those of `parquet.thrift`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

MOST_ITEMS = 4096
"""Items of any list: row groups; columns, each perhaps within another one. Arrow's stack holds twice that."""
_DEEPEST = 24  # structs and lists within one another; there are about ten
_PLAIN = {0, 3}  # encodings: values as they are, and the levels beside them
_MOST_INTEGER = (1 << 63) - 1


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A column of a row group.

    Attributes:
      plain: whether values are stored as they are: neither compressed nor in a dictionary.
      start: its first byte in the file.
      size: its bytes.
    """

    plain: bool
    start: int
    size: int


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A row group.

    Attributes:
      rows: how many it has.
      size: its bytes, once unpacked.
      chunks: its columns.
    """

    rows: int
    size: int
    chunks: tuple[Chunk, ...]


@dataclasses.dataclass(frozen=True)
class Footer:
    """A file's description.

    Attributes:
      rows: how many the file has.
      groups: its row groups.
    """

    rows: int
    groups: tuple[RowGroup, ...]


def parse(data: bytes) -> Footer:
    """Reads a description. Raises ValueError if it is damaged."""
    try:
        fields = _Compact(data).struct(0)
        return Footer(_count(fields[3]), tuple(_group(group) for group in fields.get(4, [])))
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("its description is damaged") from error


def _group(fields: dict[int, Any]) -> RowGroup:
    chunks = tuple(_chunk(column[3]) for column in fields[1])
    return RowGroup(_count(fields[3]), _count(fields[2]), chunks)


def _chunk(fields: dict[int, Any]) -> Chunk:
    plain = fields[4] == 0 and {*fields[2]} <= _PLAIN and 11 not in fields
    starts = [_count(fields[number]) for number in (9, 11) if number in fields]
    return Chunk(plain, min(starts), _count(fields[7]))


def _count(value: int) -> int:
    if not 0 <= value <= _MOST_INTEGER:
        raise ValueError("its description has a number below zero")
    return value


class _Compact:
    """A walk over Thrift's compact protocol; anything unexpected raises ValueError, IndexError or TypeError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int) -> dict[int, Any]:
        """The fields of the struct here, by number."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._integer()
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("its description is nested too deeply")
        if kind in (1, 2):  # in a list, where a truth value takes a byte
            return self._byte() == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 != 15 else self._varint()
            if count > MOST_ITEMS:
                raise ValueError(f"its description has a list of {count} items, more than {MOST_ITEMS}")
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"its description has a value of kind {kind}")

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _bytes(self, size: int) -> bytes:
        value = self._data[self._at : self._at + size]
        if len(value) < size:
            raise IndexError
        self._at += size
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            digit = self._byte()
            value |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                return value
            if shift > 63:
                raise ValueError("its description has a number of more than 64 bits")

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
