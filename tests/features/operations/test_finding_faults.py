"""Ten seeded faults, found by the reports of their executions and by logs: steps of both counted.

A step is a command, or a line read until the one that names the cause.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.errors import WrongState
from flowmesh.insight.causes import Cause
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import Call, World
from tests.features.commands import command
from tests.features.natives import applied, http_task, resource, workflow

pytestmark = pytest.mark.long
ORDERS = 40
TIMES_FASTER = 5
WITHIN_S = 30.0
SIGNAL = "picked-up"
RETRY = {"maxAttempts": 3, "initialDelay": "50ms"}
GOOD: dict[str, Json] = {"sku": "lamp", "card": "visa", "carrier": "dhl", "deposit": 17}
GOOD |= {"deliverIn": "10ms", "gift": False}
# Reports in the order in which a person asks for them; logs likewise: lines of the execution,
# lines of errors, all lines.
REPORTS = (("explain", "{bad}"), ("trace", "{bad}"), ("compare", "{good}", "{bad}"))
ERRORS = re.compile(r" [45]\d\d |ERROR|WARNING|error|warning")


@dataclass(frozen=True)
class Fault:
    """A fault of one order, and the line of a report and of a log that names its cause."""

    reported: str
    logged: str
    input: dict[str, Json] = field(default_factory=dict)
    stuck: Cause | None = None


FAULTS = {
    "a service answers a wrong value": Fault("1700", "1700", {"sku": "chair"}),
    "a service is slow": Fault("bottleneck.*charge", r"/charge/\S+ .* 1\.\d+$", {"card": "amex"}),
    "a service fails twice": Fault("503", "/charge.* 503 ", {"card": "jcb"}),
    "a service refuses": Fault("402", "/charge.* 402 ", {"card": "diners"}),
    "a child fails": Fault("422", "/label.* 422 ", {"carrier": "ups"}),
    "an event does not come": Fault(f"signal {SIGNAL}", SIGNAL, stuck=Cause.SIGNAL),
    "a colleague has paused it": Fault("audit", "audit", stuck=Cause.PAUSED),
    "a timer is too long": Fault("timer", "timer", {"deliverIn": "1h"}, Cause.TIMER),
    "no worker serves a task": Fault(
        "no worker takes wrap", "wrap", {"gift": True}, Cause.NO_WORKER
    ),
    "the input is wrong": Fault("-17", "-17", {"deposit": -17}),
}


def order(world: World) -> list[Json]:
    """Price, gift wrap, charge, label by a child, delivery, and the event of the handover."""

    def posts(name: str, path: str) -> Json:
        return http_task(name, f"{world.address}/{path}", retry=RETRY)

    return [
        posts("faults-price", "price"),
        posts("faults-charge", "charge/{{input.card}}"),
        posts("faults-label", "label/{{input.carrier}}"),
        resource("WorkflowTask", "faults-wrap", type="wrap"),
        workflow(
            "faults-labels",
            {"id": "label", "taskRef": "faults-label", "input": "{{input}}"},
        ),
        workflow(
            "faults-order",
            {"id": "price", "taskRef": "faults-price", "input": {"sku": "{{input.sku}}"}},
            {
                "id": "wrap",
                "taskRef": "faults-wrap",
                "condition": "input.gift",
                "dependsOn": ["price"],
            },
            {
                "id": "charge",
                "taskRef": "faults-charge",
                "input": {
                    "card": "{{input.card}}",
                    "total": "{{tasks.price.output.total}}",
                    "deposit": "{{input.deposit}}",
                },
                "dependsOn": ["price"],
            },
            {
                "id": "label",
                "subworkflow": {
                    "workflow": "faults-labels",
                    "wait": True,
                    "input": {"carrier": "{{input.carrier}}"},
                },
                "dependsOn": ["charge"],
            },
            {
                "id": "deliver",
                "taskRef": "delay",
                "input": {"duration": "{{input.deliverIn}}"},
                "dependsOn": ["label"],
            },
            {"id": "handover", "wait": {"event": SIGNAL}, "dependsOn": ["deliver"]},
        ),
    ]


class Services(logging.Handler):
    """The logs of the services that orders call: a line per request, as most servers write."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass(frozen=True)
