"""The public API, `import lpe`: its names, what it loads, and the example in its docstring."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import lpe

ROOT = Path(__file__).resolve().parents[1]


def python(code: str, folder: Path) -> str:
    """Runs code in a process of its own; what it printed."""
    script = folder / "example.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def example() -> str:
    """The indented block of the docstring."""
    lines = re.findall(r"^(?: {4}.*)?$\n?", str(lpe.__doc__), re.M)
    return textwrap.dedent("\n".join(lines))


def test_the_example_runs(tmp_path):
    code = example()
    for verb in ("create(", "ingest(", "encrypt(", "verify(", "decrypt("):
        assert verb in code
    python(code + '\nprint("done")\n', tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"keys", "plain", "encrypted", "back"}


def test_it_loads_nothing_until_it_is_used(tmp_path):
    code = "import sys; before = set(sys.modules); import lpe; print(*sorted(set(sys.modules) - before))"
    loaded = python(code, tmp_path).split()
    assert [name for name in loaded if name.split(".")[0] not in sys.stdlib_module_names] == ["lpe"]


def test_an_error_loads_no_job(tmp_path):
    code = "import sys, lpe; lpe.DataError; print('numpy' in sys.modules, 'apache_beam' in sys.modules)"
    assert python(code, tmp_path) == "False False\n"


def test_all_names_are_there():
    assert list(lpe.__all__) == sorted(lpe.__all__)
    for name in lpe.__all__:
        value = getattr(lpe, name)
        assert value is getattr(lpe, name)
        assert getattr(value, "__doc__", None), name
    assert set(lpe.__all__) <= set(dir(lpe))


def test_type_checkers_see_the_same_names_in_the_same_modules():
    tree = ast.parse((ROOT / "lpe" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == lpe._MODULES
    assert set(lpe.__all__) == {*imported, "__version__"}


def test_no_other_name_is_there():
    with pytest.raises(AttributeError, match="no attribute 'encrpyt'"):
        _ = lpe.encrpyt


@pytest.mark.parametrize(
    ("door", "names"),
    [("data", ["Shards"]), ("jax", ["DeviceBatches"]), ("torch", ["ShardsDataset", "ShardsIterable"])],
)
def test_a_framework_has_a_door_of_its_own(door, names):
    """Only what stands behind it is imported, which needs the framework."""
    tree = ast.parse((ROOT / "lpe" / f"{door}.py").read_text())
    imported = [name.name for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names]
    assert imported == names
    module = f"lpe.{door}"
    if door == "data" or importlib.util.find_spec(door) is not None:
        assert importlib.import_module(module).__all__ == names


@pytest.mark.parametrize("door", ["jax", "torch"])
def test_without_its_framework_a_door_names_the_extra(door, tmp_path):
    code = f"""
import sys
sys.modules["{door}"] = None
try:
    import lpe.{door}
except Exception as error:
    print(error)
"""
    message = rf"this needs {door} .* extra {door}: pip install .*\[{door}\]'\n"
    assert re.fullmatch(message, python(code, tmp_path))


def test_the_version_is_the_distribution_s():
    assert re.fullmatch(r"\d+\.\d+\.\d+", lpe.__version__)


def test_training_stays_a_package():
    import lpe.train.recipes  # noqa: PLC0415

    assert lpe.train.recipes.RECIPES
    assert lpe.fit.__module__ == "lpe.train.loop"
