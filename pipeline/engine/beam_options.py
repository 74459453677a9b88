"""Beam's options from the part of the command line that `lpe` does not know."""

from __future__ import annotations

import argparse
import difflib
import functools
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from lpe.transforms.errors import DataError, UsageError

# `DirectRunner` would first try to download another runner; this is the one it falls back to.
LOCAL_RUNNER = "FnApiRunner"

_SECONDS_TO_ANSWER = 10


def beam_options(arguments: Sequence[str]) -> PipelineOptions:
    """Checks that Beam knows every argument and returns its options, the local runner by default.

    A job service (--job_endpoint; Flink's, Spark's) is asked which options it adds to Beam's own.

    Raises:
      UsageError: an argument that neither `lpe` nor Beam knows, or one with a bad value.
      DataError: the job service does not answer.
    """
    return PipelineOptions(list(_checked(tuple(arguments))))


@functools.cache  # a job service is asked once
def _checked(arguments: tuple[str, ...]) -> tuple[str, ...]:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for group in PipelineOptions.__subclasses__():
        # Beam's own way of collecting what its groups of options define.
        group._add_argparse_args(parser)
    known, unknown = parser.parse_known_args(list(arguments))
    if known.job_endpoint:
        unknown = list(_unknown_to(_known_to_job_service(known.job_endpoint), unknown))
    if unknown:
        options = [option for action in parser._actions for option in action.option_strings]
        close = difflib.get_close_matches(unknown[0].split("=")[0], options, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        if not unknown[0].startswith("-"):
            raise UsageError(
                f"unexpected word {unknown[0]}; name what it is with an option, such as --source"
            )
        raise UsageError(f"neither lpe nor Beam knows the option {unknown[0]}{hint}")
    runner = [] if known.runner else [f"--runner={LOCAL_RUNNER}"]
    # Jobs need nothing of this process's main module, which Beam would send along to Dataflow.
    main = [] if any("save_main_session" in word for word in arguments) else ["--no_save_main_session"]
    return (*arguments, *runner, *main)


def _unknown_to(options: set[str], words: list[str]) -> Iterator[str]:
    """The words that are neither one of these options nor the value of one."""
    value_follows = False
    for word in words:
        name, equals, _ = word.lstrip("-").partition("=")
        known = word.startswith("-") and name in options
        if not known and not (value_follows and not word.startswith("-")):
            yield word
        value_follows = known and not equals


def _known_to_job_service(endpoint: str) -> set[str]:
    import grpc  # noqa: PLC0415  (slow, and for these runners only)
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(endpoint) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            answer = service.DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(),
                timeout=_SECONDS_TO_ANSWER,
                wait_for_ready=True,
            )
        except grpc.RpcError as error:
            raise DataError(
                f"{endpoint}: no job service answers there; start it, or correct --job_endpoint"
            ) from error
    return {option.name for option in answer.options}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"Beam's options: {message}")
