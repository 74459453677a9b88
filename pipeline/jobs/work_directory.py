"""The layout of a work directory of `lpe run`, as other commands look for it."""

from __future__ import annotations

from lpe.pipeline import storage

KINDS = ("encrypted", "plain")
"""The kinds of images: the folders of a work directory's datasets, and the names of its runs."""


def run_directory(work: str, kind: str) -> str:
    """The training run on images of a kind."""
    return storage.join(work, "runs", kind)


def audit_directory(work: str) -> str:
    """The audit of the encrypted images."""
    return storage.join(work, "audit")
