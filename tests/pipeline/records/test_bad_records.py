"""The policy for records that cannot be used."""

from __future__ import annotations

import pickle

import pytest

from lpe.pipeline.records.bad_records import REPLACE_OR_SKIP, BadRecord, fail
from lpe.transforms.errors import DataError


def test_the_first_bad_record_is_named_with_its_remedy():
    with pytest.raises(DataError) as failure:
        fail("restore it")(BadRecord("cat/7.png", "it is no image"))
    assert str(failure.value) == "cat/7.png: it is no image; restore it"


def test_a_job_offers_to_skip():
    with pytest.raises(DataError, match=r"x: y; remove or replace it, or pass --on-bad-record skip$"):
        fail(REPLACE_OR_SKIP)(BadRecord("x", "y"))


def test_a_bad_record_is_a_value_that_travels():
    record = BadRecord("x", "y")
    assert pickle.loads(pickle.dumps(record)) == record
