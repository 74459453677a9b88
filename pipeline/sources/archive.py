"""Files of a directory, a .tar or a .tar.gz, local or at gs:// and s3://, as byte ranges that any process can read."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from lpe.pipeline import storage
from lpe.pipeline.dataset.metadata import file_sha256
from lpe.pipeline.sources.limits import DEFAULT, Limits
from lpe.pipeline.sources.ranges import PIECE, ByteRange, RangeReader
from lpe.pipeline.sources.spool import Spool, spooling
from lpe.pipeline.sources.tar import GET_AGAIN, TarStream, members
from lpe.pipeline.storage import objects
from lpe.pipeline.storage.documents import is_plain_text
from lpe.transforms.errors import DataError

_SUFFIXES = (".tar", ".tar.gz", ".tgz")


class FileTree:
    """The regular files below a directory or in an archive; links and special files are left out.

    A compressed archive is unpacked once, to a temporary .tar (see `Spool`) that is gone on `close`; an uncompressed
    one is read in place. At gs:// or s3://, a path with an archive's ending is one object, any other one a directory.

    Attributes:
      path: the directory or archive.
      files: relative path with slashes -> where its bytes are, sorted by path.

    Raises:
      DataError: the path is missing or of another kind, or the archive is damaged or beyond the limits.
    """

    def __init__(self, path: str, limits: Limits = DEFAULT) -> None:
        self.path = path
        self._limits = limits
        self._spool: Spool | None = None
        self._sha256: str | None = None
        try:
            self.files = _by_name(self._find(path), path)
        except BaseException:
            self.close()
            raise

    @property
    def temporary(self) -> bool:
        """Whether the byte ranges lie in a temporary file of this machine."""
        return self._spool is not None

    @property
    def is_archive(self) -> bool:
        """Whether the path is that of an archive, not of a directory."""
        if storage.is_remote(self.path):
            return self.path.endswith(_SUFFIXES)
        return not Path(self.path).is_dir()

    def digest(self) -> str:
        """SHA-256 (hex) of the archive, or of the paths and contents of a directory's files."""
        if self.is_archive:
            return self._sha256 or file_sha256(self.path)
        whole = hashlib.sha256()
        with RangeReader() as reader:
            if storage.is_remote(self.path):
                digests = (hashlib.sha256(data).hexdigest() for data in reader.read_each(self.files.values()))
            else:
                digests = (file_sha256(where.path) for where in self.files.values())
            for name, digest in zip(self.files, digests, strict=True):
                whole.update(f"{name}\0{digest}\n".encode())
        return whole.hexdigest()

    def _find(self, path: str) -> Iterable[tuple[str, ByteRange]]:
        remote = storage.is_remote(path)
        if not self.is_archive:
            return _objects(path) if remote else _walk(Path(path))
        if not remote and not Path(path).is_file():
            raise _missing(path)
        if not path.endswith(_SUFFIXES):
            raise DataError(f"{path}: neither a directory nor a {', '.join(_SUFFIXES)} archive")
        with _open(path) as file:
            return self._unpacked(file) if not path.endswith(".tar") else self._in_place(file, remote)

    def _in_place(self, file: BinaryIO, remote: bool) -> Iterable[tuple[str, ByteRange]]:
        """The files of a .tar. A remote one's headers are all over it: they are read, and it is summed, in one go."""
        summed = _Summed(file) if remote else None
        stream = TarStream(file) if summed is None else TarStream(cast(BinaryIO, summed), whole=True)
        found = [
            (name, ByteRange(self.path, offset, size))
            for name, offset, size in _members(stream, self.path, self._limits)
        ]
        if summed is not None:
            stream.finish()
            self._sha256 = summed.sha256.hexdigest()
        return found

    def _unpacked(self, file: BinaryIO) -> Iterable[tuple[str, ByteRange]]:
        """The files of a .tar.gz, which is unpacked and summed in one go."""
        summed = _Summed(file)
        with spooling(self.path):
            self._spool = Spool()
            self._unpack(summed, self._spool)
            self._spool.finish()
        self._sha256 = summed.sha256.hexdigest()
        spool = self._spool
        return [
            (name, spool.range(offset, size))
            for name, offset, size in _members(TarStream(spool.file), self.path, self._limits)
        ]

    def close(self) -> None:
        """Removes the temporary file, if there is one."""
        if self._spool is not None:
            self._spool.close()

    def _unpack(self, summed: _Summed, spool: Spool) -> None:
        unpacked = 0
        try:
            with gzip.open(cast(BinaryIO, summed)) as packed:
                while piece := packed.read(PIECE):
                    unpacked += len(piece)
                    most = self._limits.unpacked(summed.size)
                    if unpacked > most:
                        raise DataError(
                            f"{self.path}: unpacks to more than {most} bytes; raise that with lpe ingest "
                            "--max-unpacked-bytes if you trust it"
                        )
                    spool.file.write(piece)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{self.path}: damaged or cut off ({error}); {GET_AGAIN}") from error


def _open(archive: str) -> BinaryIO:
    try:
        return storage.open_read(archive)
    except FileNotFoundError:
        raise _missing(archive) from None
    except OSError as error:
        raise DataError(f"{archive}: cannot be read ({error.strerror}); check its permissions") from error


def _missing(path: str) -> DataError:
    return DataError(f"{path}: no such file or directory; check the path")


def _by_name(files_found: Iterable[tuple[str, ByteRange]], shown: str) -> dict[str, ByteRange]:
    files = dict(files_found)  # in a tar that was added to, the last member of a name counts
    for name in files:
        if not is_plain_text(name):
            raise DataError(
                f"{shown}: the file name {name[:60]!a} is not UTF-8 or has control characters; rename the file"
            )
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


class _Summed:
    """A file whose bytes are counted and summed as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        self.size += len(data)
        return data


def _members(stream: TarStream, shown: str, limits: Limits) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of the files in a .tar."""
    try:
        for found, (name, offset, size) in enumerate(members(stream), start=1):
            if found > limits.members:
                raise DataError(
                    f"more than {limits.members} files; raise that with lpe ingest --max-members if you trust it"
                )
            yield name.removeprefix("./"), offset, size
    except DataError as error:
        raise DataError(f"{shown}: {error}") from error
