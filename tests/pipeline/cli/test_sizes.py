"""Sizes in bytes, as people write them."""

from __future__ import annotations

import pytest

from lpe.pipeline.cli.sizes import byte_count
from lpe.transforms.errors import UsageError


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1000000", 10**6),
        ("500MB", 5 * 10**8),
        ("20 gb", 2 * 10**10),
        ("1.5GiB", 3 << 29),
        ("1kB", 1000),
        ("7B", 7),
    ],
)
def test_a_size_is_its_bytes(text, count):
    assert byte_count(text, "--cache-bytes") == count


@pytest.mark.parametrize("text", ["", "GB", "0", "0.1", "-1GB", "1e9", "20 parsecs", "1..5GB", "9" * 20])
def test_what_is_no_size_is_one_line(text):
    with pytest.raises(UsageError, match=f"^--cache-bytes {text}: give a size such as 500MB, 20GB"):
        byte_count(text, "--cache-bytes")
