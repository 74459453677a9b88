"""Bytes at a path, local or in an object store: each file is whole or absent."""

from lpe.pipeline.storage.files import (
    absolute,
    base_name,
    delete,
    delete_temporary_files,
    exists,
    explain,
    is_remote,
    join,
    list_names,
    open_atomic,
    open_read,
    parent,
    publish_directory,
    read_bytes,
    withdraw_directory,
    write_atomic,
)
from lpe.pipeline.storage.links import link_or_copy
from lpe.pipeline.storage.permissions import check_own_directory, check_private, check_unchangeable

__all__ = [
    "absolute",
    "base_name",
    "check_own_directory",
    "check_private",
    "check_unchangeable",
    "delete",
    "delete_temporary_files",
    "exists",
    "explain",
    "is_remote",
    "join",
    "link_or_copy",
    "list_names",
    "open_atomic",
    "open_read",
    "parent",
    "publish_directory",
    "read_bytes",
    "withdraw_directory",
    "write_atomic",
]
