"""`db.query` and `db.exec`: one SQL statement."""

from flowmesh.tasktypes.record import CheckKind, Effect, InputMode, Schema, TaskType, Upstream

_BLOCK = "db"
_EXECUTOR = "flowmesh.executors.database:database_executor"
_PARAMETERS = "flowmesh.definitions.editor.calls:database_parameters"
_READER = "flowmesh.definitions.formats.native.calls:database"
_OUTPUT: Schema = {
    "type": "object",
    "required": ["rows", "count"],
    "properties": {
        "rows": {"type": "array", "items": {"type": "object"}},
        "count": {"type": "integer"},
    },
}
_UPSTREAM = Upstream("database", "connection")
DB_QUERY = TaskType(
    name="db.query",
    summary="One SQL statement that reads, on PostgreSQL or SQLite.",
    effect=Effect.READS,
    executor=_EXECUTOR,
    parameters=_PARAMETERS,
    output=_OUTPUT,
    native="db.query",
    block=_BLOCK,
    reader=_READER,
    action="read",
    check=CheckKind.DATABASE,
    input_mode=InputMode.RENDERED,
    upstream=_UPSTREAM,
)
DB_EXEC = TaskType(
    name="db.exec",
    summary="One SQL statement that writes, on PostgreSQL or SQLite.",
    effect=Effect.CHANGES,
    executor=_EXECUTOR,
    parameters=_PARAMETERS,
    output=_OUTPUT,
    native="db.exec",
    block=_BLOCK,
    reader=_READER,
    action="read",
    check=CheckKind.DATABASE,
    input_mode=InputMode.RENDERED,
    upstream=_UPSTREAM,
)
TASK_TYPES = (DB_QUERY, DB_EXEC)