class Incident:
    """Healthy orders and one with each fault, at the same time, and all that was logged."""

    suite: Suite
    good: str
    bad: dict[str, str]
    logs: list[str]


@pytest.fixture(scope="module")
async def incident(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Incident]:
    services = Services()
    access = logging.getLogger("services.of.orders")
    access.setLevel(logging.INFO)
    access.addHandler(services)
    folder = tmp_path_factory.mktemp("incident") / "data"
    async with World(access_log=access) as world, Suite(folder) as suite:
        world.answers("price", make=_price)
        world.answers("charge/amex", delay_ms=1_000)
        world.answers("charge/jcb", status=503, times=2)
        world.answers("charge/diners", status=402)
        world.answers("label/ups", status=422)
        await applied(suite, *order(world))
        async with Client(suite.grpc_address) as client:
            good = [_order(client, Fault("", "")) for _ in range(ORDERS)]
            ids = await asyncio.gather(*good, *(_order(client, each) for each in FAULTS.values()))
        logs = [*services.lines, *suite.log.read_text().splitlines()]
        yield Incident(suite, ids[0], dict(zip(FAULTS, ids[ORDERS:], strict=True)), logs)
    access.removeHandler(services)


def _price(call: Call) -> Json:
    """Return the price, of a chair in another unit."""
    return {"total": 1700 if call.json["sku"] == "chair" else 17}


async def _order(client: Client, fault: Fault) -> str:
    """Start an order and return its id once it has ended or waits for what does not come."""
    handle = await client.start("faults-order", GOOD | fault.input)
    if fault.stuck is Cause.PAUSED:
        await handle.pause(reason="audit")
    elif fault.stuck is not Cause.SIGNAL:
        with suppress(WrongState):  # it has failed already
            await handle.signal(SIGNAL)
    if fault.stuck is None:
        await handle.wait(WITHIN_S)
        return handle.id

    async def stuck() -> bool:
        return fault.stuck in (await client.explain(handle.id)).counts

    await until(f"{fault.stuck} of {handle.id}", stuck, within_s=WITHIN_S)
    return handle.id


async def by_reports(incident: Incident, name: str) -> tuple[int, bool]:
    """Return the steps by the reports of the execution, and whether they tell the cause."""
    steps = 0
    for words in REPORTS:
        named = [each.format(good=incident.good, bad=incident.bad[name]) for each in words]
        outcome = await command(incident.suite, *named)
        read, found = _read(outcome.lines, FAULTS[name].reported)
        steps += 1 + read
        if found:
            return steps, True
    return steps, False


def by_logs(incident: Incident, name: str) -> tuple[int, bool]:
    """Return the steps by all logs: lines of the execution, of errors, and then all."""
    steps = 0
    searches = (re.escape(incident.bad[name]), ERRORS, "")
    for search in searches:
        lines = [line for line in incident.logs if re.search(search, line)]
        read, found = _read(lines, FAULTS[name].logged)
        steps += 1 + read
        if found:
            return steps, True
    return steps, False


def _read(lines: list[str], told: str) -> tuple[int, bool]:
    """Return the number of lines until the one that tells, or of all."""
    for number, line in enumerate(lines, 1):
        if re.search(told, line):
            return number, True
    return len(lines), False


@pytest.mark.feature("S0-128")
async def test_reports_find_faults_in_a_fifth_of_the_steps_of_logs(incident: Incident) -> None:
    """The reports tell the cause of each of the ten; docs/insight.md has the steps."""
    reports = {name: await by_reports(incident, name) for name in FAULTS}
    logs = {name: by_logs(incident, name) for name in FAULTS}
    table = "\n".join(f"{name}: {reports[name]} {logs[name]}" for name in FAULTS)
    assert all(found for _, found in reports.values()), table
    steps = [sum(each for each, _ in found.values()) for found in (reports, logs)]
    assert steps[1] >= TIMES_FASTER * steps[0], table
