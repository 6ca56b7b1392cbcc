"""Backfills: many executions of a workflow with bounded concurrency.

The request id of each execution is derived from its item. Therefore a repeated backfill resumes: it
waits for executions that are already started and starts the rest.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable
from flowmesh.sdk.values.executions import Status
from flowmesh.sdk.values.payloads import encode

if TYPE_CHECKING:
    from flowmesh.sdk.client.client import Client

CONCURRENCY_DEFAULT: Final = 10
CONCURRENCY_MAX: Final = 1_000
REFUSED_SHOWN_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class BackfillItem:
    """One execution to start, with its name and request id."""

    name: str
    request_id: str
    input: Json = None
    # The reason if the item is invalid; empty otherwise.
    error: str = ""


@dataclass(slots=True)
class Backfill:
    """The progress of a backfill.

    `repeated` executions were started before, by an earlier run or by their source. `joined` items
    have no execution of their own, as the start policy returned that of another start.
    """

    total: int = 0
    started: int = 0
    repeated: int = 0
    joined: int = 0
    completed: int = 0
    failed: int = 0
    refused: int = 0
    # The first refused items with their reasons.
    refusals: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.refused

    @property
    def good(self) -> bool:
        return not (self.failed or self.refused)

    def refuse(self, name: str, reason: str) -> None:
        self.refused += 1
        if len(self.refusals) < REFUSED_SHOWN_MAX:
            self.refusals.append((name, reason))


def items_of(inputs: Iterable[Json], backfill_id: str = "") -> Iterable[BackfillItem]:
    """Create items with request ids from the digests of the inputs and their repetitions.

    Another `backfill_id` gives other request ids, and so new executions of the same inputs.
    """
    seen: Counter[bytes] = Counter()
    for number, value in enumerate(inputs, start=1):
        digest = hashlib.sha256(encode(value)).digest()
        seen[digest] += 1
        yield BackfillItem(
            f"input {number}", _request_id(backfill_id, digest.hex(), str(seen[digest])), value
        )


def renamed(item: BackfillItem, backfill_id: str) -> BackfillItem:
    """Return the item with a request id of its own for this backfill."""
    if not backfill_id:
        return item
    return BackfillItem(
        item.name, _request_id(backfill_id, item.request_id), item.input, item.error
    )


def _request_id(*parts: str) -> str:
    return f"bf_{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:40]}"


async def run_backfill(
    client: "Client",
    workflow_id: str,
    items: AsyncIterator[BackfillItem],
    *,
    concurrency: int = CONCURRENCY_DEFAULT,
    on_progress: Callable[[Backfill], None] = lambda _: None,
) -> Backfill:
    """Run all items, at most `concurrency` at a time, and return the result.

    A refused or failed item does not stop the others; an unreachable suite does.
    """
    if not 1 <= concurrency <= CONCURRENCY_MAX:
        raise ValueError(f"concurrency must be from 1 to {CONCURRENCY_MAX}, not {concurrency}")
    state = Backfill()
    free = asyncio.Semaphore(concurrency)

    async def run_item(item: BackfillItem) -> None:
        try:
            await _run(client, workflow_id, item, state)
        finally:
            free.release()
            on_progress(state)

    async with asyncio.TaskGroup() as group:
        async for item in items:
            await free.acquire()
            state.total += 1
            group.create_task(run_item(item))
    return state


async def _run(client: "Client", workflow_id: str, item: BackfillItem, state: Backfill) -> None:
    if item.error:
        state.refuse(item.name, item.error)
        return
    try:
        handle = await client.start(workflow_id, item.input, request_id=item.request_id)
    except (Unavailable, Overloaded, Timeout):
        raise
    except FlowmeshError as error:
        state.refuse(item.name, f"{error.message} [{error.reason}]")
        return
    if handle.created:
        state.started += 1
    execution = await handle.wait()
    if not handle.created:
        # `wait` returns the last run of a chain.
        first = execution if execution.id == handle.id else await handle.describe()
        if first.request_id == item.request_id:
            state.repeated += 1
        else:
            state.joined += 1
    if execution.status is Status.COMPLETED:
        state.completed += 1
    else:
        state.failed += 1
