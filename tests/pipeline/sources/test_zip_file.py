"""folder: from a .zip: read in place or unpacked, and hostile ones refused in one line each."""

from __future__ import annotations

import io
import pickle
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lpe.pipeline.sources import kind_of
from lpe.pipeline.sources.archive import FileTree
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.limits import Limits
from lpe.transforms.errors import DataError
from tests.pipeline.sources import images
from tests.pipeline.sources.reading import everything

FILES = {f"d/{'ab'[i % 2]}/é{i}.png": images.encoded(images.pixels(i)) for i in range(6)}
PNG = FILES["d/a/é0.png"]


def zipped(path: Path, files: dict[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data, method)
    return path


def info(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    member.create_system = 3
    return member


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_in_place_or_unpacked_once(tmp_path, method):
    path = zipped(tmp_path / "d.zip", {**FILES, "d/README": b"x"}, method)
    with FolderSource(str(path), ReadOptions()) as source:
        assert source.temporary == (method == zipfile.ZIP_DEFLATED)
        got = everything(source, "train")
        assert [images.encoded(image) for image in got.images] == [FILES[name] for name in got.names]
        assert source.info.notes == (
            "files beside the class directories, no images, passed over: 1 (it is d/README)",
        )
    assert kind_of(str(path)) == "folder"


def test_sizes_of_64_bits_and_names_in_other_encodings(tmp_path):
    """As streaming tools write: numbers in ZIP64 fields; and names without the mark of UTF-8."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in FILES.items():
            with archive.open(info(name), "w", force_zip64=True) as member:
                member.write(data)
    data = out.getvalue()
    start = data.index(b"PK\1\2")
    entry = data[start : start + 46]
    name = data[start + 46 : start + 46 + struct.unpack_from("<H", entry, 28)[0]]
    # The first entry, with its three numbers in a ZIP64 field, and no mark of UTF-8.
    size, header = struct.unpack_from("<L", entry, 24)[0], struct.unpack_from("<L", entry, 42)[0]
    huge = bytearray(entry)
    huge[8:10] = b"\0\0"
    huge[20:28] = huge[42:46] * 0 + b"\xff" * 8
    huge[30:32], huge[42:46] = struct.pack("<H", 28), b"\xff" * 4
    field = struct.pack("<2H3Q", 1, 24, size, size, header)
    directory = bytes(huge) + name + field + data[start + 46 + len(name) : data.rindex(b"PK\5\6")]
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 6, 6, len(directory), start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(directory), 1)
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 3) + b"bye"
    path = tmp_path / "d.zip"
    path.write_bytes(data[:start] + directory + end + locator + tail)
    assert {name: where.read() for name, where in FileTree(str(path)).files.items()} == FILES


def test_links_and_empty_classes_are_told(tmp_path):
    members = {
        **{info(name): data for name, data in FILES.items()},
        info("d/a/link.png", stat.S_IFLNK | 0o777): b"/etc/passwd",
        info("d/a/pipe", stat.S_IFIFO | 0o644): b"",
        info("d/c/", stat.S_IFDIR | 0o755): b"",
    }
    with FolderSource(str(zipped(tmp_path / "d.zip", members)), ReadOptions()) as source:
        assert dict(source.info.splits) == {"train": 6}
        assert source.info.notes == (
            "symbolic links not followed: 1 (it is d/a/link.png)",
            "devices, pipes and sockets passed over: 1 (it is d/a/pipe)",
            "class directories without an image, which are no classes: 1 (it is d/c)",
        )


def flipped(data: bytes, find: bytes, at: int, value: bytes) -> bytes:
    at += data.index(find)
    return data[:at] + value + data[at + len(value) :]


def encrypted(data: bytes) -> bytes:
    return flipped(data, b"PK\1\2", 8, b"\1\0")


def overlapping(data: bytes) -> bytes:
    """The second member's bytes are the first one's."""
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    return data[: second + 42] + bytes(4) + data[second + 46 :]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (encrypted, r"the member 'd/a/\\xe90.png' is encrypted; unpack it"),
        (overlapping, "lies over another one"),
        (
            lambda data: flipped(data, b"PK\1\2", 10, b"\x0e\0"),
            r"method that is not read \(14\); pack it anew",
        ),
        (lambda data: flipped(data, b"PK\1\2", 42, b"\xff\xff\0\0"), "garbled|cut off"),
        (lambda data: flipped(data, b"PK\1\2", 20, b"\xff\xff\0\0"), "the size of the member"),
        (lambda data: flipped(data, b"PK\1\2", 28, b"\xff\xff"), "a name of 65535 bytes"),
        (lambda data: flipped(data, b"PK\5\6", 4, b"\1\0\1\0"), "one of several parts"),
        (lambda data: flipped(data, b"PK\5\6", 12, b"\xff\xff\xff\x7f"), "not where it should be"),
        (lambda data: data[40:], "not where it should be"),
        (lambda data: data[:-5], "no end mark"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, spoil, message):
    path = zipped(tmp_path / "d.zip", FILES)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=rf"d\.zip: .*({message})") as caught:
        FileTree(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../a/x.png", "/a/x.png", "d/../../a/x.png"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"d\.zip: the name '.*' leads out of the archive"):
        FileTree(str(zipped(tmp_path / "d.zip", {name: PNG})))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum_is_found(tmp_path, method):
    path = zipped(tmp_path / "d.zip", FILES, method)
    data = path.read_bytes()
    at = data.index(b"IDAT" if method == zipfile.ZIP_STORED else b"PK\1\2")
    at += 20 if method == zipfile.ZIP_STORED else 16
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with (
        pytest.raises(DataError, match=r"d\.zip: damaged.* checksum .*wrong"),
        FolderSource(str(path), ReadOptions()) as source,
    ):
        everything(source, "train")


def test_bombs_and_masses_of_members_have_limits(tmp_path):
    path = str(zipped(tmp_path / "d.zip", {**FILES, "d/a/zeros.png": bytes(1 << 20)}, zipfile.ZIP_DEFLATED))
    assert Path(path).stat().st_size < 5000
    with pytest.raises(
        DataError, match=r"d\.zip: unpacks to more than 100000 bytes; raise that with lpe ingest"
    ):
        FileTree(path, Limits(unpacked_bytes=100_000))
    with pytest.raises(
        DataError, match=r"d\.zip: more than 6 files; raise that with lpe ingest --max-members"
    ):
        FileTree(path, Limits(members=6))
    # One that says less than it unpacks to.
    data = Path(path).read_bytes()
    at = data.rindex(b"PK\1\2") + 24
    Path(path).write_bytes(data[:at] + struct.pack("<L", 1000) + data[at + 4 :])
    with pytest.raises(DataError, match=r"the checksum or size of the member .* is wrong"):
        FileTree(path, Limits(unpacked_bytes=100_000))


def test_a_directory_larger_than_memory_is_refused(tmp_path):
    path = tmp_path / "d.zip"
    size = (1 << 30) + 1
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, size, 1)
    with path.open("wb") as file:
        file.truncate(size)  # a hole, which takes no disk
        file.seek(size)
        file.write(end + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0))
    with pytest.raises(DataError, match=r"d\.zip: a directory of 1073741825 bytes, more than"):
        FileTree(str(path))


@pytest.mark.parametrize("start", [1 << 31, (1 << 61) + 5, 1 << 63])
def test_a_member_beyond_the_end_is_refused(tmp_path, start):
    path = zipped(tmp_path / "d.zip", {"d/a/0.png": PNG})
    data = path.read_bytes()
    at, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    field = struct.pack("<2HQ", 1, 8, start)
    entry = bytearray(data[at:end])
    entry[30:32], entry[42:46] = struct.pack("<H", len(field)), b"\xff" * 4
    tail = bytearray(data[end:])
    tail[12:16] = struct.pack("<L", len(entry) + len(field))
    path.write_bytes(data[:at] + entry + field + tail)
    with pytest.raises(DataError, match=r"d\.zip: damaged or cut off"):
        FileTree(str(path))


def test_slices_are_small(tmp_path):
    many = {f"{'ab'[i % 2]}/{i:06d}.png": PNG for i in range(2000)}
    with FolderSource(str(zipped(tmp_path / "d.zip", many)), ReadOptions()) as source:
        part = pickle.dumps(source.slice("train", np.arange(2000)))
        assert len(part) < 2000 * (len("a/000000.png") + 3 + 2 + 4 + 4 + 1) + 2000
