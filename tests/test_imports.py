"""Imports point one way (DESIGN, "The house"), under one name, and start-up pays only for what is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOUSE = ("lpe", "transforms", "pipeline", "train")
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

FLOORS: tuple[tuple[str, ...], ...] = (
    ("clock",),
    ("storage", "records", "html"),
    ("dataset",),
    ("seal",),
    ("sources", "keystore"),
    ("encryption",),
    ("attestation",),
    ("engine", "audit"),
    ("jobs",),
    ("compare",),
    ("cli",),
)
"""The folders of pipeline/: each imports those above it in this list, and nothing else of pipeline/."""
BELOW_TRAIN = {"storage", "records", "dataset", "seal", "clock"}
ABOVE_TRAIN = {"audit", "jobs", "compare", "cli"}
DECRYPTS = (
    "lpe.transforms.keyed",
    "lpe.transforms.ciphers",
    "lpe.transforms.attacks",
    "lpe.transforms.dofns",
)
LEAVES = tuple(
    f"lpe.transforms.{leaf}"
    for leaf in ("errors", "labels", "image_shape", "not_picklable", "extras", "plugins")
)


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
    files = [
        path
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]
    assert files
    return files


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_file(name: str) -> Path | None:
    path = ROOT / Path(*name.split(".")[1:])
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def reachable(start: list[Path]) -> dict[str, Path]:
    """Everything of ours that the files import, directly or not, with who imports it."""
    seen: dict[str, Path] = {}
    todo = list(start)
    while todo:
        path = todo.pop()
        for name in imports(path):
            target = module_file(name) if name.startswith("lpe.") and name not in seen else None
            if target is not None:
                seen[name] = path
                todo.append(target)
    return seen


def imports_numpy_and(path: Path, *ours: str) -> None:
    for name in imports(path):
        if under(name, "lpe"):
            assert name == "lpe.transforms" or under(name, *ours), name
        else:
            assert name.split(".")[0] in {*sys.stdlib_module_names, "numpy"}, name


@pytest.mark.parametrize(
    "path", [*sources(*HOUSE[1:], "tests", "deploy"), *(ROOT / "lpe").glob("*.py")], ids=shown
)
def test_nothing_is_imported_under_a_bare_name(path):
    """`pipeline`, `transforms` and `train` belong to users' own files."""
    assert not [name for name in imports(path) if under(name, *HOUSE[1:])]


@pytest.mark.parametrize(
    "path",
    [path for path in sources("transforms/ciphers") if path.name != "conformance.py"],
    ids=shown,
)
def test_ciphers_import_numpy_each_other_and_leaves(path):
    imports_numpy_and(path, "lpe.transforms.ciphers", *LEAVES)


@pytest.mark.parametrize("path", sources("transforms/attacks"), ids=shown)
def test_attacks_import_numpy_each_other_the_ciphers_and_the_reductions(path):
    ours = ("lpe.transforms.attacks", "lpe.transforms.ciphers", "lpe.transforms.reductions")
    imports_numpy_and(path, *ours, *LEAVES)


@pytest.mark.parametrize("path", sources("transforms/reductions"), ids=shown)
def test_reductions_import_numpy_each_other_and_leaves(path):
    imports_numpy_and(path, "lpe.transforms.reductions", *LEAVES)


@pytest.mark.parametrize("path", sources("transforms"), ids=shown)
def test_transforms_import_neither_pipeline_nor_train(path):
    assert not [name for name in imports(path) if under(name, "lpe.pipeline", "lpe.train")]


def test_only_dofns_brings_beam_into_transforms():
    users = [p.name for p in sources("transforms") if any(under(n, "apache_beam") for n in imports(p))]
    assert users == ["dofns.py"]


def test_the_floors_are_all_of_the_folders():
    there = {
        path.stem for path in (ROOT / "pipeline").iterdir() if path.stem not in ("__init__", "__pycache__")
    }
    assert there - {"README"} == {folder for floor in FLOORS for folder in floor}


@pytest.mark.parametrize("path", sources("pipeline"), ids=shown)
def test_a_folder_imports_only_those_before_it(path):
    own = path.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py")
    if own == "__init__":
        return
    floor = next(i for i, folders in enumerate(FLOORS) if own in folders)
    allowed = {folder for folders in FLOORS[:floor] for folder in folders} | {own}
    for name in imports(path):
        if under(name, "lpe.pipeline") and name != "lpe.pipeline":
            assert name.split(".")[2] in allowed, name
        if under(name, "lpe.train"):
            assert own in ABOVE_TRAIN, name
        if own not in ("cli", "jobs"):
            assert name != "lpe", "the public door is for users and the command"


@pytest.mark.parametrize("path", sources("train"), ids=shown)
def test_train_imports_of_pipeline_what_it_may(path):
    for name in imports(path):
        if under(name, "lpe.pipeline") and name != "lpe.pipeline":
            assert name.split(".")[2] in BELOW_TRAIN, name


def test_train_reaches_nothing_that_can_decrypt():
    for name, by in reachable(sources("train")).items():
        assert not under(name, "lpe.pipeline.keystore", "lpe.pipeline.encryption", *DECRYPTS), (
            f"{name} by {by}"
        )


@pytest.mark.parametrize("path", sources(*HOUSE[1:]), ids=shown)
def test_files_are_small(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import lpe", HEAVY | {"numpy"}),
        ("import lpe.transforms.ciphers", HEAVY),
        ("import lpe.pipeline.cli.app", HEAVY - {"typer", "rich"}),
        ("import lpe.pipeline.jobs.encrypt", {"tensorflow", "keras", "tensorflow_datasets", "typer"}),
        ("import lpe.pipeline.seal.opening", HEAVY - {"pyarrow", "PIL"}),
        ("import lpe.data", HEAVY - {"PIL"}),
        ("import lpe.train.runs", {"tensorflow", "keras", "apache_beam", "tink"}),
        ("import lpe.train.loop, lpe.train.evaluate, lpe.train.predict", {"apache_beam", "tink"}),
    ],
)
def test_start_up_pays_for_what_is_used(statement, unwanted):
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(out.stdout.split()) & unwanted
