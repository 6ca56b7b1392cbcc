"""No service of the suite calls an address that the egress policy does not admit."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.event.v1 import event_service_pb2_grpc
from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import YAML, resource, text, workflow
from tests.tidy import sources

# Returns what the caller says of its call.
Call = Callable[[Suite, str], Awaitable[str]]
PATIENCE_S = 20.0
REFUSAL = "not one that steps may call"


def task(type: str, **spec: Json) -> Call:
    """A workflow of one task, which fails at once."""

    async def call(suite: Suite, address: str) -> str:
        given = {
            name: {key: text.replace("ADDRESS", address) if isinstance(text, str) else text
                   for key, text in body.items()}
            for name, body in spec.items()
        }  # fmt: skip
        name = f"calls-{address.rpartition(':')[2]}"
        once = {"maxAttempts": 1}
        called = resource("WorkflowTask", f"{name}-task", type=type, retry=once, **given)
        flow = workflow(name, {"id": "call", "taskRef": f"{name}-task"})
        applied = await suite.post("/api/v1/workflows", data=text_of(called, flow), headers=YAML)
        assert applied.status == 201, applied.text
        started = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {}})
        return str(await suite.wait(started.json["executionId"]))

    return call


def text_of(*resources: Json) -> bytes:
    return text(*resources).encode()


async def service(suite: Suite, address: str) -> str:
    """A task that calls a registered service by its name."""
    name = f"called-{address.rpartition(':')[2]}"
    body = {"id": name, "name": name, "endpoint": address, "heartbeatIntervalMs": 60_000}
    assert (await suite.post("/api/v1/services", body)).status == 201
    grpc = {"service": name, "method": "a.b.C/D", "request": {}, "tls": False}
    return await task("grpc.call", grpc=grpc)(suite, address)


def check(kind: str, scheme: str = "") -> Call:
    """The health check of a registered service; without a problem it has passed."""

    async def call(suite: Suite, address: str) -> str:
        name = f"checked-{address.rpartition(':')[2]}"
        checked = {"kind": kind, "intervalMs": 1_000, "timeoutMs": 500}
        body = {"id": name, "name": name, "endpoint": f"{scheme}{address}", "check": checked}
        answer = await suite.post("/api/v1/services", body)
        assert answer.status == 201, answer.text
        registered = answer.json["heartbeatAt"]

        async def judged() -> bool:
            shown = (await suite.get(f"/api/v1/services/{name}")).json
            return bool(shown["checkProblem"]) or shown["heartbeatAt"] > registered

        await until("its first check", judged, within_s=PATIENCE_S)
        shown = await suite.get(f"/api/v1/services/{name}")
        await suite.request("DELETE", f"/api/v1/services/{name}")
        return str(shown.json["checkProblem"])

    return call


async def hook(suite: Suite, address: str) -> str:
    """The callback of an execution that has ended."""
    name = f"hooked-{address.rpartition(':')[2]}"
    steps = [{"id": "a", "name": "a", "type": "task", "action": "noop"}]
    hooks = {"onComplete": f"http://{address}/"}
    body = {"id": name, "name": name, "steps": steps, "webhooks": hooks}
    execution = await suite.run(body)
    stub = event_service_pb2_grpc.EventServiceStub(suite.channel)
    request = pb.ListDeliveriesRequest(execution_id=execution["executionId"])
    found: list[str] = []

    async def tried() -> bool:
        listed = (await stub.ListDeliveries(request)).deliveries
        found.append(" ".join(each.last_error for each in listed))
        return bool(found[-1])

    await until("an attempt", tried, within_s=PATIENCE_S)
    return found[-1]


async def subscription(suite: Suite, address: str) -> str:
    """The webhook of a durable subscription."""
    path = f"/api/v1/subscriptions/to-{address.rpartition(':')[2]}"
    body = {"types": ["x"], "webhook": {"url": f"http://{address}/"}}
    answer = await suite.request("PUT", path, body)
    assert answer.status == 201, answer.text
    return (await suite.post(f"{path}:test")).text


CALLS: dict[str, Call] = {
    "http": task("http", http={"method": "GET", "url": "http://ADDRESS/"}),
    "webhook": task("webhook", webhook={"url": "http://ADDRESS/"}),
    "grpc.call": task(
        "grpc.call",
        grpc={"target": "ADDRESS", "method": "a.b.C/D", "request": {}, "tls": False},
    ),
    "grpc.call of a service": service,
    "check by http": check("http", "http://"),
    "check by tcp": check("tcp"),
    "check by grpc": check("grpc"),
    "hook of a workflow": hook,
    "subscription": subscription,
}

# The modules that make a client of the egress policy, with their calls above.
MAKERS = {
    "libs/flowmesh/apps/modules/http_client.py": "see test_calls_out",
    "libs/flowmesh/apps/modules/outbound/plugins.py": "see tests/hostile/test_module_types.py",
    "libs/flowmesh/cli/definitions/tools.py": "the machine of the caller",
    "libs/flowmesh/runtime/exporting/otlp_http.py": "the collector that an operator names",
    "libs/flowmesh/runtime/exporting/remote_write.py": "the receiver that an operator names",
    "libs/flowmesh/runtime/exporting/statsd.py": "the server that an operator names",
    "services/flowmesh/assistant/main.py": "addresses that an administrator names",
    "services/flowmesh/fleet/main.py": "the catalogue of plugins, which an administrator names",
    "services/flowmesh/identity/main.py": "see tests/features/security/test_oidc.py",
    "services/flowmesh/identity/wrapping/addresses.py": "addresses that an administrator names",
    "services/flowmesh/event/main.py": "hook of a workflow, subscription",
    "services/flowmesh/orchestrator/storage/bucket.py": "addresses that an administrator names",
    "services/flowmesh/registry/main.py": "check",
    "services/flowmesh/worker/main.py": "http, webhook, grpc.call",
}


def test_each_maker_of_a_client_is_driven() -> None:
    """By a call of this table."""
    product = (name for name in sources.python() if name.startswith(("libs/", "services/")))
    makers = {name for name in product if re.search(r"\bEgress\(", sources.text(name))}
    assert makers - {"libs/flowmesh/egress/client.py"} == set(MAKERS)


@asynccontextmanager
async def listening(reached: Counter[str], name: str) -> AsyncIterator[str]:
    """Serve an address of loopback, and count its connections, which end."""

    async def end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached[name] += 1
        writer.close()

    async with await asyncio.start_server(end, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def said(suite: Suite) -> tuple[dict[str, str], Counter[str]]:
    """Return what each caller says of its call, and the connections of each."""
    reached: Counter[str] = Counter()

    async def called(name: str, call: Call) -> str:
        async with listening(reached, name) as address:
            return await call(suite, address)

    answers = await asyncio.gather(*(called(*each) for each in CALLS.items()))
    return dict(zip(CALLS, answers, strict=True)), reached


@pytest.mark.long
async def test_no_service_calls_loopback(tmp_path: Path) -> None:
    """Under the policy of closed installations, and each says so."""
    async with Suite(tmp_path / "data", environment={"FLOWMESH_EGRESS": "public"}) as suite:
        answers, reached = await said(suite)
    assert not reached
    assert not {name: text for name, text in answers.items() if REFUSAL not in text}


@pytest.mark.long
async def test_each_service_calls_what_is_admitted(tmp_path: Path) -> None:
    """The same calls, so none of them was refused for another reason."""
    async with Suite(tmp_path / "data", environment={"FLOWMESH_EGRESS": "open"}) as suite:
        answers, reached = await said(suite)
    assert set(reached) == set(CALLS), answers
