"""A plugin that was installed attacks: each attempt is contained, and told with its sentence."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flowmesh.access import Role
from flowmesh.api.common.v1.access_pb2 import ID_KIND_PROJECT
from flowmesh.plugins import signing
from flowmesh.testing.suite import Suite
from tests.access.tenants import Tenant, founded
from tests.features.closed import closed_suite
from tests.features.plugins.market import Market
from tests.hostile.conftest import Sink
from tests.unit.plugins.projects import changed

pytestmark = pytest.mark.long
MANIFEST = """
name = "probe"
version = "1.0.0"
kind = "task"
summary = "Try what was not granted."
[tasks]
"probe.connect" = "probe.tasks:connect"
"probe.fork" = "probe.tasks:fork"
"probe.take" = "probe.tasks:take"
"probe.call" = "probe.tasks:call"
[permissions]
connect = ["{friend}"]
secrets = ["granted"]
[configuration]
type = "object"
properties.friend = {type = "string"}
"""
TASKS = '''
import os
import signal
import socket


def connect(input):
    host, port = input["address"].split(":")
    try:
        socket.create_connection((host, int(port)), 3).close()
    except OSError as error:
        return {"problem": str(error)}
    return {"problem": ""}


def fork(input):
    """Fork until the kernel refuses; the children fork, too."""
    made = 0
    try:
        while made < 10_000:
            if os.fork() == 0:
                while True:
                    try:
                        os.fork()
                    except OSError:
                        signal.pause()
            made += 1
    except OSError as error:
        return {"made": made, "problem": str(error)}
    return {"made": made, "problem": ""}


def take(input):
    return {"length": len(input["token"])}


async def call(input):
    from flowmesh.sdk import Client

    async with Client(namespace=input["namespace"]) as client:
        try:
            return {"problem": "", "found": len(await client.list_executions())}
        except Exception as error:
            return {"problem": str(error)}
'''


@dataclass(frozen=True)
class Prison:
    """A company with the plugin, and another one."""

    own: Tenant
    other: Tenant
    market: Market

    async def rest(self, tenant: Tenant, method: str, path: str, body: Any = None) -> Any:
        status, answer = await tenant.keys[Role.ADMIN].rest(
            method, f"/api/v1/{path}", body, flowmesh_namespace=tenant.namespace
        )
        assert status < 300 or path.endswith("/execute"), answer
        return answer

    async def refusal(self, plugin: str) -> tuple[int, str, str]:
        """Return status, reason and sentence of an installation that is refused."""
        body = {
            "name": plugin,
            "configuration": {"host": "mail.example"},
            "accepted": ["connect mail.example:7"],
        }
        status, answer = await self.own.keys[Role.ADMIN].rest(
            "POST", "/api/v1/plugins", body, flowmesh_namespace=self.own.namespace
        )
        assert status >= 400, answer
        return status, answer["error"]["reason"], answer["error"]["message"]

    async def outcome(self, task: str, input: dict[str, Any], *secrets: str) -> Any:
        """Run a workflow with one task; return the answer of the run."""
        name = "-".join((task.replace(".", "-"), *secrets))
        spec = {"type": task, "retry": {"maxAttempts": 1}, "secrets": list(secrets)}
        graph = {"tasks": [{"id": "try", "taskRef": name, "input": input}]}
        for kind, content in (("WorkflowTask", spec), ("Workflow", graph)):
            document = {
                "apiVersion": "workflow.io/v1",
                "kind": kind,
                "metadata": {"name": name},
                "spec": content,
            }
            await self.rest(self.own, "POST", "workflows", document)
        return await self.rest(self.own, "POST", f"workflows/{name}/execute", {"input": {}})


@pytest.fixture
async def prison(tmp_path: Path, sink: Sink) -> AsyncIterator[Prison]:
    market = Market(tmp_path)
    market.publish(market.project("probe", MANIFEST, TASKS, "probe"))
    async with closed_suite(tmp_path, kind=Suite, **market.environment) as closed:
        made = Prison(await founded(closed, "captor"), await founded(closed, "bystander"), market)
        body = {
            "name": "probe",
            "configuration": {"friend": sink.address},
            "accepted": [f"connect {sink.address}", "secret granted"],
        }
        await made.rest(made.own, "POST", "plugins", body)
        for tenant in (made.own, made.other):
            path = f"projects/{tenant.ids[ID_KIND_PROJECT]}/secrets"
            for secret in ("granted", "kept", f"of-{tenant.canary}"):
                await made.rest(tenant, "PUT", f"{path}/{secret}", {"value": "t" * 20})
        yield made


@pytest.fixture
async def other_port() -> AsyncIterator[int]:
    """A port of loopback at which a server listens."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@pytest.mark.feature("S1-193")
