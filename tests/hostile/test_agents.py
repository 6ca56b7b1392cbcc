"""An agent of one tenant attacks the others, the fleet and the suite from inside: 20 attempts."""

import json
from typing import Any

import grpc.aio
import pytest

from flowmesh.access import Role
from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceStub
from flowmesh.testing.polling import until
from tests.features.closed import Caller, Closed
from tests.hostile.conftest import Company

PATIENCE_S = 60.0
SECRET = "of-the-other-tenant"
# Each attempt is an expression; it has failed if it raises, or is empty.
ATTACK = """
import asyncio, ctypes, glob, json, os, signal, socket, subprocess, sys

agents, other, data, address = sys.argv[1:5]


def files(pattern):
    return [open(each).read() for each in glob.glob(pattern)]


def environments():
    found = [open(each, "rb").read() for each in glob.glob("/proc/[0-9]*/environ")]
    own = open("/proc/self/environ", "rb").read()
    return [each for each in found if each != own and (b"FLOWMESH" in each or b"SECRET" in each)]


def connected(host, port):
    socket.create_connection((host, port), 2).close()
    return True


def call(service, method, namespace):
    from flowmesh.sdk import Client

    async def run():
        async with Client(namespace=namespace) as client:
            return await method(client) or True

    return asyncio.run(run())


async def worked(queue, client):
    from flowmesh.sdk import Worker

    worker = Worker(client, {"pack": lambda input: None}, queues=[queue])
    async with worker:
        return True


attempts = {
    "list the agents": lambda: [e for e in os.listdir(agents) if e not in os.getcwd()],
    "read a file of another agent": lambda: files(f"{agents}/{other}/*"),
    "write into the folder of another agent": lambda: open(f"{agents}/{other}/x", "w"),
    "read the key file": lambda: files(f"{data}/../key"),
    "read the data of the suite": lambda: files(f"{data}/*.json"),
    "read what is beside the data": lambda: files(f"{data}/../*"),
    "read the shadow file": lambda: files("/etc/shadow"),
    "see other environments": environments,
    "see variables of the suite": lambda: [
        e for e in os.environ if e in ("FLOWMESH_POSTGRES", "FLOWMESH_NATS", "FLOWMESH_KEY_FILE")
    ],
    "kill the supervisor": lambda: os.getppid() > 1 and os.kill(os.getppid(), signal.SIGKILL),
    "trace another process": lambda: ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0,
    "become root": lambda: os.setuid(0) or os.getuid() == 0,
    "mount a file system": lambda: ctypes.CDLL(None).mount(b"x", b"/tmp", b"tmpfs", 0, 0) == 0,
    "use a socket of the fleet": lambda: [
        socket.socket(socket.AF_UNIX).connect(e) or e
        for e in glob.glob("/tmp/flowmesh-fleet-*/socket")
    ],
    "reach PostgreSQL": lambda: [
        socket.socket(socket.AF_UNIX).connect(e) or e
        for e in glob.glob(f"{data}/**/.s.PGSQL*", recursive=True)
    ],
    "listen on a port": lambda: socket.create_server(("127.0.0.1", 0)).getsockname(),
    "connect to a port of this machine": lambda: connected("127.0.0.1", 22),
    "work on a queue that is not its own": lambda: call(
        "", lambda client: worked("treasure", client), os.environ["FLOWMESH_NAMESPACE"]
    ),
    "work in the other namespace": lambda: call(
        "", lambda client: worked("packing", client), sys.argv[5]
    ),
    "list executions with its key": lambda: call(
        "", lambda client: client.list_executions(), os.environ["FLOWMESH_NAMESPACE"]
    ),
}
broken = {}
for name, attempt in attempts.items():
    try:
        found = attempt()
    except BaseException as error:
        continue
    if found:
        broken[name] = repr(found)[:200]
try:
    works = call("", lambda client: worked("packing", client), os.environ["FLOWMESH_NAMESPACE"])
except BaseException as error:
    works = repr(error)
result = {"tried": len(attempts), "broken": broken, "works": works}
print("RESULT " + json.dumps(result), flush=True)
"""


async def agent_of(caller: Caller, namespace: str, spec: agent_pb2.AgentSpec) -> str:
    stub = FleetServiceStub(caller.channel)
    await stub.ApplyAgentSpec(pb.ApplyAgentSpecRequest(namespace=namespace, spec=spec))
    found: list[Any] = []

    async def started() -> bool:
        answer = await stub.ListAgents(pb.ListAgentsRequest(namespace=namespace, ended=True))
        found[:] = [each for each in answer.agents if each.spec == spec.spec and each.pid]
        return bool(found)

    await until("an agent is started", started, within_s=PATIENCE_S)
    return str(found[0].agent_id)


@pytest.mark.feature("S4-17", "S4-63")
async def test_an_agent_reaches_nothing_of_others(
    installation: Closed, attacker: Company, victim: Company
) -> None:
    """No file, port, token, queue, process or environment of another tenant or of the suite."""
    sleeper = agent_pb2.AgentSpec(
        spec="sleepers",
        command=["python", "-c", "import signal; signal.pause()"],
        files={"secret.txt": SECRET},
        environment={"SECRET": SECRET},
        health=agent_pb2.AGENT_HEALTH_PROCESS,
        replicas=1,
    )
    sleeping = await agent_of(victim.caller(Role.ADMIN), victim.namespace, sleeper)
    data, address = installation.suite.data_dir, installation.suite.grpc_address
    words = (str(data / "agents"), sleeping, str(data), address, victim.namespace)
    attack = agent_pb2.AgentSpec(
        spec="attackers",
        command=["python", "attack.py", *words],
        files={"attack.py": ATTACK},
        queues=["packing"],
        health=agent_pb2.AGENT_HEALTH_PROCESS,
        replicas=1,
    )
    own = attacker.caller(Role.ADMIN)
    await agent_of(own, attacker.namespace, attack)
    stub, told = FleetServiceStub(own.channel), list[str]()

    async def reported() -> bool:
        answer = await stub.ListAgents(
            pb.ListAgentsRequest(namespace=attacker.namespace, ended=True)
        )
        told[:] = [each.last_words for each in answer.agents if "RESULT" in each.last_words]
        return bool(told)

    await until("the attempts are over", reported, within_s=PATIENCE_S)
    result = json.loads(told[0].split("RESULT ")[1])
    # On its own queue it works.
    assert result == {"tried": 20, "broken": {}, "works": True}


async def test_an_agent_never_runs_with_less_isolation(attacker: Company) -> None:
    """A closed installation refuses agents without a sandbox."""
    stub = FleetServiceStub(attacker.caller(Role.ADMIN).channel)
    spec = agent_pb2.AgentSpec(spec="bare", command=["true"], isolation=agent_pb2.ISOLATION_NONE)
    with pytest.raises(grpc.aio.AioRpcError, match="less isolation than sandbox"):
        await stub.ApplyAgentSpec(pb.ApplyAgentSpecRequest(namespace=attacker.namespace, spec=spec))
