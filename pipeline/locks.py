"""Locks: one job at a home, one change at a key store."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from transforms.errors import BusyError


@contextlib.contextmanager
def held(path: str, what: str, *, wait: float = 0.0, remove: bool = False) -> Iterator[None]:
    place = Path(path)
    end = time.monotonic() + wait
    while True:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > end:
                raise BusyError(f"{what}: another job is writing here; wait for it to end") from None
            time.sleep(0.05)
            continue
        if place.exists() and os.fstat(descriptor).st_ino == place.stat().st_ino:
            break
        os.close(descriptor)
    try:
        yield
    finally:
        if remove:
            place.unlink(missing_ok=True)
        os.close(descriptor)
