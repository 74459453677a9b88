"""Second names of files: links where there can be some, copies elsewhere."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from lpe.pipeline import storage


def test_a_second_name_is_a_link_and_may_be_given_again(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    for _ in range(2):
        storage.link_or_copy(str(tmp_path / "a"), str(tmp_path / "new" / "b"))
        assert (tmp_path / "new" / "b").samefile(tmp_path / "a")
    (tmp_path / "a").unlink()
    assert (tmp_path / "new" / "b").read_bytes() == b"content"


def test_what_has_the_name_is_replaced_and_not_written_to(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
    os.link(tmp_path / "b", tmp_path / "other")
    storage.link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"a"
    assert (tmp_path / "other").read_bytes() == b"b"


def test_where_a_symbolic_link_leads_is_copied(tmp_path):
    (tmp_path / "there").write_bytes(b"content")
    (tmp_path / "a").symlink_to("there")
    storage.link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"content"
    assert not (tmp_path / "b").is_symlink()
    assert not (tmp_path / "b").samefile(tmp_path / "there")


def test_another_file_system_gets_a_copy(tmp_path):
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system here")
    (tmp_path / "a").write_bytes(b"content")
    with tempfile.TemporaryDirectory(dir=shared) as place:
        storage.link_or_copy(str(tmp_path / "a"), f"{place}/b")
        assert Path(place, "b").read_bytes() == b"content"


@pytest.mark.parametrize("kind", ["nothing", "pipe", "directory"])
def test_what_is_no_file_has_no_second_name(tmp_path, kind):
    if kind == "pipe":
        os.mkfifo(tmp_path / "a")
    elif kind == "directory":
        (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="a"):
        storage.link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert [path.name for path in tmp_path.iterdir()] == ([] if kind == "nothing" else ["a"])
