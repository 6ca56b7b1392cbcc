"""Calls about workflow definitions: register, validate, read, list, analyze and delete them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol, runtime_checkable

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as rpc
from flowmesh.contract.json_value import Json
from flowmesh.dryrun.report import Report, decode
from flowmesh.errors import Invalid
from flowmesh.insight.optimizing.report import Optimization
from flowmesh.insight.parts import decode as decode_part
from flowmesh.records import Source, value_from
from flowmesh.sdk.client.parts.versions import Version, version_fields
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.payloads import encode


@runtime_checkable
class Compilable(Protocol):
    """An object that serializes itself to resources: a Workflow built in code."""

    @property
    def id(self) -> str: ...

    def source(self) -> bytes: ...


Definition = dict[str, Any] | str | bytes | Compilable
"""A definition: a JSON object, YAML or JSON text, or a workflow built in code."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem in a definition with its position (1-based; 0 is unknown)."""

    code: str
    severity: str
    message: str
    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
        where = f"{self.path}: " if self.path else ""
        return f"{place}{where}{self.message} [{self.code}]"


@dataclass(frozen=True, slots=True)
class Resource:
    """An applied resource. `created` is False if its newest version had the same content."""

    kind: str
    name: str
    version: int
    digest: str
    created: bool


@dataclass(frozen=True, slots=True)
class User:
    """A workflow version in use that refers to a task: the newest, or one with `labels`.

    `task_version` is the pinned version of the task; 0 means the newest at each start.
    """

    namespace: str
    workflow_id: Annotated[str, Source("name")]
    version: int
    task_version: int
    labels: Annotated[tuple[str, ...], Source("version_labels")]


@dataclass(frozen=True, slots=True)
class Applied:
    """The applied resources of one source, warnings, and workflows affected by changed tasks."""

    resources: tuple[Resource, ...]
    warnings: tuple[Problem, ...]
    affected: tuple[User, ...]
    affected_count: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered workflow version."""

    id: Annotated[str, Source("workflow_id")]
    version: int
    digest: str
    created: bool
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Validation:
    """The result of a validation, with the workflows that changed tasks would affect."""

    valid: bool
    problems: tuple[Problem, ...]
    affected: tuple[User, ...]
    affected_count: int


def _name_of(workflow: definition_pb2.Workflow) -> str:
    return workflow.name or workflow.workflow_id


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a workflow or task, with the definition as it was posted."""

    kind: str
    id: Annotated[str, Source("workflow_id")]
    name: Annotated[str, Source(".", read=_name_of)]
    version: int
    digest: str
    format: str
    definition: Json
    created_at: datetime | None
    labels: dict[str, str]


