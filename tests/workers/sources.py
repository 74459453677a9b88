"""A copy of what the checkout ships, to submit jobs from: Beam writes beside setup.py as it builds the package."""

from __future__ import annotations

import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

_SHIPPED = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "lpe", "transforms", "pipeline", "train")


def copy_sources(place: Path) -> Path:
    """Copies the sources to `place`, unless they are there; returns it."""
    if not place.exists():
        place.mkdir(parents=True)
        for name in _SHIPPED:
            if (CHECKOUT / name).is_dir():
                shutil.copytree(
                    CHECKOUT / name, place / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(CHECKOUT / name, place / name)
    return place
