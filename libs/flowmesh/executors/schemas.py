"""Checks of task values against JSON Schemas. Problems become ValidationErrors."""

from flowmesh.contract.json_value import Json
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.plan.schemas import Schema, SchemaProblem


class SchemaCheck:
    """Checks values against one schema."""

    def __init__(self, schema: bytes, subject: str) -> None:
        """`subject` names the value in messages: `input` or `output`."""
        self._subject = subject
        self._schema = Schema(schema)

    def check(self, value: Json) -> None:
        """Raise a ValidationError with a path and a message for each problem, at most 20."""
        try:
            problems = self._schema.problems(value)
        except ValueError as error:
            raise invalid(f"the task's {self._subject} schema cannot be used") from error
        if problems:
            raise self._failure(problems)

    def _failure(self, problems: tuple[SchemaProblem, ...]) -> TaskFailure:
        violations = [
            {
                "path": self._subject + problem.path,
                "schemaPath": problem.schema_path,
                "message": problem.message,
            }
            for problem in problems
        ]
        message = f"{violations[0]['path']}: {problems[0]}"
        if len(violations) > 1:
            message += f" (and {len(violations) - 1} more)"
        return invalid(message, violations=violations)
