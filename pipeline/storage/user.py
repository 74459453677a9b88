"""The user who runs this process, for locks and logs."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """The operating system's name of the user, or `uid N` where it has none, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
