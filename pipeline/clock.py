"""The time: read here alone, so that a test can live through ninety days in a minute; stamps and periods."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterator

from lpe.transforms.errors import UsageError

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

_fixed: datetime.datetime | None = None


def now() -> datetime.datetime:
    """The current time, in UTC, to the second."""
    return (_fixed or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)


@contextlib.contextmanager
def fixed_at(moment: datetime.datetime) -> Iterator[None]:
    """A context in which `now()` is `moment`, for the whole process; for tests.

    Args:
      moment: an aware time.
    """
    global _fixed  # noqa: PLW0603  (the process has one time)
    before, _fixed = _fixed, moment
    try:
        yield
    finally:
        _fixed = before


def stamp() -> str:
    """The current time as ISO 8601, e.g. `2026-11-23T14:05:09+00:00`."""
    return now().isoformat()


def parse_stamp(text: str) -> datetime.datetime:
    """Parses what `stamp` gives.

    Raises:
      ValueError: it is no such text; a time without its zone is none.
    """
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment


def parse_period(text: str) -> datetime.timedelta:
    """Parses a length of time such as `30d`, `12h`, `90m`, `45s`.

    Raises:
      UsageError: it is of no such form.
    """
    match = re.fullmatch(r"(\d{1,6})([dhms])", text)
    if match is None:
        raise UsageError(f"{text!r} is no length of time: give a number and d, h, m or s, such as 30d or 12h")
    return datetime.timedelta(**{_UNITS[match[2]]: int(match[1])})


def in_words(length: datetime.timedelta) -> str:
    """A length of time as people say it, in its largest unit: `3 days`, `1 hour`."""
    seconds = int(length.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= size or size == 1:
            count = seconds // size
            return f"{count} {unit}" + ("" if count == 1 else "s")
    raise AssertionError("a second is the smallest unit")


def about(seconds: float) -> str:
    """An estimated length of time as people say it: `a few seconds`, `about 40 seconds`, `about 4 minutes`."""
    if seconds < 15:
        return "a few seconds"
    if seconds < 95:
        return f"about {round(seconds, -1):.0f} seconds"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.0f} hours"
