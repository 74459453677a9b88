"""Optional dependencies: modules that only an extra of the distribution brings, and how to install it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

from lpe.transforms.errors import UsageError

DISTRIBUTION = "learnable-pixel-encryption"
"""The name under which `lpe` is installed."""
EXTRAS = {
    "train": ("tensorflow", "keras", "matplotlib", "tensorboard"),
    "jax": ("jax", "keras", "matplotlib", "tensorboard"),
    "torch": ("torch", "keras", "matplotlib", "tensorboard"),
    "tfds": ("tensorflow_datasets", "importlib_resources", "tensorflow"),
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "gcp": ("google.cloud.storage", "google.cloud.kms_v1"),
    "aws": ("boto3",),
    "vault": ("hvac",),
    "audit": ("skimage", "matplotlib"),
    "serve": ("starlette", "uvicorn"),
}
"""The extras for users, and the modules that each brings."""


def missing_modules(extra: str) -> list[str]:
    """Which of the modules that an extra brings are not installed."""
    return [module for module in EXTRAS[extra] if not is_importable(module)]


def is_importable(module: str) -> bool:
    """Whether a module is installed; it is not imported, what it lies in is."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # what it lies in is missing; it is barred
        return False


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
            f"this needs {package} ({error}), which comes with the extra {extra}: {install_command(extra)}"
        ) from error


def install_command(extra: str) -> str:
    """The command line that adds an extra to this installation, from where it was installed."""
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").is_file():  # code that runs from a checkout, installed or not
        return f"pip install -e '{_shown(root)}[{extra}]'"
    try:
        recorded = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        recorded = None
    return f"pip install '{requirement(recorded, extra)}'"


def requirement(direct_url: str | None, extra: str) -> str:
    """What pip is to install for an extra.

    Args:
      direct_url: the installation's direct_url.json (PEP 610); None for one that came from an index, by name.
      extra: the extra's name.
    """
    named = f"{DISTRIBUTION}[{extra}]"
    if direct_url is None:
        return named
    origin = json.loads(direct_url)
    url = str(origin["url"])
    if "vcs_info" in origin:
        return f"{named} @ {origin['vcs_info']['vcs']}+{url}"
    parts = urlsplit(url)
    if parts.scheme != "file":
        return f"{named} @ {url}"
    path = Path(unquote(parts.path))
    return f"{_shown(path) if path.exists() else path.name}[{extra}]"  # a wheel may have been moved since


def _shown(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
