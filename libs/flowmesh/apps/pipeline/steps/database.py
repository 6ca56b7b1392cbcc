"""Steps over databases: values are parameters, statements are checked when they are loaded."""

from collections.abc import Callable
from typing import Any

import orjson

from flowmesh.apps.data.database import Row, Session
from flowmesh.apps.data.effects import EFFECT_KEY, once
from flowmesh.apps.data.statements import Statement, prepared
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.apps.pipeline.templates import Render
from flowmesh.apps.wiring.ports import DATABASE
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Invalid


def _statement(context: StepContext, *, reads: bool) -> Statement | None:
    config = context.spec.config
    dialect = context.services.dialect(str(config.get("database", "")))
    text = config.get("query")
    if dialect is None or not isinstance(text, str):
        return None
    try:
        statement = prepared(text, dialect)
    except Invalid as error:
        context.error("SQL_FORBIDDEN", error.message, "query")
        return None
    if reads and not statement.reads:
        context.error("SQL_FORBIDDEN", "step.db_query reads; step.db_exec changes rows", "query")
        return None
    given = len(config.get("params") or ())
    if statement.parameters != given:
        message = f"the statement has {statement.parameters} parameters, params has {given}"
        context.error("SQL_FORBIDDEN", message, "params" if given else "query")
    return statement


def _session(context: StepContext) -> Callable[[Run], Session]:
    name = str(context.spec.config.get("database", ""))
    find = context.services.later(DATABASE, name)

    def session(run: Run) -> Session:
        found: Session = run.sessions.get(name) or find()
        return found

    return session


def _values(context: StepContext) -> Callable[[Run], tuple[Json, ...]]:
    render: Render | None = context.value("params")
    if render is None:
        return lambda _run: ()
    return lambda run: tuple(_plain(each) for each in render(run))


def _plain(value: Json) -> Json:
    """Return a value that databases take; objects and lists become JSON."""
    return orjson.dumps(value).decode() if value.__class__ in (dict, list) else value


def db_query(context: StepContext) -> StepCall:
    """Compile step.db_query."""
    statement = _statement(context, reads=True)
    session, values = _session(context), _values(context)
    config = context.spec.config
    single = config["mode"] == "single"
    rows_max = 1_000_000 if single else int(config["max_rows"])
    shape = _one if single else _all
    if statement is None:
        return lambda _run: {}

    def call(run: Run) -> Any:
        rows = session(run).query(statement, values(run), rows_max)
        return shape(rows) if rows.__class__ is list else _later(rows, shape)

    return call


async def _later(rows: Any, shape: Callable[[list[Row]], Output]) -> Output:
    return shape(await rows)


def _one(rows: list[Row]) -> Output:
    return {"row": rows[0], "found": True} if rows else {"row": None, "found": False}


def _all(rows: list[Row]) -> Output:
    return {"rows": rows, "count": len(rows)}


def db_exec(context: StepContext) -> StepCall:
    """Compile step.db_exec; its output follows the commit, in a durable run with its key."""
    statement = _statement(context, reads=False)
    session, values = _session(context), _values(context)
    name = str(context.spec.config.get("database", ""))
    ignores = bool(context.spec.config.get("ignore_error"))
    wanted = context.spec.config.get("returning")
    if statement is None:
        return lambda _run: {}
    if wanted and not statement.returns:
        context.error("SQL_INVALID", "the statement has no RETURNING", "returning")
    returns = statement.returns and wanted is not False

    async def change(on: Session, given: tuple[Json, ...]) -> Output:
        changed = await on.execute(statement, given)
        output: Output = {"affected_rows": changed.count, "last_id": changed.last_id}
        if returns:
            output["rows"] = changed.rows
        return output

    async def call(run: Run) -> Output:
        key = EFFECT_KEY.get()
        try:
            given = values(run)
            if key and name not in run.sessions:
                database: Any = session(run)
                output: Output = await once(database, key, lambda on: change(on, given))
                return output
            return await change(session(run), given)
        except FlowmeshError as error:
            if ignores:
                return {"affected_rows": 0, "last_id": None, "_error": error.message}
            if error.reason == "SQL_FAILED":
                raise HttpProblem(422, error.reason, error.message) from None
            raise

    return call
