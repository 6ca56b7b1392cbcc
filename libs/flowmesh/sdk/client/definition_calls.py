"""The client's calls to the definition service: register, check, find, analyse."""

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
from flowmesh.sdk.client.version_calls import Version, version_fields
from flowmesh.sdk.payloads import Json, decode_bytes, encode


@runtime_checkable
class Compilable(Protocol):
    """Anything that writes itself as resources: a Workflow built in code."""

    @property
    def id(self) -> str: ...

    def source(self) -> bytes: ...


Definition = dict[str, Any] | str | bytes | Compilable
"""A definition as JSON object, as YAML or JSON text, or built in code."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a definition, and where (1-based; 0 is unknown)."""

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
    """A resource as it was applied. `created` is False when the same content was there."""

    kind: str
    name: str
    version: int
    digest: str
    created: bool


@dataclass(frozen=True, slots=True)
class User:
    """A version in use that refers to a task: the newest, or one that `labels` point to.

    `task_version` is the version of the task that it is pinned to; 0 floats.
    """

    namespace: str
    workflow_id: str
    version: int
    task_version: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """All resources of one source, what deserves a warning, and whom changed tasks affect."""

    resources: tuple[Resource, ...]
    warnings: tuple[Problem, ...]
    affected: tuple[User, ...]
    affected_count: int


