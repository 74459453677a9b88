"""What time it is: one place, so that a test can live through ninety days in a minute."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterator

from lpe.transforms.errors import UsageError

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

_pretended: datetime.datetime | None = None


def now() -> datetime.datetime:
    """The time, in UTC, to the second."""
    return (_pretended or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)


@contextlib.contextmanager
def at(moment: datetime.datetime) -> Iterator[None]:
    """Within the block, `now()` is `moment`."""
    global _pretended  # noqa: PLW0603  (the process has one time)
    before, _pretended = _pretended, moment
    try:
        yield
    finally:
        _pretended = before


def stamp() -> str:
    """The time as ISO 8601, e.g. `2026-11-23T14:05:09+00:00`."""
    return now().isoformat()


def parse_stamp(text: str) -> datetime.datetime:
    """The inverse of `stamp`. Raises ValueError for anything else, a time without its zone included."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment


def parse_period(text: str) -> datetime.timedelta:
    """A length of time such as `30d`, `12h`, `90m`, `45s`. Raises UsageError for anything else."""
    found = re.fullmatch(r"(\d{1,6})([dhms])", text)
    if found is None:
        raise UsageError(f"{text!r} is no length of time: give a number and d, h, m or s, such as 30d or 12h")
    return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})


def in_words(length: datetime.timedelta) -> str:
    """A length of time as people say it, in its largest unit: `3 days`, `1 hour`."""
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= size or size == 1:
            count = seconds // size
            return f"{count} {unit}" + ("" if count == 1 else "s")
    raise AssertionError("a second is the smallest unit")
