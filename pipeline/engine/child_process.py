"""The way in which a process that this package starts ends: with its parent, and not before by Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess


def leave_ending_to_parent() -> None:
    """Has this process pass over Ctrl-C, which goes to all processes of a terminal, and end when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    """A parent that was killed leaves no orphans."""
    parent.join()
    os._exit(1)
