"""Help: every command's fits into 80 columns, is grouped, and ends with examples that can be typed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
import typer

from lpe.pipeline.cli.app import app, main
from lpe.pipeline.cli.examples import examples
from lpe.pipeline.engine.beam_options import beam_options
from lpe.pipeline.sources import KINDS

COMMAND = typer.main.get_command(app)
GROUPS = ("", "keys")


def commands() -> list[str]:
    """What may follow `lpe`."""
    names = [f"keys {name}" for name in COMMAND.commands["keys"].commands]
    return [*GROUPS, *(name for name in COMMAND.commands if name != "keys"), *names]


def example_lines() -> Iterator[str]:
    for command in commands():
        yield from examples(command)


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", False)


@pytest.mark.parametrize("command", commands())
def test_help_fits_and_shows_examples(command, narrow, capsys):
    assert main([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert all(part.strip() in text for line in examples(command) for part in line.splitlines())
    assert 2 <= len(examples(command)) <= 5
    assert "Options are" not in text
    # A word is never cut into columns of a few letters.
    assert "…" not in text.replace("projects/…", "").replace("0, 1, …", "")


@pytest.mark.parametrize("line", example_lines())
def test_an_example_is_understood(line):
    words = shlex.split(line.replace("\\\n", " "))
    assert words[0] == "lpe"
    if words[-1] in ("--help", "--install-completion"):
        return
    group, context, rest = COMMAND, COMMAND.make_context("lpe", words[1:]), words[1:]
    while isinstance(group, typer.core.TyperGroup):
        name, command, rest = group.resolve_command(context, list(rest))
        context = command.make_context(name, list(rest), parent=context)
        group = command
    assert not context.args or beam_options(context.args)


def test_the_common_options_come_first(narrow, capsys):
    assert main(["encrypt", "--help"]) == 0
    text = capsys.readouterr().out
    order = [
        "--source",
        "--key ",
        " Encryption ",
        " Augmentation ",
        " Reading images ",
        " Execution and output ",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)


def test_the_help_of_sources_names_every_kind(narrow, capsys):
    assert main(["ingest", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert [form for form in KINDS if form.partition("[")[0] not in text] == []


def test_defaults_are_shown(narrow, capsys):
    assert main(["ingest", "--help"]) == 0
    assert "[default: 2000000]" in capsys.readouterr().out


def test_no_arguments_print_the_help_and_nothing_else(narrow, lpe):
    outcome = lpe()
    assert outcome.code == 2
    assert "Examples" in outcome.out
    assert outcome.err == ""


def test_the_table_of_ciphers_fits(narrow, lpe):
    lines = lpe("ciphers").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("lpe-100" in line and "no key removes the chain" in line for line in lines)
    assert len(lines) < 40


def test_one_cipher_in_full(narrow, lpe):
    outcome = lpe("ciphers", "pbe")
    assert "colour=false or true (default false)" in outcome.out
    (described,) = lpe("ciphers", "pbe", "--json").json["ciphers"]
    assert described["params"] == {"colour": ["false", "true"], "pool": ["1", "2", "4", "8", "16"]}
    assert len(lpe("ciphers", "--json").json["ciphers"]) == 10
    assert lpe("ciphers", "pbee").err.endswith("; did you mean pbe?\n")
