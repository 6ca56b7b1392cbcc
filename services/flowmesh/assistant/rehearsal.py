"""The check of a draft: as Apply would, then a run in memory with values of its schemas."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
import yaml

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.contract.json_value import Json
from flowmesh.dryrun.examples import example_of
from flowmesh.errors import FlowmeshError, Invalid

YAML = "application/yaml"
FAILED = "failed"
_URL = "https://example.com/"
SOURCE_BYTES_MAX = 256 * 1024


class Checks(Protocol):
    """The calls of DefinitionService that check a draft."""

    async def ValidateWorkflow(self, request: definitions.ValidateWorkflowRequest) -> Any: ...

    async def DryRunWorkflow(self, request: definitions.DryRunWorkflowRequest) -> Any: ...


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The problems of a draft, and the status of its run; empty if it was not run."""

    problems: list[definition_pb2.Problem] = field(default_factory=list)
    status: str = ""


class Rehearser:
    """Checks drafts as the caller of the request that is served."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    async def rehearse(self, namespace: str, source: str, outputs: Mapping[str, Json]) -> Rehearsal:
        """Return the problems of a draft; `outputs` are the output schemas of stored tasks."""
        text = source.encode()
        if len(text) > SOURCE_BYTES_MAX:
            return Rehearsal([_problem("DEFINITION_INVALID", "the draft is larger than 256 KiB")])
        checked = await self._checks.ValidateWorkflow(
            definitions.ValidateWorkflowRequest(namespace=namespace, source=text, content_type=YAML)
        )
        if not checked.valid:
            errors = definition_pb2.SEVERITY_ERROR
            return Rehearsal([each for each in checked.problems if each.severity == errors])
        found = await asyncio.to_thread(_scene, text, outputs)
        if found is None:
            return Rehearsal([_problem("DEFINITION_INVALID", "the draft has no Workflow")])
        name, given, mocks = found
        try:
            answer = await self._checks.DryRunWorkflow(
                definitions.DryRunWorkflowRequest(
                    namespace=namespace,
                    workflow_id=name,
                    source=text,
                    content_type=YAML,
                    input=orjson.dumps(given),
                    mocks=orjson.dumps(mocks),
                )
            )
        except Invalid as error:
            return Rehearsal([_problem(error.reason, error.message)])
        except FlowmeshError as error:
            return Rehearsal([_problem(error.reason, error.message)], FAILED)
        report: Json = orjson.loads(answer.report)
        if report.get("status") == FAILED:
            text_of = orjson.dumps(report.get("error")).decode()
            return Rehearsal([_problem("REHEARSAL_FAILED", text_of)], FAILED)
        return Rehearsal(status=str(report.get("status")))


def _scene(text: bytes, outputs: Mapping[str, Json]) -> tuple[str, Json, Json] | None:
    """Return the name of the workflow, an input, and results of its tasks that schemas allow."""
    documents = [each for each in yaml.load_all(text, yaml.CSafeLoader) if isinstance(each, dict)]
    schemas = dict(outputs)
    for each in documents:
        if each.get("kind") == "WorkflowTask":
            schemas[_name(each)] = (each.get("spec") or {}).get("outputSchema")
    for each in documents:
        if each.get("kind") == "Workflow":
            spec: Json = each.get("spec") or {}
            schema = spec.get("inputSchema")
            given = _with_urls(example_of(schema)) if schema else {}
            used = {name for name in _refs(spec.get("tasks")) if name in schemas}
            mocks = {name: {"output": example_of(schemas[name] or {})} for name in used}
            return _name(each), given, mocks
    return None


def _with_urls(value: Json, name: str = "") -> Json:
    """Return a value whose texts named `url` are addresses, which tasks check before a call."""
    if isinstance(value, dict):
        return {key: _with_urls(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_urls(each, name) for each in value]
    is_url = isinstance(value, str) and name.lower().endswith(("url", "uri"))
    return _URL if is_url and "://" not in value else value


def _name(document: Json) -> str:
    return str((document.get("metadata") or {}).get("name"))


def _refs(value: Json) -> Iterator[str]:
    """Yield the tasks that nodes refer to, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("taskRef"), str):
            yield value["taskRef"]
        for each in value.values():
            yield from _refs(each)
    elif isinstance(value, list):
        for each in value:
            yield from _refs(each)


def _problem(code: str, message: str) -> definition_pb2.Problem:
    severity = definition_pb2.SEVERITY_ERROR
    return definition_pb2.Problem(code=code, message=message, severity=severity)
