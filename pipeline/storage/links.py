"""Second names of finished files, without reading them where the file system or the service can do that."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from lpe.pipeline.storage import objects
from lpe.pipeline.storage.files import (
    is_remote,
    make_directory,
    open_atomic,
    open_read,
    parent,
    sync_directory,
)

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def link_or_copy(source: str, target: str) -> None:
    """Gives a finished file, which nobody changes any more, a second name; a file that has it is replaced.

    On the local disk that is a hard link, or a copy where that cannot be; in an object store, a copy by the service.

    Raises:
      OSError: the file is missing or no regular one, or the name cannot be given.
    """
    if is_remote(target):
        objects.copy([(source, target)])
        return
    make_directory(parent(target))
    try:
        _link(Path(source), Path(target))
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with open_read(source) as content, open_atomic(target) as copy:
            shutil.copyfileobj(content, copy, 1 << 20)
    else:
        sync_directory(Path(target).parent)


def _link(source: Path, target: Path) -> None:
    status = source.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EXDEV, "no file to link to", str(source))  # where a link leads is copied
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        if os.path.samestat(target.lstat(), status):
            return
        target.unlink()  # of a run before, which may have had another file there
        os.link(source, target, follow_symlinks=False)
