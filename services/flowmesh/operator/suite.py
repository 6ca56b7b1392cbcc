"""Definitions of the suite as the operator registers, deletes and checks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.api.definition.v1 import definition_pb2, template_service_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.definitions.admission import definition_of
from flowmesh.errors import Conflict, FlowmeshError, Invalid, NotFound, TooLarge, WrongState
from flowmesh.operator.kinds import Key, Object, owner_of
from flowmesh.operator.limits import PROBLEMS_SHOWN
from flowmesh.operator.status import Outcome

if TYPE_CHECKING:
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub
    from flowmesh.api.definition.v1.template_service_pb2_grpc import TemplateServiceAsyncStub

_JSON = "application/json"
# Errors that stay until the object changes; others may pass.
REFUSED = (Invalid, TooLarge, NotFound, Conflict)


class Suite:
    """Calls of the definition service as the owner of what this cluster manages."""

    def __init__(
        self,
        *,
        definitions: DefinitionServiceAsyncStub,
        templates: TemplateServiceAsyncStub,
        cluster: str,
    ) -> None:
        self._definitions = definitions
        self._templates = templates
        self._cluster = cluster

    async def register(self, key: Key, found: Object, namespace: str) -> Outcome:
        """Store the definition of an object. Raises errors that may pass."""
        try:
            answer = await self._definitions.Apply(
                pb.ApplyRequest(
                    namespace=namespace,
                    source=orjson.dumps(definition_of(found)),
                    content_type=_JSON,
                    actor=_actor(found),
                    owner=owner_of(self._cluster, key),
                )
            )
        except WrongState as error:
            if error.reason == "OWNED_ELSEWHERE":
                return Outcome(False, "OwnedElsewhere", error.message)
            raise
        except REFUSED as error:
            return _refused(error)
        (applied,) = answer.resources
        nodes = len(found["spec"].get("tasks") or []) if key.kind == "Workflow" else None
        return Outcome(
            True,
            "Registered",
            version=applied.version,
            digest=applied.digest,
            nodes=nodes,
            used_by=await self._used_by(key, namespace),
            warnings=[f"{each.path}: {each.message}" for each in answer.warnings],
        )

    async def _used_by(self, key: Key, namespace: str) -> int | None:
        if key.kind != "WorkflowTask":
            return None
        return len(await self.users(key, namespace))

    async def users(self, key: Key, namespace: str) -> list[str]:
        """Return the workflows that use a task; the first page of them."""
        request = pb.ListTaskUsagesRequest(namespace=namespace, name=key.name)
        try:
            answer = await self._definitions.ListTaskUsages(request)
        except NotFound:
            return []
        return sorted({each.name for each in answer.workflows})

    async def unregister(self, key: Key, namespace: str) -> Outcome | None:
        """Delete the definition of an object; return why it stays, or None once it is gone."""
        owner = owner_of(self._cluster, key)
        try:
            if key.kind == "Workflow":
                await self._definitions.DeleteWorkflow(
                    pb.DeleteWorkflowRequest(namespace=namespace, workflow_id=key.name, owner=owner)
                )
            elif key.kind == "WorkflowTask":
                await self._definitions.DeleteTask(
                    pb.DeleteTaskRequest(namespace=namespace, name=key.name, owner=owner)
                )
            else:
                await self._templates.DeleteTemplate(
                    template_service_pb2.DeleteTemplateRequest(
                        namespace=namespace, name=key.name, owner=owner
                    )
                )
        except NotFound:
            return None
        except WrongState as error:
            if error.reason == "OWNED_ELSEWHERE":
                return None  # it was never this object's
            return Outcome(False, "InUse", error.message)
        return None

    async def check(
        self, namespace: str, documents: Iterable[Mapping[str, Any]]
    ) -> Sequence[definition_pb2.Problem]:
        """Return the problems of resources that would be stored together."""
        source = b"\n---\n".join(orjson.dumps(each) for each in documents)
        # JSON documents with separators are YAML.
        request = pb.ValidateWorkflowRequest(
            namespace=namespace, source=source, content_type="application/yaml"
        )
        return (await self._definitions.ValidateWorkflow(request)).problems


def _refused(error: FlowmeshError) -> Outcome:
    lines = [
        f"{each.field}: {each.description} [{each.code}]" if each.field else each.description
        for each in error.violations[:PROBLEMS_SHOWN]
    ]
    if left := len(error.violations) - len(lines):
        lines.append(f"{left} more")
    missing = {each.code for each in error.violations} == {"TASK_NOT_FOUND"}
    reason = "MissingTask" if missing else "Invalid"
    return Outcome(False, reason, "; ".join(lines) or error.message)


def _actor(found: Object) -> str:
    """Return who changed the spec last, as far as the object tells."""
    managers = found["metadata"].get("managedFields") or []
    names = [
        str(each["manager"])
        for each in managers
        if each.get("manager") and not each.get("subresource") and "flowmesh" not in each["manager"]
    ]
    return f"kubernetes:{names[-1] if names else 'unknown'}"
