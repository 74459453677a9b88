"""Contradictions between the files of a keyset: its keys and its key-encryption key, and what the audit log says."""

from __future__ import annotations

from tink.proto import tink_pb2

from lpe.pipeline.keystore.auditlog import AuditLog
from lpe.pipeline.keystore.key_event import key_states
from lpe.pipeline.keystore.keyset import STATES, State


def kek_problem(recorded: str, log: AuditLog) -> str | None:
    """What is wrong with the key-encryption key that the metadata names; None if nothing is."""
    made = [event["kek"] for event in log.events if event["event"] == "created" and "kek" in event]
    if not made or made[-1] == recorded:
        return None
    return f"the keyset was made under the key-encryption key {made[-1]}, and its metadata names {recorded}"


def unexplained(keyset: tink_pb2.Keyset, log: AuditLog) -> dict[int, State]:
    """The state of each key, by id, of which the log says something else or nothing."""
    logged = key_states(log.events)
    states = {key.key_id: STATES[key.status] for key in keyset.key}
    return {key_id: state for key_id, state in states.items() if logged.get(key_id) != state}


def contradiction(key_id: int, state: State, log: AuditLog) -> str:
    """What is said of a key that `unexplained` gives."""
    return f"key {key_id} is {state} and the log says {key_states(log.events).get(key_id, 'nothing')}"
