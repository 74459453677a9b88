"""The environment that says where services are, for this process and those that it starts."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping

import pytest


@contextlib.contextmanager
def services_at(variables: Mapping[str, str]) -> Iterator[pytest.MonkeyPatch]:
    """Sets variables for a block in which clients are made anew: those that a process shares know other servers."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        _forget_clients()
        try:
            yield patch
        finally:
            _forget_clients()


def _forget_clients() -> None:
    for name in ("objects", "s3", "gcs"):
        module = sys.modules.get(f"lpe.pipeline.storage.{name}")
        for value in vars(module).values() if module is not None else ():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
