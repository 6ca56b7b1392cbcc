"""A worker that the fleet runs as an agent: its environment, and its heartbeats."""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import AgentServiceStub
from flowmesh.errors import FlowmeshError, Invalid
from flowmesh.sdk.transport.calls import Caller

BEAT_S: Final = 2.0
GAUGES_MAX: Final = 20
GAUGE_MAX: Final = 1e12
_GAUGE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_log = logging.getLogger("flowmesh.sdk")


@dataclass(frozen=True, slots=True)
class AgentEnvironment:
    """What the fleet tells an agent; without an id, the process is no agent."""

    id: str = ""
    queues: tuple[str, ...] = ()
    slots: int = 0

    @classmethod
    def read(cls) -> "AgentEnvironment":
        """Return that of this process."""
        queues = os.environ.get("FLOWMESH_AGENT_QUEUES", "")
        return cls(
            os.environ.get("FLOWMESH_AGENT_ID", ""),
            tuple(filter(None, queues.split(","))),
            int(os.environ.get("FLOWMESH_AGENT_SLOTS") or 0),
        )


class Gauges:
    """Figures of an agent, for policies of the strategy AUTO."""

    def __init__(self, functions: Mapping[str, Callable[[], float]]) -> None:
        for name in functions:
            if not _GAUGE.fullmatch(name):
                form = "1 to 64 letters, digits and _ . : -, a letter or _ first"
                raise Invalid("HELLO_INVALID", f"gauges: {name!r} is not {form}")
        if len(functions) > GAUGES_MAX:
            raise Invalid("HELLO_INVALID", f"gauges: more than {GAUGES_MAX}")
        self._functions = dict(functions)

    def read(self) -> dict[str, float]:
        """Return the figures; one that fails, or is not 0 to 1e12, is left out and logged."""
        found = {}
        for name, function in self._functions.items():
            try:
                value = float(function())
            except Exception:  # noqa: BLE001 the other gauges are still reported
                _log.warning("the gauge %s failed", name, exc_info=True)
                continue
            if 0 <= value <= GAUGE_MAX:
                found[name] = value
            else:
                _log.warning("the gauge %s is %r, not 0 to 1e12", name, value)
        return found


async def attend(
    caller: Caller,
    agent_id: str,
    namespace: str,
    slots: Callable[[], int],
    busy: Callable[[], int],
    gauges: Gauges,
) -> None:
    """Tell the fleet every 2 s that the agent lives."""
    stub, loop = AgentServiceStub(caller.channel), asyncio.get_running_loop()
    due = loop.time()
    while True:
        lag_ms = max(int((loop.time() - due) * 1_000), 0)
        request = pb.AttendRequest(
            agent_id=agent_id,
            namespace=namespace,
            slots=slots(),
            busy=busy(),
            lag_ms=lag_ms,
            gauges=gauges.read(),
        )
        with suppress(FlowmeshError):
            await caller.call(stub.Attend, request)
        due = loop.time() + BEAT_S
        await asyncio.sleep(BEAT_S)
