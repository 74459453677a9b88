"""Temporary files of this machine that hold plain images, and are gone when their process is."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from lpe.pipeline.sources.files import Place
from lpe.pipeline.sources.ranges import ByteRange, Stamp, stamp
from lpe.transforms.errors import DataError

_DESCRIPTORS = Path("/proc/self/fd")


class Spool:
    """A temporary file that only its owner can read, written once and then read by any process of this machine.

    On Linux it never has a name: other processes reach it through its owner's open files in /proc, and the system
    frees it as soon as no process has it open, however they ended. Elsewhere it has a name until it is closed, which
    a killed process leaves to the system's own tidying of temporary files.

    Attributes:
      file: to be written to, up to `finish`.
    """

    file: BinaryIO

    def __init__(self) -> None:
        if _DESCRIPTORS.is_dir():
            self.file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  (closed by close)
            self._path = f"/proc/{os.getpid()}/fd/{self.file.fileno()}"
        else:
            named = tempfile.NamedTemporaryFile(prefix="lpe-")  # noqa: SIM115
            self.file = cast(BinaryIO, named)
            self._path = named.name
        self._stamp: Stamp | None = None

    def finish(self) -> None:
        """Ends the writing."""
        self.file.flush()
        self._stamp = stamp(self.file.fileno())

    def range(self, offset: int, size: int) -> ByteRange:
        """A part of it, once it is finished."""
        return ByteRange(self.place.path, offset, size, self.place.stamp)

    @property
    def place(self) -> Place:
        """Where its parts lie, once it is finished."""
        # The number of a closed file goes to the next one that its process opens: the stamp tells.
        return Place(self._path, whole=False, stamp=self._stamp)

    def close(self) -> None:
        """Frees it; its parts cannot be read any more."""
        with contextlib.suppress(OSError):  # of what a full disk did not take
            self.file.close()


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
