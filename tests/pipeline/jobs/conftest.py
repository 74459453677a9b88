"""What the tests of jobs share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def plain300(lpe, tmp_path) -> Path:
    """An ingested synthetic dataset: 300 train, 60 test."""
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", "synthetic:300", "--output", home).code == 0
    return home
