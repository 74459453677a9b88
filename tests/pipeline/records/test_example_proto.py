"""tf.train.Example without TensorFlow: what is parsed, where values lie, and bytes that are none."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpe.pipeline import records
from lpe.pipeline.records import example_proto
from tests.pipeline.records.examples import FORMAT, SHAPE, framed, ignore, read, some


def serialised(seed: int = 0) -> bytes:
    """One Example without its frame."""
    return records.encode(some(1, seed=seed), FORMAT)[12:-4]


def test_values_by_name():
    batch = some(1)
    features = example_proto.parse(serialised())
    assert features == {
        "id": [b"train-0000000"],
        "image": [batch.images[0].tobytes()],
        "label": [int(batch.labels[0])],
    }


def test_spans_are_where_the_values_lie():
    data, batch = serialised(), some(1)
    spans = example_proto.value_spans(data)
    assert spans is not None
    assert {name: span.kind for name, span in spans.items()} == {
        "id": "bytes",
        "image": "bytes",
        "label": "int64",
    }
    assert data[spans["image"].start : spans["image"].stop] == batch.images[0].tobytes()
    assert data[spans["id"].start : spans["id"].stop] == b"train-0000000"


def test_an_empty_example_has_no_features():
    assert example_proto.parse(b"") == {}


def test_what_is_no_example_is_none():
    assert example_proto.parse(b"\xff\xff nonsense") is None
    assert example_proto.value_spans(b"\xff\xff nonsense") is None
    assert example_proto.value_spans(b"") is None


@pytest.mark.parametrize(
    ("feature", "values"),
    [(b"\x0a\x04\x0a\x00\x0a\x00", [b"", b""]), (b"\x1a\x04\x0a\x02\x01\x02", [1, 2])],
    ids=["bytes", "int64"],
)
def test_a_layout_that_is_legal_but_not_plain_is_left_to_the_parser(feature, values):
    """Two values in a feature: protobuf reads them, the fast path does not."""
    entry = b"\x0a\x01k\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry)]) + entry
    data = b"\x0a" + bytes([len(features)]) + features
    assert example_proto.parse(data) == {"k": values}
    assert example_proto.value_spans(data) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data):
    example_proto.parse(data)
    spans = example_proto.value_spans(data)
    for span in (spans or {}).values():
        assert 0 <= span.start <= span.stop <= len(data)


def test_random_payloads_in_valid_frames_never_crash():
    rng = random.Random(1)
    example = serialised()
    for _ in range(1500):
        payload = bytearray(example)
        for _ in range(rng.randint(1, 6)):
            payload[rng.randrange(min(60, len(payload)))] = rng.randrange(256)
        for batch in read(framed(bytes(payload)) * 3, on_bad_record=ignore):
            assert batch.images.shape[1:] == SHAPE