@dataclass(frozen=True, slots=True)
class Registered:
    """A workflow as it was registered."""

    id: str
    version: int
    digest: str
    created: bool
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Validation:
    """What a check found, and whom changed tasks would affect."""

    valid: bool
    problems: tuple[Problem, ...]
    affected: tuple[User, ...]
    affected_count: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A workflow or task in one version, with the definition as it was posted."""

    kind: str
    id: str
    name: str
    version: int
    digest: str
    format: str
    definition: Json
    created_at: datetime | None
    labels: dict[str, str]


class DefinitionCalls(Connection):
    """Workflows and tasks: what is there, and what is put there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.definitions = rpc.DefinitionServiceStub(self.caller.channel)

    async def register(self, definition: Definition, *, request_id: str = "") -> Registered:
        """Registers one workflow; unchanged content answers the version that exists.

        Raises Invalid with one violation per problem; nothing is stored then.
        """
        if isinstance(definition, Compilable):
            return await self._register_built(definition, request_id)
        request = pb.RegisterWorkflowRequest(
            namespace=self.namespace,
            source=source_of(definition),
            content_type=content_type_of(definition),
            request_id=request_id or self.new_id(),
            actor=self.actor,
        )
        response = await self.caller.call(self.definitions.RegisterWorkflow, request)
        return Registered(
            id=response.workflow_id,
            version=response.version,
            digest=response.digest,
            created=response.created,
            warnings=problems_of(response.warnings),
        )

    async def _register_built(self, workflow: Compilable, request_id: str) -> Registered:
        """A workflow built in code brings the tasks it uses."""
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
        raise Invalid("WORKFLOW_INVALID", f"the answer does not name workflow {workflow.id}")

    async def apply(
        self, definition: Definition, *, request_id: str = "", reason: str = ""
    ) -> Applied:
        """Applies all resources of one source, all or none; `reason` is kept with the changes."""
        request = pb.ApplyRequest(
            namespace=self.namespace,
            source=source_of(definition),
            content_type=content_type_of(definition),
            request_id=request_id or self.new_id(),
            actor=self.actor,
            reason=reason,
        )
        response = await self.caller.call(self.definitions.Apply, request)
        return Applied(
            resources=resources_of(response.resources),
            warnings=problems_of(response.warnings),
            affected=_users(response.affected),
            affected_count=response.affected_count,
        )

    async def validate(
        self, definition: Definition, *, lint: bool = False, strict: bool = False
    ) -> Validation:
        """Checks as `apply` would; stores nothing, never fails for what is wrong with it.

        With `lint` also what is allowed and likely to be regretted; `strict` makes warnings errors.
        """
        request = pb.ValidateWorkflowRequest(
            namespace=self.namespace,
            source=source_of(definition),
            content_type=content_type_of(definition),
            lint=lint,
            strict=strict,
        )
        response = await self.caller.call(self.definitions.ValidateWorkflow, request)
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
        """What an execution would do, of a stored workflow or of a definition that need not be.

        No call leaves: mocks answer, by node, task or task type (`{"charge": {"output": 1}}`).
        """
        request = pb.DryRunWorkflowRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            input=encode(given),
            mocks=encode(mocks or {}),
            signals=encode(list(signals)),
            **version_fields(version),
        )
        if definition is not None:
            request.source = source_of(definition)
            request.content_type = content_type_of(definition)
        response = await self.caller.call(self.definitions.DryRunWorkflow, request)
        return decode(response.report)

    async def get_workflow(self, workflow_id: str, *, version: Version = 0) -> Stored:
        """One version of a workflow, the newest unless named."""
        request = pb.GetWorkflowRequest(
            namespace=self.namespace, workflow_id=workflow_id, **version_fields(version)
        )
        response = await self.caller.call(self.definitions.GetWorkflow, request)
        return _stored_workflow(response.workflow)

    async def list_workflows(
        self, *, where: str = "", page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Stored]:
        """Newest versions of all workflows; `where` as `id:prefix*` and `label.key=value`."""
        request = pb.ListWorkflowsRequest(
            namespace=self.namespace, page_size=page_size, filter=where
        )
        async for item in self.pages(self.definitions.ListWorkflows, request, "workflows"):
            yield _stored_workflow(item)

    async def list_versions(
        self, workflow_id: str, *, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Stored]:
        """All versions of one workflow, newest first."""
        request = pb.ListWorkflowVersionsRequest(
            namespace=self.namespace, workflow_id=workflow_id, page_size=page_size
        )
        async for item in self.pages(self.definitions.ListWorkflowVersions, request, "versions"):
            yield _stored_workflow(item)

    async def delete_workflow(self, workflow_id: str, *, request_id: str = "") -> None:
        """Deletes all versions; executions that run it go on."""
        request = pb.DeleteWorkflowRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            request_id=request_id or self.new_id(),
            actor=self.actor,
        )
        await self.caller.call(self.definitions.DeleteWorkflow, request)

    async def get_task(self, name: str, *, version: int = 0) -> Stored:
        """One version of a reusable task, the newest unless named."""
        request = pb.GetTaskRequest(namespace=self.namespace, name=name, version=version)
        response = await self.caller.call(self.definitions.GetTask, request)
        return _stored_task(response.task)

    async def list_tasks(self, *, page_size: int = limits.PAGE_SIZE) -> AsyncIterator[Stored]:
        """Newest versions of all reusable tasks, by name."""
        request = pb.ListTasksRequest(namespace=self.namespace, page_size=page_size)
        async for item in self.pages(self.definitions.ListTasks, request, "tasks"):
            yield _stored_task(item)

    async def task_users(
        self, name: str, *, version: int = 0, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[User]:
        """Versions in use that refer to a task, of all namespaces; to `version` if named."""
        request = pb.ListTaskUsagesRequest(
            namespace=self.namespace, name=name, version=version, page_size=page_size
        )
        async for item in self.pages(self.definitions.ListTaskUsages, request, "workflows"):
            yield _user(item)

    async def delete_task(self, name: str, *, version: int = 0, request_id: str = "") -> None:
        """Deletes a task, or one version of it; refused while a version in use refers to it."""
        request = pb.DeleteTaskRequest(
            namespace=self.namespace,
            name=name,
            version=version,
            actor=self.actor,
            request_id=request_id or self.new_id(),
        )
        await self.caller.call(self.definitions.DeleteTask, request)

    async def analyze(self, workflow_id: str, *, version: int = 0) -> definition_pb2.Analysis:
        """What the graph of a workflow looks like."""
        request = pb.AnalyzeWorkflowRequest(
            namespace=self.namespace, workflow_id=workflow_id, version=version
        )
        response = await self.caller.call(self.definitions.AnalyzeWorkflow, request)
        return response.analysis


def source_of(definition: Definition) -> bytes:
    """The definition as text."""
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
    """The media type where it is known; empty lets the service find out."""
    match definition:
        case dict():
            return "application/json"
        case bytes() | str():
            return ""
        case _:
            return "application/yaml"


def _users(messages: Any) -> tuple[User, ...]:
    return tuple(map(_user, messages))


def _user(message: pb.WorkflowReference) -> User:
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
        created_at=_created_at(message),
        labels=dict(message.labels),
    )


def _stored_task(message: definition_pb2.Task) -> Stored:
    return Stored(
        kind="WorkflowTask",
        id=message.name,
        name=message.name,
        version=message.version,
        digest=message.digest,
        format=message.type,
        definition=decode_bytes(message.definition),
        created_at=_created_at(message),
        labels=dict(message.labels),
    )


def _created_at(message: definition_pb2.Workflow | definition_pb2.Task) -> datetime | None:
    if not message.HasField("created_at"):
        return None
    return message.created_at.ToDatetime(tzinfo=UTC)
