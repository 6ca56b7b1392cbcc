"""A fleet inside of a program: agents of this machine, without a suite and without a database."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.fleet.diagnosis import Diagnosis
from flowmesh.fleet.driving.credentials import Credentials
from flowmesh.fleet.driving.isolation import IsolationRules
from flowmesh.fleet.driving.process_driver import ProcessDriver
from flowmesh.fleet.fleet import Fleet
from flowmesh.fleet.metrics import FleetMetrics
from flowmesh.fleet.running.figures import Figures
from flowmesh.fleet.running.fleet_loop import FleetLoop
from flowmesh.fleet.running.sightings import steady
from flowmesh.fleet.running.wishes import WishReader
from flowmesh.fleet.server import FleetServer
from flowmesh.fleet.storage.memory import MemoryTables
from flowmesh.fleet.storage.store import FleetStore
from flowmesh.runtime import Clock
from flowmesh.telemetry.metrics import Metrics


class LocalFleet:
    """Answers the calls of FleetService; its agents end with `close`."""

    def __init__(self, folder: Path) -> None:
        store = FleetStore(MemoryTables())
        isolation = IsolationRules(least=agent_pb2.ISOLATION_NONE, egress="open", allowed=())
        credentials, figures = NoCredentials(), NoQueues()
        log = structlog.get_logger("flowmesh.fleet")
        self._metrics, now_us = Metrics(), steady(Clock())
        self._loop = FleetLoop(
            store=store,
            driver=ProcessDriver(
                data_dir=folder, credentials=credentials, isolation=isolation, log=log
            ),
            credentials=credentials,
            wishes=WishReader(store=store, figures=figures, log=log, now_us=now_us),
            metrics=FleetMetrics(self._metrics),
            holder="local",
            new_id=new_id,
            log=log,
            now_us=now_us,
        )
        fleet = Fleet(store=store, isolation=isolation, announce=self._loop.wake, new_id=new_id)
        self._server = FleetServer(fleet=fleet, store=store, diagnosis=Diagnosis(store, figures))
        self._running = asyncio.create_task(self._loop.run(self._metrics), name="flowmesh-fleet")

    async def call(self, method: str, request: Any) -> Any:
        """Answer a call of FleetService."""
        return await getattr(self._server, method)(request, None)

    async def close(self) -> None:
        """End all agents after their drain."""
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        await self._loop.drain()


class NoCredentials(Credentials):
    """Agents without a suite have an id, and nothing to log in to."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(keys=None), SimpleNamespace())  # type: ignore[arg-type]

    async def gateways(self) -> Sequence[str]:
        return ()


class NoQueues(Figures):
    """Without a suite there are no queues."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace())  # type: ignore[arg-type]

    async def queues(self, namespace: str) -> Sequence[Any]:
        return ()


def new_id() -> str:
    return f"agent-{secrets.token_hex(8)}"
