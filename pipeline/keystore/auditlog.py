"""The audit trail of a keyset: `NAME.log.jsonl`, JSON lines, each chained to the one before by a hash.

A line is {"n", "time", "user", "event", …, "previous"}; `previous` is the SHA-256 (hex) of the line before
as it stands in the file, and of the keyset's name for the first. The keyset's metadata remembers how many
lines there were and the hash of the last, so that a log that was cut short shows.

The chain finds a change, a gap or a cut; it does not stop somebody who can write all files of the key store
from computing it anew. Who needs that keeps the last hash that `lpe keys log` prints somewhere else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lpe.pipeline import clock, storage
from lpe.pipeline.storage.user import user_name


@dataclasses.dataclass(frozen=True)
class Head:
    """How far a log goes: its number of lines and the hash of the last (of the name, where there is none)."""

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
    """The log of one keyset.

    Args:
      path: its file, which need not exist.
      name: the keyset.
    """

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self._start = Head(0, _sha256(f"lpe/v1/log/{name}".encode()))
        self._lines = storage.read_bytes(path).splitlines() if storage.exists(path) else []

    @property
    def events(self) -> list[dict[str, Any]]:
        """All lines that can be read, oldest first."""
        return [event for event in map(_parse, self._lines) if event is not None]

    @property
    def head(self) -> Head:
        """How far the log goes, as it stands in the file."""
        if not self._lines:
            return self._start
        last = _parse(self._lines[-1])
        number = last["n"] if last is not None and isinstance(last.get("n"), int) else len(self._lines)
        return Head(number, _sha256(self._lines[-1]))

    def append(self, event: str, head: Head | None, **details: object) -> Head:
        """Writes one line; the caller holds the key store's lock.

        Args:
          event: what happened.
          head: as the metadata remembers it: where the file was cut, the chain goes on from there, so that
            the gap shows.
          **details: to whom and to what; JSON values.

        Returns:
          The new head.
        """
        before = self.head
        if head is not None and before.lines < head.lines:
            before = head
        line = {
            "n": before.lines + 1,
            "time": clock.stamp(),
            "user": user_name(),
            "event": event,
            **details,
            "previous": before.hash,
        }
        self._lines.append(json.dumps(line, ensure_ascii=False).encode())
        # An object store can't append, and a line that was torn by a crash would break the chain.
        storage.write_atomic(self.path, b"".join(line + b"\n" for line in self._lines), private=True)
        return Head(before.lines + 1, _sha256(self._lines[-1]))

    def problems(self, head: Head | None) -> list[str]:
        """What is wrong with the chain, one line each; `head` is what the metadata remembers."""
        found = []
        before = self._start
        for i, raw in enumerate(self._lines):
            event = _parse(raw)
            if event is None:
                found.append(f"{self.path} line {i + 1}: damaged")
            elif event.get("previous") != before.hash or event.get("n") != before.lines + 1:
                found.append(
                    f"{self.path} line {i + 1}: does not follow the line before: something was changed or removed"
                )
            number = event["n"] if event is not None and isinstance(event.get("n"), int) else before.lines + 1
            before = Head(number, _sha256(raw))
            if head is not None and before.lines == head.lines and before.hash != head.hash:
                found.append(f"{self.path} line {i + 1}: was changed after it was written")
        if head is not None and before.lines < head.lines:
            found.append(f"{self.path}: ends after line {before.lines} of {head.lines}: the end was removed")
        return found


def key_states(events: list[dict[str, Any]]) -> Mapping[int, str]:
    """The state of every key after these events, by id: `enabled`, `disabled` or `destroyed`."""
    states: dict[int, str] = {}
    names = {"created": "enabled", "rotated": "enabled", "enabled": "enabled"}
    names |= {"disabled": "disabled", "destroyed": "destroyed"}
    for event in events:
        if event.get("event") in names and isinstance(event.get("key"), int):
            states[event["key"]] = names[event["event"]]
    return states


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
