"""JSON documents: what is read, and what is refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpe.pipeline.storage import documents
from lpe.pipeline.storage.documents import Fields
from lpe.transforms.errors import DataError, KeyStoreError

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_READERS: list[Callable[[Fields], object]] = [
    lambda fields: fields.text("x"),
    lambda fields: fields.text("x", re.compile("[a-z]+")),
    lambda fields: fields.optional_text("x"),
    lambda fields: fields.texts("x"),
    lambda fields: fields.integer("x"),
    lambda fields: fields.integers("x"),
    lambda fields: fields.decimal("x"),
    lambda fields: fields.decimals("x"),
    lambda fields: fields.number("x"),
    lambda fields: fields.boolean("x"),
    lambda fields: fields.object("x"),
    lambda fields: fields.optional_object("x"),
    lambda fields: fields.objects("x"),
    lambda fields: fields.mapping("x"),
    lambda fields: fields.only("y"),
]


def parse(text: str) -> Fields:
    return documents.parse_document(text.encode(), "a.json", "restore it")


def test_fields_are_read_by_type() -> None:
    fields = parse(
        '{"t": "a", "n": 3, "d": "12", "l": ["1", 2], "b": true, "o": {"x": null}, "m": {"k": {"y": 1}}, "f": 0.5}'
    )
    assert fields.text("t") == "a"
    assert fields.integer("n") == 3
    assert fields.decimal("d") == 12
    assert fields.decimals("l") == (1, 2)
    assert fields.boolean("b")
    assert fields.object("o").optional_text("x") is None
    assert fields.mapping("m")["k"].integer("y") == 1
    assert fields.number("f") == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "not a JSON object"),
        ('{"x": 1, "x": 2}', "two values"),
        ('{"x": NaN}', "no JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"x": 1}\x00', "no JSON"),
    ],
)
def test_what_is_no_object_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(text)


def test_a_number_of_many_digits_is_refused_not_computed() -> None:
    with pytest.raises(DataError, match=r"a\.json: damaged"):
        parse('{"x": 1' + "0" * 100_000 + "}").integer("x")


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("{}", lambda fields: fields.text("x"), "no field 'x'"),
        ('{"x": true}', lambda fields: fields.integer("x"), "whole number"),
        ('{"x": 7}', lambda fields: fields.integer("x", most=6), "from 0 to 6, not 7"),
        ('{"x": 1.5}', lambda fields: fields.number("x", 0, 1), "from 0 to 1, not 1.5"),
        ('{"x": -1e-9}', lambda fields: fields.number("x", 0), "not -1e-09"),
        ('{"x": "1e3"}', lambda fields: fields.decimal("x"), "whole number"),
        ('{"x": "\\u00b2"}', lambda fields: fields.decimal("x"), "whole number"),
        ('{"x": "a/b"}', lambda fields: fields.text("x", re.compile(r"\w+")), "cannot be 'a/b'"),
        ('{"x": "\\u0000"}', lambda fields: fields.text("x"), "control characters"),
        ('{"x": "\\ud800"}', lambda fields: fields.text("x"), "control characters"),
        ('{"x": {"y": 1}}', lambda fields: fields.object("x").text("y"), "a.json: x: damaged"),
        ('{"x": 1, "z": 1}', lambda fields: fields.only("x"), "unknown field 'z'"),
    ],
)
def test_a_field_of_another_kind_is_refused(
    text: str, read: Callable[[Fields], object], message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read(parse(text))


def test_a_document_raises_the_error_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("nothing")
    with pytest.raises(KeyStoreError, match="restore it"):
        documents.read_document(str(path), "restore it", KeyStoreError)


@given(_JSON, st.sampled_from(_READERS))
def test_whatever_a_field_holds_it_is_read_or_refused_in_one_line(
    value: object, read: Callable[[Fields], object]
) -> None:
    message = ""
    try:
        read(parse(json.dumps({"x": value})))
    except DataError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + 400 * "0", "NaN", "true"])
def test_a_number_is_finite(number: str) -> None:
    with pytest.raises(DataError, match=r"a\.json: damaged"):
        parse(f'{{"f": {number}}}').number("f")
