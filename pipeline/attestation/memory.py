"""Files that are never on a disk: a directory of this user's on a tmpfs, where secrets wait for the next command."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lpe.transforms.errors import AttestationError

_SHARED_MEMORY = "/dev/shm"  # noqa: S108  (of it, a directory of this user's alone is used)
_MOUNTS = Path("/proc/self/mounts")
_IN_MEMORY = ("tmpfs", "ramfs")


def own_directory() -> Path:
    """This user's directory in memory, made if it is not there.

    Raises:
      AttestationError: there is no tmpfs at /dev/shm, or something else of that name.
    """
    directory = Path(_SHARED_MEMORY, f"lpe-{os.geteuid()}")
    check_in_memory(str(directory))
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    status = directory.lstat()
    if directory.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise AttestationError(
            f"{directory}: not a directory of this user's alone; delete it, or check it and run chmod 700 {directory}"
        )
    return directory


@contextlib.contextmanager
def work_directory() -> Iterator[str]:
    """A new directory in memory, which is deleted in the end."""
    directory = tempfile.mkdtemp(dir=own_directory(), prefix="work-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def check_in_memory(path: str) -> None:
    """Raises AttestationError if a file of this name would be on a disk, or nobody can tell."""
    kind = _file_system(Path(path).resolve())
    if kind not in _IN_MEMORY:
        raise AttestationError(
            f"{path}: on {kind or 'an unknown file system'}, not in memory; a private key belongs on a tmpfs, such as "
            f"{_SHARED_MEMORY}"
        )


def _file_system(path: Path) -> str | None:
    """The kind of file system that a path is on; None where nobody can tell."""
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:  # not Linux
        return None
    found, kind = -1, None
    for line in lines:
        _, mounted, name, *_ = line.split(" ")
        place = Path(mounted.replace("\\040", " "))
        if path.is_relative_to(place) and len(place.parts) >= found:
            found, kind = len(place.parts), name
    return kind
