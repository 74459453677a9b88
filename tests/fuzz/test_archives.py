"""Archives, damaged and made up: what is read is what was packed, or it is said that it is not."""

import gzip
import io
import re
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import hypothesis
import numpy as np
from hypothesis import strategies as st

from lpe.pipeline.sources.archive import FileTree
from lpe.pipeline.sources.base import ReadOptions
from lpe.pipeline.sources.folder import FolderSource
from lpe.pipeline.sources.limits import Limits
from tests.fuzz.budget import fuzz
from tests.fuzz.mutations import HUGE_NUMBERS, mutated
from tests.fuzz.trial import check_line, trial
from tests.pipeline.sources import images
from tests.pipeline.sources.hostile import tar_header

NAMES = ["a/é0.png", "b/1.png", "a/2.png", f"b/{'long' * 40}.png"]
FILES = {name: images.encoded(images.pixels(i, (2, 2, 3))) for i, name in enumerate(NAMES)}
KINDS = [b"0", b"\0", b"1", b"5", b"7", b"L", b"K", b"x", b"g", b"X", b"S", b"D"]
LIMITS = Limits(pixels=10_000, members=1000, unpacked_bytes=1 << 24)


def tar_of(form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1.5
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()[:-9216]  # tarfile adds zeros


TARS = [tar_of(form) for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]


def read_tree(data: bytes, ending: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"d{ending}")
        path.write_bytes(data)
        tree = FileTree(str(path), LIMITS)
        try:
            return {name: where.read() for name, where in tree.files.items()}
        finally:
            tree.close()


def read_images(data: bytes, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"d{ending}")
        path.write_bytes(data)
        with FolderSource(str(path), ReadOptions("any", limits=LIMITS)) as source:
            for split, count in source.info.splits.items():
                notes = []
                batches = list(source.slice(split, np.arange(count)).batches(3, notes.append))
                for note in notes:
                    check_line(note.reason)
                    check_line(note.where)
                assert sum(len(batch.names) for batch in batches) + len(notes) == count


def with_sum(header: bytes) -> bytes:
    """A tar's header with its checksum made right, so that changes to it are seen."""
    summed = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(summed) + header[156:]


@st.composite
def damaged_tar(draw: st.DrawFn) -> bytes:
    """A .tar of changed headers whose checksums are right, or of any changed bytes."""
    data = bytearray(draw(st.sampled_from(TARS)))
    if draw(st.booleans()):
        return draw(mutated(bytes(data)))
    for _ in range(draw(st.integers(1, 3))):
        at = 512 * draw(st.integers(0, len(data) // 512 - 1))
        header = bytearray(draw(mutated(bytes(data[at : at + 512]))).ljust(512, b"\0")[:512])
        if draw(st.booleans()):
            header[156:157] = draw(st.sampled_from(KINDS))
        if draw(st.booleans()):
            number = draw(st.sampled_from(HUGE_NUMBERS)) & (2**88 - 1)
            header[124:136] = draw(st.sampled_from([b"\x80", b"\xff", b"0"])) + number.to_bytes(11, "big")
        data[at : at + 512] = with_sum(bytes(header))
    return bytes(data)


@fuzz(30)
@hypothesis.given(damaged_tar())
def test_damaged_tars(data):
    trial(lambda: read_tree(data, ".tar"))


@fuzz(15)
@hypothesis.given(damaged_tar())
def test_images_in_damaged_tars(data):
    trial(lambda: read_images(data, ".tar"))


_pax = st.lists(
    st.tuples(
        st.sampled_from([b"", b"0", b"1", b"11", b"12", b"20", b"999", b"9999999999"]),
        st.sampled_from([b" path=", b" size=", b" GNU.sparse.major=", b" hdrcharset=BINARY", b" x", b"="]),
        st.sampled_from([b"a/x.png", b"3", b"-1", b"\xff\xfe", b"\n", b"9" * 30, b"a\nb", b"\x1b[1m", b""]),
        st.sampled_from([b"\n", b""]),
    ).map(b"".join),
    max_size=8,
).map(b"".join)  # fmt: skip


@fuzz(20)
@hypothesis.given(
    st.lists(
        st.tuples(
            st.sampled_from([b"x", b"g", b"L", b"K", b"0", b"5", b"S", b"X"]), _pax | st.binary(max_size=600)
        ),
        max_size=6,
    )
)
def test_tars_of_any_headers(parts):
    data = b"".join(
        tar_header(b"a/x%d.png" % i, len(content), kind) + content + bytes(-len(content) % 512)
        for i, (kind, content) in enumerate(parts)
    )
    files = trial(lambda: read_tree(data + bytes(1024), ".tar"))
    for name in files or {}:
        check_line(name)


@fuzz(30)
@hypothesis.given(st.sampled_from([gzip.compress(tar, mtime=0) for tar in TARS]).flatmap(mutated))
def test_damaged_gz_files(data):
    files = trial(lambda: read_tree(data, ".tar.gz"))
    try:
        tar = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        assert files is None
    else:
        # There is a checksum: it can be no other archive.
        assert not tar or tar.startswith(tuple(TARS))
        assert files == trial(lambda: read_tree(tar, ".tar"))


def zipped(method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return out.getvalue()


ZIPS = [zipped(zipfile.ZIP_STORED), zipped(zipfile.ZIP_DEFLATED)]


@st.composite
def damaged_zip(draw: st.DrawFn) -> bytes:
    """A .zip with changed fields of its headers and its directory, or of any changed bytes."""
    data = bytearray(draw(st.sampled_from(ZIPS)))
    if draw(st.booleans()):
        return draw(mutated(bytes(data)))
    for _ in range(draw(st.integers(1, 3))):
        mark = draw(st.sampled_from([b"PK\1\2", b"PK\3\4", b"PK\5\6"]))
        places = [match.start() for match in re.finditer(re.escape(mark), data)]
        at = draw(st.sampled_from(places)) + draw(st.integers(4, 45))
        value = draw(
            st.sampled_from([b"\xff" * 4, b"\0\0", b"\1\0", b"\xff\xff", b"\x7f"]) | st.binary(max_size=8)
        )
        data[at : at + len(value)] = value
    return bytes(data)


@fuzz(15)
@hypothesis.given(damaged_zip())
def test_damaged_zips(data):
    files = trial(lambda: read_tree(data, ".zip"))
    for name, content in (files or {}).items():
        check_line(name)
        assert content in FILES.values()  # there is a checksum of each


@fuzz(10)
@hypothesis.given(damaged_zip())
def test_images_in_damaged_zips(data):
    trial(lambda: read_images(data, ".zip"))


@fuzz(5)
@hypothesis.given(
    st.binary(max_size=3000) | st.sampled_from([ZIPS[0], TARS[0]]).flatmap(mutated),
    st.sampled_from([".tar", ".tar.gz", ".tgz", ".zip", ""]),
)
def test_other_files_under_an_archives_name(data, ending):
    trial(lambda: read_images(data, ending))
