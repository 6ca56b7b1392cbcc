"""`service list|show|register|drain|deregister|watch` and `topology`."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Flag, Texts
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.executions.executions import parse_pairs
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import HealthCheck, ServiceInstance, TopologyEdge

ServiceArgument = Annotated[str, Parameter(help="Id of the instance.")]
CheckWord = Literal["none", "grpc", "http", "tcp"]
EDGE_HEADER = ("FROM", "TO", "CALLS", "ERRORS", "P50", "P95", "P99", "LAST")


@command
async def show(service: ServiceArgument, /, *, common: Common = COMMON) -> int:
    """Show an instance of a service."""
    async with connected(common) as client:
        found = await client.registry.get(service)
    if common.structured:
        output.document(instance_json(found))
        return exit_codes.DONE
    draining = ", draining" if found.draining else ""
    output.line(f"{found.name}  {found.id}  {found.status}{draining}")
    output.line(f"  {found.type or '-'} at {found.endpoint}, version {found.version or '-'}")
    output.line(f"  heartbeat {output.age(found.heartbeat_at)}")
    if found.check_problem:
        output.line(f"  failed check: {found.check_problem}")
    for capability in found.capabilities:
        output.line(f"  capability {capability}")
    for name, value in sorted(found.metadata.items()):
        output.line(f"  {name}={value}")
    return exit_codes.DONE


@command
async def register(
    name: str,
    endpoint: str,
    /,
    *,
    id: str = "",
    type: str = "EXTERNAL",
    capability: Texts = None,
    metadata: Texts = None,
    version: str = "",
    check: CheckWord = "none",
    path: str = "",
    grpc_service: str = "",
    interval: float = 5.0,
    timeout: float = 2.0,
    common: Common = COMMON,
) -> None:
    """Register an instance of a service.

    With a check the registry keeps it alive, and the command ends. Without one the command sends
    heartbeats until it is interrupted, and then deregisters the instance.

    Args:
        name: Name of the service.
        endpoint: host:port for gRPC, or a URL such as http://host:8080.
        id: Id of the instance; by default a new one.
        type: Type of the service, such as AGENT or MCP_SERVER.
        capability: Capability; can be repeated.
        metadata: Metadata, as name=value; can be repeated.
        version: Version of the service.
        check: Check that the registry makes.
        path: Path of an HTTP check.
        grpc_service: Service that a gRPC check asks for; by default the whole server.
        interval: Seconds between checks.
        timeout: Seconds until a check fails.
    """
    from flowmesh.sdk import Service, ServiceEndpoint

    made = _check(check, path, grpc_service, interval, timeout)
    service = Service(
        name=name,
        type=type,
        endpoint=ServiceEndpoint.parse(endpoint),
        capabilities=capability or (),
        id=id,
        metadata=parse_pairs(metadata or ()),
        version=version,
        check=made,
    )
    async with connected(common) as client:
        if made is not None:
            _registered(await client.registry.register(service), "the registry checks it")
            return
        async with client.registry.registered(service) as found:
            _registered(found, "heartbeats are sent until this command is interrupted")
            await asyncio.Event().wait()


def _check(
    kind: CheckWord, path: str, service: str, interval: float, timeout: float
) -> "HealthCheck | None":
    from flowmesh.sdk import HealthCheck

    if kind != "none":
        return HealthCheck(kind, path=path, service=service, interval=interval, timeout=timeout)
    if path or service:
        raise Refused("--path and --grpc-service belong to a --check", code=exit_codes.USAGE)
    return None


@command
async def drain(
    service: ServiceArgument, /, *, undo: Flag = False, common: Common = COMMON
) -> None:
    """Take an instance out of service; callers choose others, and it stays registered.

    Args:
        undo: Take it back into service.
    """
    async with connected(common) as client:
        found = await client.registry.drain(service, undo=undo)
    effect = "is back in service" if undo else "drains"
    output.result(instance_json(found), f"{found.name} {found.id} {effect}")


@command
async def deregister(service: ServiceArgument, /, *, common: Common = COMMON) -> None:
    """Turn an instance OFFLINE; repeating it changes nothing."""
    async with connected(common) as client:
        await client.registry.deregister(service)
    output.result({"id": service, "deregistered": True}, f"{service} is deregistered")


@command
async def watch(
    *,
    name: str = "",
    type: str = "",
    capability: Texts = None,
    limit: int = 0,
    common: Common = COMMON,
) -> int:
    """Follow the instances: the present ones first, then every change.

    Args:
        name: Only instances of this service.
        type: Only instances of this type.
        capability: Only instances with this capability; can be repeated.
        limit: End after this number of lines; 0 is endless.
    """
    async with connected(common) as client:
        shown = 0
        async for change in client.registry.watch(
            name=name, type=type, capabilities=capability or ()
        ):
            each = change.service
            before = str(change.before.status) if change.before else ""
            if common.structured:
                output.stream_document(
                    {"event": change.event}
                    | output.members(each, "id name status")
                    | {"before": before, "endpoint": str(each.endpoint)}
                )
            else:
                moved = f"{before} to {each.status}" if before else str(each.status)
                output.line(f"{change.event:<10}  {each.name}  {each.id}  {moved}")
            shown += 1
            if shown == limit:
                break
    return exit_codes.DONE


@command
async def topology(*, minutes: int = 15, common: Common = COMMON) -> None:
    """Show the calls between services, with their errors and durations.

    Args:
        minutes: Minutes to look back, at most 60.
    """
    if not 1 <= minutes <= 60:
        raise Refused("--minutes is 1 to 60")
    async with connected(common) as client:
        found = await client.registry.topology(minutes=minutes)
    if common.structured:
        output.document(
            {
                "minutes": found.minutes,
                "nodes": [output.members(each) for each in found.nodes],
                "edges": [_edge_json(each) for each in found.edges],
            }
        )
        return
    rows = [
        (
            each.source,
            each.target,
            f"{each.calls:,}",
            f"{each.errors:,}",
            *(output.duration(seconds * 1_000) for seconds in (each.p50, each.p95, each.p99)),
            output.age(each.last_at),
        )
        for each in found.edges
    ]
    none = f"No calls in the last {found.minutes} minutes."
    output.columns(EDGE_HEADER, rows, none=none, only_wide=frozenset())


def instance_json(instance: "ServiceInstance") -> dict[str, Any]:
    return output.members(
        instance,
        "id name type status draining endpoint capabilities metadata heartbeat_at version "
        "check_problem * -registered_at",
    )


def _registered(instance: "ServiceInstance", how: str) -> None:
    text = f"{instance.name} is registered as {instance.id} at {instance.endpoint}; {how}"
    output.result(instance_json(instance), text)


def _edge_json(edge: "TopologyEdge") -> dict[str, Any]:
    times = {f"{name}Ms": round(getattr(edge, name) * 1_000, 3) for name in ("p50", "p95", "p99")}
    return (
        output.members(edge, "source target calls errors p50_ms=p50 p95_ms=p95 p99_ms=p99 *")
        | times
    )
