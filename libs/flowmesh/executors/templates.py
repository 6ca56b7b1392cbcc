"""A part of a configuration that holds templates, rendered for every attempt."""

from flowmesh.executors.base import Attempt, Json
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.scopes import compiled, rendered, results_asked_for, roots_of, scope_of
from flowmesh.expressions import Moment, compile_template


class Rendered:
    """A JSON value with templates at any depth; compiled once."""

    def __init__(self, value: Json, dialect: int, now_us: NowUs) -> None:
        self._template = compiled(lambda: compile_template(value, roots_of(dialect)))
        self._results = results_asked_for(self._template.references)
        self._dialect = dialect
        self._now_us = now_us

    def over(self, attempt: Attempt) -> Json:
        """The value for this attempt; raises TaskFailure where a reference leads nowhere."""
        scope: dict[str, Json] = {}
        if not self._template.constant:
            moment = Moment(attempt.task.idempotency_key, self._now_us())
            scope = scope_of(self._dialect, attempt.value, moment, self._results)
        return rendered(self._template.render, scope)
