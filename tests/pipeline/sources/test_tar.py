"""Members of a .tar: what others write is read, and what costs more than it says is not."""

from __future__ import annotations

import io
import tarfile

import hypothesis
import pytest
from hypothesis import strategies as st

from lpe.pipeline.sources.passed_over import PassedOver
from lpe.pipeline.sources.tar import TarStream, members
from lpe.transforms.errors import DataError
from tests.pipeline.sources.hostile import pax_that_overlaps, tar_header, tar_member

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200).filter(
    lambda name: name.strip("/.") and not name.endswith("/")
)


def found(data: bytes) -> dict[str, bytes]:
    return {
        name: data[at : at + size] for name, at, size in members(TarStream(io.BytesIO(data)), PassedOver())
    }


@hypothesis.given(st.dictionaries(NAMES, st.binary(max_size=1100), max_size=5), st.sampled_from([0, 1, 2]))
@hypothesis.settings(deadline=None)
def test_what_tarfile_writes_is_read(files, form):
    out = io.BytesIO()
    try:
        with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.pax_headers = len(content), 1.5, {"SCHILY.xattr.x": "é\ny="}
                archive.addfile(member, io.BytesIO(content))
                link = tarfile.TarInfo(f"{name}.link")
                link.type, link.linkname = tarfile.SYMTYPE, name
                archive.addfile(link)
    except ValueError:
        hypothesis.assume(False)  # USTAR has no place for a long name
    assert found(out.getvalue()) == files


def test_members_of_old_tools_are_read():
    data = (
        tar_header(b"old/", 0, b"\0", bytes(8))
        + tar_header(b"old/x", b" 3        \0\0", b"\0", bytes(8)) + b"abc".ljust(512, b"\0")
        + tar_header(b"large", b"\x80" + (4).to_bytes(11, "big"), b"7", b"ustar  \0") + b"defg".ljust(512, b"\0")
        + tar_member(b"././@LongLink", b"long" * 60 + b"\0", b"L") + tar_member(b"longlong", b"h")
        + tar_member(b"link", b"", b"1") + tar_member(b"unknown", b"i" * 600, b"D") + tar_member(b"last", b"j")
    )  # fmt: skip
    assert found(data + bytes(512)) == {"old/x": b"abc", "large": b"defg", "long" * 60: b"h", "last": b"j"}


def record(text: bytes) -> bytes:
    size = len(text) + 2
    while size != len(str(size)) + 1 + len(text):
        size = len(str(size)) + 1 + len(text)
    return b"%d %s" % (size, text)


HOSTILE = {
    "a header of a gigabyte": tar_header(b"x", 1 << 30, b"x") + bytes(4096),
    "a long name of a gigabyte": tar_header(b"x", 1 << 30, b"L") + bytes(4096),
    "a long name": tar_member(b"x", b"n" * 5000, b"L") + tar_member(b"x", b"x"),
    "headers without end": tar_member(b"x", b"name", b"L") * 1000 + tar_member(b"x", b"x"),
    "overlapping fields": pax_that_overlaps(),
    "a size below zero": tar_member(b"x", record(b"size=-512\n"), b"x") + tar_member(b"x", b"x"),
    "a size below zero in bytes": tar_header(b"x", b"\xff" * 12) + bytes(512),
    "a size beyond all": tar_header(b"x", b"\x80" + b"\xff" * 11) + bytes(512),
    "a size of many digits": tar_member(b"x", record(b"size=" + b"9" * 5000 + b"\n"), b"x") + tar_member(b"x", b""),
    "a name for all": tar_member(b"x", record(b"path=y\n"), b"g") + tar_member(b"x", b"x"),
    "sparse": tar_member(b"x", b"x", b"S"),
    "sparse, POSIX": tar_member(b"x", record(b"GNU.sparse.map=1,2\n"), b"x") + tar_member(b"x", b"x"),
    "a wrong sum": tar_member(b"x", b"x").replace(b"ustar", b"uster"),
    "a header without a member": tar_member(b"x", b"y", b"L"),
}  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_asks_for_too_much_is_refused(data):
    with pytest.raises(DataError) as refusal:
        found(data + bytes(1024))
    assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize("data", [b"", tar_member(b"x", b"x"), tar_member(b"x", b"x") + bytes(511)])
def test_an_archive_without_an_end_is_cut_off(data):
    with pytest.raises(DataError, match="no end mark"):
        found(data)


def test_a_size_beyond_what_a_file_system_has_is_cut_off(tmp_path):
    path = tmp_path / "d.tar"
    path.write_bytes(tar_header(b"x", b"\x80" + (1 << 53).to_bytes(11, "big")) + bytes(1024))
    with path.open("rb") as file, pytest.raises(DataError, match="no end mark"):
        list(members(TarStream(file), PassedOver()))
