"""Completion of values in a shell: files, profiles, and the names and ids of the suite.

There are no suggestions, and no message, if the suite does not respond in time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts.completion import CompletionContext

from flowmesh.cli.common import collect
from flowmesh.cli.profile_store import read_profiles
from flowmesh.cli.refusals import Refused
from flowmesh.cli.targets import target

if TYPE_CHECKING:
    from flowmesh.sdk import Client

TIMEOUT_S = 1.0
SHOWN_MAX = 100
Suggestions = list[tuple[str, str]]


def workflows(context: CompletionContext) -> Suggestions:
    """Ids of registered workflows."""

    async def query(client: "Client") -> Suggestions:
        found = client.list_workflows(where=_prefix(context))
        return [(each.id, f"version {each.version}") for each in await collect(found, SHOWN_MAX)]

    return _query(context, query)


def tasks(context: CompletionContext) -> Suggestions:
    """Names of reusable tasks."""

    async def query(client: "Client") -> Suggestions:
        return [(each.id, each.format) for each in await collect(client.list_tasks(), SHOWN_MAX)]

    return _query(context, query)


def executions(context: CompletionContext) -> Suggestions:
    """Ids of executions, the newest first."""

    async def query(client: "Client") -> Suggestions:
        found = await collect(client.list_executions(), SHOWN_MAX)
        return [(each.id, f"{each.workflow_id} {each.status}") for each in found]

    return _query(context, query)


def nodes(context: CompletionContext) -> Suggestions:
    """Nodes of the execution named earlier on the command line."""
    execution = _typed(context, "execution")

    async def query(client: "Client") -> Suggestions:
        found = await client.get_execution(execution)
        return [(node.id, str(node.status)) for node in found.nodes[:SHOWN_MAX]]

    return _query(context, query) if execution else []


def explain_targets(context: CompletionContext) -> Suggestions:
    """Arguments of `explain`: executions, workflows and files."""
    return [*executions(context), *workflows(context), *files(context)]


def profiles(_context: CompletionContext) -> Suggestions:
    """Names of the user's profiles."""
    try:
        return [(name, each.address) for name, each in read_profiles().named.items()]
    except Refused:
        return []


def files(context: CompletionContext) -> Suggestions:
    """Files and folders."""
    return _files(context.incomplete)


def values(context: CompletionContext) -> Suggestions:
    """Files after an @."""
    if not context.incomplete.startswith("@"):
        return []
    return [(f"@{name}", "") for name, _ in _files(context.incomplete[1:])]


def _files(incomplete: str) -> Suggestions:
    folder, _, name = incomplete.rpartition("/")
    prefix = f"{folder}/" if "/" in incomplete else ""
    place = Path(prefix or ".").expanduser()
    try:
        found = sorted(each for each in place.iterdir() if each.name.startswith(name))
    except OSError:
        return []
    return [(f"{prefix}{each.name}{'/' if each.is_dir() else ''}", "") for each in found]


def _prefix(context: CompletionContext) -> str:
    return f"id:{context.incomplete}*" if context.incomplete else ""


def _typed(context: CompletionContext, name: str) -> str:
    value = context.get(name)
    return value.raw or "" if value is not None else ""


def _query(
    context: CompletionContext, query: Callable[["Client"], Awaitable[Iterable[tuple[str, str]]]]
) -> Suggestions:
    from flowmesh.errors import FlowmeshError

    async def suggest() -> Suggestions:
        where = target(
            address=_typed(context, "--address"),
            namespace=_typed(context, "--namespace"),
            profile=_typed(context, "--profile"),
        )
        async with (
            asyncio.timeout(TIMEOUT_S),
            where.client() as client,
        ):
            await client.ready(TIMEOUT_S)
            return list(await query(client))

    try:
        return asyncio.run(suggest())
    except (FlowmeshError, Refused, TimeoutError):
        return []
