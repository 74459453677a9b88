"""`python -m tests.faults.run`: runs `lpe` commands, each in a fork of this process, which has imported what they need.

Requests come as lines of JSON on standard input, answers go as lines to standard output:

    {"words": […], "environment": {…}, "out": FILE, "err": FILE, "plan": {…}}    ->    the exit code
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import tempfile
from typing import Any

from lpe.pipeline.cli.app import entry_point
from lpe.train import backend
from tests.faults.events import Plan, install


def serve() -> None:
    """Answers requests until there are no more; in a fork it returns when it is time to run the command."""
    while line := _read_line():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
            return
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    sys.exit(0)


def _read_line() -> bytes:
    """A line of standard input, and nothing beyond, which a buffer would leave to a fork."""
    line = b""
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return line


def _become(request: dict[str, Any]) -> None:
    os.setsid()  # a group of its own, to be killed as a whole
    for descriptor, path in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    sys.argv = ["lpe", *request["words"]]
    plan = request["plan"]
    install(Plan(**{**plan, "directories": tuple(plan["directories"])}))


def _import_what_commands_need(*, train: bool) -> None:
    # Nothing here may start a thread, which a fork would not have.
    for name in (
        "pyarrow.dataset",
        "pydantic.json_schema",
        "lpe.pipeline.jobs.decrypt",
        "lpe.pipeline.jobs.encrypt",
        "lpe.pipeline.jobs.ingest",
        "lpe.pipeline.jobs.rotation",
        "lpe.pipeline.jobs.unseal",
        "lpe.pipeline.jobs.verify",
        "lpe.pipeline.sources.folder",
    ):
        importlib.import_module(name)
    if train:
        backend.load()
        importlib.import_module("lpe.train.epochs")
    gc.freeze()  # for all forks together


if __name__ == "__main__":
    _import_what_commands_need(train="train" in sys.argv)
    serve()
    entry_point()
