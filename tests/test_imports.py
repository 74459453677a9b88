"""Imports point one way (DESIGN, "The house"), and start-up pays only for what is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "apache_beam",
    "tensorflow",
    "keras",
    "tink",
    "PIL",
    "pyarrow",
    "tensorflow_datasets",
    "typer",
    "rich",
}


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def under(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def sources(*packages: str) -> list[Path]:
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    assert files
    return files


def module_file(name: str) -> Path | None:
    path = ROOT / Path(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def reachable(start: list[Path]) -> dict[str, Path]:
    """Everything of ours that the files import, directly or not, with who imports it."""
    seen: dict[str, Path] = {}
    todo = list(start)
    while todo:
        path = todo.pop()
        for name in imports(path):
            if under(name, "transforms", "pipeline", "train") and name not in seen:
                target = module_file(name)
                if target is not None:
                    seen[name] = path
                    todo.append(target)
    return seen


def imports_numpy_and(path: Path, *ours: str) -> None:
    for name in imports(path):
        if under(name, "transforms", "pipeline", "train"):
            assert name == "transforms" or under(name, *ours), name
        else:
            top = name.split(".")[0]
            assert top in {*sys.stdlib_module_names, "numpy"}, name


@pytest.mark.parametrize("path", sources("transforms/ciphers"), ids=str)
def test_ciphers_import_numpy_each_other_and_the_errors(path):
    imports_numpy_and(path, "transforms.ciphers", "transforms.errors")


@pytest.mark.parametrize("path", sources("transforms/attacks"), ids=str)
def test_attacks_import_numpy_each_other_and_the_ciphers(path):
    imports_numpy_and(path, "transforms.attacks", "transforms.ciphers")


@pytest.mark.parametrize("path", sources("transforms"), ids=str)
def test_transforms_import_neither_pipeline_nor_train(path):
    assert not [name for name in imports(path) if under(name, "pipeline", "train")]


def test_only_dofns_brings_beam_into_transforms():
    users = [p.name for p in sources("transforms") if any(under(n, "apache_beam") for n in imports(p))]
    assert users == ["dofns.py"]


def test_train_reaches_nothing_that_can_decrypt():
    for name, by in reachable(sources("train")).items():
        secret = under(
            name, "pipeline.keystore", "pipeline.encryption", "transforms.keyed", "transforms.ciphers"
        )
        assert not secret, f"{name} by {by}"


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import transforms.ciphers", HEAVY),
        ("import pipeline.cli", HEAVY - {"typer", "rich"}),
        ("import pipeline.jobs", {"tensorflow", "keras", "tensorflow_datasets", "typer"}),
        ("import train.runs", {"tensorflow", "keras", "apache_beam", "tink"}),
        ("import train.loop, train.evaluate, train.predict", {"apache_beam", "tink"}),
    ],
)
def test_start_up_pays_for_what_is_used(statement, unwanted):
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(out.stdout.split()) & unwanted
