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


@pytest.mark.parametrize("path", sources("transforms/ciphers"), ids=str)
def test_ciphers_import_numpy_and_each_other(path):
    for name in imports(path):
        if under(name, "transforms", "pipeline", "train"):
            assert under(name, "transforms.ciphers"), name
        else:
            top = name.split(".")[0]
            assert top in {*sys.stdlib_module_names, "numpy"}, name


@pytest.mark.parametrize("path", sources("transforms"), ids=str)
def test_transforms_import_neither_pipeline_nor_train(path):
    assert not [name for name in imports(path) if under(name, "pipeline", "train")]


def test_only_dofns_brings_beam_into_transforms():
    users = [p.name for p in sources("transforms") if any(under(n, "apache_beam") for n in imports(p))]
    assert users == ["dofns.py"]


def test_train_reaches_nothing_that_can_decrypt():
    reached = reachable(sources("train"))
    for name, by in reached.items():
        assert not under(name, "pipeline.keystore", "pipeline.encryption", "transforms.keyed"), (
            f"{name} by {by}"
        )
        assert not under(name, "transforms.ciphers") or name in {
            "transforms.ciphers",
            "transforms.ciphers.errors",
        } | {n for n in reached if n.startswith("transforms.ciphers.errors")} | _by_package(reached), name


def _by_package(reached: dict[str, Path]) -> set[str]:
    """What importing the errors brings along: the package that they lie in."""
    package = reachable([ROOT / "transforms" / "errors.py"])
    return set(package) & set(reached)


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import transforms.ciphers", HEAVY),
        ("import pipeline.cli", HEAVY - {"typer", "rich"}),
        ("import pipeline.jobs", {"tensorflow", "keras", "tensorflow_datasets", "typer"}),
        ("import train.runs", {"tensorflow", "keras", "apache_beam"}),
    ],
)
def test_start_up_pays_for_what_is_used(statement, unwanted):
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(out.stdout.split()) & unwanted
