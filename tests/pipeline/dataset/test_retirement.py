"""Retirement: the newest version stays, older ones are marked, age, and go without being half there."""

from __future__ import annotations

import datetime
import json

import pytest

from lpe.pipeline import clock
from lpe.pipeline.dataset import committed_versions, open_dataset, retirement
from lpe.pipeline.dataset.layout import RETIRED_FILE
from lpe.transforms.errors import DataError
from tests.pipeline.dataset.making import make


@pytest.fixture
def home(tmp_path):
    for version in ("1.0.0", "1.0.1", "1.0.2"):
        make(tmp_path / "shapes", {"train": (4,)}, version=version)
    return tmp_path / "shapes"


def test_all_but_the_newest_are_old(home):
    old = retirement.old_versions(str(home))
    assert [version.version for version in old] == ["1.0.0", "1.0.1"]
    assert [version.retired for version in old] == [None, None]
    assert old[0].bytes == open_dataset(str(home / "1.0.0")).num_bytes
    assert old[0].directory == str(home / "1.0.0")


def test_a_home_without_versions_has_no_old_ones(tmp_path):
    assert retirement.old_versions(str(tmp_path)) == []


def test_a_marked_version_stays_readable_and_knows_when_it_was_replaced(home):
    before = clock.now()
    retirement.retire(retirement.old_versions(str(home))[0], "1.0.2")
    marked, unmarked = retirement.old_versions(str(home))
    assert marked.retired is not None
    assert before <= marked.retired <= clock.now()
    assert unmarked.retired is None
    assert json.loads((home / "1.0.0" / RETIRED_FILE).read_text())["replaced_by"] == "1.0.2"
    assert open_dataset(str(home / "1.0.0")).version == "1.0.0"


def test_it_expires_when_it_is_of_age():
    week = datetime.timedelta(days=7)
    ago = [clock.now() - datetime.timedelta(days=days) for days in (8, 6)]
    assert retirement.OldVersion("d", 1, ago[0]).expired(week)
    assert not retirement.OldVersion("d", 1, ago[1]).expired(week)
    assert not retirement.OldVersion("d", 1, None).expired(week)
    assert retirement.OldVersion("d", 1, None).expired(datetime.timedelta(0))


@pytest.mark.parametrize("mark", ["", "[]", "{}", '{"retired": "yesterday"}', '{"retired": "2026-01-01"}'])
def test_a_damaged_mark_is_named(home, mark):
    (home / "1.0.0" / RETIRED_FILE).write_text(mark)
    with pytest.raises(DataError, match=rf"{RETIRED_FILE}: damaged .* delete it, and the time counts anew"):
        retirement.old_versions(str(home))


def test_a_deleted_version_is_gone(home):
    retirement.delete(retirement.old_versions(str(home))[0])
    assert committed_versions(str(home)) == ["1.0.1", "1.0.2"]
    assert not (home / "1.0.0").exists()


def test_a_deletion_that_was_cut_off_is_finished(home):
    """As in an object store, where the commit goes first: only what is marked, and committed no more, goes."""
    retirement.retire(retirement.old_versions(str(home))[0], "1.0.2")
    (home / "1.0.0" / "dataset_info.json").unlink()
    (home / "notes").mkdir()
    retirement.finish_deletions(str(home))
    assert not (home / "1.0.0").exists()
    assert (home / "notes").exists()
    assert committed_versions(str(home)) == ["1.0.1", "1.0.2"]
