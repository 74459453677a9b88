"""What the documents show is true: their Python runs, their commands and options exist, their links resolve."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import numpy as np
import pytest
import typer
import yaml

from lpe.pipeline.cli.app import app
from lpe.pipeline.engine.beam_options import beam_options

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
README_LINES = 180
FOLDERS = ("transforms", "pipeline", "train", "deploy")
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))),
]
COMMAND = typer.main.get_command(app)

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)
_INCLUDED = re.compile(r'^--8<-- "(.+)"$', re.M)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_REPOSITORY_PATH = re.compile(rf"`((?:{'|'.join((*FOLDERS, 'docs', 'tests', 'lpe'))})/[\w./-]*)`")
_MODULE = re.compile(r"python -m (tests\.[\w.]+)")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(document: Path, *languages: str) -> list[str]:
    """The fenced blocks of a document in these languages; files that it includes have tests of their own."""
    return [
        text
        for language, text in _FENCE.findall(document.read_text())
        if language in languages and not _INCLUDED.search(text)
    ]


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", document.read_text())


def commands() -> Iterator[object]:
    """The words of every `lpe …` in a shell block."""
    for document in DOCUMENTS:
        for block in blocks(document, "", "sh", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                for command in line.split("&&"):
                    if command.strip().startswith("lpe "):
                        words = shlex.split(command, comments=True)[1:]
                        yield pytest.param(words, id=f"{relative(document)}: {' '.join(words)}")


def mentioned_commands() -> Iterator[object]:
    """The words of every `lpe …` within a sentence, where arguments may be left out."""
    for document in DOCUMENTS:
        for text in re.findall(r"`lpe ([a-z][^`]*)`", prose(document)):
            yield pytest.param(text.split(), id=f"{relative(document)}: {' '.join(text.split())}")


def resolve(words: list[str]) -> tuple[click.Context, click.Command, list[str]]:
    """The context of the group, the command, and the words after its name. Raises for an unknown command."""
    group, context = COMMAND, COMMAND.make_context("lpe", list(words))
    while True:
        name, command, words = group.resolve_command(context, list(words))
        if not hasattr(command, "resolve_command"):
            return context, command, words
        group, context = command, command.make_context(name, list(words), parent=context)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def run_python(document: Path) -> None:
    exec("\n".join(blocks(document, "python")), {"__name__": "example"})


def test_readme_is_short():
    assert len(README.read_text().splitlines()) <= README_LINES


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_has_its_own(folder):
    assert (ROOT / folder / "README.md") in DOCUMENTS


def test_the_python_of_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(blocks(README, "python")) == 2
    run_python(README)
    for home in ("plain", "enc", "back"):
        assert (tmp_path / "data" / home / "shapes" / "1.0.0" / "dataset_info.json").is_file()


def test_the_python_of_transforms_runs(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    document = ROOT / "transforms" / "README.md"
    assert len(blocks(document, "python")) == 4
    run_python(document)
    printed = capfd.readouterr().out.splitlines()
    assert "chosen-lpe got 1.0" in printed
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    assert sorted(line for line in printed if line.startswith("scan-")) == sorted(
        f"scan-{i} {image.sum()}" for i, image in enumerate(images)
    )


def test_no_other_document_shows_python():
    """What shows Python has a test that runs it: above, in `test_docs.py`, or beside what it shows."""
    assert [relative(path) for path in DOCUMENTS if blocks(path, "python")] == [
        "README.md",
        "docs/researcher.md",
        "docs/trainer.md",
        "transforms/README.md",
        "train/README.md",
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_python_imports_lpe_under_its_name(document):
    for block in blocks(document, "python"):
        assert not re.search(r"^\s*(?:from|import) (?:transforms|pipeline|train)\b", block, re.M)


@pytest.mark.parametrize("words", commands())
def test_every_command_shown_is_understood(words):
    """Parsed as the command line would be, without running it."""
    context, command, rest = resolve(words)
    inner = command.make_context(command.name, rest, parent=context)
    beam_options(list(inner.args))


@pytest.mark.parametrize("words", mentioned_commands())
def test_every_command_mentioned_exists(words):
    _, command, rest = resolve(words)
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    named = {word.partition("=")[0] for word in rest if word.startswith("--")}
    assert named <= known | {"--help"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_and_pictures_resolve(document):
    for link in _LINK.findall(prose(document)):
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_included_files_exist(document):
    for path in _INCLUDED.findall(document.read_text()):
        assert (ROOT / path).is_file()


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_files_and_modules_named_exist(document):
    text = document.read_text()
    for path in _REPOSITORY_PATH.findall(text):
        shown = (
            path.rpartition("/")[0] if "NAME" in path else path
        )  # NAME: a file that a contributor would add
        assert (ROOT / shown).exists() or (document.parent / shown).exists(), path
    for module in _MODULE.findall(text):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module


def test_readme_links_every_folder():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in _LINK.findall(prose(README))}
    for folder in FOLDERS:
        assert ROOT / folder / "README.md" in linked


def test_the_citation_has_what_its_format_demands():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["cff-version"], citation["license"]) == ("1.2.0", "Apache-2.0")
    for entry in (citation, *citation["references"]):
        assert entry["authors"]
        assert all("name" in author or "family-names" in author for author in entry["authors"])
