"""The one place that brings in TensorFlow and Keras: quietly, and with a clear error where they are missing."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from transforms.errors import UsageError


def load() -> ModuleType:
    """Imports TensorFlow and Keras (seconds, the first time) and returns the module `keras`.

    Raises:
      UsageError: they are not installed.
    """
    tensorflow()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    return _import("keras")


def tensorflow() -> ModuleType:
    """The module `tensorflow`. Raises UsageError where it is not installed."""
    # Read when TensorFlow starts: nothing below an error is for the people who use `lpe`.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return _import("tensorflow")


def _import(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    try:
        with _silenced():
            return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"training needs {name} ({error}); pip install 'learnable-pixel-encryption[train]'"
        ) from error


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Holds back what native code writes to standard error; after an exception it is shown.

    TensorFlow's libraries log while they are loaded, before they read any setting.
    """
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        original = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
