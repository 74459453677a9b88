"""The command's own options, exit codes and one-line errors."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from lpe.pipeline.cli.app import main


def test_help_shows_its_own_options(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert " --debug " in text
    assert " --version " in text


def test_version(lpe):
    outcome = lpe("--version")
    assert (outcome.code, outcome.out) == (0, f"lpe {version('learnable-pixel-encryption')}\n")


@pytest.mark.parametrize("words", [("--debug", "verify", "nowhere"), ("verify", "--debug", "nowhere")])
def test_debug_may_stand_anywhere(lpe, words):
    outcome = lpe(*words)
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("lpe: nowhere")


def test_an_unknown_command_is_one_line(lpe):
    outcome = lpe("quux")
    assert outcome.code == 2
    assert outcome.err == "lpe: no command quux; see lpe --help\n"


def test_an_error_as_json_names_the_command(lpe):
    outcome = lpe("keys", "list", "nobody", "--keystore", "nowhere", "--json")
    assert outcome.code == 1
    value = json.loads(outcome.out)
    assert (value["command"], value["status"]) == ("keys list", "error")
    assert "nobody" in value["error"]
