"""Calls about versions of definitions: labels, change log, differences, compatibility."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from flowmesh.api.definition.v1 import version_service_pb2 as pb
from flowmesh.api.definition.v1 import version_service_pb2_grpc as rpc
from flowmesh.contract.json_value import Json
from flowmesh.records import APART, Source, value_from, values_from
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.payloads import decode_bytes

Version = int | str
"""A version number or label; 0 is the newest version."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name that points to a version; `previous_version` is its target before the last move."""

    name: str
    version: int
    moved_at: datetime
    moved_by: str
    previous_version: Annotated[int, APART] = 0


def _value(text: bytes) -> Json:
    """Decode a value; a truncated one is returned as text."""
    if not text:
        return None
    try:
        return decode_bytes(text)
    except ValueError:
        return text.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: `subject` of an area was added, removed, or changed in one `field`."""

    area: str
    action: str
    subject: str
    field: str
    before: Annotated[Json, Source(read=_value)]
    after: Annotated[Json, Source(read=_value)]


@dataclass(frozen=True, slots=True)
class Diff:
    """The differences between two versions."""

    from_version: int
    to_version: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the change log of a definition; `action` is `changed`, `label_set` and so on."""

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
    """The reason for a verdict. `side` is `input` or `output`; `path` points into the value."""

    side: str
    verdict: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Move:
    """A running execution, with the reasons that keep it from moving to the other version."""

    execution_id: str
    version: int
    movable: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compatibility:
    """The compatibility of two versions: `compatible`, `breaking` or `unknown`."""

    from_version: int
    to_version: int
    verdict: Annotated[str, Source("callers.")]
    input: Annotated[str, Source("callers.")]
    output: Annotated[str, Source("callers.")]
    reasons: Annotated[tuple[CompatibilityReason, ...], Source("callers.")]
    executions: tuple[Move, ...]
    truncated: bool


class VersionCalls:
    """Labels, changes and differences of workflow versions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.VersionServiceStub(connection.caller.channel)

    async def set_label(
        self,
        workflow_id: str,
        label: str,
        version: Version,
        *,
        reason: str = "",
        request_id: str = "",
    ) -> Label:
        """Point a label to a version, which may be given by another label."""
        request = pb.SetLabelRequest(
            workflow_id=workflow_id, label=label, version=str(version or ""), reason=reason
        )
        response = await self._connection.change(self._stub.SetLabel, request, request_id)
        return value_from(Label, response.label, previous_version=response.previous_version)

    async def rollback(
        self, workflow_id: str, label: str, *, reason: str = "", request_id: str = ""
    ) -> Label:
        """Point a label to its previous version."""
        request = pb.RollbackLabelRequest(workflow_id=workflow_id, label=label, reason=reason)
        response = await self._connection.change(self._stub.RollbackLabel, request, request_id)
        return value_from(Label, response.label, previous_version=response.previous_version)

    async def delete_label(
        self, workflow_id: str, label: str, *, reason: str = "", request_id: str = ""
    ) -> None:
        """Delete a label; its version stays."""
        request = pb.DeleteLabelRequest(workflow_id=workflow_id, label=label, reason=reason)
        await self._connection.change(self._stub.DeleteLabel, request, request_id)

    async def labels(self, workflow_id: str) -> tuple[Label, ...]:
        """Return all labels of a workflow, by name."""
        request = pb.ListLabelsRequest(workflow_id=workflow_id)
        response = await self._connection.call(self._stub.ListLabels, request)
        return values_from(Label, response.labels)

    async def changes(
        self,
        name: str,
        *,
        kind: str = "Workflow",
        label: str = "",
        page_size: int = limits.PAGE_SIZE,
    ) -> AsyncIterator[Change]:
        """Iterate over the change log of a definition, newest first.

        With `label`, only over the moves of that label.
        """
        request = pb.ListChangesRequest(kind=kind, name=name, label=label, page_size=page_size)
        async for item in self._connection.pages(self._stub.ListChanges, request, "changes"):
            yield value_from(Change, item)

    async def diff(self, workflow_id: str, before: Version, after: Version = 0) -> Diff:
        """Return the differences from version `before` to `after`, by default the newest."""
        request = pb.DiffWorkflowRequest(
            workflow_id=workflow_id, from_version=str(before or ""), to_version=str(after or "")
        )
        response = await self._connection.call(self._stub.DiffWorkflow, request)
        return value_from(Diff, response)

    async def compatibility(
        self, workflow_id: str, before: Version = 0, after: Version = 0, *, source: bytes = b""
    ) -> Compatibility:
        """Check whether callers of version `before` can call `after` or the definition in `source`.

        By default `before` is the version before `after`, or the newest one with a `source`. Also
        lists the running executions with whether they can move to it.
        """
        request = pb.CheckCompatibilityRequest(
            workflow_id=workflow_id,
            from_version=str(before or ""),
            to_version=str(after or ""),
            source=source,
        )
        response = await self._connection.call(self._stub.CheckCompatibility, request)
        return value_from(Compatibility, response)


def version_fields(version: Version) -> dict[str, Any]:
    """Return the request fields that select a version."""
    return {"version": version} if isinstance(version, int) else {"version_label": version}
