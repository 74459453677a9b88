"""Leases, the locks in an object store: objects that name a holder and an end, renewed while the holder lives.

The object is JSON: `owner` (a random token), `user_name`, `expires` (ISO 8601, UTC). It is made, replaced and
deleted only under conditions that the service checks (S3: If-None-Match and If-Match; Google: the object's
generation), so that of two that try one succeeds. A thread renews it each third of the lease; when its process
is killed or cut off, the lease runs out and the next one takes it over.

Clocks of different machines differ: whoever wants the lock waits for another quarter of the lease (15 s) after
it has run out by their own clock. Where clocks differ by more, a live lease can be taken; its holder learns that
from `check`, which relies on no clock: it renews, and the service refuses what is not the holder's any more.
What is done after a successful `check` should take less than a lease.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import random
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Protocol, cast

from lpe.pipeline.storage import objects
from lpe.pipeline.storage.documents import parse_document
from lpe.pipeline.storage.user import user_name
from lpe.transforms.errors import BusyError

LEASE = 60.0
"""Seconds that a lock outlives a killed holder, without the quarter for unequal clocks."""
_PAUSE = 1.0  # seconds between tries, shortened at random
_LONGEST = datetime.timedelta(hours=1)  # no lease ends later, though clocks differ


@contextlib.contextmanager
def leased(path: str, what: str, *, wait: float = 0.0, lease: float = LEASE) -> Iterator[Lease]:
    """Holds the lock object at `path` while the block runs.

    Args:
      path: s3://BUCKET/NAME or gs://BUCKET/NAME.
      what: what is locked, for the message.
      wait: for how many seconds to try.
      lease: for how many seconds the lock outlives a killed holder, without the quarter for unequal clocks.

    Raises:
      BusyError: another process holds it.
      DataError: no credentials, no permission, no answer, or the object is no lock.
      FileNotFoundError: no such bucket.
      UsageError: another scheme, or the service's client is not installed.
    """
    held = Lease(path, what, lease)
    held.acquire(time.monotonic() + wait)
    stop = threading.Event()
    heartbeat = threading.Thread(target=held.keep, args=(stop,), daemon=True, name=f"lock {path}")
    heartbeat.start()
    try:
        yield held
    finally:
        stop.set()
        heartbeat.join()
        held.release()


class Lease:
    """A lock object; `leased` takes, renews and releases it.

    `check` may be called while another thread is in `keep`; everything else belongs to one thread.

    Args:
      path: as for `leased`.
      what: as for `leased`.
      seconds: length of the lease.
    """

    def __init__(self, path: str, what: str, seconds: float) -> None:
        self._path = path
        self._what = what
        self._seconds = seconds
        self._owner = secrets.token_hex(16)
        self._object = conditional_object(path)
        self._tag = ""
        self._lost = False
        self._renewing = threading.Lock()  # the heartbeat and `check` must not do so at once

    def acquire(self, end: float) -> None:
        """Takes the lock, or tries to until `time.monotonic()` is `end`. Raises BusyError."""
        while (holder := objects.retrying(self._path, self._take)) is not None:
            if time.monotonic() >= end:
                raise BusyError(
                    f"{self._what}: another job is writing here (of {holder.user}, lock {self._path}, valid until "
                    f"{holder.expires.isoformat()}); wait for it to end"
                )
            time.sleep(min(_PAUSE, self._seconds / 4) * random.uniform(0.5, 1.0))  # noqa: S311

    def check(self) -> None:
        """Renews the lease.

        Raises:
          BusyError: another process has taken it.
          DataError: the service does not answer.
        """
        objects.retrying(self._path, self._renew)
        if self._lost:
            raise BusyError(
                f"{self._what}: another job took the lock {self._path} while this one was cut off from it; run the "
                "same command again"
            )

    def keep(self, stop: threading.Event) -> None:
        """Renews the lease until `stop` is set or it is lost."""
        pause = self._seconds / 3
        while not self._lost and not stop.wait(pause):
            try:
                self._renew()
                pause = self._seconds / 3
            except Exception:
                pause = self._seconds / 12  # the service may be back in time; `check` finds out if it is not

    def release(self) -> None:
        """Deletes the object if it is still ours."""
        # The work is done: what cannot be deleted runs out.
        with contextlib.suppress(Exception):
            existing = self._object.read()
            if existing is not None and self._parse(existing[0]).owner == self._owner:
                self._object.delete(existing[1])

    def _take(self) -> _Holder | None:
        """Tries to take the lock; returns what the object says if another process has it."""
        while True:
            if self._write(None):
                return None
            existing = self._object.read()
            if existing is None:
                continue  # released in this moment
            content, tag = existing
            holder = self._parse(content)
            if holder.owner == self._owner:
                self._tag = tag  # taken by a request whose answer was lost
                return None
            grace = datetime.timedelta(seconds=self._seconds / 4)
            if holder.expires > _now() - grace:
                return holder
            if self._write(tag):
                return None

    def _renew(self) -> None:
        with self._renewing:
            if self._lost or self._write(self._tag):
                return
            existing = self._object.read()
            if existing is not None and self._parse(existing[0]).owner == self._owner:
                self._tag = existing[1]  # renewed by a request whose answer was lost
            else:
                self._lost = True

    def _write(self, tag: str | None) -> bool:
        """Makes the object (tag None) or replaces that version of it; False if something else is there."""
        expires = _now() + datetime.timedelta(seconds=self._seconds)
        value = {"owner": self._owner, "user": user_name(), "expires": expires.isoformat()}
        written = self._object.write(json.dumps(value).encode(), tag)
        if written is None:
            return False
        self._tag = written
        return True

    def _parse(self, content: bytes) -> _Holder:
        fields = parse_document(content, self._path, "no lock of lpe; if nothing is running, delete it")
        try:
            expires = datetime.datetime.fromisoformat(fields.text("expires"))
            if expires.tzinfo is None:
                raise ValueError("no time zone")
        except ValueError:
            fields.refuse("expires must be a time with its zone")
        # One that somebody made to last for ever would end a schedule, which leaves alone what another run holds.
        if expires > _now() + _LONGEST:
            fields.refuse("expires must be within the hour")
        return _Holder(fields.text("owner"), fields.text("user"), expires)


@dataclasses.dataclass(frozen=True)
class _Holder:
    """What a lock object says.

    Attributes:
      owner: the random token of the process.
      user: its user, for messages.
      expires: when the lease runs out.
    """

    owner: str
    user: str
    expires: datetime.datetime


class ConditionalObject(Protocol):
    """One object of a store, changed only under conditions that the service checks; a tag names one version of it.

    Calls ask once and may fail in any way that the service's client does; one call at a time.
    """

    def read(self) -> tuple[bytes, str] | None:
        """Content and tag; None where there is no object."""

    def write(self, content: bytes, tag: str | None) -> str | None:
        """Makes the object (tag None) or replaces that version; the new tag, or None if that is not what is there."""

    def delete(self, tag: str) -> None:
        """Deletes that version; an error where something else is there."""


def conditional_object(path: str) -> ConditionalObject:
    """The object at a remote path, to be changed under conditions. Raises as `leased`."""
    return cast(ConditionalObject, objects.service(path).ConditionalObject(*objects.split_path(path)))


def _now() -> datetime.datetime:
    """The real time: processes do not share a pretended one."""
    return datetime.datetime.now(datetime.UTC)
