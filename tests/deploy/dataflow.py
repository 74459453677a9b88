"""The files of deploy/dataflow, as tests read them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from lpe.pipeline.cli.app import app
from tests.deploy import tool

ROOT = Path(__file__).resolve().parents[2]
DATAFLOW = ROOT / "deploy" / "dataflow"
COMMANDS = ("encrypt", "reencrypt")


def metadata(command: str) -> dict[str, Any]:
    """A template's metadata."""
    return json.loads((DATAFLOW / f"{command}.metadata.json").read_text())


def parameters(command: str) -> dict[str, dict[str, Any]]:
    """A template's parameters by name."""
    listed = metadata(command)["parameters"]
    named = {each["name"]: each for each in listed}
    assert len(named) == len(listed), "a name is there twice"
    return named


def options(command: str) -> dict[str, Any]:
    """What `lpe COMMAND` takes, from the command itself: options by their long name, arguments by theirs."""
    described = typer.main.get_command(app).commands[command].params
    return {
        each.opts[0].removeprefix("--") if each.param_type_name == "option" else each.name: each
        for each in described
    }


def launcher() -> ModuleType:
    """The program that the launcher runs."""
    spec = importlib.util.spec_from_file_location("lpe_template_launch", DATAFLOW / "template" / "launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def linter(name: str, package: str) -> str:
    """A program that its package puts beside Python; where it is missing the test is skipped, with a warning."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else tool(name, f"pip install {package}")
