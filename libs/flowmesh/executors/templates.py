"""Configuration values with templates that are rendered for each attempt."""

from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.scopes import compiled, rendered, results_read, roots_of, scope_of
from flowmesh.expressions import compile_template


class Rendered:
    """A JSON value with templates at any depth, compiled once."""

    def __init__(self, value: Json, dialect: int, now_us: NowUs) -> None:
        self._template = compiled(lambda: compile_template(value, roots_of(dialect)))
        self._results = results_read(self._template.references)
        self._dialect = dialect
        self._now_us = now_us

    def over(self, attempt: Attempt) -> Json:
        """Render the value for an attempt. Raises TaskFailure for a reference without a value."""
        scope: dict[str, Json] = {}
        if not self._template.constant:
            scope = scope_of(self._dialect, attempt, self._now_us(), self._results)
        return rendered(self._template.render, scope)
