"""The uses of a key: what counts as one, and what of it is there."""

from __future__ import annotations

import json
from pathlib import Path

from lpe.pipeline.dataset.layout import ENCRYPTION_FILE, INFO_FILE
from lpe.pipeline.keystore.metadata import KeyRecord
from lpe.pipeline.keystore.uses import Use, uses, versions_under


def commit(version: Path, name: str, key_id: int) -> str:
    version.mkdir(parents=True)
    (version / ENCRYPTION_FILE).write_text(json.dumps({"key": {"name": name, "id": key_id}}))
    (version / INFO_FILE).write_text("{}")
    return str(version)


def test_a_version_that_is_recorded_is_a_use_whatever_it_says_of_its_key(tmp_path):
    mine, other = commit(tmp_path / "a" / "1.0.0", "k", 1), commit(tmp_path / "a" / "1.0.1", "k", 2)
    record = KeyRecord(datasets=[mine, other, str(tmp_path / "gone")], runs={str(tmp_path / "run"): "salt"})
    assert uses(record) == [
        Use("dataset", mine, True),
        Use("dataset", other, True),
        Use("dataset", str(tmp_path / "gone"), False),
        Use("run", str(tmp_path / "run"), False),
    ]


def test_a_version_whose_key_cannot_be_read_counts_as_a_use(tmp_path):
    version = commit(tmp_path / "a" / "1.0.0", "k", 2)
    (Path(version) / ENCRYPTION_FILE).write_text("{")
    assert uses(KeyRecord(datasets=[version])) == [Use("dataset", version, True)]


def test_versions_below_a_root_are_found_by_their_keyset(tmp_path):
    first, second = commit(tmp_path / "a" / "1.0.0", "k", 1), commit(tmp_path / "b" / "1.0.0", "k", 2)
    commit(tmp_path / "c" / "1.0.0", "another", 1)
    (tmp_path / "plain" / "1.0.0").mkdir(parents=True)
    (tmp_path / "plain" / "1.0.0" / INFO_FILE).write_text("{}")
    assert versions_under(str(tmp_path), "k") == {1: [first], 2: [second]}


def test_a_use_says_whether_it_was_found():
    assert str(Use("run", "/r", True)) == "run /r"
    assert str(Use("dataset", "/d", False)) == "dataset /d (not found)"
