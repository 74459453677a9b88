"""Damage and malice done to good input: strategies of changed bytes and of changed JSON documents."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

HUGE_NUMBERS = (
    -1, 0, 1, 127, 128, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**40, 10**12, 2**53, 2**60, 2**63 - 1, 2**63,
    2**64 - 1, 2**64, 10**40, -(2**31), -(2**63),
)  # fmt: skip
HOSTILE_TEXTS = (
    "",
    " ",
    ".",
    "..",
    "../x",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "x/../../y",
    "x\\..\\y",
    "file:///etc/passwd",
    "gs://bucket/x",
    "{",
    "{}",
    "{0}",
    "{SPLIT!r:>2000000000}",
    "{SPLIT.__class__}",
    "%s%s%s%n",
    "a\x00b",
    "a\nb",
    "a\rb",
    "a\x1b[31mb",
    "\u2028",
    "\ud800",
    "\udfff\ud800",
    "\u202etxt",
    "é" * 3,
    "a" * 300,
    "a" * 70_000,
    "NaN",
    "1e999",
    "-1",
    "1_000",
    "٣",
    "0x10",
    "9" * 30,
    "9" * 5_000,
    "true",
    "null",
    "__class__",
    "<script>alert(1)</script>",
)
HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, False, *HUGE_NUMBERS, 0.5, -0.0, 1e308, 5e-324, *HOSTILE_TEXTS, [], {}, [[]], [{}], {"": None}, [None],
    [0] * 100, {"a": {"a": {}}}, [1, "a", None],
)  # fmt: skip
_NESTED = (b'{"a":' * 5_000, b"[" * 5_000, b"[" * 200_000)
_VARINTS = (b"\xff" * 9 + b"\x01", b"\x80" * 10, b"\xff" * 10, b"\xff\xff\xff\xff\x0f", b"\xff" * 40)


@st.composite
def mutated(draw: st.DrawFn, original: bytes, most: int = 4) -> bytes:
    """Bytes like `original` but for one to `most` changes: flipped, cut, copied, dropped, overwritten, inserted."""
    data = bytearray(original)
    for change in draw(st.lists(st.sampled_from(_CHANGES), min_size=1, max_size=most)):
        change(draw, data)
    return bytes(data)


def _position(draw: st.DrawFn, data: bytearray, end: int = 0) -> int:
    return draw(st.integers(0, max(0, len(data) - end)))


def _flip(draw: st.DrawFn, data: bytearray) -> None:
    if data:
        data[_position(draw, data, 1)] ^= 1 << draw(st.integers(0, 7))


def _overwrite(draw: st.DrawFn, data: bytearray) -> None:
    at = _position(draw, data)
    new = draw(st.binary(min_size=1, max_size=8))
    data[at : at + len(new)] = new


def _truncate(draw: st.DrawFn, data: bytearray) -> None:
    del data[_position(draw, data) :]


def _drop(draw: st.DrawFn, data: bytearray) -> None:
    at = _position(draw, data)
    del data[at : at + draw(st.integers(1, 64))]


def _splice(draw: st.DrawFn, data: bytearray) -> None:
    """A piece copied over another place, which moves nothing."""
    source, target, size = _position(draw, data), _position(draw, data), draw(st.integers(1, 256))
    piece = data[source : source + size]
    data[target : target + len(piece)] = piece


def _duplicate(draw: st.DrawFn, data: bytearray) -> None:
    source, target, size = _position(draw, data), _position(draw, data), draw(st.integers(1, 4096))
    data[target:target] = data[source : source + size]


def _insert(draw: st.DrawFn, data: bytearray) -> None:
    at = _position(draw, data)
    data[at:at] = draw(st.one_of(st.binary(max_size=32), _numbers, st.sampled_from(_VARINTS)))


def _set_number(draw: st.DrawFn, data: bytearray) -> None:
    """A number where one may stand already: a length, a count, a side."""
    at = _position(draw, data)
    number = draw(_numbers)
    data[at : at + len(number)] = number


@st.composite
def _number_bytes(draw: st.DrawFn) -> bytes:
    size = draw(st.sampled_from((1, 2, 4, 8)))
    value = draw(st.sampled_from(HUGE_NUMBERS)) & ((1 << (8 * size)) - 1)
    return value.to_bytes(size, draw(st.sampled_from(("little", "big"))))


_numbers = _number_bytes()
_CHANGES = (_flip, _flip, _overwrite, _truncate, _drop, _splice, _duplicate, _insert, _set_number)


@st.composite
def mutated_value(draw: st.DrawFn, original: Any, most: int = 3) -> Any:
    """A JSON value like `original` but for one to `most` changes of fields, at any depth."""
    root = {"": copy.deepcopy(original)}
    for _ in range(draw(st.integers(1, most))):
        container, key = draw(st.sampled_from(_places(root)))
        _change_field(draw, container, key, at_root=container is root)
    return root[""]


def _places(container: Any) -> list[tuple[Any, Any]]:
    """Every (container, key or index) within a JSON value."""
    keys = list(container) if isinstance(container, dict) else range(len(container))
    found = []
    for key in keys:
        found.append((container, key))
        if isinstance(container[key], dict | list):
            found += _places(container[key])
    return found


def _change_field(draw: st.DrawFn, container: Any, key: Any, *, at_root: bool) -> None:
    kind = (
        "replace"
        if at_root
        else draw(st.sampled_from(("replace", "replace", "drop", "rename", "add", "nudge")))
    )
    value = container[key]
    if kind == "drop":
        del container[key]
    elif kind == "rename" and isinstance(container, dict):
        container[_renamed(draw, str(key))] = container.pop(key)
    elif kind == "add" and isinstance(container, dict):
        container[draw(st.sampled_from(("x", *HOSTILE_TEXTS)))] = copy.deepcopy(
            draw(st.sampled_from(HOSTILE_VALUES))
        )
    elif kind == "add":
        container.insert(key, copy.deepcopy(value))
    elif kind == "nudge" and isinstance(value, int | float) and not isinstance(value, bool):
        container[key] = value + draw(st.sampled_from((-1, 1, 0.5)))
    elif kind == "nudge" and isinstance(value, str):
        container[key] = _renamed(draw, value)
    else:
        new = draw(st.sampled_from((*HOSTILE_VALUES, str(value)[:100], [value], {"x": value})))
        container[key] = copy.deepcopy(new)  # it may be changed in its turn


def _renamed(draw: st.DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    return draw(
        st.sampled_from(
            (
                text[:at] + text[at + 1 :],
                text[:at] + text[at : at + 1].swapcase() + text[at + 1 :],
                text + "x",
            )
        )
    )


@st.composite
def mutated_json(draw: st.DrawFn, content: bytes) -> bytes:
    """The text of a JSON document like `content`: fields changed, bytes changed, or nested without end."""
    kind = draw(st.sampled_from(("fields", "fields", "fields", "bytes", "nested", "twice")))
    if kind == "bytes":
        return draw(mutated(content))
    value = json.loads(content)
    if kind == "nested":
        container, key = draw(st.sampled_from(_places({"": value})))
        container[key] = "HERE"
        value = "HERE" if key == "" else value
        return json.dumps(value).encode().replace(b'"HERE"', draw(st.sampled_from(_NESTED)), 1)
    if kind == "twice" and isinstance(value, dict) and value:
        name = draw(st.sampled_from(sorted(value)))
        again = json.dumps({name: draw(st.sampled_from(HOSTILE_VALUES))})
        return json.dumps(value)[:-1].encode() + b", " + again[1:].encode()
    return json.dumps(draw(mutated_value(value))).encode()
