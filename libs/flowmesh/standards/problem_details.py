"""Errors of Serverless Workflow, derived from failure classes.

Failure classes of tasks are in camel case (`NetworkError`); classes that the orchestrator sets
itself are reason codes in upper case (`CIRCUIT_OPEN`). Both are wire values.
"""

from http import HTTPStatus

from flowmesh.contract.json_value import Json

BASE = "https://serverlessworkflow.io/spec/1.0.0/errors/"
# Prefixes of the same types in earlier versions of the standard.
_EARLIER = (
    "https://serverlessworkflow.io/dsl/errors/types/",
    "https://serverlessworkflow.io.io/dsl/errors/types/",
)
STANDARD = (
    "configuration", "validation", "expression", "authentication", "authorization", "timeout",
    "communication", "runtime",
)  # fmt: skip
# Type and status of each failure class.
_OF_CLASS = {
    "Timeout": ("timeout", 408),
    "HeartbeatTimeout": ("timeout", 408),
    "NetworkError": ("communication", 500),
    "RateLimitError": ("communication", 429),
    "ClientError": ("communication", 400),
    "ServerError": ("communication", 500),
    "CIRCUIT_OPEN": ("communication", 503),
    "AuthenticationError": ("authentication", 401),
    "ValidationError": ("validation", 400),
    "ExpressionError": ("expression", 400),
    "EgressBlocked": ("authorization", 403),
    "SecretUnavailable": ("authorization", 403),
}
_OTHER = ("runtime", 500)
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def type_uri(name: str) -> str:
    return BASE + name


def canonical(type_: str) -> str:
    """Return a type in the form of this version of the standard."""
    for earlier in _EARLIER:
        if type_.startswith(earlier):
            return BASE + type_.removeprefix(earlier)
    return type_


def error_of(class_: str, message: str, details: Json, instance: str) -> dict[str, Json]:
    """Return the error of a failure, as `$error` and filters see it.

    A failure that a task of this standard raised holds its error in the details.
    """
    given = details if isinstance(details, dict) else {}
    problem = given.get("problem")
    if isinstance(problem, dict):
        return problem
    name, status = _OF_CLASS.get(class_, _OTHER)
    http = given.get("http")
    if isinstance(http, dict) and isinstance(http.get("status"), int):
        status = http["status"]
        if status == HTTPStatus.FORBIDDEN:
            name = "authorization"
        elif class_ == "Timeout":
            name = "communication"
    return {
        "type": type_uri(name),
        "status": status,
        "title": _title(status, name, isinstance(http, dict)),
        "detail": message,
        "instance": instance,
    }


def _title(status: int, name: str, answered: bool) -> str:
    phrase = _PHRASES.get(status) if answered else None
    return phrase or f"{name.capitalize()} error"
