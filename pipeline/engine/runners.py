"""Where a job runs, this machine or one of Beam's runners: which paths its workers reach, how a failure reads.

Beam's options are None for a job on this machine, which needs no Beam; it takes a second to import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lpe.pipeline import storage
from lpe.transforms.errors import DataError, UsageError

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

LOCAL_RUNNERS = {"FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner"}
"""Beam's that work in this process, or in processes that it starts."""


class JobStaged(Exception):  # noqa: N818  (nothing went wrong)
    """The job was staged as a template and not run: there is nothing to wait for.

    Attributes:
      template: where it was staged.
    """

    def __init__(self, template: str) -> None:
        super().__init__(template)
        self.template = template


def options(beam: Sequence[str]) -> PipelineOptions | None:
    """Beam's options from the words of a command line; None if there are none.

    Raises:
      UsageError: neither `lpe` nor Beam knows one of the options.
      DataError: the options name a job service that does not answer.
    """
    if not beam:
        return None
    from lpe.pipeline.engine.beam_options import beam_options  # noqa: PLC0415  (imports Beam)

    return beam_options(beam)


def name(options: PipelineOptions) -> str:
    """The runner's name, as it is given after --runner."""
    from apache_beam.options.pipeline_options import StandardOptions  # noqa: PLC0415  (slow)

    return str(options.view_as(StandardOptions).runner).rsplit(".", maxsplit=1)[-1]


def is_local(options: PipelineOptions | None) -> bool:
    """Whether the work is done on this machine, while this process waits for it."""
    return options is None or name(options) in LOCAL_RUNNERS


def template(options: PipelineOptions | None) -> str | None:
    """Where the job is to be staged instead of run; None for a job that is run."""
    if options is None:
        return None
    from apache_beam.options.pipeline_options import GoogleCloudOptions  # noqa: PLC0415  (slow)

    return options.view_as(GoogleCloudOptions).template_location or None


def check_waited_for(options: PipelineOptions | None, command: str) -> None:
    """Raises UsageError if a command whose answer is the job's is to be staged as a template."""
    if template(options) is not None:
        raise UsageError(
            f"lpe {command} waits for its job; a template cannot hold it: leave out --template_location"
        )


def on_workers(options: PipelineOptions | None, place: str) -> str:
    """The path by which workers reach what is at `place` here: they may work in another directory.

    Raises:
      UsageError: they cannot. Flink's or Spark's workers may share a file system with this machine; Dataflow's
        never do.
    """
    if options is None or is_local(options) or storage.is_remote(place):
        return place
    if name(options) == "DataflowRunner":
        raise UsageError(
            f"{place}: Dataflow's workers cannot reach this machine's files; put it at gs://, or leave out --runner"
        )
    return os.path.abspath(place)  # noqa: PTH100  (links stay)


def check_no_temporary(options: PipelineOptions | None, source: str, temporary: bool) -> None:
    """Raises UsageError if Dataflow's workers were to read temporary files of this machine."""
    if temporary and options is not None and name(options) == "DataflowRunner":
        raise UsageError(
            f"{source}: is unpacked on this machine, where Dataflow's workers cannot read it; name a .tar, a directory "
            "or a binary archive that is not compressed, or leave out --runner"
        )


def explained(options: PipelineOptions, error: Exception) -> Exception:
    """The error of a job that failed elsewhere, as one line: its cause, without the runner's words around it."""
    if is_local(options):
        return error
    if re.search(r"No module named 'lpe\b", str(error)):
        return DataError(
            f"{name(options)}: its workers do not have lpe (No module named 'lpe'); send it along with "
            "--setup_file=…/setup.py, or name an image that has it (--sdk_container_image)"
        )
    causes = re.findall(r"^\s*((?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt)\b.*)$", str(error), re.M)
    text = str(causes[-1] if causes else error).strip() or type(error).__name__
    return DataError(
        f"{name(options)}: the job failed: {text.splitlines()[0]}; the runner's log tells more, and so does --debug"
    )
