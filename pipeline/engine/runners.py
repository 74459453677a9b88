"""Differences between Beam's runners: where workers are, which paths they reach, how a failure reads."""

from __future__ import annotations

import os
import re

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from lpe.pipeline import storage
from lpe.transforms.errors import DataError, UsageError

LOCAL_RUNNERS = {"FnApiRunner", "DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner"}
"""They work in this process, or in processes that it starts."""


class JobStaged(Exception):  # noqa: N818  (nothing went wrong)
    """The job was staged as a template and not run: there is nothing to wait for.

    Attributes:
      template: where it was staged.
    """

    def __init__(self, template: str) -> None:
        super().__init__(template)
        self.template = template


def name(options: PipelineOptions) -> str:
    """The runner's name, as it is given after --runner."""
    return str(options.view_as(StandardOptions).runner).rsplit(".", maxsplit=1)[-1]


def is_local(options: PipelineOptions) -> bool:
    """Whether the work is done on this machine, while this process waits for it."""
    return name(options) in LOCAL_RUNNERS


def template(options: PipelineOptions) -> str | None:
    """Where the job is to be staged instead of run; None for a job that is run."""
    return options.view_as(GoogleCloudOptions).template_location or None


def check_waited_for(options: PipelineOptions, command: str) -> None:
    """Raises UsageError if a command whose answer is the job's is to be staged as a template."""
    if template(options) is not None:
        raise UsageError(
            f"lpe {command} waits for its job; a template cannot hold it: leave out --template_location"
        )


def on_workers(options: PipelineOptions, place: str) -> str:
    """The path by which workers reach what is at `place` here: they may work in another directory.

    Raises:
      UsageError: they cannot. Flink's or Spark's workers may share a file system with this machine; Dataflow's
        never do.
    """
    if is_local(options) or storage.is_remote(place):
        return place
    if name(options) == "DataflowRunner":
        raise UsageError(
            f"{place}: Dataflow's workers cannot reach this machine's files; put it at gs://, or leave out --runner"
        )
    return os.path.abspath(place)  # noqa: PTH100  (links stay)


def check_no_temporary(options: PipelineOptions, source: str, temporary: bool) -> None:
    """Raises UsageError if Dataflow's workers were to read temporary files of this machine."""
    if temporary and name(options) == "DataflowRunner":
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
