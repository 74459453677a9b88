"""Files in a directory, a .tar or a .tar.gz, as byte ranges that any process can read at random."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from transforms.errors import DataError

_BLOCK = 512
_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_GET_AGAIN = "get it again and compare its checksum with the publisher's"


@dataclasses.dataclass(frozen=True)
class ByteRange:
    """A file, or a part of one."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes. Raises DataError if they are not there (any more)."""
        with RangeReader() as reader:
            return reader.read(self)


class RangeReader:
    """Reads byte ranges; the file of the last one stays open, since an archive's lie in one file."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._file: BinaryIO | None = None

    def read(self, where: ByteRange) -> bytes:
        """The bytes of a range. Raises DataError if they are not there (any more)."""
        try:
            if self._path != where.path or self._file is None:
                self.close()
                self._file = Path(where.path).open("rb")  # noqa: SIM115  (closed by close)
                self._path = where.path
            self._file.seek(where.offset)
            data = self._file.read(where.size)
        except OSError as error:
            raise DataError(f"{where.path}: cannot be read ({error.strerror}); put it back") from error
        if len(data) != where.size:
            raise DataError(f"{where.path}: shorter than when it was opened; leave it alone and run again")
        return data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileTree:
    """The regular files below a directory or in an archive; links and special files are left out.

    A compressed archive is unpacked once, to a temporary .tar that only its owner can read and that
    is removed on `close`; an uncompressed one is read in place.

    Attributes:
      path: the directory or archive.
      files: relative path with slashes -> where its bytes are, sorted by path.

    Raises:
      DataError: the path is missing or of another kind, or the archive is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        place = Path(path)
        if place.is_dir():
            self.files = _by_name(_walk(place), path)
        elif not place.is_file():
            raise DataError(f"{path}: no such file or directory; check the path")
        elif not place.name.endswith(_SUFFIXES):
            raise DataError(f"{path}: neither a directory nor a {', '.join(_SUFFIXES)} archive")
        else:
            try:
                tar = path if place.name.endswith(".tar") else self._unpack(place)
                self.files = _by_name(_members(tar, path), path)
            except BaseException:
                self.close()
                raise

    @property
    def is_archive(self) -> bool:
        return not Path(self.path).is_dir()

    def digest(self) -> str:
        """SHA-256 (hex) of the archive, or of the paths and contents of a directory's files."""
        if self.is_archive:
            return sha256_of(self.path)
        whole = hashlib.sha256()
        for name, where in self.files.items():
            whole.update(f"{name}\0{sha256_of(where.path)}\n".encode())
        return whole.hexdigest()

    def close(self) -> None:
        """Removes the temporary file, if there is one."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def _unpack(self, archive: Path) -> str:
        try:
            packed = gzip.open(archive, "rb")  # noqa: SIM115  (closed by the with below)
        except OSError as error:
            raise DataError(f"{archive}: cannot be read ({error.strerror}); check its permissions") from error
        with packed, spooling(str(archive)):
            self._temporary = tempfile.TemporaryDirectory(prefix="lpe-unpacked-")
            target = Path(self._temporary.name, "archive.tar")
            target.touch(mode=0o600)
            try:
                with target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise DataError(f"{archive}: damaged or cut off ({error}); {_GET_AGAIN}") from error
        return str(target)


@contextlib.contextmanager
def spooling(shown: str) -> Iterator[None]:
    """Around writing temporary files for `shown`: an OSError (disk full) becomes a DataError."""
    try:
        yield
    except OSError as error:
        # No usable temporary folder at all is an OSError of gettempdir too.
        folder = tempfile.tempdir or os.environ.get("TMPDIR", "the temporary folder")
        raise DataError(
            f"{shown}: could not be unpacked to {folder} ({error.strerror}); make room there or set TMPDIR"
        ) from error


def sha256_of(path: str) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _by_name(found: Iterable[tuple[str, ByteRange]], shown: str) -> dict[str, ByteRange]:
    files = dict(found)  # in a tar that was added to, the last member of a name counts
    for name in files:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{shown}: the file name {name!r} is not UTF-8; rename the file") from error
    return {name: files[name] for name in sorted(files)}


def _walk(root: Path) -> Iterator[tuple[str, ByteRange]]:
    def unreadable(error: OSError) -> None:
        # os.walk passes over it otherwise, and a class would be missing without a word.
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions")

    for folder, _, names in os.walk(root, onerror=unreadable):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root).as_posix(), ByteRange(str(path), 0, path.stat().st_size)


def _members(tar: str, shown: str) -> Iterator[tuple[str, ByteRange]]:
    size = Path(tar).stat().st_size
    end = 0
    try:
        with tarfile.open(tar, "r:") as archive:
            for member in archive:
                end = member.offset_data + -(-member.size // _BLOCK) * _BLOCK * member.isreg()
                if member.issparse():  # its bytes in the archive are not those of the file
                    raise DataError(
                        f"{shown}: {member.name} is stored sparse; pack it without tar's --sparse"
                    )
                if member.isreg():
                    yield member.name.removeprefix("./"), ByteRange(tar, member.offset_data, member.size)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(f"{shown}: damaged or cut off ({error}); {_GET_AGAIN}") from error
    # tar takes the end of the file for the end of the archive; an archive that is whole says so
    # with a block of zeros.
    with contextlib.closing(Path(tar).open("rb")) as file:
        file.seek(end)
        if size < end + _BLOCK or any(file.read(_BLOCK)):
            raise DataError(f"{shown}: damaged or cut off (no end mark); {_GET_AGAIN}")
