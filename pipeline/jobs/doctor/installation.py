"""Checks of what is installed: versions of libraries, and extras."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

import lpe
from lpe.pipeline.jobs.doctor.check import Check, fault
from lpe.transforms.extras import DISTRIBUTION, EXTRAS, install_command, missing_modules

_SHOWN = ("apache-beam", "numpy", "tink", "keras", "tensorflow", "jax", "torch")
"""The libraries whose versions a report of a bug should name."""


def check_installation() -> list[Check]:
    """Checks versions against what this `lpe` was made for, and looks which extras are installed."""
    return [_check_lpe(), *_check_libraries(), *(_check_extra(extra) for extra in EXTRAS)]


def _check_lpe() -> Check:
    version = _version(DISTRIBUTION) or "not installed"
    place = Path(lpe.__file__).parent
    return Check("lpe", "ok", f"{version}, in {place}; Python {platform.python_version()}")


def _check_libraries() -> list[Check]:
    versions = {name: version for name in _SHOWN if (version := _version(name)) is not None}
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    return [Check("libraries", "ok", shown), *_wrong_versions()]


def _wrong_versions() -> Iterator[Check]:
    """A fault for each library that is missing, or of a version that this `lpe` was not made for."""
    for requirement, extra in _requirements().items():
        version = _version(requirement.name)
        wanted = f"{requirement.name}{requirement.specifier}"
        remedy = f"pip install '{wanted}'"
        if version is None:
            if extra is None:
                yield fault("libraries", f"{requirement.name} is not installed", remedy)
        elif not requirement.specifier.contains(version, prereleases=True):
            yield fault(
                "libraries", f"{requirement.name} {version} is installed, and lpe needs {wanted}", remedy
            )


def _requirements() -> dict[Requirement, str | None]:
    """The libraries that our distribution asks for here, and by which extra; none for a bare checkout."""
    try:
        texts = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found: dict[Requirement, str | None] = {}
    for text in texts:
        requirement = Requirement(text)
        marker, requirement.marker = requirement.marker, None  # the same library may be of several extras
        for extra in (None, *EXTRAS):
            if marker is None or marker.evaluate({"extra": extra or ""}):
                found.setdefault(requirement, extra)
                break
    return found


def _check_extra(extra: str) -> Check:
    missing = missing_modules(extra)
    if not missing:
        return Check(f"extra {extra}", "ok", "installed")
    return Check(f"extra {extra}", "note", f"without {', '.join(missing)}", install_command(extra))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
