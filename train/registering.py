"""Registration of this package's classes with Keras, without importing Keras for it.

Keras looks up the classes that a `.keras` file names among those that were registered, which ours are when their
modules are imported. Those import Keras, which takes seconds: it is left to whoever needs it, and followed.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_MODULES = (
    "lpe.train.flat_optimizers",
    "lpe.train.front_ends.adaptation",
    "lpe.train.front_ends.affine",
    "lpe.train.front_ends.bit_planes",
    "lpe.train.front_ends.dechain",
    "lpe.train.front_ends.embedding",
    "lpe.train.models.pyramidnet",
    "lpe.train.optimizing",
)
"""The modules of all that a `.keras` file of ours may name: layers, loss, optimiser and schedule."""


def register_with_keras() -> None:
    """Registers the classes with Keras: now if it is imported, or else right after it will be."""
    if sys.modules.get("keras") is not None:
        _register()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _register() -> None:
    for name in _MODULES:
        importlib.import_module(name)


class _AfterKeras(MetaPathFinder):
    """Finds Keras as Python does, and has our classes registered once it is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where Keras is; None for every other module, and for a Keras that is not on the path."""
        if fullname != "keras":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            run = loader.exec_module

            def run_and_register(module: ModuleType) -> None:
                run(module)
                _register()

            loader.exec_module = run_and_register
        return spec
