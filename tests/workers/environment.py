"""The Python that a worker begins with: Beam at our versions, as in Beam's SDK container, and nothing of ours."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"

_INSTALL_SECONDS = 600


def bare_python(extra: str = "") -> Path:
    """The Python of a virtual environment with `apache-beam[extra]`, made once for a set of versions.

    It stays in the folder for temporary files, where later runs of the tests find it. Where it cannot be
    installed the test is skipped, with a warning in pytest's summary.

    Args:
      extra: one of Beam's extras, such as `gcp`.
    """
    wanted = f"apache-beam[{extra}]" if extra else "apache-beam"
    versions = hashlib.sha256(f"{sys.version}|{wanted}|".encode() + CONSTRAINTS.read_bytes()).hexdigest()
    place = cache_folder() / f"bare-{extra or 'beam'}-{versions[:16]}"
    python, complete = place / "bin" / "python", place / "complete"
    with locked(place.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", place], check=True, timeout=_INSTALL_SECONDS)
            pip = [python, "-I", "-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS, wanted]
            done = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
            if done.returncode != 0:
                line = f"{wanted} can't be installed, so no worker is tested: {done.stderr.strip()[-300:]}"
                warnings.warn(line, stacklevel=2)
                pytest.skip(line)
            complete.touch()
    return python


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one run of the tests share, and pytest removes in time."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "workers"
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock among processes of this machine; a process that dies lets go."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cache_folder() -> Path:
    """A folder that nobody else can have put something into: what lies there is run."""
    folder = Path(tempfile.gettempdir(), f"lpe-tests-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.getuid() or folder.is_symlink():
        pytest.fail(f"{folder}: belongs to somebody else; remove it")
    folder.chmod(0o700)
    return folder
