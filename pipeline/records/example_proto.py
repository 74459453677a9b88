"""The tf.train.Example message and its wire layout, without TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

Features = dict[str, list[bytes] | list[int] | list[float]]
"""The values of each feature, by its name; no values for a feature of no kind."""


def _example_class() -> Any:
    """The class of `tensorflow.Example`, in a pool of its own, so that TensorFlow's may live beside it."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="lpe/example.proto", package="tensorflow", syntax="proto3")

    def add(name: str, *fields: tuple[str, int, int, bool, str]) -> descriptor_pb2.DescriptorProto:
        made = file.message_type.add(name=name)
        for field_name, number, kind, repeated, type_name in fields:
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            made.field.add(
                name=field_name, number=number, type=kind, label=label, type_name=type_name or None
            )
        return made

    add("BytesList", ("value", 1, field.TYPE_BYTES, True, ""))
    add("FloatList", ("value", 1, field.TYPE_FLOAT, True, ""))
    add("Int64List", ("value", 1, field.TYPE_INT64, True, ""))
    lists = ("BytesList", "FloatList", "Int64List")
    feature = add(
        "Feature",
        *(
            (f"{name[:-4].lower()}_list", number, field.TYPE_MESSAGE, False, f".tensorflow.{name}")
            for number, name in enumerate(lists, 1)
        ),
    )
    feature.oneof_decl.add(name="kind")
    for member in feature.field:
        member.oneof_index = 0
    features = add("Features", ("feature", 1, field.TYPE_MESSAGE, True, ".tensorflow.Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_OPTIONAL,
        type_name=".tensorflow.Feature",
    )
    add("Example", ("features", 1, field.TYPE_MESSAGE, False, ".tensorflow.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


_Example = _example_class()
_MOST_PARSED = 1 << 24
"""Bytes beyond which protobuf, which may take 25 times as much memory, is not asked."""
_MOST_FEATURES = 1000
"""Features beyond which an Example has no plain layout."""


def parse(data: bytes) -> Features | None:
    """The features of a serialised Example, or None where `data` is none.

    One of more than 16 MB must have the plain layout of `value_spans`.
    """
    if len(data) > _MOST_PARSED:
        spans = value_spans(data)
        return None if spans is None else {key: span.values(data) for key, span in spans.items()}
    try:
        example = _Example.FromString(data)
    except message.DecodeError:
        return None
    out: Features = {}
    for key, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        out[key] = list(getattr(feature, kind).value) if kind else []
    return out


@dataclasses.dataclass(frozen=True)
class Span:
    """The place of a feature's single value in a serialised Example.

    Attributes:
      kind: of the value; an int64 is a varint.
      start: of its first byte.
      stop: after its last byte.
    """

    kind: Literal["bytes", "int64"]
    start: int
    stop: int

    def values(self, data: bytes) -> list[bytes] | list[int]:
        """The value, in a list of its own as `Features` has it."""
        value = data[self.start : self.stop]
        return [value] if self.kind == "bytes" else [_from_varint(value)]


def _from_varint(digits: bytes) -> int:
    value = sum((digit & 0x7F) << 7 * place for place, digit in enumerate(digits))
    return value - (1 << 64) if value >= 1 << 63 else value


def value_spans(data: bytes) -> dict[str, Span] | None:
    """The place of every single-valued bytes or int64 feature, keyed by feature name.

    Returns None for a layout that is legal but not the plain one that every writer produces
    (repeated keys, unknown fields, fields split or out of order): parse those with `parse`.
    """
    try:
        return _Layout(data).features()
    except (IndexError, ValueError):
        return None


class _Layout:
    """A strict walk over the wire format; anything unexpected raises ValueError or IndexError."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def features(self) -> dict[str, Span]:
        start, stop = self._field(0, len(self._data), 0x0A)
        if stop != len(self._data):
            raise ValueError
        out: dict[str, Span] = {}
        while start < stop:
            entry, entry_stop = self._field(start, stop, 0x0A)
            key, key_stop = self._field(entry, entry_stop, 0x0A)
            feature, feature_stop = self._field(key_stop, entry_stop, 0x12)
            name = self._data[key:key_stop].decode()
            if feature_stop != entry_stop or name in out or len(out) == _MOST_FEATURES:
                raise ValueError
            out[name] = self._value(feature, feature_stop)
            start = entry_stop
        return out

    def _value(self, start: int, stop: int) -> Span:
        tag = self._data[start]
        kind: Literal["bytes", "int64"] = "bytes" if tag == 0x0A else "int64"
        if tag not in (0x0A, 0x1A):
            raise ValueError
        values, values_stop = self._field(start, stop, tag)
        value, value_stop = self._field(values, values_stop, 0x0A)
        if values_stop != stop or value_stop != values_stop:
            raise ValueError
        if kind == "int64":
            digits = self._data[value:value_stop]
            if not 1 <= len(digits) <= 10 or digits[-1] >= 0x80 or any(d < 0x80 for d in digits[:-1]):
                raise ValueError
            if len(digits) == 10 and digits[-1] > 1:  # more than 64 bits
                raise ValueError
        return Span(kind, value, value_stop)

    def _field(self, at: int, limit: int, tag: int) -> tuple[int, int]:
        """Start and stop of the length-delimited field with `tag` at `at`, which must end by `limit`."""
        if self._data[at] != tag:
            raise ValueError
        at += 1
        size = shift = 0
        while True:
            digit = self._data[at]
            at += 1
            size |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
            if shift > 28:
                raise ValueError
        if at + size > limit:
            raise ValueError
        return at, at + size
