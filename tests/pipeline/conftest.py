"""What the tests of jobs share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def plain(lpe, tmp_path) -> Path:
    """An ingested synthetic dataset; modules that need another size have a fixture of their own."""
    home = tmp_path / "plain" / "shapes"
    assert lpe("ingest", "--source", "synthetic:100", "--output", home).code == 0
    return home
