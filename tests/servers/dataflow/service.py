"""The REST API of `dataflow.googleapis.com`, as far as Beam's client uses it."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import itertools
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from tests.servers.dataflow.job import ENDED, Job, now

_JOBS = re.compile(r"/v1b3/projects/([\w:.-]+)/locations/([\w-]+)/jobs(?:/([\w-]+))?(?:/(messages|metrics))?")
_PAGE = 100

Execute = Callable[[Job], None]
"""Runs a job to its end; called in a thread of the job's own."""


class _RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclasses.dataclass
class Dataflow:
    """The service.

    Attributes:
      url: for `--dataflow_endpoint`; by the name localhost, for which Beam's client speaks REST.
      execute: what is done with a new job; None leaves it in the queue, as a lack of quota does.
      jobs: all that were submitted, in that order.
    """

    url: str
    execute: Execute | None
    jobs: list[Job] = dataclasses.field(default_factory=list)
    _numbers: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(1))
    _submitting: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def job(self, name: str) -> Job:
        """The one job that was submitted with this `--job_name`."""
        found = [job for job in self.jobs if job.body["name"] == name]
        assert len(found) == 1, f"{len(found)} jobs are called {name}"
        return found[0]

    def answer(self, method: str, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the service answers. Raises _RefusedError."""
        parts = urllib.parse.urlsplit(url)
        place = _JOBS.fullmatch(parts.path)
        if place is None:
            raise _RefusedError(404, "NOT_FOUND", f"{method} {parts.path}: not part of this stub")
        project, _, job_id, part = place.groups()
        query = dict(urllib.parse.parse_qsl(parts.query))
        if job_id is None:
            if method == "POST":
                return self._create(project, body).to_json()
            return {"jobs": [job.to_json() for job in self.jobs]}
        job = next((job for job in self.jobs if job.id == job_id), None)
        if job is None:
            raise _RefusedError(
                404, "NOT_FOUND", f"({job_id}): Information about job {job_id} was not found."
            )
        if part == "messages":
            return _messages(job, query)
        if part == "metrics":
            return {"metricTime": now(), "metrics": job.metrics}
        if method == "PUT":
            _request(job, body.get("requestedState"))
        return job.to_json()

    def _create(self, project: str, body: dict[str, Any]) -> Job:
        with self._submitting:
            for known in self.jobs:
                if known.body.get("clientRequestId") == body["clientRequestId"]:
                    return known  # the client tried again
                if known.body["name"] == body["name"] and known.state not in ENDED:
                    raise _RefusedError(
                        409, "ALREADY_EXISTS", f"There is already an active job named {body['name']}."
                    )
            job = Job({**body, "projectId": project}, f"{now()[:10]}_{next(self._numbers):020d}")
            self.jobs.append(job)
        if self.execute is not None:
            threading.Thread(target=self.execute, args=(job,), daemon=True).start()
        return job


def _messages(job: Job, query: dict[str, str]) -> dict[str, Any]:
    """A page of the messages at and after the time that is asked for."""
    since, start = query.get("startTime", ""), int(query.get("pageToken") or 0)
    # Times of one form, to the microsecond or the nanosecond, sort as text up to their Z.
    new = [message for message in job.messages if message["time"].rstrip("Z") >= since.rstrip("Z")]
    answer: dict[str, Any] = {"jobMessages": new[start : start + _PAGE]}
    if start + _PAGE < len(new):
        answer["nextPageToken"] = str(start + _PAGE)
    return answer


def _request(job: Job, state: str | int | None) -> None:
    """Cancels a job, which is all that may be asked of a batch job."""
    if state not in ("JOB_STATE_CANCELLED", 5):  # clients send the name or the number
        raise _RefusedError(400, "INVALID_ARGUMENT", f"A batch job cannot go to {state}.")
    if job.turn("JOB_STATE_CANCELLED"):
        job.say("BASIC", "Cancel request is committed for workflow job.")


@contextlib.contextmanager
def dataflow_service(execute: Execute | None) -> Iterator[Dataflow]:
    """Yields the running service."""
    service = Dataflow("", execute)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            try:
                code, answer = 200, service.answer(self.command, self.path, body)
            except _RefusedError as error:
                code = error.code
                answer = {"error": {"code": code, "message": str(error), "status": error.status}}
            data = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        server.server_close()
