"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

from lpe.transforms.errors import UsageError

_FACTORS = {"": 1, "B": 1} | {
    prefix + end: base**power
    for power, prefix in enumerate("KMGT", 1)
    for end, base in (("B", 1000), ("IB", 1024))
}


def byte_count(text: str, option: str) -> int:
    """The bytes that a size such as 20GB, 1.5GiB or 1000000 stands for, in upper or lower case.

    Args:
      text: what was given.
      option: by which option, for the message.

    Raises:
      UsageError: it is no size.
    """
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([a-zA-Z]{0,3})", text)
    factor = _FACTORS.get(match[2].upper()) if match else None
    if match is None or factor is None or float(match[1]) * factor < 1:
        raise UsageError(f"{option} {text}: give a size such as 500MB, 20GB, 16GiB or a number of bytes")
    return int(float(match[1]) * factor)
