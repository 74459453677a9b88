"""Who may read and change local files and directories, checked before they are trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lpe.pipeline.storage.files import is_remote
from lpe.transforms.errors import DataError, KeyStoreError


def check_private(path: str) -> None:
    """Raises KeyStoreError if others than this user and root can read or change a local file that holds a secret."""
    status = _status(path)
    if status is None:
        return
    _check_owner(path, status)
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise KeyStoreError(f"{path}: others than its owner may access this key file; run chmod 600 {path}")


def check_own_directory(path: str, *, link: bool = False) -> None:
    """Checks that no other user decides what a local directory leads to; one that is not there is no matter.

    Args:
      path: the directory.
      link: it may be a link of this user's to such a directory.

    Raises:
      DataError: it is a link or a file, or belongs to another user.
    """
    try:
        own = Path(path).lstat()
        status = Path(path).stat() if link else own
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path}: not a directory but a link or a file; delete it or choose another --output")
    others = {own.st_uid, status.st_uid} - {os.geteuid(), 0}
    if others:
        raise DataError(
            f"{path}: belongs to another user (uid {others.pop()}), who could have this job write elsewhere; choose "
            "another --output, or check it and make it yours with chown"
        )


def check_unchangeable(path: str) -> None:
    """Raises KeyStoreError if others than this user and root can change a local file or what is in a directory.

    In a directory with the sticky bit, others can add files; so what is read there must be checked too.
    """
    status = _status(path)
    if status is None:
        return
    _check_owner(path, status)
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & 0o022 and not sticky:
        raise KeyStoreError(
            f"{path}: others than its owner may change it, and so which keys are used; check what is there and run "
            f"chmod go-w {path}"
        )


def _status(path: str) -> os.stat_result | None:
    """What the file system says of a local file, or of what a link leads to; None where there is none."""
    if is_remote(path):
        return None
    try:
        return Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_owner(path: str, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise KeyStoreError(
            f"{path}: belongs to another user (uid {status.st_uid}), who can change which keys are used; run lpe as "
            "that user, or check it and make it yours with chown"
        )
