"""Optional dependencies: modules that only an extra of the distribution brings."""

from __future__ import annotations

import importlib
from types import ModuleType

from lpe.transforms.errors import UsageError


def require(module: str, extra: str) -> ModuleType:
    """Imports a module that an extra brings, e.g. `require("matplotlib.figure", "audit")`.

    Raises:
      UsageError: it cannot be imported; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UsageError(
            f"this needs {package} ({error}), which comes with the extra {extra}: "
            f"pip install 'learnable-pixel-encryption[{extra}]'"
        ) from error
