"""The events that happen to keys, as an audit log and the metadata of a keyset tell of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from lpe.pipeline.storage.documents import Fields, is_plain_text

ACCEPTED = "accepted"
"""The event by which the owner says that a key, of which the log says something else, is as it should be."""
_STATE_AFTER = {
    "created": "enabled",
    "rotated": "enabled",
    "enabled": "enabled",
    "disabled": "disabled",
    "destroyed": "destroyed",
}
"""The state of the key that an event names, after it."""
_MOST_KEY_ID = 2**32 - 1
_MOST_NUMBER = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class KeyEvent:
    """A change of one key.

    Attributes:
      event: `created`, `rotated`, `enabled`, `disabled` or `destroyed`.
      key: the key's id.
      details: what else the log says of it; see `is_detail`.
    """

    event: str
    key: int
    details: Mapping[str, Any]

    @property
    def state(self) -> str:
        """The state of the key afterwards."""
        return _STATE_AFTER[self.event]

    @classmethod
    def from_fields(cls, fields: Fields) -> KeyEvent:
        """Reads the fields of an event, which are named as its attributes."""
        fields.only("event", "key", "details")
        details = fields.object("details")
        details.only("kek", "before", "forced")  # no name that a line of the log has already
        event = cls(fields.text("event"), fields.integer("key", most=_MOST_KEY_ID), details.raw())
        if event.event not in _STATE_AFTER:
            fields.refuse("unknown event")
        if not all(is_detail(name, value) for name, value in event.details.items()):
            details.refuse("not texts, numbers or truth values")
        return event


def is_detail(name: str, value: object) -> bool:
    """Whether this may be said of an event: a text without control characters, a whole number, true, false, null."""
    if isinstance(value, int):
        return is_plain_text(name) and abs(value) <= _MOST_NUMBER
    return is_plain_text(name) and (value is None or (isinstance(value, str) and is_plain_text(value)))


def key_states(events: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """The state of every key after these lines of a log, by id: `enabled`, `disabled` or `destroyed`."""
    states: dict[int, str] = {}
    for event in events:
        state = event.get("state") if event["event"] == ACCEPTED else _STATE_AFTER.get(event["event"])
        if isinstance(event.get("key"), int) and isinstance(state, str):
            states[event["key"]] = state
    return states
