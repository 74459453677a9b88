"""The metadata of a keyset: written and read again, due dates, and what is said when it is damaged."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from lpe.pipeline.keystore.auditlog import Head
from lpe.pipeline.keystore.metadata import KeyRecord, Metadata, read_metadata
from lpe.transforms.errors import KeyStoreError

STAMP = "2026-01-01T00:00:00+00:00"
WHOLE = Metadata(
    "kek.json",
    "30d",
    STAMP,
    {7: KeyRecord(STAMP, ["/enc/1.0.0"], {"/run": "salt"}, True)},
    Head(2, "ab" * 32),
)


@pytest.fixture
def path(tmp_path) -> str:
    path = str(tmp_path / "patients.meta.json")
    WHOLE.write(path)
    return path


def test_metadata_is_read_as_it_was_written(path):
    assert read_metadata(path) == WHOLE


def test_a_key_comes_of_age_a_period_after_the_last_rotation():
    assert WHOLE.rotation_due() == datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
    assert Metadata("kek.json", None, STAMP).rotation_due() is None
    assert Metadata("kek.json", "30d").rotation_due() is None


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format_version", 3, "format version 3, this `lpe` reads 1 and 2; use the version"),
        ("kek", None, "damaged"),
        ("keys", {"seven": {}}, "damaged"),
        ("keys", {"7": {"unknown": 1}}, "damaged"),
        ("rotation_period", "soon", "damaged"),
        ("last_rotation", "2026-01-01T00:00:00", "damaged"),
        ("log", {}, "damaged"),
    ],
)
def test_damage_is_said_with_the_file(path, field, value, message):
    file = Path(path)
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}))
    with pytest.raises(KeyStoreError, match=rf"patients\.meta\.json: .*{message}"):
        read_metadata(path)
