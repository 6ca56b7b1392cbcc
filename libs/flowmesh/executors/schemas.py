"""JSON Schemas of tasks, compiled once. None reaches outside of itself; patterns are linear."""

from typing import Any

import jsonschema_rs
import orjson

from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.limits import VIOLATIONS_MAX

Json = Any


class SchemaCheck:
    """Checks values against one schema."""

    def __init__(self, schema: bytes, subject: str) -> None:
        """`subject` is what the messages call the value: `input` or `output`."""
        self._subject = subject
        try:
            self._validator = jsonschema_rs.validator_for(
                orjson.loads(schema),
                retriever=_refuse,
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except (ValueError, orjson.JSONDecodeError) as error:
            raise invalid(f"the task's {subject} schema cannot be used") from error

    def check(self, value: Json) -> None:
        """Raises a ValidationError with a path and message for each problem, at most 20."""
        if self._validator.is_valid(value):
            return
        violations = []
        for error in self._validator.iter_errors(value):
            violations.append({"path": self._path(error.instance_path), "message": error.message})
            if len(violations) == VIOLATIONS_MAX:
                break
        raise self._failure(violations)

    def _failure(self, violations: list[dict[str, str]]) -> TaskFailure:
        first = violations[0]
        message = f"{first['path']}: {first['message']}"
        if len(violations) > 1:
            message += f" (and {len(violations) - 1} more)"
        return invalid(message, violations=violations)

    def _path(self, parts: list[str | int]) -> str:
        path = self._subject
        for part in parts:
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
        return path


def _refuse(_uri: str) -> Json:
    raise ValueError("a $ref must point into its own schema")
