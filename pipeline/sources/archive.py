"""Files of a directory, a .tar or a .tar.gz, local or at gs:// and s3://, as byte ranges that any process can read."""

from __future__ import annotations

import collections
import concurrent.futures
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
from typing import Any, BinaryIO, cast

from lpe.pipeline import storage
from lpe.pipeline.storage import objects
from lpe.transforms.errors import DataError

_BLOCK = 512
_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_PIECE = 1 << 20
_THREADS = 16  # an object store answers many requests at once, and each one late
_GET_AGAIN = "get it again and compare its checksum with the publisher's"


@dataclasses.dataclass(frozen=True)
class ByteRange:
    """A file, or a part of one: bytes offset … offset + size − 1 of the file at `path`."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes. Raises DataError if they are not there (any more)."""
        with RangeReader() as reader:
            return reader.read(self)


class RangeReader:
    """Reads byte ranges, on one thread; the file of the last one stays open, since an archive's lie in one file."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._file: BinaryIO | None = None

    def read(self, where: ByteRange) -> bytes:
        """The bytes of a range. Raises DataError if they are not there (any more)."""
        try:
            data = (
                objects.read_range(where.path, where.offset, where.size)
                if storage.is_remote(where.path)
                else self._read_local(where)
            )
        except OSError as error:
            raise DataError(f"{where.path}: cannot be read ({error.strerror}); put it back") from error
        if len(data) != where.size:
            raise DataError(f"{where.path}: shorter than when it was opened; leave it alone and run again")
        return data

    def read_each(self, ranges: Iterable[ByteRange]) -> Iterator[bytes]:
        """The bytes of each range, in order; remote ones are asked for ahead. Raises DataError as `read`."""
        waiting: collections.deque[concurrent.futures.Future[bytes]] = collections.deque()
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:  # starts no thread before it has work
            try:
                for where in ranges:
                    if not storage.is_remote(where.path):
                        yield self.read(where)
                        continue
                    waiting.append(pool.submit(self.read, where))
                    if len(waiting) > 2 * _THREADS:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _read_local(self, where: ByteRange) -> bytes:
        if self._path != where.path or self._file is None:
            self.close()
            self._file = Path(where.path).open("rb")  # noqa: SIM115  (closed by close)
            self._path = where.path
        self._file.seek(where.offset)
        return self._file.read(where.size)

    def close(self) -> None:
        """Closes the file of the last range; reading opens it again."""
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

    A compressed archive is unpacked once, to a temporary .tar on this machine that only its owner can read and
    that is removed on `close`; an uncompressed one is read in place. At gs:// or s3://, a path with an archive's
    ending is one object, any other one a directory.

    Attributes:
      path: the directory or archive.
      files: relative path with slashes -> where its bytes are, sorted by path.

    Raises:
      DataError: the path is missing or of another kind, or the archive is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._sha256: str | None = None
        try:
            self.files = _by_name(self._find(path), path)
        except BaseException:
            self.close()
            raise

    @property
    def temporary(self) -> bool:
        """Whether the byte ranges lie in a temporary file of this machine."""
        return self._temporary is not None

    @property
    def is_archive(self) -> bool:
        """Whether the path is that of an archive, not of a directory."""
        if storage.is_remote(self.path):
            return self.path.endswith(_SUFFIXES)
        return not Path(self.path).is_dir()

    def digest(self) -> str:
        """SHA-256 (hex) of the archive, or of the paths and contents of a directory's files."""
        if self.is_archive:
            return self._sha256 or sha256_of(self.path)
        whole = hashlib.sha256()
        with RangeReader() as reader:
            if storage.is_remote(self.path):
                digests = (hashlib.sha256(data).hexdigest() for data in reader.read_each(self.files.values()))
            else:
                digests = (sha256_of(where.path) for where in self.files.values())
            for name, digest in zip(self.files, digests, strict=True):
                whole.update(f"{name}\0{digest}\n".encode())
        return whole.hexdigest()

    def _find(self, path: str) -> Iterable[tuple[str, ByteRange]]:
        far = storage.is_remote(path)
        if not self.is_archive:
            return _objects(path) if far else _walk(Path(path))
        if not far and not Path(path).is_file():
            raise _missing(path)
        if not path.endswith(_SUFFIXES):
            raise DataError(f"{path}: neither a directory nor a {', '.join(_SUFFIXES)} archive")
        if not path.endswith(".tar"):
            return _members(self._unpack(path), path)
        if not far:
            return _members(path, path)
        # Its headers are all over it: they are read, and it is summed, in one go.
        hasher = hashlib.sha256()
        members = list(_members(path, path, hasher))
        self._sha256 = hasher.hexdigest()
        return members

    def close(self) -> None:
        """Removes the temporary file, if there is one."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def _unpack(self, archive: str) -> str:
        try:
            opened = storage.open_read(archive)
        except FileNotFoundError:
            raise _missing(archive) from None
        except OSError as error:
            raise DataError(f"{archive}: cannot be read ({error.strerror}); check its permissions") from error
        with opened, gzip.open(opened) as packed, spooling(archive):
            self._temporary = tempfile.TemporaryDirectory(prefix="lpe-unpacked-")
            target = Path(self._temporary.name, "archive.tar")
            target.touch(mode=0o600)
            try:
                with target.open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked, _PIECE)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise DataError(f"{archive}: damaged or cut off ({error}); {_GET_AGAIN}") from error
        return str(target)


@contextlib.contextmanager
def spooling(shown: str) -> Iterator[None]:
    """Turns an OSError (disk full) within the block, which writes temporary files for `shown`, into a DataError."""
    try:
        yield
    except OSError as error:
        # No usable temporary folder at all is an OSError of gettempdir too.
        folder = tempfile.tempdir or os.environ.get("TMPDIR", "the temporary folder")
        raise DataError(
            f"{shown}: could not be unpacked to {folder} ({error.strerror}); make room there or set TMPDIR"
        ) from error


def _missing(path: str) -> DataError:
    return DataError(f"{path}: no such file or directory; check the path")


def sha256_of(path: str) -> str:
    """SHA-256 (hex) of a file's bytes."""
    hasher = hashlib.sha256()
    with storage.open_read(path) as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()


