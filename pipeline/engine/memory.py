"""The memory that processes may take."""

from __future__ import annotations

import os
import re
from pathlib import Path

WORKER_BYTES = 500_000_000
"""What a process that works on shards may want, one that reads large photographs included."""
_MEMORY = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def free_memory() -> int:
    """How many bytes of memory this process and those that it starts may still take."""
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMORY.read_text(), re.M)
        free = int(match[1]) * 1024 if match else _physical()
    except OSError:  # no such file, as on macOS
        free = _physical()
    try:
        return max(0, min(free, int(_LIMIT.read_text()) - int(_USED.read_text())))
    except (OSError, ValueError):  # no such limit
        return free


def _physical() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
