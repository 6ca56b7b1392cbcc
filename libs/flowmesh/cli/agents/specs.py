"""`agent spec apply|list|show|delete`: templates of agents."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.agents.common import SpecName, put_number, stub_of
from flowmesh.cli.arguments import Flag
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

Words = Annotated[list[str] | None, Parameter(negative="")]
Isolation = Literal["", "none", "user", "sandbox"]
Health = Literal["heartbeat", "process"]
MIB = 1024 * 1024


@command
async def apply(
    spec: SpecName,
    /,
    *,
    run: str,
    file: Annotated[list[Path] | None, Parameter(name=["--file", "-f"], negative="")] = None,
    variable: Annotated[list[str] | None, Parameter(name=["--variable", "-v"], negative="")] = None,
    queue: Words = None,
    task_type: Words = None,
    slots: int = 1,
    replicas: int = 1,
    cpu: float = 0.0,
    memory_mib: int = 0,
    pids: int = 0,
    open_files: int = 0,
    disk_mib: int = 0,
    isolation: Isolation = "",
    health: Health = "heartbeat",
    start_timeout_s: int = 30,
    drain_timeout_s: int = 30,
    take_over: Flag = False,
    common: Common = COMMON,
) -> None:
    """Store a spec; agents of the version before are replaced one by one.

    Args:
        run: Program and arguments in one text; `python` is the interpreter of the fleet.
        file: Text file that is put into the folder of each agent.
        variable: Variable of the environment: NAME=value.
        queue: Queue of its tasks; the credential of an agent is for these only.
        task_type: Type of its tasks; by default all types of its queues.
        slots: Tasks of an agent at once.
        replicas: Number of agents.
        cpu: Processors of an agent, such as 0.5; 0 is no limit.
        memory_mib: Memory of an agent in MiB; 0 is no limit.
        pids: Processes of an agent; 0 is no limit.
        open_files: Open files of a process; 0 is no limit.
        disk_mib: Files of the folder of an agent in MiB; 0 is no limit.
        isolation: Walls around an agent; by default the least that the fleet demands.
        health: heartbeat: a worker of the SDK; process: it is ready while its process runs.
        start_timeout_s: Time to become ready.
        drain_timeout_s: Time to complete tasks before it is killed.
        take_over: Take the spec from the system that manages it, such as a cluster.
    """
    content = agent_pb2.AgentSpec(
        spec=spec,
        command=_words(run),
        files=_texts(file or ()),
        environment=dict(map(_variable, variable or ())),
        queues=queue or (),
        task_types=task_type or (),
        health=agent_pb2.AgentHealth.Value(f"AGENT_HEALTH_{health.upper()}"),
        isolation=_isolation(isolation),
    )
    for message, field, option, value, factor in (
        (content, "slots", "--slots", slots, 1),
        (content, "replicas", "--replicas", replicas, 1),
        (content, "start_timeout_ms", "--start-timeout-s", start_timeout_s, 1_000),
        (content, "drain_timeout_ms", "--drain-timeout-s", drain_timeout_s, 1_000),
        (content.limits, "cpu", "--cpu", cpu, 1),
        (content.limits, "memory_bytes", "--memory-mib", memory_mib, MIB),
        (content.limits, "pids", "--pids", pids, 1),
        (content.limits, "files", "--open-files", open_files, 1),
        (content.limits, "disk_bytes", "--disk-mib", disk_mib, MIB),
    ):
        put_number(message, field, option, value, factor)
    await _applied(content, common, take_over=take_over)


@command
async def list_specs(*, common: Common = COMMON) -> None:
    """List the specs of agents."""
    async with connected(common) as client:
        request = pb.ListAgentSpecsRequest(namespace=client.namespace)
        found = (await client.caller.call(stub_of(client).ListAgentSpecs, request)).specs
    output.table(
        found,
        document_of,
        "SPEC VERSION READY COMMAND QUEUES PROBLEM",
        none="There are no specs of agents.",
        SPEC=lambda each: each.spec.spec,
        READY=lambda each: f"{each.ready}/{each.wanted}",
        COMMAND=lambda each: shlex.join(each.spec.command)[:60],
        QUEUES=lambda each: ", ".join(each.spec.queues) or "-",
        PROBLEM=lambda each: each.problem[:80],
    )


@command
async def show(spec: SpecName, /, *, common: Common = COMMON) -> None:
    """Show a spec of agents."""
    async with connected(common) as client:
        request = pb.GetAgentSpecRequest(namespace=client.namespace, spec=spec)
        found = (await client.caller.call(stub_of(client).GetAgentSpec, request)).spec
    if common.structured:
        output.document(document_of(found))
        return
    output.line(f"{spec}: version {found.version}, {found.ready} of {found.wanted} agents ready")
    output.line(f"  {shlex.join(found.spec.command)}")
    for name, value in document_of(found.spec.limits).items():
        if value:
            output.line(f"  {name} {value}")
    if found.owner:
        output.line(f"  managed by {found.owner}")
    if found.problem:
        output.line(f"  {found.problem}")


@command
async def delete(spec: SpecName, /, *, stop_agents: Flag = False, common: Common = COMMON) -> None:
    """Delete a spec of agents.

    Args:
        stop_agents: Drain its agents first; otherwise a spec with agents is kept.
    """
    async with connected(common) as client:
        request = pb.DeleteAgentSpecRequest(
            namespace=client.namespace, spec=spec, stop_agents=stop_agents
        )
        await client.caller.call(stub_of(client).DeleteAgentSpec, request)
    output.result({"spec": spec, "deleted": True}, f"{spec} is deleted")


async def _applied(content: agent_pb2.AgentSpec, common: Common, *, take_over: bool) -> None:
    async with connected(common) as client:
        request = pb.ApplyAgentSpecRequest(
            namespace=client.namespace, spec=content, take_over=take_over
        )
        answer = await client.caller.call(stub_of(client).ApplyAgentSpec, request)
    state = answer.spec
    verb = "is stored" if answer.created else "is unchanged"
    text = (
        f"{content.spec}: version {state.version} {verb}, {counted(state.spec.replicas, 'agent')}"
    )
    output.result(document_of(state), text)


def _isolation(word: Isolation) -> agent_pb2.Isolation.ValueType:
    name = f"ISOLATION_{word.upper() or 'UNSPECIFIED'}"
    return agent_pb2.Isolation.Value(name)


def _words(run: str) -> list[str]:
    try:
        return shlex.split(run)
    except ValueError as error:
        raise Refused(f"--run: {error}", code=exit_codes.USAGE) from None


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise Refused(f"--variable {text!r} must be NAME=value", code=exit_codes.USAGE)
    return name, value


def _texts(files: Sequence[Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in files:
        if each.name in found:
            text = f"--file: two files have the name {each.name}, and agents have one folder"
            raise Refused(text, code=exit_codes.USAGE)
        found[each.name] = _text(each)
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"cannot read {file}: {error.strerror}", code=exit_codes.USAGE) from None
    except UnicodeDecodeError:
        raise Refused(f"{file} is not UTF-8 text", code=exit_codes.USAGE) from None
