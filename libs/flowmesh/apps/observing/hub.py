"""The observers of requests and runs: the log, metrics and the list of last runs."""

import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Protocol

from flowmesh.apps.http.messages import Request
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.observing.logs import LogHub
from flowmesh.contract.json_value import Json

RUNS_MAX = 1_000
FRAMES_MAX = 12


class RequestObserver(Protocol):
    """Takes the ends of requests and runs."""

    def request(self, request: Request, status: int, size: int, seconds: float) -> None: ...

    def run(self, pipeline: str, seconds: float, failed_step: str, code: str) -> None: ...


class Hub:
    """Passes observations on to all observers, and keeps the last runs."""

    def __init__(self, log: LogHub, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._clock = clock
        self._observers: list[RequestObserver] = []
        self._begins: list[Callable[[Request], None]] = []
        self._runs: deque[tuple[str, float, float, str, str]] = deque(maxlen=RUNS_MAX)

    def add(self, observer: RequestObserver) -> None:
        self._observers.append(observer)

    def on_begin(self, begin: Callable[[Request], None]) -> None:
        self._begins.append(begin)

    def begin(self, request: Request) -> None:
        for each in self._begins:
            each(request)

    def request(self, request: Request, status: int, size: int, seconds: float) -> None:
        for each in self._observers:
            each.request(request, status, size, seconds)

    def failed(self, request: Request, error: BaseException) -> None:
        """Log an error that the caller does not see."""
        cause = error.__cause__ or error
        fields: dict[str, Json] = {"route": request.route, "requestId": request.id}
        if isinstance(error, HttpProblem):
            fields |= {"pipeline": error.pipeline, "step": error.step, "code": error.code}
        if not isinstance(cause, HttpProblem):
            # Readers of the records may be strangers: the frames name paths of the host.
            fields["error"] = "".join(traceback.format_exception_only(cause)).strip()
            self._log.tell("http", "".join(traceback.format_exception(cause)[-FRAMES_MAX:]))
        self._log.write(
            "error", "http", f"{request.method} {request.path} failed: {error}", **fields
        )

    def run(self, pipeline: str, seconds: float, failed_step: str, code: str) -> None:
        self._runs.append((pipeline, self._clock() - seconds, seconds, failed_step, code))
        for each in self._observers:
            each.run(pipeline, seconds, failed_step, code)

    def runs(self, limit: int) -> list[dict[str, Json]]:
        """Return the last runs, newest first."""
        found = list(self._runs)[-limit:][::-1]
        return [
            {
                "pipeline": pipeline,
                "startedAt": started,
                "seconds": seconds,
                "failedStep": step,
                "code": code,
            }
            for pipeline, started, seconds, step, code in found
        ]
