"""Errors of applications as problem documents (RFC 9457)."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError

INTERNAL_TEXT = "the application failed; its log says why"


class HttpProblem(Exception):
    """An error with its status; `detail` is for the caller."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        violations: Sequence[Mapping[str, Json]] = (),
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.violations = tuple(violations)
        self.headers = tuple(headers)
        # The place in the application, known where the error passes it.
        self.pipeline = ""
        self.step = ""

    def document(self) -> dict[str, Json]:
        """Return the members of the problem document."""
        try:
            title = HTTPStatus(self.status).phrase
        except ValueError:
            title = "Error"
        body: dict[str, Json] = {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.violations:
            body["violations"] = list(self.violations)
        if self.pipeline:
            body["pipeline"] = self.pipeline
        if self.step:
            body["step"] = self.step
        return body

    def at(self, pipeline: str, step: str) -> "HttpProblem":
        """Return this problem with its place, unless it has one."""
        self.pipeline = self.pipeline or pipeline
        self.step = self.step or step
        return self


def problem_of(error: BaseException) -> HttpProblem:
    """Return the problem of any error; a foreign one is internal and shows no text."""
    if isinstance(error, HttpProblem):
        return error
    if isinstance(error, FlowmeshError):
        return HttpProblem(error.http_status, error.reason, error.message)
    if isinstance(error, TimeoutError):
        return HttpProblem(504, "STEP_TIMEOUT", "the time for the work has passed")
    return HttpProblem(500, "INTERNAL", INTERNAL_TEXT)