async def test_a_plugin_gets_what_was_granted_and_nothing_else(
    prison: Prison, sink: Sink, other_port: int
) -> None:
    """Endpoints, secrets and calls that the permissions lack are refused."""
    granted = await prison.outcome("probe.connect", {"address": sink.address})
    assert granted["output"] == {"problem": ""}, json.dumps(granted)
    refused = await prison.outcome("probe.connect", {"address": f"127.0.0.1:{other_port}"})
    assert "Permission denied" in refused["output"]["problem"]

    token = await prison.outcome("probe.take", {"token": "secret://granted"}, "granted")
    assert token["output"] == {"length": 20}
    for secret in ("kept", f"of-{prison.other.canary}"):
        failed = await prison.outcome("probe.take", {"token": f"secret://{secret}"}, secret)
        assert failed["status"] == "failed"
        assert "SecretUnavailable" in json.dumps(failed)

    for namespace in (prison.own.namespace, prison.other.namespace):
        called = await prison.outcome("probe.call", {"namespace": namespace})
        assert called["output"]["problem"], namespace


@pytest.mark.feature("S1-193")
async def test_a_plugin_that_forks_for_ever_is_held(prison: Prison) -> None:
    """It is killed with all its processes, its task fails, and the other company works on."""
    held = await prison.outcome("probe.fork", {})
    assert held["tasks"]["try"]["error"]["class"] == "POISON", held
    found = await prison.rest(prison.own, "GET", "plugins/probe")
    assert (found["state"], found["ready"]) == ("failed", 0)
    assert re.search("LIMIT_(MEMORY|PIDS)", found["problem"]), found["problem"]
    agents = await prison.rest(prison.own, "GET", "agents?ended=true")
    assert not [each for each in agents["agents"] if each["state"] == "ready"]
    assert (await prison.rest(prison.other, "GET", "plugins"))["plugins"] == []


@pytest.mark.feature("S1-193")
async def test_a_wheel_that_was_tampered_with_is_refused(prison: Prison, tmp_path: Path) -> None:
    """A changed one, one that a foreign key signed, and one whose paths lead outside of it."""
    market, evil = prison.market, {"changed/tasks.py": b"evil = 1\n"}
    file = market.greeter("1.0.0", name="changed")
    file.write_bytes(changed(file.read_bytes(), evil))
    status, reason, sentence = await prison.refusal("changed")
    assert (status, reason) == (409, "PLUGIN_UNTRUSTED")
    assert sentence.startswith(f"{file.name} is not the wheel of the index")

    file = market.greeter("1.0.0", name="foreign")
    (tmp_path / "foreign.key").write_text(signing.new_key()[0])
    market.replace(file, file.read_bytes(), signing.read_key(tmp_path / "foreign.key"))
    expected = f"none of the trusted keys (1) made the signature of {file.name}"
    assert await prison.refusal("foreign") == (409, "PLUGIN_UNTRUSTED", expected)

    file = market.greeter("1.0.0", name="climber")
    market.replace(file, changed(file.read_bytes(), {"climber/../../outside.py": b"x = 1\n"}))
    expected = "wheel: 'climber/../../outside.py' is no path below the wheel"
    assert await prison.refusal("climber") == (400, "PLUGIN_INVALID", expected)
    plugins = (await prison.rest(prison.own, "GET", "plugins"))["plugins"]
    assert [each["name"] for each in plugins] == ["probe"]
