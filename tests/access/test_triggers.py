"""Triggers of a closed installation run with the rights of the principal that applied them."""

from dataclasses import dataclass
from typing import Any

import pytest

from flowmesh.access import Role
from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.api.identity.v1 import key_service_pb2, member_service_pb2, principal_pb2
from flowmesh.testing.polling import until
from tests.access.tenants import member
from tests.features.closed import Caller, Closed

pytestmark = [pytest.mark.feature("S1-111", "S4-62")]
WITHIN_S = 15
PROJECT = principal_pb2.LEVEL_PROJECT
PAID, HOOK = "paid", "hook"


def workflow(path: str) -> Any:
    """A workflow that an event and a webhook start."""
    triggers = [
        {"id": PAID, "event": {"type": PAID}},
        {"id": HOOK, "webhook": {"path": path}},
    ]
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": "charges"},
        "spec": {"triggers": triggers, "tasks": [{"id": "done", "taskRef": "noop"}]},
    }


@dataclass(frozen=True)
class Shop:
    """A project whose workflow has triggers."""

    closed: Closed
    project: Any

    async def user(self, name: str) -> tuple[str, Caller]:
        """Register an editor."""
        email = f"{name}@{self.project.slug}.example"
        made = await member(self.closed, email, PROJECT, self.project.id, Role.EDITOR)
        return made.user.id, self.closed.caller(made.tokens.access_token)

    async def demote(self, user_id: str) -> None:
        gone = principal_pb2.Grant(level=PROJECT, level_id=self.project.id)
        request = member_service_pb2.SetMemberRequest(user_id=user_id, grant=gone)
        await self.closed.owner.members.SetMember(request)

    async def apply(self, caller: Caller) -> int:
        """Apply the same workflow as before; return its version."""
        headers = {"flowmesh_namespace": self.project.namespace}
        body = workflow(self.project.slug)
        status, answer = await caller.rest("POST", "/api/v1/workflows", body, **headers)
        assert status in (200, 201), answer
        return int(answer["version"])

    async def publish(self) -> None:
        """Publish an event that fires the trigger, as the owner."""
        event = {"type": PAID, "source": "/shop", "data": {}}
        headers = {"flowmesh_namespace": self.project.namespace}
        status, answer = await self.closed.owner.rest("POST", "/api/v1/events", event, **headers)
        assert status in (200, 201, 202), answer

    async def call(self) -> tuple[int, Any]:
        """Call the webhook without a credential."""
        path = f"/api/v1/hooks/{self.project.namespace}/{self.project.slug}"
        return await self.closed.caller("").rest("POST", path, {})

    async def state(self, trigger: str = PAID) -> Any:
        request = trigger_service_pb2.ListTriggersRequest(
            namespace=self.project.namespace, workflow_id="charges"
        )
        stub: Any = TriggerServiceStub(self.closed.owner.channel)
        found = await stub.ListTriggers(request)
        return next((each for each in found.triggers if each.trigger.id == trigger), None)

    async def fired(self, started: int, refused: int) -> Any:
        """Return the trigger of events once so many firings have ended."""

        async def ended() -> bool:
            state = await self.state()
            return state is not None and state.fired == started + refused

        await until(f"{started + refused} firings", ended, within_s=WITHIN_S)
        state = await self.state()
        assert (state.fired - state.refused, state.refused) == (started, refused), state
        return state

    async def known(self) -> None:
        async def there() -> bool:
            return await self.state() is not None

        await until("known", there, within_s=WITHIN_S)


async def shop(closed: Closed, slug: str) -> Shop:
    return Shop(closed, await closed.project(slug))


async def test_a_trigger_of_an_editor_that_lost_its_role_starts_nothing(closed: Closed) -> None:
    """Its firings are refused and shown as its error, until another editor applies it again."""
    made = await shop(closed, "lost-role")
    editor_id, editor = await made.user("ada")
    _, other = await made.user("ben")
    version = await made.apply(editor)
    await made.known()
    await made.publish()
    state = await made.fired(1, 0)
    assert state.last_execution_id
    assert not state.last_error
    await made.demote(editor_id)
    await made.publish()
    state = await made.fired(1, 1)
    assert state.last_error.startswith("TRIGGER_NOT_PERMITTED: the principal"), state
    # The content is the same, so there is no other version; the triggers are his from now on.
    assert await made.apply(other) == version

    async def starts() -> bool:
        await made.publish()
        return not (await made.state()).last_error

    await until("started again", starts, within_s=WITHIN_S, poll_s=0.2)


async def test_a_webhook_of_a_deleted_key_starts_nothing(closed: Closed) -> None:
    """The caller of the webhook has no credential; what counts is the key that applied it."""
    made = await shop(closed, "lost-key")
    key = await closed.key(made.project.id, "editor", permissions=["charge"])
    await made.apply(key)
    await made.known()
    status, answer = await made.call()
    assert status in (200, 201, 202), answer
    headers = {"flowmesh_namespace": made.project.namespace}
    path = f"/api/v1/executions/{answer['executionId']}/history"
    _, history = await closed.owner.rest("GET", path, **headers)
    begun = history["events"][0]["data"]
    assert (begun["permissions"], begun["actor"]) == (["charge"], "trigger:hook")
    found = await closed.owner.keys.ListApiKeys(
        key_service_pb2.ListApiKeysRequest(project_id=made.project.id)
    )
    for each in found.keys:
        await closed.owner.keys.DeleteApiKey(key_service_pb2.DeleteApiKeyRequest(key_id=each.id))
    status, answer = await made.call()
    assert (status, answer["error"]["reason"]) == (403, "TRIGGER_NOT_PERMITTED"), answer
    assert (await made.state(HOOK)).last_error.startswith("TRIGGER_NOT_PERMITTED")
