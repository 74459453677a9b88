"""Files: whole or absent, private where asked, published in one step, and failures of one line."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpe.pipeline import storage
from lpe.transforms.errors import KeyStoreError

PART = st.text("abc_.-", min_size=1).filter(lambda part: part not in {".", ".."})


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Has larger files fail to be written, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---------------------------------------------------------------- paths


@given(PART, PART)
def test_a_path_is_taken_apart_as_it_was_joined(first, second):
    for root in ("/", "/data", "data", "s3://bucket", "gs://bucket/prefix"):
        path = storage.join(root, first, second)
        assert storage.base_name(path) == second
        assert storage.parent(path) == storage.join(root, first)
        assert "//" not in path.partition("://")[2]


def test_slashes_at_the_end_do_not_count():
    assert storage.join("s3://bucket/home/", "1.0.0") == "s3://bucket/home/1.0.0"
    assert storage.join("/", "home") == "/home"
    assert storage.base_name("data/enc/") == "enc"
    assert storage.parent("enc") == "."


def test_a_local_path_is_remembered_from_the_root_on(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("link/file") == str(tmp_path.resolve() / "real" / "file")
    assert storage.absolute("s3://bucket/link/../file") == "s3://bucket/link/../file"


# ---------------------------------------------------------------- writing


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    with storage.open_atomic(str(path)) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "file"
    storage.write_atomic(str(path), b"old")
    with pytest.raises(error), storage.open_atomic(str(path)) as file:  # noqa: PT012
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_failed_write_names_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "inside").touch()
    with pytest.raises(OSError, match="file") as failure:
        storage.write_atomic(str(tmp_path / "file"), b"")
    assert failure.value.filename == str(tmp_path / "file")
    with files_of_at_most(1000):
        for size in (999_999, 1001):  # more than a buffer; what is written at the end
            with pytest.raises(OSError, match="too large") as failure:
                storage.write_atomic(str(tmp_path / "other"), bytes(size))
            assert failure.value.filename == str(tmp_path / "other")
    assert names(tmp_path) == ["file"]


def test_a_full_folder_for_temporary_files_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with files_of_at_most(1000), pytest.raises(OSError, match="too large") as failure:
        storage.write_atomic("s3://bucket/shard", bytes(17_000_000))  # waits on the local disk
    assert failure.value.filename == str(tmp_path)


def test_a_failed_read_is_not_laid_to_what_is_written_of_it(tmp_path):
    with pytest.raises(OSError, match="directory") as failure, storage.open_atomic(str(tmp_path / "copy")):
        os.read(os.open(tmp_path, os.O_RDONLY), 1)
    assert failure.value.filename is None


def test_a_failed_read_names_the_file(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")
    for read in (lambda file: file.read(), lambda file: file.read(1)):
        with storage.open_read(str(tmp_path / "file")) as file, (tmp_path / "other").open("wb") as unreadable:
            os.dup2(unreadable.fileno(), file.fileno())  # as if the disk failed
            with pytest.raises(OSError, match="Bad file descriptor") as failure:
                read(file)
            assert failure.value.filename == str(tmp_path / "file")


def test_what_a_killed_writer_left_goes_when_the_file_is_written_again(tmp_path):
    path = str(tmp_path / "file")
    with storage.open_atomic(path) as file:
        file.write(b"first")
        (busy,) = names(tmp_path)
        with storage.open_atomic(path) as other:  # both are at work
            other.write(b"second")
            assert len(names(tmp_path)) == 2
        assert names(tmp_path) == [busy, "file"]
    assert (tmp_path / "file").read_bytes() == b"first"
    (tmp_path / busy).write_bytes(b"of a killed writer")
    (tmp_path / "another").touch()
    storage.write_atomic(path, b"third")
    assert names(tmp_path) == ["another", "file"]
    assert (tmp_path / "file").read_bytes() == b"third"


@pytest.mark.parametrize("planted", ["link", "directory"])
def test_what_others_planted_is_not_written_to(tmp_path, planted):
    with storage.open_atomic(str(tmp_path / "file")):
        (name,) = names(tmp_path)
    if planted == "link":
        (tmp_path / "victim").write_bytes(b"mine")
        (tmp_path / name).symlink_to("victim")
    else:
        (tmp_path / name).mkdir()
    storage.write_atomic(str(tmp_path / "file"), b"secret", private=True)
    assert (tmp_path / "file").read_bytes() == b"secret"
    assert not (tmp_path / "file").is_symlink()
    if planted == "link":
        assert (tmp_path / "victim").read_bytes() == b"mine"


@pytest.mark.parametrize("share", ["file", "new/folder/file"])
def test_a_new_name_is_on_the_disk_when_the_writer_returns(tmp_path, monkeypatch, share):
    """As a fault after it would show: the directory of each new name is synced after the name is there."""
    synced: dict[str, list[str]] = {}
    sync = os.fsync

    def recorded(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            synced[str(path)] = names(path)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    storage.write_atomic(str(tmp_path / share), b"")
    storage.publish_directory(str(tmp_path), str(tmp_path.with_name(f"{tmp_path.name}-moved")), last=share)
    target = tmp_path.with_name(f"{tmp_path.name}-moved") / share
    for path in (tmp_path / share, *list((tmp_path / share).parents)[: share.count("/")]):
        assert path.name in synced[str(path.parent)]
    assert target.exists()
    assert f"{tmp_path.name}-moved" in synced[str(tmp_path.parent)]


def test_modes(tmp_path):
    before = os.umask(0o022)
    try:
        storage.write_atomic(str(tmp_path / "open"), b"")
        storage.write_atomic(str(tmp_path / "private"), b"", private=True)
        storage.write_atomic(str(tmp_path / "open"), b"again", private=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o600


@pytest.mark.parametrize(("mode", "allowed"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_a_file_with_a_secret_is_its_owners_alone(tmp_path, mode, allowed):
    path = tmp_path / "kek.json"
    path.touch()
    path.chmod(mode)
    if allowed:
        storage.check_private(str(path))
    else:
        with pytest.raises(KeyStoreError, match=f"run chmod 600 {path}"):
            storage.check_private(str(path))


def test_a_secret_elsewhere_or_nowhere_has_no_mode(tmp_path):
    storage.check_private(str(tmp_path / "nothing"))
    storage.check_private("s3://bucket/kek.json")


@pytest.mark.parametrize(
    ("mode", "allowed"), [(0o755, True), (0o500, True), (0o1777, True), (0o775, False), (0o702, False)]
)
def test_a_directory_of_keys_is_changed_by_its_owner_alone(tmp_path, mode, allowed):
    path = tmp_path / "keys"
    path.mkdir()
    path.chmod(mode)
    if allowed:
        storage.check_unchangeable(str(path))
    else:
        with pytest.raises(KeyStoreError, match=f"run chmod go-w {path}"):
            storage.check_unchangeable(str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
@pytest.mark.parametrize("check", [storage.check_private, storage.check_unchangeable])
def test_a_file_of_another_user_is_none_to_rely_on(tmp_path, check):
    path = tmp_path / "kek.json"
    path.touch(mode=0o600)
    check(str(path))
    os.chown(path, 12345, 12345)
    with pytest.raises(KeyStoreError, match=rf"{path}: belongs to another user \(uid 12345\)"):
        check(str(path))


def test_what_root_owns_can_be_relied_on(tmp_path, monkeypatch):
    path = tmp_path / "kek.json"
    path.touch(mode=0o600)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    if os.getuid() == 0:
        storage.check_private(str(path))
    else:
        with pytest.raises(KeyStoreError, match="belongs to another user"):
            storage.check_private(str(path))


# ---------------------------------------------------------------- reading and deleting


def test_reading_and_listing(tmp_path):
    storage.write_atomic(str(tmp_path / "b"), b"bytes")
    storage.write_atomic(str(tmp_path / "a" / "c"), b"")
    assert storage.list_names(str(tmp_path)) == ["a", "b"]
    assert storage.list_names(str(tmp_path / "nothing")) == []
    assert storage.list_names(str(tmp_path / "b")) == []
    assert storage.read_bytes(str(tmp_path / "b")) == b"bytes"
    assert storage.exists(str(tmp_path / "a"))
    assert not storage.exists(str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(str(tmp_path / "nothing"))


def test_deleting_what_is_there_and_what_is_not(tmp_path):
    storage.write_atomic(str(tmp_path / "a" / "b"), b"")
    storage.write_atomic(str(tmp_path / "c"), b"")
    for name in ("a", "c", "nothing"):
        storage.delete(str(tmp_path / name))
    assert names(tmp_path) == []


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    with pytest.raises(KeyboardInterrupt), storage.open_atomic(str(tmp_path / "shard")):  # noqa: PT012
        (leftover,) = tmp_path.iterdir()
        (tmp_path / f"{leftover.name}-copy").touch()  # as if its writer had been killed
        raise KeyboardInterrupt
    (tmp_path / "shard").touch()
    storage.delete_temporary_files(str(tmp_path))
    assert names(tmp_path) == ["shard"]
    storage.delete_temporary_files(str(tmp_path / "nothing"))


# ---------------------------------------------------------------- directories


def test_a_directory_is_published_in_one_step(tmp_path):
    source, target = tmp_path / "work", tmp_path / "1.0.0"
    storage.write_atomic(str(source / "shard"), b"s")
    storage.write_atomic(str(source / "info"), b"i")
    storage.publish_directory(str(source), str(target), last="info")
    assert names(target) == ["info", "shard"]
    assert not source.exists()


def test_the_rest_of_a_publication_is_replaced_and_a_whole_one_is_not(tmp_path):
    source, target = tmp_path / "work", tmp_path / "1.0.0"
    storage.write_atomic(str(source / "info"), b"new")
    storage.write_atomic(str(target / "half"), b"")
    storage.publish_directory(str(source), str(target), last="info")
    assert names(target) == ["info"]
    storage.write_atomic(str(source / "info"), b"newer")
    with pytest.raises(OSError, match="not empty"):
        storage.publish_directory(str(source), str(target), last="info")
    assert (target / "info").read_bytes() == b"new"


def test_a_withdrawn_directory_is_gone_and_leaves_nothing(tmp_path):
    storage.write_atomic(str(tmp_path / "1.0.0" / "info"), b"")
    storage.withdraw_directory(str(tmp_path / "1.0.0"), last="info", aside=str(tmp_path / "_work"))
    assert names(tmp_path) == ["_work"]
    assert names(tmp_path / "_work") == []


def test_a_withdrawal_that_is_cut_off_is_out_of_sight(tmp_path, monkeypatch):
    storage.write_atomic(str(tmp_path / "1.0.0" / "info"), b"")

    def cut(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lpe.pipeline.storage.files.shutil.rmtree", cut)
    with pytest.raises(KeyboardInterrupt):
        storage.withdraw_directory(str(tmp_path / "1.0.0"), last="info", aside=str(tmp_path / "_work"))
    assert not (tmp_path / "1.0.0").exists()
    (moved,) = (tmp_path / "_work").iterdir()
    assert moved.name.startswith("1.0.0-")


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOENT, "check the path"),
        (errno.ENOSPC, "free some space and run the same command again: finished shards are kept"),
        (errno.EACCES, "make it accessible or choose another place"),
        (errno.EROFS, "choose another place"),
        (errno.ENOTDIR, "a file stands where a directory is needed"),
        (errno.EISDIR, "name a file"),
        (errno.EIO, "run the same command again when this is mended"),
    ],
)
def test_a_failure_is_one_line_with_a_remedy(number, remedy):
    line = str(storage.explain(OSError(number, os.strerror(number), "data/shard")))
    assert line.startswith(f"data/shard: {os.strerror(number)}; ")
    assert line.endswith(remedy) or remedy in line
    assert "\n" not in line


def test_a_failure_without_file_or_number_is_explained_too():
    assert str(storage.explain(OSError("odd"))) == "odd; run the same command again when this is mended"
