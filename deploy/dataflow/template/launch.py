"""What the launcher of the Flex Templates runs: a template's parameters become a command line of `lpe`.

    python launch.py --dataset=gs://… --if_due=true … --runner=DataflowRunner --template_location=gs://… …

One image serves both templates, and the launcher does not say which of them was started: a `dataset` is to be
re-encrypted, a `source` encrypted. What the command does not know goes to Beam, as with `lpe` itself; so do the
launcher's own options. The job is staged at `template_location`; Dataflow starts it once this program has ended.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import typer

from lpe.pipeline import storage
from lpe.pipeline.cli import app
from lpe.pipeline.engine.beam_options import beam_options
from lpe.transforms.errors import UsageError

IMAGE = "LPE_IMAGE"
"""The variable with the name of the image that this runs in, set when that is built."""

_SELECTS = {"dataset": "reencrypt", "source": "encrypt"}
_SEPARATOR = ","
_LABELS = re.compile(r"^--labels(?=$|=)")
"""Beam's option for labels of the job, which `lpe` has for a table; --label is Beam's other name for it."""


def translate(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits the launcher's arguments.

    Returns:
      The words for `lpe`, and those for Beam.

    Raises:
      UsageError: they name no command or two, or a flag is neither true nor false.
    """
    parameters = _parameters(_command(arguments))
    parser = _Parser(add_help=False, allow_abbrev=False)
    for name in parameters:
        parser.add_argument(f"--{name}", default="")
    given, rest = parser.parse_known_args(list(arguments))
    words = [_command(arguments)]
    for name, parameter in parameters.items():
        words += _words(name, getattr(given, name), parameter)
    return words, [_LABELS.sub("--label", word) for word in rest]


def main(arguments: Sequence[str]) -> int:
    """Stages the job, and returns the exit code: 0, 1 where it failed, 2 for parameters that make no sense."""
    try:
        words, rest = translate(arguments)
    except UsageError as error:
        sys.stderr.write(f"lpe: {error}\n")
        return 2
    if os.environ.get(IMAGE) and not any(word.startswith("--sdk_container_image") for word in rest):
        # Workers run the very image that staged the job.
        rest.append(f"--sdk_container_image={os.environ[IMAGE]}")
    code = app.main([*words, *rest])
    location = _template_location(rest)
    if code == 0 and location and not storage.exists(location):
        # With nothing to do `lpe` starts no job, and a launch without one would be reported as failed.
        sys.stdout.write("Nothing to do: staging an empty job.\n")
        _stage_nothing(rest)
    return code


def _command(arguments: Sequence[str]) -> str:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for name in _SELECTS:
        parser.add_argument(f"--{name}", default="")
    given, _ = parser.parse_known_args(list(arguments))
    chosen = [command for name, command in _SELECTS.items() if getattr(given, name)]
    if len(chosen) != 1:
        raise UsageError("give either dataset, to re-encrypt it, or source, to encrypt it")
    return chosen[0]


def _parameters(command: str) -> dict[str, Any]:
    """The command's parameters as the command itself describes them, by the names that a template gives them."""
    described = typer.main.get_command(app.app).commands[command].params  # type: ignore[attr-defined]
    found = {}
    for parameter in described:
        if parameter.name == "labels":  # the launcher gives Beam's option of this name
            continue
        if parameter.param_type_name == "argument":
            found[parameter.name.removesuffix("s")] = parameter
        else:
            found[parameter.opts[0].removeprefix("--").replace("-", "_")] = parameter
    return found


def _words(name: str, value: str, parameter: Any) -> list[str]:
    if not value:
        return []
    if parameter.param_type_name == "argument":
        return [value]  # one: a launch stages one job
    option = "--" + name.replace("_", "-")
    if parameter.is_flag:
        if value.lower() not in ("true", "false"):
            raise UsageError(f"{name}={value}: give true or false")
        return [option] if value.lower() == "true" else []
    values = value.split(_SEPARATOR) if parameter.multiple else [value]
    return [f"{option}={each}" for each in values]


def _template_location(words: list[str]) -> str | None:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--template_location")
    return parser.parse_known_args(words)[0].template_location


def _stage_nothing(words: list[str]) -> None:
    pipeline = beam.Pipeline(options=beam_options(words))
    _ = pipeline | "Nothing to do" >> beam.Create([])
    pipeline.run()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
