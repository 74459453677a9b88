"""Terraform files as data, and what Google's provider says of each resource in them."""

from __future__ import annotations

import ast
import dataclasses
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

_META = {"for_each", "count", "depends_on", "lifecycle", "provider"}


@dataclasses.dataclass(frozen=True)
class Block:
    """A `resource` or `data` block: its type, its name, its attributes and blocks."""

    kind: str
    type: str
    name: str
    body: dict[str, Any]


def blocks(folder: Path) -> list[Block]:
    """All resources and data sources of a folder; skipped loudly without the parser."""
    try:
        import hcl2  # noqa: PLC0415
    except ImportError:
        line = "python-hcl2 is not here: what the Terraform files declare is not tested"
        warnings.warn(line, stacklevel=2)
        pytest.skip(line)
    found = []
    for file in sorted(folder.glob("*.tf")):
        parsed = _plain(hcl2.loads(file.read_text()))
        for kind in ("resource", "data"):
            for entry in parsed.get(kind, []):
                ((type_, named),) = entry.items()
                ((name, body),) = named.items()
                found.append(Block(kind, type_, name, body))
    return found


def _plain(value: Any) -> Any:
    """What the parser returns without its own marks: quotes around literals, comments."""
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


class Provider:
    """The attributes of the provider's resources, from the classes that CDKTF generated from its schema.

    Args:
      wheel: `cdktf-cdktf-provider-google`, which is read and not run.
    """

    def __init__(self, wheel: Path) -> None:
        self._archive = zipfile.ZipFile(wheel)

    def problems(self, block: Block) -> Iterator[str]:
        """What the provider would not accept: unknown types and attributes, required ones that are missing."""
        try:
            classes = self._classes(block)
        except KeyError:
            yield f"{block.type}: no such {block.kind}"
            return
        (resource,) = (name for name, node in classes.items() if _is_block(node))
        yield from self._compare(f"{block.type}.{block.name}", block.body, resource, classes)

    def attributes(self, block: Block) -> set[str]:
        """The attributes that other resources may refer to, those included that the provider computes."""
        return {
            each.name
            for node in self._classes(block).values()
            if _is_block(node)
            for each in node.body
            if isinstance(each, ast.FunctionDef)
            and any(ast.unparse(mark) == "builtins.property" for mark in each.decorator_list)
        }

    def _classes(self, block: Block) -> dict[str, ast.ClassDef]:
        """Raises KeyError for a type that the provider does not have."""
        module = block.type.removeprefix("google_") if block.kind == "resource" else f"data_{block.type}"
        source = self._archive.read(f"cdktf_cdktf_provider_google/{module}/__init__.py")
        return {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}

    def _compare(
        self, where: str, body: Mapping[str, Any], name: str, classes: Mapping[str, ast.ClassDef]
    ) -> Iterator[str]:
        known = _keywords(classes[name])
        given = dict(body)
        for dynamic in given.pop("dynamic", []):
            ((label, inner),) = dynamic.items()
            given[label] = inner["content"]
        yield from (f"{where}: no attribute {each}" for each in given.keys() - known.keys() - _META)
        required = {each for each, (needed, _) in known.items() if needed}
        yield from (f"{where}: {each} is missing" for each in required - given.keys())
        for attribute, value in given.items():
            if attribute in _META or attribute not in known:
                continue
            structure = re.search(rf"\b{name}[A-Za-z0-9]+", known[attribute][1])
            items = value if isinstance(value, list) else [value]
            if structure is not None:
                for item in items:
                    yield from self._compare(f"{where}.{attribute}", item, structure[0], classes)
            elif any(isinstance(item, dict) for item in items) and "Mapping" not in known[attribute][1]:
                yield f"{where}: {attribute} is no block"


def _is_block(node: ast.ClassDef) -> bool:
    return any(
        ast.unparse(base).endswith(("TerraformResource", "TerraformDataSource")) for base in node.bases
    )


def _keywords(node: ast.ClassDef) -> dict[str, tuple[bool, str]]:
    """The keyword arguments of a class: whether they are required, and their annotation."""
    (init,) = (each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    return {
        argument.arg.rstrip("_"): (default is None, ast.unparse(argument.annotation or ast.Constant(None)))
        for argument, default in pairs
    }
