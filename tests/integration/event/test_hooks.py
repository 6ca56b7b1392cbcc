"""Webhook calls of waiting nodes, on a real database."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as execution
from flowmesh.api.execution.v1 import receiver_service_pb2
from flowmesh.errors import FlowmeshError, Unavailable, WrongState
from flowmesh.event.secrets import EventSecrets
from flowmesh.event.store import MIGRATIONS
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.event.triggers.webhooks import Hooks
from flowmesh.storage import open_database
from tests.integration.event.unsubscribed import settled

NOBODY: Any = None


class Orchestrator:
    """A node that waits for its signal; loses responses on demand."""

    def __init__(self) -> None:
        self.signals: set[str] = set()
        self.failure: FlowmeshError | None = None
        self.lost = False

    async def ListReceivers(self, _request: Any) -> receiver_service_pb2.ListReceiversResponse:
        waiting = receiver_service_pb2.WaitingReceiver(
            node="pay", signal="paid", receiver=trigger_pb2.Receiver(), waits=not self.signals
        )
        return receiver_service_pb2.ListReceiversResponse(receivers=[waiting])

    async def SignalExecution(
        self, request: execution.SignalExecutionRequest
    ) -> execution.SignalExecutionResponse:
        if self.failure is None or self.lost:
            self.signals.add(request.request_id)
        if self.failure:
            raise self.failure
        return execution.SignalExecutionResponse()


class Clock:
    def now_us(self) -> int:
        return 1_000_000


@pytest.fixture
async def store(migrated: str) -> AsyncIterator[TriggerStore]:
    async with open_database(migrated, schema="event", migrations=MIGRATIONS) as pool:
        yield TriggerStore(pool)


class Caller:
    """Calls the URL of the node under a name."""

    def __init__(self, store: TriggerStore, orchestrator: Any) -> None:
        clock: Any = Clock()
        self._hooks = Hooks(
            store=store,
            firing=NOBODY,
            settled=settled,
            executions=orchestrator,
            receivers=orchestrator,
            secrets=EventSecrets(orchestrator),
            clock=clock,
            new_id=lambda: "made",
            key=b"k",
        )

    async def call(self, name: str) -> bool:
        """Return whether the call was applied."""
        token = self._hooks.token("default", "exec-1", "pay")
        headers = {"content-type": "application/json", "webhook-id": name}
        response = await self._hooks.resume(token, headers, b"1")
        assert (response.execution_id, response.node) == ("exec-1", "pay")
        return response.created


async def test_a_repeated_call_returns_the_outcome_of_a_lost_response(
    store: TriggerStore,
) -> None:
    """The node has got the call and no longer waits; another call is rejected."""
    orchestrator = Orchestrator()
    caller = Caller(store, orchestrator)
    orchestrator.failure, orchestrator.lost = Unavailable("SERVICE_UNAVAILABLE", "away"), True
    with pytest.raises(Unavailable):
        await caller.call("one")
    orchestrator.failure = None
    assert await caller.call("one")
    assert not await caller.call("one")
    assert len(orchestrator.signals) == 1
    with pytest.raises(WrongState, match="is not waiting"):
        await caller.call("two")


async def test_a_rejected_call_leaves_no_record(store: TriggerStore) -> None:
    """It is not applied later either."""
    orchestrator = Orchestrator()
    caller = Caller(store, orchestrator)
    orchestrator.failure = WrongState("EXECUTION_ENDED", "ended")
    with pytest.raises(WrongState, match="ended"):
        await caller.call("one")
    orchestrator.failure = None
    assert await caller.call("two")
    with pytest.raises(WrongState, match="is not waiting"):
        await caller.call("one")
    assert len(orchestrator.signals) == 1
