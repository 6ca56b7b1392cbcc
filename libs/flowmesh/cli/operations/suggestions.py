"""Values that a shell completes: files, profiles, and the names and ids of the suite.

Without a suite that answers in time there are no suggestions, and no message.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts.completion import CompletionContext

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

    async def ask(client: "Client") -> Suggestions:
        found = client.list_workflows(where=_prefix(context))
        return [(each.id, f"version {each.version}") for each in await _first(found)]

    return _asked(context, ask)


def tasks(context: CompletionContext) -> Suggestions:
    """Names of reusable tasks."""

    async def ask(client: "Client") -> Suggestions:
        return [(each.id, each.format) for each in await _first(client.list_tasks())]

    return _asked(context, ask)


def executions(context: CompletionContext) -> Suggestions:
    """Ids of executions, the newest first."""

    async def ask(client: "Client") -> Suggestions:
        found = await _first(client.list_executions())
        return [(each.id, f"{each.workflow_id} {each.status}") for each in found]

    return _asked(context, ask)


def nodes(context: CompletionContext) -> Suggestions:
    """Tasks of the execution that is named before."""
    execution = _typed(context, "execution")

    async def ask(client: "Client") -> Suggestions:
        found = await client.get_execution(execution)
        return [(node.id, str(node.status)) for node in found.nodes[:SHOWN_MAX]]

    return _asked(context, ask) if execution else []


def explained(context: CompletionContext) -> Suggestions:
    """What `explain` takes: an execution, a workflow, or a file."""
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
    """Files behind an @."""
    if not context.incomplete.startswith("@"):
        return []
    return [(f"@{name}", "") for name, _ in _files(context.incomplete[1:])]


def _files(begun: str) -> Suggestions:
    folder, _, name = begun.rpartition("/")
    place = Path(f"{folder}/" if "/" in begun else ".").expanduser()
    before = f"{folder}/" if "/" in begun else ""
    try:
        found = sorted(each for each in place.iterdir() if each.name.startswith(name))
    except OSError:
        return []
    return [(f"{before}{each.name}{'/' if each.is_dir() else ''}", "") for each in found]


async def _first(found: Any) -> list[Any]:
    first = []
    async for each in found:
        first.append(each)
        if len(first) == SHOWN_MAX:
            break
    return first


def _prefix(context: CompletionContext) -> str:
    return f"id:{context.incomplete}*" if context.incomplete else ""


def _typed(context: CompletionContext, name: str) -> str:
    value = context.get(name)
    return value.raw or "" if value is not None else ""


def _asked(
    context: CompletionContext, ask: Callable[["Client"], Awaitable[Iterable[tuple[str, str]]]]
) -> Suggestions:
    from flowmesh.errors import FlowmeshError
    from flowmesh.sdk import Client

    async def work() -> Suggestions:
        where = target(
            address=_typed(context, "--address"),
            namespace=_typed(context, "--namespace"),
            profile=_typed(context, "--profile"),
        )
        async with (
            asyncio.timeout(TIMEOUT_S),
            Client(where.address.value, where.namespace.value) as client,
        ):
            await client.ready(TIMEOUT_S)
            return list(await ask(client))

    try:
        return asyncio.run(work())
    except (FlowmeshError, Refused, TimeoutError):
        return []
