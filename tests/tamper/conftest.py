"""The owner whom the tests attack."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tamper.owner import Owner, make_owner


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Owner:
    """An owner's tree that no test changes."""
    return make_owner(tmp_path_factory.mktemp("owner") / "tree")


@pytest.fixture
def owner(pristine: Owner, tmp_path: Path) -> Owner:
    """A copy of it, to be attacked. Its key store remembers datasets by where they were."""
    return pristine.copied(tmp_path / "tree")


@pytest.fixture
def old(tmp_path: Path) -> Owner:
    """An owner whose datasets are of format 1: `plain`, `enc`, `sealed`."""
    root = tmp_path / "old"
    shutil.copytree(Path(__file__).parents[1] / "pipeline" / "dataset" / "format_1", root)
    (root / "keys").chmod(0o700)
    for path in (root / "keys").iterdir():
        path.chmod(0o600)
    return Owner(root)
