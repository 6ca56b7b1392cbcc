"""`log`: writes a line to the log of the worker and keeps it with the node."""

from typing import Any

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Executor, InlineStep, Output
from flowmesh.executors.failures import invalid
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.lines import LINE_CHARACTERS_MAX
from flowmesh.executors.templates import Rendered

FIELDS_BYTES_MAX = 8 * 1024
# A structlog logger; the library gives bound loggers no common type.
Log = Any


class LogStep(InlineStep):
    def __init__(
        self, spec: TaskSpec, config: dict[str, Json], log: Log | None, now_us: NowUs
    ) -> None:
        self._level = str(config.get("level") or "info")
        self._log = log
        given = {"message": config.get("message"), "fields": config.get("fields") or {}}
        self._given = Rendered(given, spec.dialect, now_us)

    def run(self, attempt: Attempt) -> Output:
        given = self._given.over(attempt)
        said, fields = given["message"], given["fields"]
        text = said if isinstance(said, str) else orjson.dumps(said).decode()
        line: dict[str, Json] = {"level": self._level, "message": text[:LINE_CHARACTERS_MAX]}
        if fields:
            line["fields"] = fields
        metadata = orjson.dumps({"log": [line]})
        if len(metadata) > FIELDS_BYTES_MAX:
            raise invalid(f"a line and its fields have at most {FIELDS_BYTES_MAX} bytes")
        if self._log is not None:
            task = attempt.task
            getattr(self._log, self._level)(
                "task_log",
                said=line["message"],
                fields=fields,
                namespace=task.namespace,
                workflow_id=task.workflow_id,
                execution_id=task.execution_id,
                node=task.node,
            )
        return Output.of(line["message"], metadata)


def log_executor(now_us: NowUs, log: Log | None = None) -> Executor:
    """Return the executor of `log`; without a log, lines are kept with their nodes only."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> LogStep:
        return LogStep(spec, config, log, now_us)

    return prepare
