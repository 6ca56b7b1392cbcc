"""Schemas, transformers, and the list of what is loaded."""

import json
from collections.abc import Mapping
from typing import Any

from flowmesh.apps.data.database import Database
from flowmesh.apps.data.statements import own_statement
from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.apps.pipeline.steps.values import validator_of, violations_of
from flowmesh.apps.pipeline.transforming import Apply, compile_operations
from flowmesh.apps.wiring.ports import DATABASE, HANDLER
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

_LISTED = "workflow_registry"


def schemas(setting: Setting) -> Module:
    """Build jsonschema.modular: `step.validate` by name, POST /validate/{name}."""
    validators: dict[str, Any] = {}
    for name, raw in (setting.config.get("schemas") or {}).items():
        schema = raw
        if isinstance(raw, str):
            try:
                schema = json.loads(setting.path(raw).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                text = f"{setting.name}: the schema file {raw} cannot be read as JSON"
                raise Invalid("SCHEMA_INVALID", text) from None
        named = isinstance(schema, dict) and "$schema" in schema
        draft = "" if named else str(setting.config["draft"])
        validators[name] = validator_of(schema, f"{setting.name}: {name}", draft)

    def handle(request: Request) -> Response:
        name = request.params.get("name", "")
        validator = validators.get(name)
        if validator is None:
            raise HttpProblem(404, "SCHEMA_NOT_FOUND", f"there is no schema {name[:80]!r}")
        found = violations_of(validator, request.json())
        return json_response({"valid": not found, "violations": found}, 422 if found else 200)

    def mount(mounts: Mounts) -> None:
        for each in mounts.servers()[:1]:
            each.add("POST", "/validate/{name}", handle)

    def check_of(validator: Any) -> Any:
        return lambda value: violations_of(validator, value)

    return Module(
        name=setting.name,
        services={"Handler": handle, "Validator": validators},
        named={("Validator", name): check_of(each) for name, each in validators.items()},
        mount=mount if validators else None,
    )


class Transformer:
    """Named lists of operations."""

    def __init__(self, pipelines: Mapping[str, Apply], default: str) -> None:
        self._pipelines = pipelines
        self._default = default

    async def transform(self, name: str, value: Json) -> Json:
        """Apply a pipeline. Raises HttpProblem for an unknown one."""
        found = self._pipelines.get(name or self._default)
        if found is None:
            known = ", ".join(self._pipelines) or "none"
            text = f"unknown pipeline {name or self._default!r}; known: {known}"
            raise HttpProblem(500, "PIPELINE_UNKNOWN", text)
        return found(value)


def transformer(setting: Setting) -> Module:
    """Build data.transformer. Raises Invalid for a wrong operation."""
    raw = dict(setting.config.get("pipelines") or {})
    one = setting.config.get("pipeline")
    default = next(iter(raw), "")
    if isinstance(one, list):
        default = "pipeline"
        raw[default] = one
    elif isinstance(one, str):
        default = one
    problems: list[str] = []
    built = {name: compile_operations(each, problems) for name, each in raw.items()}
    if problems:
        raise setting.invalid(f"{problems[0]}")
    made = Transformer(built, default)

    async def handle(request: Request) -> Response:
        return json_response(await made.transform("", request.json()))

    return Module(name=setting.name, services={"Transformer": made, "Handler": handle})


def registry(setting: Setting) -> Module:
    """Build workflow.registry: lists what the application has loaded."""
    document = setting.context.document

    def listed() -> list[Json]:
        pipelines = [{"name": p.name, "kind": "pipeline"} for p in document.pipelines]
        workflows = [
            {"name": str(w.config.get("name") or w.kind), "kind": w.kind}
            for w in document.workflows
        ]
        return pipelines + workflows

    def handle(request: Request) -> Response:
        name = next(iter(request.params.values()), "")
        if not name:
            return json_response({"workflows": listed()})
        for each in listed():
            if each["name"] == name:
                return json_response(each)
        raise HttpProblem(404, "WORKFLOW_NOT_FOUND", f"there is no workflow {name[:80]!r}")

    backend = str(setting.config["storageBackend"])

    async def start() -> None:
        if backend:
            found = setting.context.registry.need(DATABASE, backend)
            await _store_listed(found, document.name, listed())

    return Module(name=setting.name, services={"Registry": listed, "Handler": handle}, start=start)


async def _store_listed(database: Database, app: str, listed: list[Json]) -> None:
    """Write what the application has loaded in place of what it had loaded before."""
    await database.script(
        [
            f"CREATE TABLE IF NOT EXISTS {_LISTED} (app TEXT NOT NULL, name TEXT NOT NULL, "
            "kind TEXT NOT NULL, PRIMARY KEY (app, name, kind))"
        ]
    )
    delete = f"DELETE FROM {_LISTED} WHERE app = ?"  # noqa: S608 - a constant
    insert = f"INSERT INTO {_LISTED} (app, name, kind) VALUES (?, ?, ?)"  # noqa: S608
    async with database.transaction() as session:
        await session.execute(own_statement(delete, database.dialect), (app,))
        for name, kind in {(each["name"], each["kind"]) for each in listed}:
            await session.execute(own_statement(insert, database.dialect), (app, name, kind))


def delegating(setting: Setting) -> Module:
    """Build api.command and api.query: routes without a pipeline go to the delegate."""
    reads = setting.spec.type == "api.query"
    delegate = str(setting.config.get("delegate") or "")
    find = setting.later(HANDLER, delegate) if delegate else None

    async def handle(request: Request) -> Response:
        if reads != (request.method in ("GET", "HEAD")):
            text = f"{setting.spec.type} does not serve {request.method}"
            raise HttpProblem(405, "METHOD_NOT_ALLOWED", text)
        if find is None:
            raise HttpProblem(404, "ROUTE_NOT_FOUND", f"{setting.name} has no such route")
        answer = find()(request)
        return answer if isinstance(answer, Response) else await answer

    return Module(name=setting.name, services={"Handler": handle})
