"""What the scheme must pass; run by `pytest` where pixel-shift is installed."""

from __future__ import annotations

from lpe.transforms.ciphers.conformance import CipherTests


class TestShift(CipherTests):
    """`shift`, in every respect that `lpe` relies on."""

    name = "shift"
