"""Completion of values in a shell: profiles, and the names and ids of the suite.

There are no suggestions, and no message, if the suite does not respond in time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from flowmesh.cli.completion.paths import files
from flowmesh.cli.completion.requests import Request, Suggestions
from flowmesh.cli.profile_store import read_profiles
from flowmesh.cli.refusals import Refused
from flowmesh.cli.targets import target

if TYPE_CHECKING:
    from flowmesh.sdk.client.parts.executions import ExecutionCalls
    from flowmesh.sdk.transport.connection import Connection

TIMEOUT_S = 1.0
SHOWN_MAX = 100
Item = TypeVar("Item")


def workflows(request: Request) -> Suggestions:
    """Ids of registered workflows."""

    from flowmesh.sdk.client.parts.workflows import WorkflowCalls

    async def query(connection: "Connection") -> Suggestions:
        found = WorkflowCalls(connection).list(where=_prefix(request))
        return [(each.id, f"version {each.version}") for each in await _first(found)]

    return _query(request, query)


def tasks(request: Request) -> Suggestions:
    """Names of reusable tasks."""

    from flowmesh.sdk.client.parts.tasks import TaskCalls

    async def query(connection: "Connection") -> Suggestions:
        found = await _first(TaskCalls(connection).list())
        return [(each.id, each.format) for each in found]

    return _query(request, query)


def executions(request: Request) -> Suggestions:
    """Ids of executions, the newest first."""

    async def query(connection: "Connection") -> Suggestions:
        found = await _first(_executions(connection).list(page_size=SHOWN_MAX))
        return [(each.id, f"{each.workflow_id} {each.status}") for each in found]

    return _query(request, query)


def nodes(request: Request) -> Suggestions:
    """Nodes of the execution named earlier on the command line."""
    execution = request.arguments[0] if request.arguments else ""

    async def query(connection: "Connection") -> Suggestions:
        found = await _executions(connection).get(execution)
        return [(node.id, str(node.status)) for node in found.nodes[:SHOWN_MAX]]

    return _query(request, query) if execution else []


def explain_targets(request: Request) -> Suggestions:
    """Arguments of `explain`: executions, workflows and files."""
    return [*executions(request), *workflows(request), *files(request)]


def profiles(_request: Request) -> Suggestions:
    """Names of the user's profiles."""
    try:
        return [(name, each.address) for name, each in read_profiles().named.items()]
    except Refused:
        return []


def _executions(connection: "Connection") -> "ExecutionCalls":
    from flowmesh.sdk.client.parts.executions import ExecutionCalls
    from flowmesh.sdk.client.stubs import ExecutionStubs

    return ExecutionCalls(connection, ExecutionStubs(connection.caller.channel))


def _prefix(request: Request) -> str:
    return f"id:{request.incomplete}*" if request.incomplete else ""


def _query(
    request: Request, query: Callable[["Connection"], Awaitable[Iterable[tuple[str, str]]]]
) -> Suggestions:
    from flowmesh.errors import FlowmeshError

    async def suggest() -> Suggestions:
        where = target(
            address=request.options.get("--address", ""),
            namespace=request.options.get("--namespace", ""),
            profile=request.options.get("--profile", ""),
        )
        connection = where.connection()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return list(await query(connection))
        finally:
            await connection.close()

    try:
        return asyncio.run(suggest())
    except (FlowmeshError, Refused, TimeoutError):
        return []


async def _first(items: AsyncIterator[Item]) -> list[Item]:
    found: list[Item] = []
    async for item in items:
        found.append(item)
        if len(found) == SHOWN_MAX:
            break
    return found
