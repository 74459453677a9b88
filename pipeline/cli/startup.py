"""A faster start-up: without Google Cloud's clients where a job has no use for them, and without idle work."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Collection, Sequence

# A path or Beam option of Google's. A local folder with such a name costs time, never function.
_GOOGLE = re.compile(r"gs:/|gcp|gcs|google|dataflow|bigquery|pubsub|spanner", re.IGNORECASE)

# All that the extra `gcp` adds and Beam looks for when it is imported.
_CLIENTS = ("apitools", "google.api_core", "google.auth", "google.cloud")


def collect_garbage_rarely() -> None:
    """Spares a process that imports thousands of modules the search for garbage among them: 0.1 s of 1.2."""
    gc.set_threshold(100_000, 20, 20)


def leave_out_google_cloud(arguments: Sequence[str], jobs: Collection[str]) -> None:
    """Makes this process one without the extra `gcp`, unless the command mentions Google Cloud.

    Beam imports whatever clients it finds. Without them it is what it is on an installation without
    the extra: able to do all that a job elsewhere needs. There is no way back in the same process,
    since Beam does not look for them twice: this is for a process that runs this command and ends.

    Args:
      arguments: the command line without the program's name.
      jobs: the commands that import Beam. The others do so only once they meet a remote path, and then need all of it.
    """
    # TensorFlow Datasets may keep its data in a bucket, and not say so on the command line.
    mentioned = (*arguments, os.environ.get("TFDS_DATA_DIR", ""))
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command not in jobs or any(_GOOGLE.search(word) for word in mentioned):
        return
    for name in _CLIENTS:
        # Some of Google's packages have Python make an empty `google.cloud` when it starts.
        module = sys.modules.get(name)
        if module is None or (hasattr(module, "__path__") and getattr(module, "__file__", None) is None):
            # Python's own way of saying that there is no such module: importing it raises ModuleNotFoundError.
            sys.modules[name] = None  # type: ignore[assignment]
