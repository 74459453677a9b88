"""The owner whom the tests attack."""

from __future__ import annotations

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
