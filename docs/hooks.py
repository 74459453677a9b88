"""What the documentation takes from the repository when it is built: READMEs, the commands, the public API.

MkDocs calls the functions named `on_…`. Pages of `reference/` are made here and nowhere written by hand. Links that
lead out of docs/ go to the page of what they name, if it has one, and become plain text otherwise.
"""

from __future__ import annotations

import ast
import inspect
import posixpath
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from rich.text import Text

import lpe
from lpe.pipeline.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = {
    "README.md": "reference/overview.md",
    "pipeline/README.md": "reference/pipeline.md",
    "transforms/README.md": "reference/transforms.md",
    "train/README.md": "reference/train.md",
    "deploy/README.md": "reference/deploy.md",
    "deploy/SIZING.md": "reference/sizing.md",
    "deploy/dataflow/README.md": "reference/dataflow.md",
    "deploy/flink/README.md": "reference/flink.md",
    "deploy/confidential/README.md": "reference/confidential.md",
    "SECURITY.md": "reference/security.md",
    "CONTRIBUTING.md": "reference/contributing.md",
    "CHANGELOG.md": "reference/changelog.md",
}
"""Documents of the repository, and the pages that they are."""
COMMANDS, API = "reference/commands.md", "reference/api.md"
_PICTURES = "deploy/pictures"

_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made, and the pictures of the READMEs."""
    for source, page in DOCUMENTS.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    files.append(File.generated(config, COMMANDS, content=command_reference()))
    files.append(File.generated(config, API, content=api_reference()))
    for picture in sorted((ROOT / _PICTURES).glob("*.png")):
        uri = f"pictures/{picture.name}"
        files.append(File.generated(config, uri, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Leads links out of docs/ to pages of the site."""
    uri = page.file.src_uri
    sources = {made: source for source, made in DOCUMENTS.items()}
    folder = posixpath.dirname(sources.get(uri, f"docs/{uri}"))

    def led(match: re.Match[str]) -> str:
        picture, text, link = match.groups()
        path, _, anchor = link.partition("#")
        if not path or re.match(r"[a-z]+:", link):
            return match[0]
        target = posixpath.normpath(posixpath.join(folder, path))
        place = _place(target)
        if place is None:
            return text
        relative = posixpath.relpath(place, posixpath.dirname(uri) or ".")
        return f"{picture}[{text}]({relative}{'#' if anchor else ''}{anchor})"

    pieces, end = [], 0
    for fence in _FENCE.finditer(markdown):
        pieces += [_LINK.sub(led, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*pieces, _LINK.sub(led, markdown[end:])])


def _place(target: str) -> str | None:
    """Where in the site a file of the repository is; None if it is not."""
    if target in DOCUMENTS:
        return DOCUMENTS[target]
    if posixpath.dirname(target) == _PICTURES:
        return f"pictures/{posixpath.basename(target)}"
    return target.removeprefix("docs/") if target.startswith("docs/") else None


def command_reference() -> str:
    """The page of every command, from what `--help` has."""
    lines = [
        "# Commands",
        "",
        "What `--help` says, of every command. All take `--debug`, before or after the command's name; most take",
        "`--json`. Exit code 0: done; 1: failed, with one line that says what to do; 2: wrong usage.",
        "",
    ]
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        lines += _command(f"lpe {name}", command, 2)
    return "\n".join(lines)


def _command(name: str, command: Any, level: int) -> list[str]:
    """The section of a command, and those of its own commands."""
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [
        f"{'#' * level} {name}",
        "",
        inspect.cleandoc(command.help or ""),
        "",
        f"```text\n{usage}\n```",
        "",
    ]
    panels: dict[str, list[str]] = {}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            row = f"| `{record[0]}` | {_cell(record[1])} |"
            panels.setdefault(parameter.rich_help_panel or "", []).append(row)
    for panel, rows in panels.items():
        lines += [f"**{panel}**", ""] if panel else []
        lines += ["| option or argument | |", "|---|---|", *rows, ""]
    if command.epilog:
        lines += ["```text", _plain(inspect.cleandoc(command.epilog)), "```", ""]
    for inner_name, inner in getattr(command, "commands", {}).items():
        lines += _command(f"{name} {inner_name}", inner, level + 1)
    return lines


def _cell(text: str) -> str:
    """A text for a cell of a table."""
    return _plain(" ".join(text.split())).replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")


def _plain(text: str) -> str:
    """A text without Rich's markup; brackets that are none stay."""
    return Text.from_markup(re.sub(r"\[(?=default|required|env)", r"\\[", text)).plain


def api_reference() -> str:
    """The page of the public API: a directive of mkdocstrings for each name of `lpe`."""
    groups: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": [], "Modules": []}
    for name in lpe.__all__:
        if name != "__version__":
            groups[_kind(getattr(lpe, name))].append(name)
    lines = [
        "# Python",
        "",
        "Everything up to the modules of their own at the end is an attribute of `lpe`, loaded when it is first used:",
        "`import lpe` costs nothing.",
        "",
    ]
    for title, names in groups.items():
        lines += [f"## {title}", ""]
        for name in names:
            module = lpe._MODULES[name]
            lines += [f"::: {module}.{name}", ""]
    for door, names in doors().items():
        lines += [f"## {door}", ""]
        for place in names:
            lines += [f"::: {place}", ""]
    return "\n".join(lines)


def doors() -> dict[str, list[str]]:
    """The public modules beside `lpe` itself, and where what they offer is defined; none is imported."""
    found = {}
    for path in sorted((ROOT / "lpe").glob("[a-z]*.py")):
        imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
        found[f"lpe.{path.stem}"] = [f"{node.module}.{name.name}" for node in imports for name in node.names]
    return found


def _kind(value: object) -> str:
    if inspect.ismodule(value):
        return "Modules"
    if inspect.isclass(value):
        return "Errors" if issubclass(value, Exception) else "Classes"
    return "Functions"
