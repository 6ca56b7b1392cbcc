"""Isolation, variables and driver of agents, by the settings of a fleet."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.api.identity.v1 import access_service_pb2
from flowmesh.errors import Invalid, WrongState
from flowmesh.fleet.driving import isolation
from flowmesh.fleet.driving.credentials import Credentials
from flowmesh.fleet.driving.drivers import driver_of
from flowmesh.fleet.driving.isolation import IsolationRules, PodIsolation
from flowmesh.fleet.driving.pod_driver import PodDriver
from flowmesh.fleet.driving.process_driver import ProcessDriver, program_of
from flowmesh.runtime import Settings
from flowmesh.walls.plan import Walls
from flowmesh.walls.probing import UIDS, Report, Wall
from tests.api_server import ApiServer, write_kubeconfig
from tests.stubs import Stub
from tests.unit.fleet.rows import agent_row, spec_row

SANDBOX, USER, NONE = pb.ISOLATION_SANDBOX, pb.ISOLATION_USER, pb.ISOLATION_NONE
CONNECTIONS = pb.AgentConnections(endpoints=["db:5432"])
STANDING = Walls(namespaces=True, landlock=True, calls=True, connections=True)


def rules(kind: type[IsolationRules] = IsolationRules, least: Any = NONE) -> IsolationRules:
    return kind(least=least, egress="public", allowed=("10.0.0.0/8",))


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Report]:
    """The report of this machine, which a test changes; and as many as it was probed."""
    reports = [Report(STANDING, (), ("/usr/bin/python",))]

    async def probe() -> Report:
        reports.append(reports[0])
        return reports[0]

    monkeypatch.setattr(isolation, "probe", probe)
    return reports


@pytest.mark.parametrize(
    ("least", "wanted", "chosen"),
    [(NONE, 0, NONE), (NONE, SANDBOX, SANDBOX), (SANDBOX, 0, SANDBOX), (USER, SANDBOX, SANDBOX)],
)
async def test_an_agent_has_the_isolation_that_it_asks_for(
    probed: list[Report], least: Any, wanted: Any, chosen: Any
) -> None:
    """Or the least of the settings; the machine is probed once."""
    known = rules(least=least)
    for _ in range(2):
        assert await known.check(wanted) == chosen
    assert len(probed) == 1 + (chosen == SANDBOX)


async def test_less_isolation_than_the_settings_demand_is_refused() -> None:
    """The error names the least."""
    with pytest.raises(WrongState, match="less isolation than sandbox"):
        await rules(least=SANDBOX).check(NONE)


async def test_walls_that_are_missing_are_named(probed: list[Report]) -> None:
    """An agent does not run without them."""
    probed[0] = Report(Walls(calls=True), (Wall("landlock", False, "no such call"),), ())
    with pytest.raises(WrongState, match="lacks walls around agents: landlock: no such call"):
        await rules().check(SANDBOX)


async def test_an_own_user_needs_root_and_an_open_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder that is closed to others is named."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(WrongState, match="only a fleet of root"):
        await rules().check(USER)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(sys, "executable", str(closed / "python"))
    with pytest.raises(WrongState, match="is closed to other users"):
        await rules().check(USER, "python")
    assert await rules().check(USER, "cat") == USER


async def test_a_sandbox_grants_the_folder_and_a_program_of_the_system(
    probed: list[Report],
) -> None:
    """And the endpoints of the suite; the interpreter is granted anyway."""
    plan = await rules().sandbox(Path("/agents/a"), "/bin/cat", 7, ["gateway:1"], ["db:5432"])
    assert (plan.walls, plan.uid, plan.interpreter) == (STANDING, 7, ("/usr/bin/python",))
    assert (plan.granted.read, plan.granted.write) == (("/bin/cat",), ("/agents/a",))
    assert plan.connections.endpoints == ("gateway:1",)
    assert (plan.connections.egress, plan.connections.only) == ("public", ("db:5432",))
    own = await rules().sandbox(Path("/agents/a"), sys.executable, 7, [], None)
    assert (own.granted.read, own.connections.only) == ((), None)
    assert len(probed) == 3


def test_a_user_of_an_agent_is_not_given_twice(tmp_path: Path) -> None:
    """The folders of the agents tell which ones are taken."""
    assert rules().free_user(tmp_path) in UIDS


def test_connections_are_bounds_of_a_sandbox_only() -> None:
    """Nothing else holds them."""
    content = pb.AgentSpec(spec="a", connections=CONNECTIONS)
    with pytest.raises(Invalid, match="only the isolation sandbox"):
        rules().check_bounds(content)
    content.isolation = SANDBOX
    rules().check_bounds(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"connections": CONNECTIONS}, "a pod has no such bound"),
        ({"limits": pb.AgentLimits(pids=5)}, "limits.pids: a pod has no such limit"),
        ({"limits": pb.AgentLimits(files=5)}, "limits.files: a pod has no such limit"),
    ],
)
async def test_a_pod_has_bounds_of_its_own(content: dict[str, Any], said: str) -> None:
    """And the walls of a sandbox, whatever is asked for."""
    known = rules(PodIsolation)
    with pytest.raises(Invalid, match=said):
        known.check_bounds(pb.AgentSpec(spec="a", **content))
    known.check_bounds(pb.AgentSpec(spec="a", limits=pb.AgentLimits(cpu=1)))
    assert await known.check(NONE) == SANDBOX


class Process:
    """The process of a fleet, as credentials and drivers use it."""

    def __init__(self, *gateways: str, closed: bool = False, **settings: Any) -> None:
        self.gateways = [SimpleNamespace(address=each) for each in gateways]
        self.keys = object() if closed else None
        self.address = "here:1"
        self.settings = Settings(**settings)
        self.log = structlog.get_logger()

    async def instances(self, _service: str) -> AsyncIterator[Any]:
        if self.gateways:
            yield self.gateways


def credentials(process: Process) -> tuple[Credentials, Stub]:
    stub = Stub(
        IssueAppKey=access_service_pb2.IssueAppKeyResponse(secret="made-up-key"),
        RevokeAppKey=access_service_pb2.RevokeAppKeyResponse(),
    )
    return Credentials(cast("Any", process), cast("Any", stub)), stub


@pytest.mark.parametrize(
    ("gateways", "address"),
    [(("other:2",), "other:2"), (("local", "other:2"), "here:1"), ((), "")],
)
async def test_an_agent_reaches_the_suite_by_a_gateway(
    gateways: tuple[str, ...], address: str
) -> None:
    """One of this process is at the address of the process."""
    calls, stub = credentials(Process(*gateways))
    found = await calls.of(agent_row(), spec_row(queues=["parcels", "letters"], slots=4))
    assert found == {
        "FLOWMESH_ADDRESS": address,
        "FLOWMESH_NAMESPACE": "labs",
        "FLOWMESH_AGENT_ID": "agent-1",
        "FLOWMESH_AGENT_QUEUES": "parcels,letters",
        "FLOWMESH_AGENT_SLOTS": "4",
    }
    await calls.revoke(agent_row())
    assert not stub.calls


@pytest.mark.parametrize(
    ("spec", "maker", "owner"),
    [
        ({"maker": "ada"}, "ada", ""),
        ({"owner": "kubernetes/c1/shop", "queues": ["q"]}, "", "kubernetes/c1/shop"),
        ({"maker": "ada", "owner": "kubernetes/c1/shop"}, "ada", ""),
    ],
)
async def test_an_agent_of_a_closed_suite_has_a_key_of_its_own(
    spec: dict[str, Any], maker: str, owner: str
) -> None:
    """With the rights of its spec; it is revoked with the end of the agent."""
    calls, stub = credentials(Process("local", closed=True))
    found = await calls.of(agent_row(), spec_row(secrets=["db"], task_types=["pack"], **spec))
    assert found["FLOWMESH_API_KEY"] == "made-up-key"
    request = stub.last("IssueAppKey")
    assert (request.app, request.maker_id, request.owner) == ("agent.agent-1", maker, owner)
    assert list(request.permissions) == ["secrets.db"]
    assert (list(request.queues), list(request.task_types)) == (spec.get("queues", []), ["pack"])
    await calls.revoke(agent_row())
    assert stub.last("RevokeAppKey").app == "agent.agent-1"


async def test_a_spec_of_a_cluster_without_queues_has_no_key() -> None:
    """Its key would be for all queues."""
    calls, stub = credentials(Process("local", closed=True))
    assert "FLOWMESH_API_KEY" not in await calls.of(agent_row(), spec_row(owner="kubernetes/c/n"))
    assert not stub.calls


@pytest.mark.parametrize(
    ("closed", "least", "chosen"),
    [(False, "auto", NONE), (True, "auto", SANDBOX), (True, "user", USER)],
)
def test_the_driver_of_processes_has_the_least_isolation_of_the_settings(
    tmp_path: Path, closed: bool, least: str, chosen: Any
) -> None:
    """A closed suite asks for a sandbox."""
    process = Process(closed=closed, agent_isolation=least, data_dir=str(tmp_path))
    driver, known = driver_of(cast("Any", process), credentials(process)[0])
    assert isinstance(driver, ProcessDriver)
    assert (known.least, driver.lasting) == (chosen, False)


async def test_the_driver_of_pods_is_that_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its agents keep running without the fleet."""
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(ApiServer(), tmp_path)))
    process = Process(agent_driver="kubernetes")
    driver, known = driver_of(cast("Any", process), credentials(process)[0])
    assert isinstance(driver, PodDriver)
    assert (type(known), driver.lasting) == (PodIsolation, True)
    await driver.close()


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (["python", "x.py"], sys.executable),
        (["./run.sh"], "/agents/a/run.sh"),
        (["run.sh"], "/agents/a/run.sh"),
    ],
)
def test_a_program_is_the_interpreter_or_a_file_of_the_spec(
    command: list[str], program: str
) -> None:
    """Else one of the machine, if it has it."""
    content = pb.AgentSpec(spec="a", command=command, files={"run.sh": "#!/bin/sh"})
    assert program_of(content, "/agents/a") == program
    assert program_of(pb.AgentSpec(command=["sh"]), "/agents/a").endswith("/sh")
    with pytest.raises(WrongState, match="there is no program 'no-such-thing'"):
        program_of(pb.AgentSpec(command=["no-such-thing"]), "/agents/a")
