"""Plugins that only compute attack: each attempt of each kind fails, and nothing is reached."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.testing.suite import Suite
from tests.features.closed import Closed, closed_suite
from tests.features.plugins.market import Market
from tests.hostile.conftest import Sink

pytestmark = pytest.mark.long
SECRET = "of-another-project"
MANIFEST = """
name = "evil{kind}"
version = "1.0.0"
kind = "{kind}"
summary = "Try what is not allowed."
[{kind}]
{part} = "evil{kind}.tasks:attack"
"""
TASKS = """
def attack(value):
    name, _, address = (value if isinstance(value, str) else value["attack"]).partition(" ")
    return {{"found": globals()[name](address)}}


def nothing(address):
    return "nothing"


def environment(address):
    import os

    return os.environ["FLOWMESH_SECRET_KEPT"]


def file(address):
    return open("/proc/self/environ").read()


def parent(address):
    import posix

    return open(f"/proc/{{posix.getppid()}}/environ").read()


def connect(address):
    import _socket

    host, port = address.split(":")
    _socket.socket().connect((host, int(port)))


def fork(address):
    import posix

    while True:
        posix.fork()


def execute(address):
    import posix

    posix.execv("/bin/sh", ["sh", "-c", "env"])
"""
# The member of a manifest that names the function, by kind.
PARTS = {"format": "reader", "transform": "function", "login": "function"}
ATTACKS = ("environment", "file", "parent", "connect", "fork", "execute")
PROVIDER = {
    "name": "Corp",
    "issuer": "https://nobody.example",
    "clientId": "flowmesh",
    "hook": "evillogin",
    "rules": [{"role": "viewer"}],
}


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    """A suite with a plugin of each kind, and a secret that is none of theirs."""
    market = Market(tmp_path_factory.mktemp("market"))
    for kind, part in PARTS.items():
        manifest = MANIFEST.format(kind=kind, part=part)
        market.publish(market.project(kind, manifest, TASKS.format(), f"evil{kind}"))
    environment = {**market.environment, "FLOWMESH_SECRET_KEPT": SECRET}
    async with closed_suite(tmp_path_factory.mktemp("closed"), kind=Suite, **environment) as made:
        yield made


async def rest(closed: Closed, path: str, body: Any) -> tuple[int, Any]:
    return await closed.owner.rest("POST", f"/api/v1/{path}", body)


async def prepared(closed: Closed, kind: str) -> str:
    """Install a plugin and what calls it; return the path that does."""
    name = f"evil{kind}"
    status, made = await rest(closed, "plugins", {"name": name, "allProjects": kind == "login"})
    assert status == 202, made
    if kind == "format":
        return f"plugins/{name}:read"
    if kind == "login":
        status, made = await rest(closed, "companies/co_default/identity-providers", PROVIDER)
        assert status == 201, made
        return f"identity-providers/{made['id']}:test"
    task = {
        "type": "transform",
        "transform": {"function": f"plugin:{name}"},
        "retry": {"maxAttempts": 1},
    }
    graph = {"tasks": [{"id": "do", "taskRef": "attack", "input": "{{input}}"}]}
    for resource, spec in (("WorkflowTask", task), ("Workflow", graph)):
        head = {"apiVersion": "workflow.io/v1", "kind": resource}
        document = {**head, "metadata": {"name": "attack"}, "spec": spec}
        status, made = await rest(closed, "workflows", document)
        assert status < 300, made
    return "workflows/attack/execute"


async def attacked(closed: Closed, path: str, attack: str) -> tuple[bool, Any]:
    """Return whether an attack was answered, and the answer."""
    given = {"attack": attack}
    members = {"plugins": {"text": attack}, "identity-providers": {"claims": given}}
    body = members.get(path.partition("/")[0], {"input": given})
    status, answer = await rest(closed, path, body)
    failed = answer.get("status") == "failed" or "the plugin" in answer.get("problem", "")
    return status < 300 and not failed, answer


@pytest.mark.feature("S1-193")
@pytest.mark.parametrize("kind", PARTS)
async def test_a_plugin_that_only_computes_reaches_nothing(
    closed: Closed, sink: Sink, kind: str
) -> None:
    """No environment, file, socket or process; the next call of the plugin is answered."""
    path = await prepared(closed, kind)
    for attack in ATTACKS:
        answered, answer = await attacked(closed, path, f"{attack} {sink.address}")
        assert not answered, (attack, answer)
        assert SECRET not in str(answer), attack
    assert sink.reached == []
    answered, answer = await attacked(closed, path, "nothing")
    assert answered, answer
