"""What deploy/ ships: each file checked by the tool that will read it, and against the real command line."""

from __future__ import annotations

import copy
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def changed(document: Any, path: Sequence[str], value: Any) -> Any:
    """A copy of a document of dictionaries, with another value at the end of the path."""
    whole = copy.deepcopy(document)
    inner = whole
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return whole
