"""The audit trail of a keyset: `NAME.log.jsonl`, JSON lines, each chained to the one before by a hash.

A line is {"n", "time", "user", "event", …, "previous"}; `previous` is the SHA-256 (hex) of the line before
as it stands in the file; for the first line, that of a label with the keyset's name. The keyset's metadata
remembers how many lines there were and the hash of the last, so that a log that was cut short shows.

The chain shows a change, a gap or a cut; it does not stop somebody who can write all files of the key store
from computing it anew. Who needs that keeps the last hash that `lpe keys log` prints somewhere else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lpe.pipeline import clock, storage
from lpe.pipeline.keystore.key_event import KeyEvent, is_detail
from lpe.pipeline.keystore.reading import parse_fields, read_file
from lpe.pipeline.storage.user import user_name
from lpe.transforms import labels
from lpe.transforms.errors import KeyStoreError


@dataclasses.dataclass(frozen=True)
class Head:
    """How far a log goes.

    Attributes:
      lines: its number of lines.
      hash: SHA-256 (hex) of the last line; where there is none, the start of the keyset's chain.
    """

    lines: int
    hash: str


@dataclasses.dataclass(frozen=True)
class AuditTrail:
    """A keyset's audit trail, read and checked.

    Attributes:
      events: the lines that can be read, oldest first.
      problems: what is wrong with it (a broken chain, an unlogged key), one line of text each; empty if nothing is.
      last_hash: SHA-256 (hex) of the last line; whoever keeps it elsewhere can tell a log that was computed anew.
    """

    events: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...]
    last_hash: str


class AuditLog:
    """The log file of one keyset, read when this is made.

    Args:
      path: its file, which need not exist.
      name: the keyset.

    Raises:
      KeyStoreError: the file cannot be read.
    """

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self._start = Head(0, _sha256(labels.audit_log(name)))
        self._lines = read_file(path).splitlines() if storage.exists(path) else []

    @property
    def events(self) -> list[dict[str, Any]]:
        """All lines that can be read, oldest first."""
        return [event for event in map(_parse, self._lines) if event is not None]

    @property
    def head(self) -> Head:
        """How far the log goes, as it stands in the file."""
        if not self._lines:
            return self._start
        return _head_at(self._lines[-1], default=len(self._lines))

    def append(self, event: str, head: Head | None, **details: object) -> Head:
        """Writes one line; the caller holds the key store's lock.

        Args:
          event: what happened.
          head: as the metadata remembers it: where the file was cut, the chain goes on from there, so that
            the gap shows.
          **details: to whom and to what; JSON values.

        Returns:
          The new head.

        Raises:
          KeyStoreError: a detail is such that the line could not be read again.
        """
        before = self.head
        if head is not None and before.lines < head.lines:
            before = head
        value = {
            "n": before.lines + 1,
            "time": clock.stamp(),
            "user": user_name(),
            "event": event,
            **details,
            "previous": before.hash,
        }
        line = json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
        if _parse(line) is None:
            raise KeyStoreError(
                f"{self.path}: cannot hold the event {event!r} with {ascii(details)[:300]}; rename what has control "
                "characters in its name"
            )
        # An object store can't append, and a line that was torn by a crash would break the chain.
        storage.write_atomic(self.path, b"".join(line + b"\n" for line in (*self._lines, line)), private=True)
        self._lines.append(line)
        return Head(before.lines + 1, _sha256(line))

    def has(self, event: KeyEvent, after: Head | None) -> bool:
        """Whether what happened to a key is in the lines after a head, or anywhere in the log for None."""
        lines = 0 if after is None else after.lines
        return any(
            line["n"] > lines and line["event"] == event.event and line.get("key") == event.key
            for line in self.events
        )

    def problems(self, head: Head | None) -> list[str]:
        """Checks the chain.

        Args:
          head: as the metadata remembers it.

        Returns:
          What is wrong, one line of text each; empty if nothing is.
        """
        problems = []
        before = self._start
        for number, line in enumerate(self._lines, 1):
            event = _parse(line)
            if event is None:
                problems.append(f"{self.path} line {number}: damaged")
            elif event["previous"] != before.hash or event["n"] != before.lines + 1:
                problems.append(
                    f"{self.path} line {number}: does not follow the line before: something was changed or removed"
                )
            before = _head_at(line, default=before.lines + 1)
            if head is not None and before.lines == head.lines and before.hash != head.hash:
                problems.append(f"{self.path} line {number}: was changed after it was written")
        if head is not None and before.lines < head.lines:
            problems.append(
                f"{self.path}: ends after line {before.lines} of {head.lines}: the end was removed"
            )
        return problems


def _head_at(line: bytes, default: int) -> Head:
    """The head of a log that ends with this line, whose number is `default` where it does not say."""
    event = _parse(line)
    return Head(default if event is None else event["n"], _sha256(line))


def _parse(line: bytes) -> dict[str, Any] | None:
    """The event in a line; None for what is no line of a log."""
    try:
        fields = parse_fields(line, "")
        fields.integer("n", least=1)
        for name in ("time", "user", "event", "previous"):
            fields.text(name)
    except KeyStoreError:
        return None
    value = dict(fields.raw())
    return value if all(is_detail(name, item) for name, item in value.items()) else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
