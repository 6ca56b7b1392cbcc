"""F29, F30: connections to one orchestrator go dead without a word, one way or both."""

import asyncio
import os
import time

import psutil
import pytest

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.embedded.ports import free_ports
from flowmesh.errors import FlowmeshError
from flowmesh.testing.polling import pause, until
from tests.drills.breaking import rows_of, served
from tests.faults.harness.proxy import DOWN, UP, Proxy
from tests.faults.harness.scenario import Scenario

DEAD_S = 25.0
# Nothing but keepalive can find such a connection, on either side of it.
FOUND_WITHIN_S = 20.0
DEADLINE_S = 2.0
SLACK_S = 0.5
ORCHESTRATORS = ("orchestrator-1", "orchestrator-2")
SIGNAL = "SignalExecution"
PLACES = 2
"""A call comes to an orchestrator, and from there to the owner if that is another one."""

REPEATED = 1.1
SHARE_MIN = 10
SHARED_WITHIN_S = 30.0
_OWNED = """
select count(*) as n from orchestrator.partitions p
join orchestrator.incarnations i on i.id = p.incarnation where i.address = $1"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F29", "F30")
@pytest.mark.parametrize(
    ("row", "directions"), [("F29", (DOWN,)), ("F30", (UP, DOWN))], ids=["one-way", "both"]
)
async def test_an_orchestrator_cannot_be_reached(
    scenario: Scenario, row: str, directions: tuple[str, ...]
) -> None:
    """Calls to it end at their deadline, both sides notice; healed, all goes on by itself."""
    rig = scenario.rig
    await scenario.whole()
    async with (
        Proxy(("127.0.0.1", free_ports(2))) as proxy,
        rig.extra("orchestrator", proxied=proxy) as extra,
    ):
        address = f"127.0.0.1:{proxy.port}"

        async def shared() -> bool:
            owned: int = (await rows_of(rig, _OWNED, address))[0]["n"]
            return owned >= SHARE_MIN

        await until("partitions shared by three", shared, within_s=SHARED_WITHIN_S)
        async with scenario.drill(f"{' and '.join(directions)} lost") as running:
            await running.in_flight()
            proxy.hole(*directions)
            ends = ends_of(proxy)
            assert held(ends) == ends

            async def given_up() -> bool:
                return not held(ends)

            asked_of = [extra.http, *(rig.member(name).http for name in ORCHESTRATORS)]
            before = await served(asked_of, SIGNAL)
            try:
                running.breaks()
                began = time.monotonic()
                waits = [await asked(scenario, running.orders.ids) for _ in range(3)]
                left_s = FOUND_WITHIN_S - (time.monotonic() - began)
                await until("given up by both sides", given_up, within_s=left_s, poll_s=0.1)
                await pause(max(DEAD_S - (time.monotonic() - began), 0.0))
                arrived = await served(asked_of, SIGNAL) - before
                made = len(waits) * len(running.orders.ids)
            finally:
                proxy.heal()
            await scenario.finish(running, row, extra_deliveries=3)
    assert max(waits) <= DEADLINE_S + SLACK_S
    assert arrived <= made * PLACES * REPEATED
    await scenario.whole()


def ends_of(proxy: Proxy) -> set[tuple[int, int]]:
    """What services hold of its connections, callers and called: the port here, the one there."""
    return {
        end
        for connection in proxy.connections
        for end in (
            (connection.client.get_extra_info("peername")[1], proxy.port),
            (proxy.target_port, connection.server.get_extra_info("sockname")[1]),
        )
    }


def held(ends: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those that some service still believes in."""
    return ends & {
        (one.laddr.port, one.raddr.port)
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_ESTABLISHED
        and one.pid != os.getpid()
        and one.laddr
        and one.raddr
    }


async def asked(scenario: Scenario, execution_ids: list[str]) -> float:
    """The longest of calls about executions of all owners, each with a deadline."""
    stub = ExecutionServiceStub(scenario.rig.channel_to("gateway"))

    async def one(execution_id: str) -> float:
        began = time.monotonic()
        request = pb.SignalExecutionRequest(execution_id=execution_id, name="nobody-waits")
        try:
            await stub.SignalExecution(request, timeout=DEADLINE_S)
        except FlowmeshError:
            return time.monotonic() - began
        return time.monotonic() - began

    return max(await asyncio.gather(*map(one, execution_ids)))
