"""`agent spawn|list|show|stop|restart|scale`: the agents themselves."""

from typing import Any

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.agents.common import AgentId, OfSpec, SpecName, state_of, stub_of
from flowmesh.cli.arguments import Flag
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

COUNT_MAX = 500


@command
async def spawn(spec: SpecName, /, *, count: int = 1, common: Common = COMMON) -> None:
    """Start further agents of a spec.

    Args:
        count: Number of agents.
    """
    _check("--count", count, 1)
    async with connected(common) as client:
        request = pb.SpawnAgentsRequest(namespace=client.namespace, spec=spec, count=count)
        found = (await client.caller.call(stub_of(client).SpawnAgents, request)).agents
    _table(found, "No agents.")


@command
async def list_agents(
    spec: OfSpec = "", /, *, ended: Flag = False, common: Common = COMMON
) -> None:
    """List the agents of the namespace, the newest first.

    Args:
        ended: The last 100 that have ended too.
    """
    async with connected(common) as client:
        request = pb.ListAgentsRequest(namespace=client.namespace, spec=spec, ended=ended)
        found = (await client.caller.call(stub_of(client).ListAgents, request)).agents
    _table(found, "No agents run.")


@command
async def show(agent: AgentId, /, *, common: Common = COMMON) -> None:
    """Show an agent, with its last words if it failed."""
    async with connected(common) as client:
        request = pb.GetAgentRequest(namespace=client.namespace, agent_id=agent)
        found = (await client.caller.call(stub_of(client).GetAgent, request)).agent
    if common.structured:
        output.document(document_of(found))
        return
    output.line(f"{found.agent_id}: {state_of(found)}, {found.spec} version {found.version}")
    output.line(f"  process {found.pid} on {found.node}, {found.memory_bytes >> 20} MiB,")
    output.line(f"  {found.cpu:.0%} of a processor, {found.busy} of {found.slots} slots busy")
    for name, by in found.enforcement.items():
        output.line(f"  limit {name}: {by}")
    if found.reason:
        output.line(f"  {found.reason}")
    if found.last_words:
        output.block(found.last_words.rstrip())


@command
async def stop(agent: AgentId, /, *, common: Common = COMMON) -> None:
    """Stop an agent after its tasks; its spec has one agent less."""
    async with connected(common) as client:
        request = pb.StopAgentRequest(namespace=client.namespace, agent_id=agent)
        found = (await client.caller.call(stub_of(client).StopAgent, request)).agent
    output.result(document_of(found), f"{agent}: {state_of(found)}")


@command
async def restart(agent: AgentId, /, *, common: Common = COMMON) -> None:
    """Replace an agent after its tasks."""
    async with connected(common) as client:
        request = pb.RestartAgentRequest(namespace=client.namespace, agent_id=agent)
        found = (await client.caller.call(stub_of(client).RestartAgent, request)).agent
    output.result(document_of(found), f"{agent}: {state_of(found)}")


@command
async def scale(spec: SpecName, replicas: int, /, *, common: Common = COMMON) -> None:
    """Set the number of agents of a spec.

    Args:
        replicas: Number of agents.
    """
    _check("REPLICAS", replicas, 0)
    async with connected(common) as client:
        request = pb.ScaleAgentsRequest(namespace=client.namespace, spec=spec, replicas=replicas)
        found = (await client.caller.call(stub_of(client).ScaleAgents, request)).spec
    output.result(document_of(found), f"{spec}: {counted(found.spec.replicas, 'agent')}")


def _check(name: str, value: int, least: int) -> None:
    if not least <= value <= COUNT_MAX:
        raise Refused(f"{name} is {least} to {COUNT_MAX}, not {value}", code=exit_codes.USAGE)


def _table(found: Any, none: str) -> None:
    output.table(
        found,
        document_of,
        "AGENT=agent_id SPEC VERSION STATE BUSY CPU MEMORY AGE=created_at_us REASON",
        none=none,
        STATE=state_of,
        BUSY=lambda each: f"{each.busy}/{each.slots}",
        CPU=lambda each: f"{each.cpu:.0%}",
        MEMORY=_memory,
        REASON=lambda each: each.reason[:60] or "-",
    )


def _memory(agent: agent_pb2.Agent) -> str:
    return f"{agent.memory_bytes >> 20} MiB"
