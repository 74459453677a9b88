"""JSON documents that others may have written or damaged, read field by field with types and bounds checked."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from lpe.pipeline.storage.files import open_read
from lpe.transforms.errors import DataError, LpeError, one_line

MOST_BYTES = 256 << 20
"""The largest document that is read: the manifest of a dataset of a million shards."""
_MOST_INTEGER = 2**63 - 1
_NOT_PLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MOST_NUMBER = sys.float_info.max
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)


class Fields:
    """The fields of a JSON object, read by name; each method raises the document's error for one that is not so.

    Args:
      value: the object.
      where: the file and, within it, the object, for messages.
      remedy: what to do about damage, for messages.
      error: the error to raise.
    """

    def __init__(
        self, value: Mapping[str, Any], where: str, remedy: str, error: type[LpeError] = DataError
    ) -> None:
        self.where = where
        self._value = value
        self._remedy = remedy
        self._error = error

    def names(self) -> tuple[str, ...]:
        """The names of all fields, in the document's order."""
        return tuple(self._value)

    def raw(self) -> Mapping[str, Any]:
        """The object as it was parsed; nothing in it is checked."""
        return self._value

    def only(self, *names: str) -> None:
        """Refuses fields of other names."""
        unknown = sorted({*self._value} - {*names})
        if unknown:
            self.refuse(f"unknown field {_shown(unknown[0])}")

    def is_null(self, name: str) -> bool:
        """Whether a field, which must be there, is null."""
        return self._get(name) is None

    def has(self, name: str) -> bool:
        """Whether there is a field of this name."""
        return name in self._value

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        """A text without control characters; with a pattern, one that it matches whole."""
        return self._text(self._get(name), name, pattern)

    def optional_text(self, name: str, pattern: re.Pattern[str] | None = None) -> str | None:
        """A text as `text` has it, or None for null."""
        return None if self.is_null(name) else self.text(name, pattern)

    def texts(self, name: str, pattern: re.Pattern[str] | None = None) -> tuple[str, ...]:
        """A list of texts, each as `text` has it."""
        return tuple(self._text(item, f"{name}[{i}]", pattern) for i, item in enumerate(self._list(name)))

    def integer(self, name: str, least: int = 0, most: int = _MOST_INTEGER) -> int:
        """A whole number within bounds."""
        return self._integer(self._get(name), name, least, most)

    def integers(self, name: str, least: int = 0, most: int = _MOST_INTEGER) -> tuple[int, ...]:
        """A list of whole numbers within bounds."""
        return tuple(
            self._integer(item, f"{name}[{i}]", least, most) for i, item in enumerate(self._list(name))
        )

    def decimal(self, name: str, least: int = 0, most: int = _MOST_INTEGER) -> int:
        """A whole number within bounds, as a number or in decimal digits: protocol buffers write it so."""
        return self._decimal(self._get(name), name, least, most)

    def decimals(self, name: str, least: int = 0, most: int = _MOST_INTEGER) -> tuple[int, ...]:
        """A list of numbers, each as `decimal` has it."""
        return tuple(
            self._decimal(item, f"{name}[{i}]", least, most) for i, item in enumerate(self._list(name))
        )

    def number(self, name: str, least: float = -_MOST_NUMBER, most: float = _MOST_NUMBER) -> float:
        """A finite number within bounds, whole or not."""
        value = self._get(name)
        # 1e999 is read as infinity, and a whole number may be too large for a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.refuse(f"{_shown(name)} must be a number from {least:g} to {most:g}, not {_shown(value)}")
        return float(value)

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._get(name)
        if not isinstance(value, bool):
            self.refuse(f"{_shown(name)} must be true or false, not {_shown(value)}")
        return value

    def object(self, name: str) -> Fields:
        """An object."""
        return self._object(self._get(name), name)

    def optional_object(self, name: str) -> Fields | None:
        """An object, or None for null."""
        return None if self.is_null(name) else self.object(name)

    def objects(self, name: str) -> tuple[Fields, ...]:
        """A list of objects."""
        return tuple(self._object(item, f"{name}[{i}]") for i, item in enumerate(self._list(name)))

    def mapping(self, name: str) -> dict[str, Fields]:
        """An object of objects, by name."""
        inner = self.object(name)
        return {key: inner.object(key) for key in inner.names()}

    def refuse(self, what: str) -> NoReturn:
        """Raises the document's error: where, what is wrong, what to do."""
        raise self._error(f"{self.where}: damaged ({what}); {self._remedy}")

    def _get(self, name: str) -> Any:
        if name not in self._value:
            self.refuse(f"no field {_shown(name)}")
        return self._value[name]

    def _list(self, name: str) -> list[Any]:
        value = self._get(name)
        if not isinstance(value, list):
            self.refuse(f"{_shown(name)} must be a list, not {_shown(value)}")
        return value

    def _text(self, value: Any, name: str, pattern: re.Pattern[str] | None) -> str:
        if not isinstance(value, str) or not is_plain_text(value):
            self.refuse(f"{_shown(name)} must be a text without control characters, not {_shown(value)}")
        if pattern is not None and not pattern.fullmatch(value):
            self.refuse(f"{_shown(name)} cannot be {_shown(value)}")
        return value

    def _integer(self, value: Any, name: str, least: int, most: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(f"{_shown(name)} must be a whole number from {least} to {most}, not {_shown(value)}")
        return value

    def _decimal(self, value: Any, name: str, least: int, most: int) -> int:
        number = int(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else value
        return self._integer(number, name, least, most)

    def _object(self, value: Any, name: str) -> Fields:
        if not isinstance(value, dict):
            self.refuse(f"{_shown(name)} must be an object, not {_shown(value)}")
        return Fields(value, f"{self.where}: {name}", self._remedy, self._error)


def read_document(path: str, remedy: str, error: type[LpeError] = DataError) -> Fields:
    """Reads a file that holds one JSON object.

    Args:
      path: the file.
      remedy: what to do about damage, for messages: `restore it from a copy`.
      error: what to raise for damage.

    Raises:
      FileNotFoundError: it is missing.
      OSError: it cannot be read.
    """
    return parse_document(read_bounded(path, remedy, error), path, remedy, error)


def read_content(path: str, remedy: str, error: type[LpeError] = DataError) -> bytes:
    """The bytes of a file as `read_bounded` has them, which must be there."""
    try:
        return read_bounded(path, remedy, error)
    except (FileNotFoundError, IsADirectoryError):
        raise error(f"{path}: missing; {remedy}") from None


def read_bounded(path: str, remedy: str, error: type[LpeError] = DataError, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file, which may have been made to be too large for memory.

    Args:
      path: the file.
      remedy, error: see `Fields`.
      most: bytes that it may have, whole kilobytes or megabytes.

    Raises:
      FileNotFoundError: it is missing.
      OSError: it cannot be read.
    """
    with open_read(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        Fields({}, path, remedy, error).refuse(
            f"larger than {f'{most >> 20} MB' if most >> 20 else f'{most >> 10} KB'}"
        )
    return content


def parse_document(content: bytes, where: str, remedy: str, error: type[LpeError] = DataError) -> Fields:
    """Parses one JSON object, of at most `MOST_BYTES`, in which no field has two values.

    Args:
      content: its UTF-8 text.
      where, remedy, error: see `Fields`.
    """
    fields = Fields({}, where, remedy, error)
    if len(content) > MOST_BYTES:
        fields.refuse(f"larger than {MOST_BYTES >> 20} MB")
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as failure:  # UnicodeDecodeError is a ValueError
        reason = "nested too deeply" if isinstance(failure, RecursionError) else one_line(failure, 120)
        fields.refuse(f"no JSON: {reason}")
    if not isinstance(value, dict):
        fields.refuse("not a JSON object")
    return Fields(value, where, remedy, error)


def is_plain_text(text: str) -> bool:
    """Whether a text can be printed on one line and written as UTF-8: no control characters, no halves of pairs."""
    return _NOT_PLAIN.search(text) is None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a field has two values")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _shown(value: object) -> str:
    """A value for a message: on one line, shortened, whatever it holds."""
    text = ascii(value) if not isinstance(value, int) or isinstance(value, bool) else _integer_shown(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _integer_shown(value: int) -> str:
    # Python refuses to write out very large numbers.
    return str(value) if value.bit_length() < 256 else f"a number of {value.bit_length()} bits"
