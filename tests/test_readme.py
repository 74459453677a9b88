"""What the README shows is true: its Python runs, its commands and options exist, its picture is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from lpe.pipeline.cli.app import app
from lpe.pipeline.engine.beam_options import beam_options

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


def test_the_python_examples_run(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    code = blocks("python")
    assert len(code) == 3
    exec("\n".join(code), {"__name__": "example"})
    printed = capfd.readouterr().out.splitlines()
    assert sorted(line for line in printed if line.startswith("scan-")) == sorted(
        f"scan-{i} 0" for i in range(10)
    )
    assert "chosen-lpe got 1.0" in printed


def commands() -> list[list[str]]:
    lines = [line.split("  #")[0] for block in blocks("") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("lpe ")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_shown_is_understood(words):
    """Parsed as the command line would be, without running it."""
    group = typer.main.get_command(app)
    context = group.make_context("lpe", list(words), resilient_parsing=False)
    name, command, rest = group.resolve_command(context, list(words))
    if name == "keys":
        name, command, rest = command.resolve_command(context, rest)
    inner = command.make_context(name, rest, parent=context)
    beam_options(list(inner.args))


def test_its_picture_is_there():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", TEXT):
        assert (ROOT / path).is_file()
