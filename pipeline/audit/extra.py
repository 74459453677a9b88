"""The extra that the audit needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lpe.transforms.errors import UsageError


@contextlib.contextmanager
def audit_extra() -> Iterator[None]:
    """For imports: raises UsageError, which names the extra, where one fails."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            "the audit needs the extra audit: pip install 'learnable-pixel-encryption[audit]'"
        ) from error
