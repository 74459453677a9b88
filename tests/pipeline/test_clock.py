"""The time, fixed for a test; stamps and periods."""

from __future__ import annotations

import datetime

import pytest

from lpe.pipeline import clock
from lpe.transforms.errors import UsageError

START = datetime.datetime(2026, 11, 23, 14, 5, 9, tzinfo=datetime.UTC)


def test_the_time_is_fixed_within_the_block_alone():
    with clock.fixed_at(START):
        with clock.fixed_at(START + datetime.timedelta(days=1)):
            assert clock.now() == START + datetime.timedelta(days=1)
        assert clock.now() == START
    assert abs(clock.now() - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(seconds=5)


def test_a_stamp_is_iso_8601_and_names_its_zone():
    with clock.fixed_at(START + datetime.timedelta(microseconds=7)):
        assert clock.stamp() == "2026-11-23T14:05:09+00:00"
        assert clock.parse_stamp(clock.stamp()) == START
    for text in ("2026-11-23T14:05:09", "yesterday", ""):
        with pytest.raises(ValueError, match=r"time zone|Invalid isoformat"):
            clock.parse_stamp(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 2_592_000), ("12h", 43_200), ("90m", 5_400), ("45s", 45)]
)
def test_periods(text, seconds):
    assert clock.parse_period(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5h", "1w", "1d ", "1234567d"])
def test_what_is_no_period_is_refused(text):
    with pytest.raises(UsageError, match="is no length of time: give a number and d, h, m or s"):
        clock.parse_period(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (1, "1 second"), (119, "1 minute"), (7_200, "2 hours"), (259_200, "3 days")],
)
def test_lengths_in_words(seconds, text):
    assert clock.in_words(datetime.timedelta(seconds=seconds)) == text


def test_estimates_are_rounded():
    said = [clock.about(seconds) for seconds in (0, 14, 44, 100, 600, 5_399, 10_000)]
    assert said == [
        "a few seconds", "a few seconds", "about 40 seconds", "about 2 minutes", "about 10 minutes", "about 90 minutes",
        "about 3 hours",
    ]  # fmt: skip
