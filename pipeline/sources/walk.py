"""The regular files below a directory, of this machine or of a bucket."""

from __future__ import annotations

import array
import os

from lpe.pipeline.sources.files import Files, Place, sorted_files
from lpe.pipeline.sources.passed_over import LINKS, SPECIAL, PassedOver
from lpe.pipeline.storage import objects
from lpe.transforms.errors import DataError


def walk(root: str, passed_over: PassedOver) -> tuple[Files, list[str]]:
    """The files below a directory of this machine, and its directories, without files or with them.

    Args:
      root: the directory.
      passed_over: counts links, which are not followed, and special files.

    Raises:
      DataError: a directory cannot be read; a class would otherwise be missing without a word.
    """
    names: list[str] = []
    sizes = array.array("q")
    directories: list[str] = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(os.path.join(root, inside)) as entries:  # noqa: PTH118
                for entry in entries:
                    name = inside + entry.name
                    if entry.is_symlink():
                        passed_over.add(LINKS, name)
                    elif entry.is_dir():
                        waiting.append(f"{name}/")
                        directories.append(name)
                    elif entry.is_file():
                        sizes.append(entry.stat().st_size)
                        names.append(name)
                    else:
                        passed_over.add(SPECIAL, name)
        except OSError as error:
            raise DataError(
                f"{error.filename}: cannot be read ({error.strerror}); check its permissions"
            ) from error
    return sorted_files(Place(root), names, sizes), sorted(directories)


def objects_below(root: str) -> tuple[Files, list[str]]:
    """The objects below a path at gs:// or s3://, and the directories that some tools mark there by objects.

    Raises:
      DataError: there are none.
    """
    prefix = root.rstrip("/") + "/"
    found = objects.list_sizes(prefix)
    if not found:
        raise DataError(f"{root}: no such file or directory; check the path")
    names, sizes, directories = [], [], []
    for path, size in found.items():
        name = path.removeprefix(prefix)
        if not path.endswith("/"):
            names.append(name)
            sizes.append(size)
        elif name:
            directories.append(name.rstrip("/"))
    return sorted_files(Place(prefix.rstrip("/")), names, sizes), directories
