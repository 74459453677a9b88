"""A Dataflow job as its API tells of it: a state, messages, metrics."""

from __future__ import annotations

import dataclasses
import datetime
import threading
from typing import Any

ENDED = frozenset({"JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"})


def now() -> str:
    """The time as Google's APIs write it."""
    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")


@dataclasses.dataclass
class Job:
    """A submitted job.

    Attributes:
      body: what the client sent.
      id: the service's name for it.
      state: one of the API's JobState.
      states: all that it has been in, in order.
      messages: as the API lists them.
      metrics: MetricUpdates, as the API lists them.
    """

    body: dict[str, Any]
    id: str
    state: str = "JOB_STATE_PENDING"
    states: list[str] = dataclasses.field(default_factory=lambda: ["JOB_STATE_PENDING"])
    messages: list[dict[str, str]] = dataclasses.field(default_factory=list)
    metrics: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    created: str = dataclasses.field(default_factory=now)
    _changing: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def turn(self, state: str) -> bool:
        """Goes to another state; False where it had ended before."""
        with self._changing:
            if self.state in ENDED:
                return False
            self.state = state
            self.states.append(state)
            return True

    def say(self, importance: str, text: str) -> None:
        """Adds a message, e.g. of importance `BASIC` or `ERROR`."""
        self.messages.append(
            {
                "id": str(len(self.messages)),
                "time": now(),
                "messageText": text,
                "messageImportance": f"JOB_MESSAGE_{importance}",
            }
        )

    def to_json(self) -> dict[str, Any]:
        """The job as `jobs.get` returns it (view SUMMARY: without its environment)."""
        return {
            "id": self.id,
            "projectId": self.body.get("projectId", ""),
            "name": self.body["name"],
            "type": self.body.get("type", "JOB_TYPE_BATCH"),
            "clientRequestId": self.body.get("clientRequestId", ""),
            "createTime": self.created,
            "currentState": self.state,
            "currentStateTime": now(),
        }
