"""Keras and its backend, imported on demand: quietly, and with a clear error where one is missing."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import Literal, get_args

from lpe.transforms.errors import UsageError, did_you_mean
from lpe.transforms.extras import install_command, is_importable

BACKENDS = ("tensorflow", "jax", "torch")
"""Keras's backends by the module that they need, in the order of preference."""
EXTRAS = {"tensorflow": "train", "jax": "jax", "torch": "torch"}
"""The extra that brings each backend."""
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
"""A Keras dtype policy: what is computed in, while weights are float32."""
PRECISIONS: tuple[str, ...] = get_args(Precision)
"""The precisions by name."""


def name() -> str:
    """The backend that `load` imports, as Keras names it.

    Raises:
      UsageError: none is installed.
    """
    return os.environ.get("KERAS_BACKEND") or _installed()


def title() -> str:
    """The name of the backend that `load` imports, as its makers write it.

    Raises:
      UsageError: none is installed.
    """
    return {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}.get(name(), name())


def load() -> ModuleType:
    """Imports Keras with its backend (seconds, the first time) and returns the module `keras`.

    The backend is the one that the environment variable KERAS_BACKEND names, else the first of TensorFlow, JAX and
    PyTorch that is installed.

    Raises:
      UsageError: Keras or a backend is not installed.
    """
    keras = import_keras()
    if keras.config.backend() == "tensorflow":
        with _silenced():  # looking for GPUs for the first time, it complains where there are none
            _import("tensorflow").config.list_physical_devices()
    return keras


def import_keras() -> ModuleType:
    """`load` without a look for GPUs, after which a process cannot be forked. Raises UsageError as it does."""
    if sys.modules.get("keras") is None:
        # Read when TensorFlow starts: nothing below an error is for the people who use `lpe`.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("KERAS_BACKEND", _installed())
        if os.environ["KERAS_BACKEND"] == "jax":
            _add_flag("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
        elif os.environ["KERAS_BACKEND"] == "torch":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not deterministic without
    with _without_garbage_collection():
        return _import("keras")


def check_precision(name: str) -> None:
    """Raises UsageError unless there is a precision of this name."""
    if name not in PRECISIONS:
        hint = did_you_mean(name, PRECISIONS)
        raise UsageError(f"unknown precision {name!r}; there is {', '.join(PRECISIONS)}{hint}")


def extra() -> str:
    """The extra of the distribution that brings Keras with the backend that is asked for, or else TensorFlow."""
    return EXTRAS.get(os.environ.get("KERAS_BACKEND", ""), "train")


def prepare(seed: int, precision: Precision) -> ModuleType:
    """Loads Keras for a training run: sets seeds, precision and determinism, and spreads batches over all devices.

    What is set is set for the whole process.

    Args:
      seed: 0..2**32 - 1, for Python, NumPy and the backend.
      precision: what is computed in.

    Returns:
      The module `keras`.

    Raises:
      UsageError: an unknown precision, or Keras is not installed.
    """
    check_precision(precision)
    keras = load()
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    name = keras.config.backend()
    if name == "tensorflow":
        _import("tensorflow").config.experimental.enable_op_determinism()
    elif name == "torch":
        _import("torch").use_deterministic_algorithms(True, warn_only=True)
    elif devices() > 1:
        # Keras distributes with JAX alone; with the others one device works.
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    return keras


@contextlib.contextmanager
def precision_of(precision: Precision) -> Iterator[None]:
    """A context in which networks are built for a precision.

    It changes a setting of the whole process: for one thread at a time.
    """
    keras = load()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def one_device() -> Iterator[None]:
    """A context in which networks are loaded and used on one device, whatever they were trained on.

    It changes a setting of the whole process: for one thread at a time.
    """
    keras = load()
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def devices() -> int:
    """The number of devices that share each batch."""
    keras = load()
    return len(keras.distribution.list_devices()) if keras.config.backend() == "jax" else 1


def gpus() -> list[str]:
    """The GPUs that the backend finds; imports it, and not Keras.

    Raises:
      UsageError: it is not installed.
    """
    module = _import(name())
    if name() == "tensorflow":
        with _silenced():
            return [device.name for device in module.config.list_physical_devices("GPU")]
    if name() == "jax":
        return [str(device) for device in module.devices() if device.platform != "cpu"]
    return [module.cuda.get_device_name(number) for number in range(module.cuda.device_count())]


def _installed() -> str:
    """The preferred backend of those that are installed."""
    for module in BACKENDS:
        if is_importable(module):
            return module
    raise UsageError(
        f"training needs TensorFlow, JAX or PyTorch, and none is installed; {install_command('train')}"
    )


def _add_flag(variable: str, flag: str) -> None:
    """Adds a flag `--name=value` to an environment variable, unless it has that name already."""
    flags = os.environ.get(variable, "")
    if flag.partition("=")[0] not in flags:
        os.environ[variable] = f"{flags} {flag}".strip()


def _import(name: str) -> ModuleType:
    if sys.modules.get(name) is not None:
        return sys.modules[name]
    try:
        with _silenced():
            return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"training needs {name} ({error}); {install_command(extra())}") from error


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A context for importing thousands of modules, among which the search for garbage takes a quarter of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """A context that holds back what native code writes to standard error, and shows it after an exception.

    TensorFlow's libraries log while they are loaded, before they read any setting. What Python writes, another thread's
    progress say, is shown all the time.
    """
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        original = os.dup(2)
        python = sys.stderr
        with contextlib.suppress(OSError):  # what a stream without a file descriptor raises
            if python.fileno() == 2:
                sys.stderr = os.fdopen(os.dup(original), "w", buffering=1)
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
            sys.stderr = python
