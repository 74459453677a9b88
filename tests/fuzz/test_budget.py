"""The strategies and limits of the tests in this folder do what they say."""

import json

import hypothesis
import pytest

from lpe.transforms.errors import DataError
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import mutated, mutated_json
from tests.fuzz.trial import HangError, trial


@fuzz(1)
@hypothesis.given(mutated(b"0123456789" * 10), mutated_json(json.dumps({"a": [1, {"b": "c"}]}).encode()))
def test_mutations_are_bytes(data, document):
    assert isinstance(data, bytes)
    assert isinstance(document, bytes)


def test_a_trial_fails_where_it_should():
    def refuse(line):
        raise DataError(line)

    assert trial(lambda: 3) == 3
    assert trial(lambda: refuse("x: damaged")) is None
    with pytest.raises(AssertionError):
        trial(lambda: refuse("two\nlines"))
    with pytest.raises(KeyError):
        trial(lambda: {}["x"])
    with pytest.raises(MemoryError):
        trial(lambda: bytearray(1 << 32))

    def endless():
        while True:
            pass

    with pytest.raises(HangError):
        trial(endless, seconds=1)
