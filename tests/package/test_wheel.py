"""The sdist and the wheel hold `lpe` alone, and it works beside files that have its folders' names."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.package.conftest import run, succeed
from tests.workers.sources import CHECKOUT

FOLDERS = ("transforms", "pipeline", "train")
# A user's own module, which would end the program if it were taken for one of ours.
HOSTILE = "raise SystemExit('imported ' + __file__)\n"


def modules() -> set[str]:
    """The Python files that the distribution must have, by their paths in it."""
    own = {f"lpe/{path.name}" for path in (CHECKOUT / "lpe").glob("*.py")}
    files = [path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py")]
    return own | {f"lpe/{path.relative_to(CHECKOUT)}" for path in files}


def templates() -> set[str]:
    """What pages are made from, by its paths in the distribution."""
    folder = CHECKOUT / "pipeline" / "html" / "templates"
    files = {f"lpe/{path.relative_to(CHECKOUT)}" for path in folder.iterdir()}
    assert files
    return files


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with a module of a user's for each of our folders."""
    for name in FOLDERS:
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    return tmp_path


def test_the_sdist_has_every_module_as_a_file_and_no_tests(sdist):
    with tarfile.open(sdist) as archive:
        members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
        (top_level,) = [name for name in members if name.endswith("top_level.txt")]
        assert archive.extractfile(members[top_level]).read().split() == [b"lpe"]
    assert not [name for name, member in members.items() if member.issym() or member.islnk()]
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "lpe/py.typed"} <= set(members)
    assert templates() <= set(members)
    assert {name for name in members if name.endswith(".py")} == modules() | {"setup.py"}


def test_the_wheel_has_every_module_and_nothing_beside_lpe(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (information,) = {name.split("/")[0] for name in names} - {"lpe"}
        assert archive.read(f"{information}/top_level.txt").split() == [b"lpe"]
        metadata = archive.read(f"{information}/METADATA").decode()
    assert {name for name in names if name.endswith(".py")} == modules()
    assert {"lpe/py.typed", f"{information}/licenses/LICENSE", *templates()} <= names
    assert "License-Expression: Apache-2.0\n" in metadata


@pytest.mark.parametrize("variables", [{}, {"PYTHONPATH": "."}], ids=["bare", "PYTHONPATH=."])
@pytest.mark.parametrize("module", [False, True], ids=["lpe", "python -m lpe"])
def test_the_command_imports_nothing_of_the_users(python, hostile, module, variables):
    command = [python, "-m", "lpe"] if module else [python.with_name("lpe")]
    assert "lpe-100" in succeed(*command, "ciphers", cwd=hostile, **variables)


@pytest.mark.parametrize("variables", [{}, {"PYTHONPATH": "."}], ids=["bare", "PYTHONPATH=."])
def test_the_command_knows_its_version(python, hostile, variables):
    (version,) = re.findall(r'^version = "(.+)"$', (CHECKOUT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version in succeed(python.with_name("lpe"), "--version", cwd=hostile, **variables)


def test_the_package_comes_from_the_wheel_and_the_users_modules_are_the_users(python, hostile):
    code = "import lpe.pipeline, lpe.train, lpe.transforms; print(lpe.pipeline.__file__)"
    file = succeed(python, "-c", code, cwd=hostile).strip()
    assert Path(file).is_relative_to(python.parents[1])
    for name in FOLDERS:
        done = run(python, "-c", f"import {name}", cwd=hostile)
        assert f"imported {hostile / name}.py" in done.stderr


def test_an_extra_is_installed_from_the_wheel_again(python, wheel, hostile):
    code = "from lpe.transforms.extras import install_command; print(install_command('audit'))"
    assert succeed(python, "-c", code, cwd=hostile).strip() == f"pip install '{wheel}[audit]'"


@pytest.mark.slow
def test_the_readmes_python_runs_beside_the_users_modules(python, hostile):
    blocks = re.findall(
        r"^```python\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert blocks
    # Jobs may start processes that import the main program again.
    (hostile / "example.py").write_text("\n".join(blocks))
    succeed(python, "example.py", cwd=hostile)


@pytest.mark.slow
def test_a_users_mypy_sees_the_types(python, tmp_path):
    (tmp_path / "user.py").write_text(
        "import numpy as np\n"
        "from lpe.transforms import ciphers\n"
        'cipher = ciphers.create("lpe-100", secret=bytes(32), image_shape=(32, 32, 3))\n'
        "images = np.zeros((10, 32, 32, 3), np.uint8)\n"
        "assert (cipher.decrypt(cipher.encrypt(images)) == images).all()\n"
    )
    (tmp_path / "mistaken.py").write_text(
        "from lpe.transforms import ciphers\n"
        'ciphers.create("lpe-100", secret="text", image_shape=(32, 32, 3))\n'
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python]
    assert "Success" in succeed(*mypy, "user.py", cwd=tmp_path)
    done = run(*mypy, "mistaken.py", cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r"mistaken\.py:2: error: .*\[arg-type\]\nFound 1 error.*\n", done.stdout), done.stdout
