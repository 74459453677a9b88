"""Files of a directory or an archive, local or at gs:// and s3://, as byte ranges that any process can read."""

from __future__ import annotations

import array
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from lpe.pipeline import storage
from lpe.pipeline.dataset.metadata import file_sha256
from lpe.pipeline.sources import tar, zip_file
from lpe.pipeline.sources.base import DIGEST_BYTES, file_digest
from lpe.pipeline.sources.files import Files, Place, sorted_files
from lpe.pipeline.sources.limits import DEFAULT, Limits
from lpe.pipeline.sources.passed_over import PassedOver
from lpe.pipeline.sources.ranges import GET_AGAIN, PIECE, ByteRange, RangeReader
from lpe.pipeline.sources.spool import Spool, spooling
from lpe.pipeline.sources.tar import TarStream
from lpe.pipeline.sources.walk import objects_below, walk
from lpe.pipeline.storage.documents import is_plain_text
from lpe.transforms.errors import DataError

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
"""The endings of archives."""


class FileTree:
    """The regular files below a directory or in an archive; links and special files are left out, and counted.

    A compressed archive is unpacked once, to a temporary .tar (see `Spool`) that is gone on `close`; an uncompressed
    one is read in place, but for a .zip in a bucket. At gs:// or s3://, a path with an archive's ending is one object,
    any other one a directory.

    Attributes:
      path: the directory or archive.
      table: its files, sorted by path.
      directories: the paths of its directories, where they can be told.
      passed_over: what was left out.

    Raises:
      DataError: the path is missing or of another kind, or the archive is damaged or beyond the limits.
    """

    def __init__(self, path: str, limits: Limits = DEFAULT) -> None:
        self.path = path
        self.directories: list[str] = []
        self.passed_over = PassedOver()
        self._limits = limits
        self._spool: Spool | None = None
        self._sha256: str | None = None
        self._contents: np.ndarray | None = None
        try:
            self.table = self._find(path)
            _check_names(self.table.names, path)
        except BaseException:
            self.close()
            raise

    @property
    def files(self) -> dict[str, ByteRange]:
        """Where the bytes of each file are."""
        return dict(zip(self.table.names, self.table.ranges(), strict=True))

    @property
    def temporary(self) -> bool:
        """Whether the byte ranges lie in a temporary file of this machine."""
        return self._spool is not None

    @property
    def is_archive(self) -> bool:
        """Whether the path is that of an archive, not of a directory."""
        if storage.is_remote(self.path):
            return self.path.endswith(SUFFIXES)
        return not Path(self.path).is_dir()

    def digest(self) -> str:
        """SHA-256 (hex) of the archive, or of the paths and contents of a directory's files."""
        if self.is_archive:
            return self._sha256 or file_sha256(self.path)
        whole = hashlib.sha256()
        contents = bytearray()
        for name, digest in zip(self.table.names, self._sums(), strict=True):
            whole.update(f"{name}\0{digest.hex()}\n".encode())
            contents += digest[:DIGEST_BYTES]
        self._contents = np.frombuffer(bytes(contents), np.uint8).reshape(-1, DIGEST_BYTES)
        return whole.hexdigest()

    def digest_of_names(self) -> str:
        """SHA-256 (hex) of the paths and sizes of the files, which reads none of them."""
        whole = hashlib.sha256()
        for name, size in zip(self.table.names, self.table.sizes.tolist(), strict=True):
            whole.update(f"{name}\0{size}\n".encode())
        return whole.hexdigest()

    def content_digests(self, rows: np.ndarray) -> np.ndarray:
        """`file_digest` of some files, uint8 [N, 16], by their rows; read for it, unless `digest` has read them."""
        if self._contents is not None:
            known: np.ndarray = self._contents[rows]
            return known
        with RangeReader() as reader:
            read = reader.read_each(self.table.take(rows).ranges())
            digests = b"".join(file_digest(data) for data in read)
        return np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)

    def _sums(self) -> Iterator[bytes]:
        """SHA-256 of each file of a directory."""
        if not storage.is_remote(self.path):
            yield from (_sha256(where.path) for where in self.table.ranges())
            return
        with RangeReader() as reader:
            yield from (hashlib.sha256(data).digest() for data in reader.read_each(self.table.ranges()))

    def _find(self, path: str) -> Files:
        remote = storage.is_remote(path)
        if not self.is_archive:
            files, self.directories = objects_below(path) if remote else walk(path, self.passed_over)
            return files
        if not remote and not Path(path).is_file():
            raise _missing(path)
        if not path.endswith(SUFFIXES):
            raise DataError(f"{path}: neither a directory nor a {', '.join(SUFFIXES)} archive")
        with _open(path) as file:
            if path.endswith(".zip"):
                return self._zip(file, remote)
            return self._unpacked(file) if not path.endswith(".tar") else self._in_place(file, remote)

    def _in_place(self, file: BinaryIO, remote: bool) -> Files:
        """The files of a .tar. A remote one's headers are all over it: they are read, and it is summed, in one go."""
        summed = _Summed(file) if remote else None
        stream = TarStream(file) if summed is None else TarStream(cast(BinaryIO, summed), whole=True)
        files = self._members(stream, Place(self.path, whole=False))
        if summed is not None:
            stream.finish()
            self._sha256 = summed.sha256.hexdigest()
        return files

    def _unpacked(self, file: BinaryIO) -> Files:
        """The files of a .tar.gz, which is unpacked and summed in one go."""
        summed = _Summed(file)
        with spooling(self.path):
            self._spool = Spool()
            self._unpack(summed, self._spool)
            self._spool.finish()
        self._sha256 = summed.sha256.hexdigest()
        return self._members(TarStream(self._spool.file), self._spool.place)

    def _members(self, stream: TarStream, place: Place) -> Files:
        names: list[str] = []
        sizes, offsets = array.array("q"), array.array("q")
        try:
            for name, offset, size in tar.members(stream, self.passed_over):
                if len(names) == self._limits.members:
                    raise DataError(
                        f"more than {self._limits.members} files; raise that with lpe ingest --max-members if you "
                        "trust it"
                    )
                names.append(name.removeprefix("./"))
                sizes.append(size)
                offsets.append(offset)
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from error
        return sorted_files(place, names, sizes, offsets)

    def _zip(self, file: BinaryIO, remote: bool) -> Files:
        """The files of a .zip: in place if none is compressed, else unpacked; each of a remote one has two headers."""
        try:
            found = zip_file.members(file, self._limits, self.passed_over)
            self.directories = found.directories
            if not remote and not found.deflated.any():
                offsets = list(zip_file.data_offsets(file, found))
                place = Place(self.path, whole=False)
                return sorted_files(place, found.names, found.sizes, offsets, found.checksums)
            with spooling(self.path):
                self._spool = Spool()
                offsets = zip_file.unpack(file, found, self._spool.file)
                self._spool.finish()
        except DataError as error:
            raise DataError(f"{self.path}: {error}") from error
        return sorted_files(self._spool.place, found.names, found.sizes, offsets)

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


def _check_names(names: Sequence[str], shown: str) -> None:
    for name in names:
        if not is_plain_text(name):
            raise DataError(
                f"{shown}: the file name {name[:60]!a} is not UTF-8 or has control characters; rename the file"
            )
        if name.startswith("/") or ".." in name.split("/"):
            raise DataError(f"{shown}: the name {name[:60]!a} leads out of the archive; pack it anew without")


def _sha256(path: str) -> bytes:
    """SHA-256 of a local file."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  (a million times)
            while piece := file.read(PIECE):
                digest.update(piece)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); put it back") from error
    return digest.digest()


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
