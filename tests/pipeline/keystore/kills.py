"""Kills in the middle of a change of a key store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from lpe.pipeline import storage


@contextlib.contextmanager
def killed_before(ending: str) -> Iterator[None]:
    """A block that is killed before it writes a file whose name ends so."""
    real = storage.write_atomic

    def killed(path: str, data: bytes, **options: Any) -> None:
        if path.endswith(ending):
            raise KeyboardInterrupt
        real(path, data, **options)

    with mock.patch.object(storage, "write_atomic", killed), pytest.raises(KeyboardInterrupt):
        yield
