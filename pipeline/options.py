"""Beam's options from the part of the command line that `lpe` does not know."""

from __future__ import annotations

import argparse
import difflib

from apache_beam.options.pipeline_options import PipelineOptions

from transforms.errors import UsageError

# `DirectRunner` would first try to download another runner; this is the one it falls back to.
LOCAL_RUNNER = "FnApiRunner"


def beam_options(arguments: list[str]) -> PipelineOptions:
    """Checks that Beam knows every argument and returns its options, the local runner by default.

    Raises:
      UsageError: an argument that neither `lpe` nor Beam knows, or one with a bad value.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    for group in PipelineOptions.__subclasses__():
        # Beam's own way of collecting what its groups of options define.
        group._add_argparse_args(parser)
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        options = [option for action in parser._actions for option in action.option_strings]
        close = difflib.get_close_matches(unknown[0].split("=")[0], options, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"neither lpe nor Beam knows the option {unknown[0]}{hint}")
    runner = [] if known.runner else [f"--runner={LOCAL_RUNNER}"]
    return PipelineOptions([*arguments, *runner])


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"Beam's options: {message}")
