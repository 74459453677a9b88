"""The check of this machine's clock, against those of the key store's users and of the storage service."""

from __future__ import annotations

import datetime

from lpe.pipeline import clock
from lpe.pipeline.jobs.doctor.check import Check, fault
from lpe.pipeline.storage import leases

_TOLERANCE = datetime.timedelta(seconds=leases.LEASE / 4)
"""Where clocks differ by more, one job may take another's lock."""
_REMEDY = "set the clock: sudo timedatectl set-ntp true"


def check_clock(logged: datetime.datetime | None, ahead: datetime.timedelta | None) -> Check:
    """Checks the clock.

    Args:
      logged: a time that has passed, from audit trails; None if there is none.
      ahead: how far it is ahead of a service's, negative if behind; None if that is not known.
    """
    now = clock.now()
    if logged is not None and logged - now > _TOLERANCE:
        behind = clock.in_words(logged - now)
        return fault(
            "clock", f"{now.isoformat()} is {behind} before the newest entry of an audit trail", _REMEDY
        )
    if ahead is not None and abs(ahead) > _TOLERANCE:
        side = "ahead of" if ahead > datetime.timedelta() else "behind"
        return fault(
            "clock", f"{now.isoformat()} is {clock.in_words(abs(ahead))} {side} the service's", _REMEDY
        )
    compared = [*(["audit trails"] if logged else []), *(["the service"] if ahead is not None else [])]
    if not compared:
        return Check(
            "clock", "note", f"{now.isoformat()}; compared with nothing: name --keystore or a bucket"
        )
    return Check("clock", "ok", f"{now.isoformat()}; agrees with {' and '.join(compared)}")
