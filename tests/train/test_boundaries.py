"""What `train` may not do: import keys or ciphers, or TensorFlow before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import train
from train import backend
from transforms.errors import UsageError

ROOT = Path(train.__file__).parent
FORBIDDEN = (
    "pipeline.keystore",
    "pipeline.encryption",
    "transforms.ciphers",
    "transforms.keyed",
    "transforms.attacks",
)


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_nothing_that_can_decrypt(path):
    bad = [name for name in imported_names(path) if f"{name}.".startswith(tuple(f"{f}." for f in FORBIDDEN))]
    assert not bad


def test_reading_a_run_needs_no_tensorflow():
    program = "import sys, train.runs, train.loop, train.evaluate, train.predict; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_missing_tensorflow_is_a_usage_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(backend, "sys", type("NoModules", (), {"modules": {}, "stderr": sys.stderr}))
    with pytest.raises(UsageError, match=r"pip install 'learnable-pixel-encryption\[train\]'"):
        backend.load()
