"""The client's calls about versions: labels that point to them, changes, differences."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flowmesh.api.definition.v1 import version_pb2
from flowmesh.api.definition.v1 import version_service_pb2 as pb
from flowmesh.api.definition.v1 import version_service_pb2_grpc as rpc
from flowmesh.sdk import limits
from flowmesh.sdk.client.connection import Connection
from flowmesh.sdk.payloads import Json, decode_bytes

Version = int | str
"""A version by its number or by a label; 0 is the newest."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name that points to a version; `previous_version` is where it pointed before a move."""

    name: str
    version: int
    moved_at: datetime
    moved_by: str
    previous_version: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """`subject` of an area was added, removed or, in one `field`, changed."""

    area: str
    action: str
    subject: str
    field: str
    before: Json
    after: Json


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between two versions."""

    from_version: int
    to_version: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was done to a definition; `action` as `changed`, `label_set`."""

    number: int
    action: str
    version: int
    previous_version: int
    label: str
    actor: str
    reason: str
    changed_at: datetime
    differences: tuple[Difference, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class CompatibilityReason:
    """Why, of the `input` or the `output`; `path` leads into the value."""

    side: str
    verdict: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Move:
    """A running execution, and why it could not go on under the other version."""

    execution_id: str
    version: int
    movable: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compatibility:
    """Whether a version can take another's place: `compatible`, `breaking` or `unknown`."""

    from_version: int
    to_version: int
    verdict: str
    input: str
    output: str
    reasons: tuple[CompatibilityReason, ...]
    executions: tuple[Move, ...]
    truncated: bool


class VersionCalls(Connection):
    """Versions of workflows: which one has which label, and what changed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.versions = rpc.VersionServiceStub(self.caller.channel)

    async def set_label(
        self,
        workflow_id: str,
        label: str,
        version: Version,
        *,
        reason: str = "",
        request_id: str = "",
    ) -> Label:
        """Points a label to a version; another label may say which."""
        request = pb.SetLabelRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            label=label,
            version=str(version or ""),
            reason=reason,
            actor=self.actor,
            request_id=request_id or self.new_id(),
        )
        response = await self.caller.call(self.versions.SetLabel, request)
        return _label(response.label, response.previous_version)

    async def rollback(
        self, workflow_id: str, label: str, *, reason: str = "", request_id: str = ""
    ) -> Label:
        """Points a label to the version it pointed to before."""
        request = pb.RollbackLabelRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            label=label,
            reason=reason,
            actor=self.actor,
            request_id=request_id or self.new_id(),
        )
        response = await self.caller.call(self.versions.RollbackLabel, request)
        return _label(response.label, response.previous_version)

    async def delete_label(
        self, workflow_id: str, label: str, *, reason: str = "", request_id: str = ""
    ) -> None:
        """Removes a label; the version stays."""
        request = pb.DeleteLabelRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            label=label,
            reason=reason,
            actor=self.actor,
            request_id=request_id or self.new_id(),
        )
        await self.caller.call(self.versions.DeleteLabel, request)

    async def labels(self, workflow_id: str) -> tuple[Label, ...]:
        """All labels of a workflow, by name."""
        request = pb.ListLabelsRequest(namespace=self.namespace, workflow_id=workflow_id)
        response = await self.caller.call(self.versions.ListLabels, request)
        return tuple(_label(label, 0) for label in response.labels)

    async def changes(
        self,
        name: str,
        *,
        kind: str = "Workflow",
        label: str = "",
        page_size: int = limits.PAGE_SIZE,
    ) -> AsyncIterator[Change]:
        """Who changed a definition, newest first; only moves of one label where it is named."""
        request = pb.ListChangesRequest(
            namespace=self.namespace, kind=kind, name=name, label=label, page_size=page_size
        )
        async for item in self.pages(self.versions.ListChanges, request, "changes"):
            yield _change(item)

    async def diff(self, workflow_id: str, before: Version, after: Version = 0) -> Diff:
        """What differs from one version to another, the newest unless named."""
        request = pb.DiffWorkflowRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            from_version=str(before or ""),
            to_version=str(after or ""),
        )
        response = await self.caller.call(self.versions.DiffWorkflow, request)
        return Diff(
            response.from_version,
            response.to_version,
            tuple(map(_difference, response.differences)),
        )

    async def compatibility(
        self, workflow_id: str, before: Version = 0, after: Version = 0, *, source: bytes = b""
    ) -> Compatibility:
        """Whether callers of one version can call another, or a definition in `source`.

        Tells of what runs now which executions could move to it.
        """
        request = pb.CheckCompatibilityRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            from_version=str(before or ""),
            to_version=str(after or ""),
            source=source,
        )
        response = await self.caller.call(self.versions.CheckCompatibility, request)
        callers = response.callers
        return Compatibility(
            from_version=response.from_version,
            to_version=response.to_version,
            verdict=_verdict(callers.verdict),
            input=_verdict(callers.input),
            output=_verdict(callers.output),
            reasons=tuple(
                CompatibilityReason(each.side, _verdict(each.verdict), each.path, each.message)
                for each in callers.reasons
            ),
            executions=tuple(
                Move(each.execution_id, each.version, each.movable, tuple(each.reasons))
                for each in response.executions
            ),
            truncated=response.truncated,
        )


def _verdict(verdict: version_pb2.Verdict.ValueType) -> str:
    return version_pb2.Verdict.Name(verdict).removeprefix("VERDICT_").lower()


def version_fields(version: Version) -> dict[str, Any]:
    """The fields of a request that choose a version."""
    return {"version": version} if isinstance(version, int) else {"version_label": version}


def _label(message: version_pb2.Label, previous_version: int) -> Label:
    return Label(
        message.name,
        message.version,
        message.moved_at.ToDatetime(tzinfo=UTC),
        message.moved_by,
        previous_version,
    )


def _change(message: version_pb2.Change) -> Change:
    action = version_pb2.ChangeAction.Name(message.action)
    return Change(
        number=message.number,
        action=action.removeprefix("CHANGE_ACTION_").lower(),
        version=message.version,
        previous_version=message.previous_version,
        label=message.label,
        actor=message.actor,
        reason=message.reason,
        changed_at=message.changed_at.ToDatetime(tzinfo=UTC),
        differences=tuple(map(_difference, message.differences)),
        truncated=message.truncated,
    )


def _difference(message: version_pb2.Difference) -> Difference:
    return Difference(
        message.area,
        message.action,
        message.subject,
        message.field,
        _value(message.before),
        _value(message.after),
    )


def _value(text: bytes) -> Json:
    """The value; the text of one that was cut."""
    if not text:
        return None
    try:
        return decode_bytes(text)
    except ValueError:
        return text.decode("utf-8", "replace")
