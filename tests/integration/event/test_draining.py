"""Draining of the delivery loop."""

import asyncio
from typing import Any

import structlog

from flowmesh.egress import Egress, Policy
from flowmesh.event.callbacks import Callback
from flowmesh.event.delivery.deliveries import DeliveryLoop
from flowmesh.event.delivery.sender import Deliverer
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.secrets import EventSecrets
from flowmesh.event.store import MIGRATIONS, DeliveryStore, StreamPosition
from flowmesh.runtime import Clock, Settings
from flowmesh.storage import open_database
from flowmesh.telemetry import Metrics

NOBODY: Any = None


async def test_deliveries_claimed_while_draining_are_returned(settings: Settings) -> None:
    """It is not posted by a closing client, and another process can claim it at once."""
    due = Callback(
        namespace="default",
        execution_id="exec-1",
        workflow_id="orders",
        kind="onComplete",
        sequence=3,
        url="http://127.0.0.1:9/",
        secret="",
        event=b"",
        happened_us=1,
    )
    async with open_database(settings.postgres, schema="event", migrations=MIGRATIONS) as pool:
        store = DeliveryStore(pool)
        assert await store.take_in({1: 1}, StreamPosition("stream", 1, 1), [due]) == 1
        loop = DeliveryLoop(
            store=store,
            deliverer=Deliverer(
                egress=Egress(Policy.named("open", ())),
                executions=NOBODY,
                secrets=EventSecrets(NOBODY),
                clock=Clock(),
            ),
            clock=Clock(),
            metrics=EventMetrics(Metrics()),
            log=structlog.get_logger(),
        )
        begun, _ = await asyncio.gather(loop.run_once(), loop.drain())
        assert begun == 0
        (again,) = await store.claim(busy_hosts=[], free=1, per_host=1, lease_ms=1_000)
        assert (again.execution_id, again.attempts) == ("exec-1", 0)
