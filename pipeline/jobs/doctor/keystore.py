"""Checks of a key store: that it is there, safe, and that each keyset opens and agrees with its audit trail."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path

from lpe.pipeline import clock, storage
from lpe.pipeline.jobs.doctor.check import Check, failed, fault
from lpe.pipeline.keystore import AuditTrail, KeyStore
from lpe.transforms.errors import LpeError

_NAME = "key store"


def check_keystore(uri: str) -> tuple[list[Check], datetime.datetime | None]:
    """Checks a key store and unwraps each of its keysets.

    Args:
      uri: its directory, local or remote.

    Returns:
      The checks, and the newest time in its audit trails; None if there is none.
    """
    make = f"check the path, or make a keyset: lpe keys create NAME --keystore {uri}"
    if not storage.is_remote(uri) and not Path(uri).is_dir():
        return [fault(_NAME, f"{uri}: no such folder", make)], None
    store = KeyStore(uri)
    try:
        storage.check_unchangeable(uri)
        names = store.names()
    except (LpeError, OSError) as error:
        return [failed(_NAME, error)], None
    if not names:
        return [fault(_NAME, f"{uri}: no keyset is here", make)], None
    checks = [Check(_NAME, "ok", f"{uri}: {len(names)} keyset{'s' * (len(names) > 1)}")]
    times = []
    for name in names:
        check, trail = _check_keyset(store, name)
        checks.append(check)
        times += _times(trail) if trail is not None else []
    return checks, max(times, default=None)


def _check_keyset(store: KeyStore, name: str) -> tuple[Check, AuditTrail | None]:
    title = f"keyset {name}"
    try:
        trail = store.audit_log(name)
        metadata = store.metadata(name)
    except (LpeError, OSError) as error:
        return failed(title, error), None
    if trail.problems:
        remedy = (
            f"see lpe keys log {name} --keystore {store.uri}; restore all files of the keyset from one copy"
        )
        return fault(title, "; ".join(trail.problems), remedy), trail
    detail = f"opens under {metadata.kek}"
    due = metadata.rotation_due()
    if due is not None and due <= clock.now():
        remedy = f"lpe keys rotate {name} --keystore {store.uri}"
        return Check(title, "note", f"{detail}; its rotation is due since {due.date()}", remedy), trail
    return Check(title, "ok", detail), trail


def _times(trail: AuditTrail) -> list[datetime.datetime]:
    times = []
    for event in trail.events:
        with contextlib.suppress(ValueError):  # somebody else's line
            times.append(clock.parse_stamp(event["time"]))
    return times
