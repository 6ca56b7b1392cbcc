"""A run of a pipeline: its data, and nothing that another run shares."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowmesh.apps.data.database import Session
from flowmesh.apps.http.messages import Request, Response
from flowmesh.contract.json_value import Json

if TYPE_CHECKING:
    from flowmesh.apps.pipeline.journal import Journal


MEMBERS = frozenset({"method", "path", "query", "headers", "body"})
"""The members of a request in the data of a pipeline that it triggers."""


class Run:
    """The context of one run.

    `trigger` never changes; `current` is the data of the trigger with each output merged over it;
    `steps` holds the outputs by step. A step sets `next` to jump, or `response` to end the run.
    `meta` has a `runId` and the time `started_at`, beside what the start knows of the run.
    """

    __slots__ = (
        *("current", "journal", "meta", "next", "request", "response", "sessions", "steps"),
        "trigger",
    )

    def __init__(
        self,
        trigger: dict[str, Json],
        *,
        request: Request | None = None,
        meta: Mapping[str, Json] | None = None,
        journal: "Journal | None" = None,
    ) -> None:
        self.trigger = trigger
        # The journal of a durable run; None in an inline one.
        self.journal = journal
        self.steps: dict[str, Json] = {}
        self.current: dict[str, Json] = dict(trigger)
        self.meta: Mapping[str, Json] = {
            "started_at": rfc3339_now() if journal is None else journal.now(),
            **(meta or {}),
        }
        if not self.meta.get("runId") and journal is None:
            self.meta = {**self.meta, "runId": f"run-{secrets.token_hex(8)}"}
        self.request = request
        self.response: Response | None = None
        self.next = ""
        # The open transaction by database.
        self.sessions: Mapping[str, Session] = {}

    @property
    def triggered(self) -> bool:
        """Whether an HTTP request is the data, as in pipelines with a trigger."""
        return self.trigger.keys() >= MEMBERS

    @property
    def identity(self) -> dict[str, Json]:
        """The parts of `meta` that a run inside of this one has too."""
        return {key: self.meta[key] for key in ("runId", "started_at") if key in self.meta}

    def request_view(self) -> dict[str, Json]:
        """Return the request as templates see it; empty without one."""
        request = self.request
        if request is None:
            return {}
        return {
            "method": request.method,
            "path": request.path,
            "params": dict(request.params),
            "query": request.query,
            "headers": {str(k, "latin-1"): str(v, "latin-1") for k, v in request.headers},
            "body": request.json() if request.body else None,
            "auth": request.auth,
            "id": request.id,
        }


def rfc3339_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Output = dict[str, Json]
StepCall = Callable[[Run], "Output | Awaitable[Output]"]
"""A compiled step: returns its output, at once or later."""