def _by_name(files_found: Iterable[tuple[str, ByteRange]], shown: str) -> dict[str, ByteRange]:
    files = dict(files_found)  # in a tar that was added to, the last member of a name counts
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


def _objects(root: str) -> Iterator[tuple[str, ByteRange]]:
    prefix = root.rstrip("/") + "/"
    sizes = objects.list_sizes(prefix)
    if not sizes:
        raise _missing(root)
    for path, size in sizes.items():
        if not path.endswith("/"):  # some tools mark directories so
            yield path.removeprefix(prefix), ByteRange(path, 0, size)


class _Summing:
    """A stream whose bytes are summed as they are read."""

    def __init__(self, file: BinaryIO, hasher: Any) -> None:
        self._file = file
        self._hasher = hasher
        self._size = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._hasher.update(data)
        self._size += len(data)
        return data

    def finish(self) -> int:
        """Reads what is left; the size of it all."""
        while self.read(_PIECE):
            pass
        return self._size


def _members(tar: str, shown: str, hasher: Any = None) -> Iterator[tuple[str, ByteRange]]:
    """The files in a .tar; with a `hasher` it is read from start to end, and summed."""
    end = 0
    try:
        with storage.open_read(tar) as file:
            summing = None if hasher is None else _Summing(file, hasher)
            stream, mode = (file, "r:") if summing is None else (cast(BinaryIO, summing), "r|")
            with tarfile.open(fileobj=stream, mode=mode, bufsize=_PIECE) as archive:  # type: ignore[call-overload]
                for member in archive:
                    end = member.offset_data + -(-member.size // _BLOCK) * _BLOCK * member.isreg()
                    if member.issparse():  # its bytes in the archive are not those of the file
                        raise DataError(
                            f"{shown}: {member.name} is stored sparse; pack it without tar's --sparse"
                        )
                    if member.isreg():
                        yield member.name.removeprefix("./"), ByteRange(tar, member.offset_data, member.size)
            size = file.seek(0, os.SEEK_END) if summing is None else summing.finish()
    except FileNotFoundError:
        raise _missing(shown) from None
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(f"{shown}: damaged or cut off ({error}); {_GET_AGAIN}") from error
    # tar takes the end of the file for the end of the archive; an archive that is whole says so
    # with a block of zeros.
    with RangeReader() as reader:
        if size < end + _BLOCK or any(reader.read(ByteRange(tar, end, _BLOCK))):
            raise DataError(f"{shown}: damaged or cut off (no end mark); {_GET_AGAIN}")
