"""A faster start-up, without idle work."""

from __future__ import annotations

import gc


def collect_garbage_rarely() -> None:
    """Spares a process that imports thousands of modules the search for garbage among them."""
    gc.set_threshold(100_000, 20, 20)
