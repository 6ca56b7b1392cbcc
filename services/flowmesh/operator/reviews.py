"""Admission reviews: the verdict of the definition service on a resource before it is stored."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from lightkube import ApiError, AsyncClient

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.definitions.admission import definition_of, verdict
from flowmesh.operator.agents import Agents
from flowmesh.operator.kinds import AGENTS, KINDS, PROVISIONED, TASK, Key, Object
from flowmesh.operator.objects import Objects, task_references
from flowmesh.operator.provisioning.documents import Documents
from flowmesh.operator.provisioning.provisioner import Provisioner
from flowmesh.operator.suite import Suite

MISSING = "TASK_NOT_FOUND"
MISSING_SPEC = "AGENT_SPEC_NOT_FOUND"


class Reviewer:
    """Reviews resources of our kinds."""

    def __init__(
        self,
        *,
        client: AsyncClient,
        objects: Objects,
        suite: Suite,
        agents: Agents,
        provisioner: Provisioner,
        documents: Documents,
    ) -> None:
        self._client = client
        self._objects = objects
        self._suite = suite
        self._agents = agents
        self._provisioner = provisioner
        self._documents = documents

    async def review(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the response to a request of an AdmissionReview.

        Raises errors of the suite, of which the API server learns by the status of HTTP.
        """
        if request.get("operation") == "DELETE":
            return await self._deletion(request)
        found, place = request["object"], str(request.get("namespace") or "")
        namespace = self._objects.suite_namespace(place)
        waits = self._objects.waits_for_tasks(place)
        if found["kind"] in PROVISIONED:
            before = request.get("oldObject")
            return verdict(request["uid"], await self._app_problems(found, before, namespace))
        if found["kind"] in AGENTS:
            problems = await self._agent_problems(place, found, namespace)
            return verdict(request["uid"], problems, allow=[MISSING_SPEC] if waits else [])
        definition = definition_of(found)
        problems = await self._suite.check(namespace, [definition])
        if any(each.code == MISSING for each in problems):
            # A task that was applied a moment before may not be registered yet.
            tasks = [task async for task in self._cluster_tasks(place, found)]
            if tasks:
                problems = await self._suite.check(namespace, [*tasks, definition])
        return verdict(request["uid"], problems, allow=[MISSING] if waits else [])

    async def _app_problems(
        self, found: Object, before: Object | None, namespace: str
    ) -> Sequence[definition_pb2.Problem]:
        problems = await self._provisioner.check(found)
        if problems or found["kind"] != "App":
            return problems
        # It starts a process: the last of the checks.
        return await self._documents.check(found, before, namespace)

    async def _agent_problems(
        self, place: str, found: Object, namespace: str
    ) -> Sequence[definition_pb2.Problem]:
        key = Key(found["kind"], place, found["metadata"]["name"])
        problems = await self._agents.check(key, found, namespace)
        if any(each.code == MISSING_SPEC for each in problems):
            # A spec that was applied a moment before may not be registered yet.
            named = Key("AgentSpec", place, found["spec"]["agentSpec"])
            if self._objects.get(named) or await self._read(named):
                return ()
        return problems

    async def _cluster_tasks(self, place: str, found: Object) -> AsyncIterator[dict[str, Any]]:
        """The definitions of the tasks that a workflow refers to, as the cluster has them."""
        for name in sorted(set(task_references(found.get("spec")))):
            key = Key(TASK, place, name)
            task = self._objects.get(key) or await self._read(key)
            if task is not None and not task["metadata"].get("deletionTimestamp"):
                yield definition_of(task)

    async def _read(self, key: Key) -> Object | None:
        try:
            return await self._client.get(KINDS[key.kind], key.name, namespace=key.namespace)
        except ApiError as error:
            if error.status.code != 404:
                raise
        return None

    async def _deletion(self, request: Mapping[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        place, name = str(request.get("namespace") or ""), str(request.get("name") or "")
        if request.get("kind", {}).get("kind") != TASK or self._objects.is_ending(place):
            return response
        namespace = self._objects.suite_namespace(place)
        users = await self._suite.users(Key(TASK, place, name), namespace)
        if users:
            named = ", ".join(users[:10]) + (f" and {len(users) - 10} more" if users[10:] else "")
            message = f"WorkflowTask {name} is in use by {named} [TASK_IN_USE]"
            response["allowed"] = False
            response["status"] = {"code": 409, "reason": "Conflict", "message": message}
        return response
