"""An sdist and a wheel of the checkout, and an environment with the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.workers.sources import CHECKOUT, copy_sources

_SECONDS = 300


def run(*words: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, without this process's PYTHON… variables; `variables` are added."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(word) for word in words]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )


def succeed(*words: object, cwd: Path, **variables: str) -> str:
    """Runs a program that must succeed; returns its standard output."""
    done = run(*words, cwd=cwd, **variables)
    assert done.returncode == 0, f"{done.args}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="package")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `python setup.py sdist`, which Beam's stager runs, makes of the sources; tests lie beside them."""
    place = copy_sources(tmp_path_factory.mktemp("sdist") / "sources")
    shutil.copy(CHECKOUT / "MANIFEST.in", place)
    shutil.copytree(CHECKOUT / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    succeed(sys.executable, "setup.py", "-q", "sdist", "--dist-dir", place.parent, cwd=place)
    (file,) = place.parent.glob("*.tar.gz")
    return file


@pytest.fixture(scope="package")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds from the sdist, offline."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-I", "-m", "pip", "wheel", "--quiet", "--no-index", "--no-build-isolation"]
    succeed(*pip, "--no-deps", "--wheel-dir", place, sdist, cwd=place)
    (file,) = place.glob("*.whl")
    return file


@pytest.fixture(scope="package")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel; what the wheel needs comes from this Python's packages."""
    place = tmp_path_factory.mktemp("environment")
    succeed(sys.executable, "-m", "venv", "--without-pip", place, cwd=place)
    program = place / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    # A folder that a .pth names has its own .pth files ignored, among them the one of an editable install.
    needed = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "needed.pth").write_text("\n".join([*needed, ""]))
    pip = [sys.executable, "-I", "-m", "pip", "--python", program, "install", "--quiet", "--no-index"]
    succeed(*pip, "--no-deps", "--ignore-installed", wheel, cwd=place)
    return program
