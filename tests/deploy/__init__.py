"""What deploy/ ships: each file checked by the tool that will read it, and against the real command line."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

SCHEDULES = Path(__file__).resolve().parents[2] / "deploy" / "schedules"


def tool(name: str, package: str) -> str:
    """A program's path; where it is missing the test is skipped, with a warning in pytest's summary."""
    path = shutil.which(name)
    if path is None:
        line = f"{name} is not here ({package}): what needs it is not tested"
        warnings.warn(line, stacklevel=2)
        pytest.skip(line)
    return path
