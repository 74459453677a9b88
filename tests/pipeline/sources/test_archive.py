"""Archives and folders as byte ranges: what is damaged, missing or unreadable is said, not guessed."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lpe.pipeline.dataset.metadata import file_sha256
from lpe.pipeline.sources.archive import FileTree
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.cifar import CifarSource
from lpe.pipeline.sources.folder import FolderSource
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import failing

ROOT = Path(__file__).resolve().parents[3]
FILES = {f"{'ab'[i % 2]}/{i}.png": images.encoded(images.pixels(i)) for i in range(40)}


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "zip"])
def test_files_are_byte_ranges(tmp_path, ending):
    tree = FileTree(str(images.pack(FILES, tmp_path / f"d.{ending}")))
    assert {name: where.read() for name, where in tree.files.items()} == FILES
    tree.close()


def test_the_unpacked_copy_is_private_and_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    tree = FileTree(str(images.pack(FILES, tmp_path / "d.tar.gz")))
    copy = Path(next(iter(tree.files.values())).path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "t").iterdir())
    tree.close()
    assert not copy.exists()


def test_where_files_need_names_the_unpacked_copy_has_one_until_it_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    monkeypatch.setattr("lpe.pipeline.sources.spool._DESCRIPTORS", tmp_path / "nowhere")
    (tmp_path / "t").mkdir()
    tree = FileTree(str(images.pack(FILES, tmp_path / "d.tar.gz")))
    (copy,) = (tmp_path / "t").iterdir()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert {name: where.read() for name, where in tree.files.items()} == FILES
    tree.close()
    assert not copy.exists()


def test_the_copy_of_another_archive_is_not_taken_for_one_that_was_closed(tmp_path):
    first = FileTree(str(images.pack(FILES, tmp_path / "d.tar.gz")))
    where = first.files["a/0.png"]
    first.close()
    with contextlib.closing(FileTree(str(tmp_path / "d.tar.gz"))) as second:
        assert second.files["a/0.png"].path == where.path
        with pytest.raises(DataError, match=r"cannot be read.*run the same command again"):
            where.read()


HELD = """
import sys, time
from lpe.pipeline.sources import open_source
from lpe.pipeline.sources.base import ReadOptions
with open_source(sys.argv[1], ReadOptions()) as source:
    print("open", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["folder", "cifar"])
def test_a_killed_process_leaves_no_images(tmp_path, kind):
    files = images.cifar10(True) if kind == "cifar" else FILES
    archive = images.pack(files, tmp_path / "d.tar.gz")
    (tmp_path / "t").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "t")}
    with subprocess.Popen(
        [sys.executable, "-c", HELD, f"{kind}:{archive}"], stdout=subprocess.PIPE, env=environment, cwd=ROOT
    ) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"open\n"
        held.kill()
    assert not list((tmp_path / "t").iterdir())


def test_the_digest_of_an_archive_is_its_checksum(tmp_path):
    archive = images.pack(FILES, tmp_path / "d.tar.gz")
    with FolderSource(str(archive), ReadOptions()) as source:
        assert source.digest() == file_sha256(str(archive))


def test_links_in_an_archive_are_left_out(tmp_path):
    path = tmp_path / "d.tar"
    with tarfile.open(path, "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"a/{kind!r}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        member = tarfile.TarInfo("a/x.png")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"xyz"))
    assert {name: where.read() for name, where in FileTree(str(path)).files.items()} == {"a/x.png": b"xyz"}


def test_the_last_member_of_a_name_counts(tmp_path):
    path = images.pack(FILES, tmp_path / "d.tar")
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("./a/0.png")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"new"))
    tree = FileTree(str(path))
    assert len(tree.files) == len(FILES)
    assert tree.files["a/0.png"].read() == b"new"


def test_any_cut_is_found(tmp_path):
    for ending in ("tar", "tar.gz", "zip"):
        path = images.pack(FILES, tmp_path / f"d.{ending}")
        data = path.read_bytes()
        # Where the last member's data ends; after it there is nothing but padding.
        whole = len(data) if ending != "tar" else len(data.rstrip(b"\0"))
        for keep in random.Random(1).sample(range(whole), 60):
            path.write_bytes(data[:keep])
            with pytest.raises(DataError, match=rf"d\.{ending}: damaged or cut off"):
                FileTree(str(path))