class WorkflowCalls:
    """Workflow definitions of the client's namespace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.DefinitionServiceStub(connection.caller.channel)

    async def register(self, definition: Definition, *, request_id: str = "") -> Registered:
        """Register one workflow; unchanged content returns the existing version.

        Raises Invalid with one violation per problem; nothing is stored in that case.
        """
        if isinstance(definition, Compilable):
            return await self._register_built(definition, request_id)
        request = pb.RegisterWorkflowRequest(
            source=source_of(definition), content_type=content_type_of(definition)
        )
        response = await self._connection.change(self._stub.RegisterWorkflow, request, request_id)
        return value_from(Registered, response)

    async def _register_built(self, workflow: Compilable, request_id: str) -> Registered:
        """Apply a workflow built in code together with the tasks that it uses."""
        applied = await self.apply(workflow, request_id=request_id)
        for resource in applied.resources:
            if resource.kind == "Workflow" and resource.name == workflow.id:
                return Registered(
                    id=resource.name,
                    version=resource.version,
                    digest=resource.digest,
                    created=resource.created,
                    warnings=applied.warnings,
                )
        raise Invalid("WORKFLOW_INVALID", f"the response does not contain workflow {workflow.id}")

    async def apply(
        self,
        definition: Definition,
        *,
        request_id: str = "",
        reason: str = "",
        take_over: bool = False,
    ) -> Applied:
        """Apply all resources of one source or none; `reason` is stored with the changes.

        `take_over` takes them from the system that manages them, such as a cluster.
        """
        request = pb.ApplyRequest(
            source=source_of(definition),
            content_type=content_type_of(definition),
            reason=reason,
            take_over=take_over,
        )
        response = await self._connection.change(self._stub.Apply, request, request_id)
        return value_from(Applied, response)

    async def validate(
        self, definition: Definition, *, lint: bool = False, strict: bool = False
    ) -> Validation:
        """Check a definition as `apply` does, store nothing, and return its problems.

        With `lint`, also report likely mistakes; `strict` reports warnings as errors.
        """
        request = pb.ValidateWorkflowRequest(
            source=source_of(definition),
            content_type=content_type_of(definition),
            lint=lint,
            strict=strict,
        )
        response = await self._connection.call(self._stub.ValidateWorkflow, request)
        return value_from(Validation, response)

    async def dry_run(
        self,
        workflow_id: str = "",
        given: Json = None,
        *,
        definition: Definition | None = None,
        mocks: Mapping[str, Json] | None = None,
        signals: Sequence[Json] = (),
        version: Version = 0,
    ) -> Report:
        """Run a stored workflow or a given definition in memory and return the report.

        No task is dispatched. `mocks` supply the results, keyed by node, task or task type, such
        as `{"charge": {"output": 1}}`.
        """
        request = pb.DryRunWorkflowRequest(
            workflow_id=workflow_id,
            input=encode(given),
            mocks=encode(mocks or {}),
            signals=encode(list(signals)),
            **version_fields(version),
        )
        if definition is not None:
            request.source = source_of(definition)
            request.content_type = content_type_of(definition)
        response = await self._connection.call(self._stub.DryRunWorkflow, request)
        return decode(response.report)

    async def optimize(self, workflow_id: str, *, executions: int = 0) -> Optimization:
        """Propose changes of a workflow from its last executions, and rehearse them."""
        request = pb.OptimizeWorkflowRequest(
            workflow_id=workflow_id, execution_count_max=executions
        )
        response = await self._connection.call(self._stub.OptimizeWorkflow, request)
        return decode_part(response.report, Optimization)

    async def get(self, workflow_id: str, *, version: Version = 0) -> Stored:
        """Return one version of a workflow, by default the newest."""
        request = pb.GetWorkflowRequest(workflow_id=workflow_id, **version_fields(version))
        response = await self._connection.call(self._stub.GetWorkflow, request)
        return value_from(Stored, response.workflow, kind="Workflow")

    async def list(
        self, *, where: str = "", page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Stored]:
        """Iterate over the newest versions of all workflows.

        `where` filters by `id:prefix*` and `label.key=value`.
        """
        request = pb.ListWorkflowsRequest(page_size=page_size, filter=where)
        async for item in self._connection.pages(self._stub.ListWorkflows, request, "workflows"):
            yield value_from(Stored, item, kind="Workflow")

    async def versions(
        self, workflow_id: str, *, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Stored]:
        """Iterate over all versions of one workflow, newest first."""
        request = pb.ListWorkflowVersionsRequest(workflow_id=workflow_id, page_size=page_size)
        async for item in self._connection.pages(
            self._stub.ListWorkflowVersions, request, "versions"
        ):
            yield value_from(Stored, item, kind="Workflow")

    async def delete(self, workflow_id: str, *, request_id: str = "") -> None:
        """Delete all versions of a workflow; its running executions continue."""
        request = pb.DeleteWorkflowRequest(workflow_id=workflow_id)
        await self._connection.change(self._stub.DeleteWorkflow, request, request_id)

    async def analyze(self, workflow_id: str, *, version: int = 0) -> definition_pb2.Analysis:
        """Return figures of the graph of a workflow."""
        request = pb.AnalyzeWorkflowRequest(workflow_id=workflow_id, version=version)
        response = await self._connection.call(self._stub.AnalyzeWorkflow, request)
        return response.analysis


def source_of(definition: Definition) -> bytes:
    """Return the definition as encoded text."""
    match definition:
        case bytes():
            return definition
        case str():
            return definition.encode()
        case dict():
            return encode(definition)
        case _:
            return definition.source()


def content_type_of(definition: Definition) -> str:
    """Return the media type of a definition; empty lets the service detect it."""
    match definition:
        case dict():
            return "application/json"
        case bytes() | str():
            return ""
        case _:
            return "application/yaml"
