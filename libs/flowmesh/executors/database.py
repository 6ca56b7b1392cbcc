"""`db.query` and `db.exec`: one statement on a database that the worker knows by name.

The definition fixes the statement. An execution supplies bound values and chooses among the
identifiers that the definition lists.
"""

from collections.abc import Sequence
from typing import Any

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.databases.calls import DatabaseCall, Databases
from flowmesh.executors.failures import invalid
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.templates import Rendered
from flowmesh.tasktypes.builtin.databases import DB_EXEC

ROWS_DEFAULT = 1_000
# A parameter that is always set, to the same value in all attempts of a node.
IDEMPOTENCY_KEY = "idempotency_key"


class DatabaseStep(Step):
    def __init__(
        self, spec: TaskSpec, config: dict[str, Json], databases: Databases, now_us: NowUs
    ) -> None:
        self._databases = databases
        self._writes = spec.task_type == DB_EXEC.name
        self._connection = str(config["connection"])
        self._statement = str(config["statement"])
        self._rows_max = int(config.get("maxRows") or ROWS_DEFAULT)
        identifiers = config.get("identifiers") or {}
        self._allowed = {name: each["of"] for name, each in identifiers.items()}
        given = {
            "values": config.get("parameters") or {},
            "identifiers": {name: each["value"] for name, each in identifiers.items()},
        }
        self._given = Rendered(given, spec.dialect, now_us)

    async def run(self, attempt: Attempt) -> Output:
        given = self._given.over(attempt)
        values = {IDEMPOTENCY_KEY: attempt.task.idempotency_key, **given["values"]}
        answer = await self._databases.run(
            DatabaseCall(
                connection=self._connection,
                namespace=attempt.task.namespace,
                statement=self._statement,
                writes=self._writes,
                rows_max=self._rows_max,
                timeout_ms=attempt.timeout_ms,
                values=values,
                identifiers=self._chosen(given["identifiers"]),
            )
        )
        return Output.of({"rows": answer.rows, "count": answer.count})

    def _chosen(self, given: dict[str, Any]) -> dict[str, str]:
        for name, value in given.items():
            check_identifier(name, value, self._allowed[name])
        return given


def check_identifier(name: str, value: Json, allowed: Sequence[str]) -> None:
    """Raise TaskFailure for a name that the definition does not list."""
    if value not in allowed:
        message = f"the identifier {name} is {str(value)[:64]!r}, not one of {', '.join(allowed)}"
        raise invalid(message, reason="SQL_FORBIDDEN")


def database_executor(databases: Databases, now_us: NowUs) -> Executor:
    """Return the executor of `db.query` and `db.exec`."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> DatabaseStep:
        return DatabaseStep(spec, config, databases, now_us)

    return prepare