def test_a_damaged_tar_is_found_or_read_but_never_a_crash(tmp_path):
    path = images.pack(FILES, tmp_path / "d.tar")
    data = bytearray(path.read_bytes())
    rng = random.Random(2)
    for _ in range(200):
        member = rng.choice(range(0, len(data) - 10240, 512))
        at = member + rng.randrange(512)
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with contextlib.suppress(DataError):
            assert len(FileTree(str(path)).files) == len(FILES)
        data = bytearray(images.pack(FILES, path).read_bytes())


def test_a_sparse_member_is_refused(tmp_path):
    path = tmp_path / "d.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a/x.png")
        member.size = 1024
        member.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "a/x.png",
            "GNU.sparse.realsize": "4096",
        }
        archive.addfile(member, io.BytesIO(b"1\n0\n512\n".ljust(512, b"\0") + bytes(512)))
    with pytest.raises(DataError, match=r"d\.tar: a member is stored sparse; pack it without"):
        FileTree(str(path))


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    with pytest.raises(DataError, match="not UTF-8 or has control characters; rename"):
        FileTree(str(tmp_path / "d"))


def test_other_kinds_of_files_are_refused(tmp_path):
    for name, data in (
        ("x.tar.gz", b"no gzip"),
        ("x.tar.gz", b""),
        ("x.tar", b"no tar" * 999),
        ("x.tar", b""),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=name):
            FileTree(str(tmp_path / name))


# A limit on the size of files stands in for a full disk: both are an OSError while writing.
FULL = """
import resource, sys
from lpe.pipeline.sources.cifar import CifarSource
from lpe.transforms.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
try:
    CifarSource(sys.argv[1])
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("python", [False, True])
def test_a_full_disk_is_said(tmp_path, python):
    files = images.cifar10(python)
    path = images.write(tmp_path / "d", files) if python else images.pack(files, tmp_path / "d.tar.gz")
    (tmp_path / "t").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "t")}
    ran = subprocess.run(
        [sys.executable, "-c", FULL, path],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=True,
    )
    assert "could not be unpacked to" in ran.stdout
    assert str(tmp_path / "t") in ran.stdout
    assert "set TMPDIR" in ran.stdout
    assert not list((tmp_path / "t").iterdir())


@pytest.mark.parametrize("kind", [CifarSource, lambda path: FolderSource(path, ReadOptions())])
def test_a_source_that_went_away_is_no_bad_record(tmp_path, kind):
    files = images.cifar10(False) if kind is CifarSource else FILES
    source = kind(str(images.pack(files, tmp_path / "d.tar.gz")))
    part = source.slice("train", np.arange(20))
    source.close()
    # With --on-bad-record skip the job would end well, without its images.
    with pytest.raises(DataError, match="cannot be read"):
        list(part.batches(5, lambda record: None))


READ = """
import pickle, sys
part = pickle.load(sys.stdin.buffer)
batches = list(part.batches(7, print))
pickle.dump([(b.names, b.images, b.labels) for b in batches], sys.stdout.buffer)
"""


@pytest.mark.parametrize("kind", [CifarSource, lambda path: FolderSource(path, ReadOptions())])
def test_a_slice_is_read_by_another_process(tmp_path, kind):
    files = images.cifar10(True) if kind is CifarSource else FILES
    with kind(str(images.pack(files, tmp_path / "d.tar.gz"))) as source:
        part = source.slice("train", np.arange(2, 19, 2))
        ran = subprocess.run(
            [sys.executable, "-c", READ], input=pickle.dumps(part), capture_output=True, check=True, cwd=ROOT
        )
        for (names, pixels, labels), here in zip(
            pickle.loads(ran.stdout), part.batches(7, failing), strict=True
        ):
            assert names == here.names
            assert np.array_equal(pixels, here.images)
            assert np.array_equal(labels, here.labels)
