"""Bounds, receivers and storage of kept signals."""

import asyncio
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.errors import Overloaded
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.orchestrator.storage.stores.kept_signal_store import (
    KEPT_BYTES_MAX,
    KEPT_SIGNALS_MAX,
    NewSignal,
)
from tests.integration.orchestrator.core import Core, running
from tests.integration.orchestrator.factories import TWO_STEPS

KEYED = "paid o-1"
PAYLOAD = payload_pb2.Payload(data=b"{}").SerializeToString()
FILL = """insert into orchestrator.kept_signals
    (namespace, name, request_id, payload, bytes, actor, expires_at)
    select 'default', 'other', i::text, '', $2, '', now() + $3::text::interval
    from generate_series(1, $1) i"""


def new(number: int = 0, **said: Any) -> NewSignal:
    asked = NewSignal("default", f"r-{number}", KEYED, PAYLOAD, "", "", 60_000)
    return asked._replace(**said)


async def wait_of(store: OrchestratorStore, execution_id: str) -> None:
    """Write the row of the only wait, as a commit of the execution does."""
    await store.pool.execute("delete from orchestrator.waits")
    insert = "insert into orchestrator.waits (namespace, name, execution_id) values ($1, $2, $3)"
    await store.pool.execute(insert, "default", KEYED, execution_id)


async def again(store: OrchestratorStore) -> None:
    """End the pause of signals that were refused."""
    await store.pool.execute("update orchestrator.kept_signals set try_at = now()")


def signals(core: Core, execution_id: str) -> int:
    entry = core.memory.states.get(execution_id)
    assert entry is not None
    return len(entry.state.signals)


async def test_a_namespace_keeps_a_bounded_number_of_signals(store: OrchestratorStore) -> None:
    """Also if several are sent at once; expired ones make room, other namespaces have theirs."""
    await store.pool.execute(FILL, KEPT_SIGNALS_MAX - 1, 1, "1 hour")
    many = (store.kept_signals.keep(new(number)) for number in range(5))
    answers = await asyncio.gather(*many, return_exceptions=True)
    refused = [each for each in answers if isinstance(each, Overloaded)]
    assert [each.reason for each in refused] == ["KEPT_SIGNALS_FULL"] * 4
    assert await store.kept_signals.keep(new(9, namespace="other"))
    await store.pool.execute("update orchestrator.kept_signals set expires_at = now()")
    assert await store.kept_signals.keep(new(10))


async def test_a_namespace_keeps_a_bounded_size_of_signals(store: OrchestratorStore) -> None:
    """Stored values count with their size."""
    await store.pool.execute(FILL, 1, KEPT_BYTES_MAX - 10, "1 hour")
    assert await store.kept_signals.keep(new(1, payload=b"x" * 10))
    with pytest.raises(Overloaded, match="KEPT_SIGNALS_FULL"):
        await store.kept_signals.keep(new(2, payload=b"x"))
    large = await Payloads(store=store.payloads).put("small", "", b"x" * 1_000)
    await store.pool.execute(
        FILL.replace("'default'", "'small'"), 1, KEPT_BYTES_MAX - 1_000, "1 hour"
    )
    stored = new(3, namespace="small", digest=large.reference.digest, payload=b"x")
    with pytest.raises(Overloaded, match="KEPT_SIGNALS_FULL"):
        await store.kept_signals.keep(stored)
    assert await store.kept_signals.kept("small", "r-3") is None


async def test_housekeeping_keeps_what_kept_signals_need(store: OrchestratorStore) -> None:
    """The stored value and the receiver, until the signal is delivered or expires."""
    large = await Payloads(store=store.payloads).put("default", "", b"x" * 1_000)
    digest = large.reference.digest
    await store.kept_signals.keep(new(1, digest=digest))
    await wait_of(store, "e-1")
    async with store.kept_signals.claim(10) as claim:
        (claimed,) = claim.signals
        assert await store.kept_signals.receiver(claimed) == "e-1"
    await store.pool.execute("update orchestrator.payloads set used_at = now() - interval '2 days'")
    await store.pool.execute("update orchestrator.keyed_signals set at = now() - interval '2 days'")

    async def left() -> tuple[int, int]:
        await store.kept_signals.delete_expired()
        await store.messages.delete_keyed_signals()
        await store.payloads.collect()
        count = "select count(*) from orchestrator."
        tables = ("payloads", "keyed_signals")
        first, second = [await store.pool.fetchval(count + table) for table in tables]
        return first, second

    assert await left() == (1, 1)
    await store.pool.execute("update orchestrator.kept_signals set expires_at = now()")
    assert await left() == (0, 0)


async def test_a_signal_goes_to_the_next_wait_if_its_receiver_is_gone(
    store: OrchestratorStore,
) -> None:
    """And is received once, however often it is claimed."""
    async with running(store) as core:
        loop = core.life.kept_signals
        await store.kept_signals.keep(new(1))
        await wait_of(store, "exec-1m8gk8bfp0000b000101")
        assert await loop.run_once() == 0
        execution_id = await core.start(TWO_STEPS)
        await wait_of(store, execution_id)
        assert await loop.run_once() == 0, "it pauses after a refusal"
        await again(store)
        assert await loop.run_once() == 1
        assert signals(core, execution_id) == 1
        assert await loop.run_once() == 0


async def test_a_claimed_signal_hides_the_later_ones_of_its_name(store: OrchestratorStore) -> None:
    """So that two processes keep the order."""
    for number in (1, 2):
        await store.kept_signals.keep(new(number))
    await wait_of(store, "e-1")
    async with store.kept_signals.claim(10) as first, store.kept_signals.claim(10) as second:
        assert [each.request_id for each in first.signals] == ["r-1"]
        assert second.signals == []
        first.delivered.append(first.signals[0].seq)
    async with store.kept_signals.claim(10) as third:
        assert [each.request_id for each in third.signals] == ["r-2"]


async def test_a_signal_waits_while_its_receiver_has_no_room(store: OrchestratorStore) -> None:
    """It is delivered when there is some."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)
        entry = core.memory.states.get(execution_id)
        assert entry is not None
        await store.kept_signals.keep(new(1))
        await wait_of(store, execution_id)
        entry.state.signals_bytes = 1 << 40
        assert await core.life.kept_signals.run_once() == 0
        entry.state.signals_bytes = 0
        await again(store)
        assert await core.life.kept_signals.run_once() == 1
        assert signals(core, execution_id) == 1
