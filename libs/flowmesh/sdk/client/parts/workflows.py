"""Calls about workflow definitions: register, validate, read, list, analyze and delete them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as rpc
from flowmesh.dryrun.report import Report, decode
from flowmesh.errors import Invalid
from flowmesh.sdk import limits
from flowmesh.sdk.client.connection import Connection
from flowmesh.sdk.client.parts.versions import Version, version_fields
from flowmesh.sdk.payloads import Json, decode_bytes, encode


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
    workflow_id: str
    version: int
    task_version: int
    labels: tuple[str, ...]


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

    id: str
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


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a workflow or task, with the definition as it was posted."""

    kind: str
    id: str
    name: str
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
            namespace=self._connection.namespace,
            source=source_of(definition),
            content_type=content_type_of(definition),
            request_id=request_id or self._connection.new_id(),
            actor=self._connection.actor,
        )
        response = await self._connection.caller.call(self._stub.RegisterWorkflow, request)
        return Registered(
            id=response.workflow_id,
            version=response.version,
            digest=response.digest,
            created=response.created,
            warnings=problems_of(response.warnings),
        )

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
        self, definition: Definition, *, request_id: str = "", reason: str = ""
    ) -> Applied:
        """Apply all resources of one source or none; `reason` is stored with the changes."""
        request = pb.ApplyRequest(
            namespace=self._connection.namespace,
            source=source_of(definition),
            content_type=content_type_of(definition),
            request_id=request_id or self._connection.new_id(),
            actor=self._connection.actor,
            reason=reason,
        )
        response = await self._connection.caller.call(self._stub.Apply, request)
        return Applied(
            resources=resources_of(response.resources),
            warnings=problems_of(response.warnings),
            affected=_users(response.affected),
            affected_count=response.affected_count,
        )

    async def validate(
        self, definition: Definition, *, lint: bool = False, strict: bool = False
    ) -> Validation:
        """Check a definition as `apply` does, store nothing, and return its problems.

        With `lint`, also report likely mistakes; `strict` reports warnings as errors.
        """
        request = pb.ValidateWorkflowRequest(
            namespace=self._connection.namespace,
            source=source_of(definition),
            content_type=content_type_of(definition),
            lint=lint,
            strict=strict,
        )
        response = await self._connection.caller.call(self._stub.ValidateWorkflow, request)
        return Validation(
            response.valid,
            problems_of(response.problems),
            _users(response.affected),
            response.affected_count,
        )

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
            namespace=self._connection.namespace,
            workflow_id=workflow_id,
            input=encode(given),
            mocks=encode(mocks or {}),
            signals=encode(list(signals)),
            **version_fields(version),
        )
        if definition is not None:
            request.source = source_of(definition)
            request.content_type = content_type_of(definition)
        response = await self._connection.caller.call(self._stub.DryRunWorkflow, request)
        return decode(response.report)

    async def get(self, workflow_id: str, *, version: Version = 0) -> Stored:
        """Return one version of a workflow, by default the newest."""
        request = pb.GetWorkflowRequest(
            namespace=self._connection.namespace, workflow_id=workflow_id, **version_fields(version)
        )
        response = await self._connection.caller.call(self._stub.GetWorkflow, request)
        return _stored_workflow(response.workflow)

    async def list(
        self, *, where: str = "", page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Stored]:
        """Iterate over the newest versions of all workflows.

        `where` filters by `id:prefix*` and `label.key=value`.
        """
        request = pb.ListWorkflowsRequest(
            namespace=self._connection.namespace, page_size=page_size, filter=where
        )
        async for item in self._connection.pages(self._stub.ListWorkflows, request, "workflows"):
            yield _stored_workflow(item)

    async def versions(
        self, workflow_id: str, *, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Stored]:
        """Iterate over all versions of one workflow, newest first."""
        request = pb.ListWorkflowVersionsRequest(
            namespace=self._connection.namespace, workflow_id=workflow_id, page_size=page_size
        )
        async for item in self._connection.pages(
            self._stub.ListWorkflowVersions, request, "versions"
        ):
            yield _stored_workflow(item)

    async def delete(self, workflow_id: str, *, request_id: str = "") -> None:
        """Delete all versions of a workflow; its running executions continue."""
        request = pb.DeleteWorkflowRequest(
            namespace=self._connection.namespace,
            workflow_id=workflow_id,
            request_id=request_id or self._connection.new_id(),
            actor=self._connection.actor,
        )
        await self._connection.caller.call(self._stub.DeleteWorkflow, request)

    async def analyze(self, workflow_id: str, *, version: int = 0) -> definition_pb2.Analysis:
        """Return figures of the graph of a workflow."""
        request = pb.AnalyzeWorkflowRequest(
            namespace=self._connection.namespace, workflow_id=workflow_id, version=version
        )
        response = await self._connection.caller.call(self._stub.AnalyzeWorkflow, request)
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


def _users(messages: Any) -> tuple[User, ...]:
    return tuple(map(user_of, messages))


def user_of(message: pb.WorkflowReference) -> User:
    return User(
        message.namespace,
        message.name,
        message.version,
        message.task_version,
        tuple(message.version_labels),
    )


def resources_of(messages: Any) -> tuple[Resource, ...]:
    return tuple(Resource(r.kind, r.name, r.version, r.digest, r.created) for r in messages)


def problems_of(messages: Any) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            code=message.code,
            severity=definition_pb2.Severity.Name(message.severity)
            .removeprefix("SEVERITY_")
            .lower(),
            message=message.message,
            path=message.path,
            line=message.line,
            column=message.column,
        )
        for message in messages
    )


def _stored_workflow(message: definition_pb2.Workflow) -> Stored:
    return Stored(
        kind="Workflow",
        id=message.workflow_id,
        name=message.name or message.workflow_id,
        version=message.version,
        digest=message.digest,
        format=message.format,
        definition=decode_bytes(message.definition),
        created_at=created_at_of(message),
        labels=dict(message.labels),
    )


def created_at_of(message: definition_pb2.Workflow | definition_pb2.Task) -> datetime | None:
    if not message.HasField("created_at"):
        return None
    return message.created_at.ToDatetime(tzinfo=UTC)
