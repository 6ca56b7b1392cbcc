"""F14 to F19: NATS dies, forgets, is cut off, and loses acknowledgements; events come in order."""

import random
import shutil

import nats
import pytest

from flowmesh.testing.polling import allowed_s, done, pause
from tests.faults.harness.protocols import DELIVERED, POSITIONS, LostPubAcks, StatementFault
from tests.faults.harness.proxy import DOWN, UP
from tests.faults.harness.scenario import Scenario

AWAY_S = 5.0
DRAINED_WITHIN_S = 5.0
CUT_OFF_S = 12.0
STREAM = "FM_EVENTS"
# Each is waited for until the publisher gives up, 5 s.
LOST_ACKS = 2
# Of what the event service has read, and of what it has delivered.
LOST_NOTES = 3
REPEATED = 50
STORES = 5
BUSY_ORDERS = 120
HIT_WITHIN_S = 20.0
# Of the normal rate while NATS is away.
RATE_KEPT = 0.8


@pytest.mark.slow
@pytest.mark.fault("F14")
async def test_nats_is_away_for_five_seconds(scenario: Scenario) -> None:
    """Events wait in the outbox and follow in order once it is back; work does not wait."""
    servers = scenario.rig.servers
    async with scenario.drill("NATS away for 5 s") as running:
        await scenario.whole()
        await running.in_flight()
        await servers.stop("nats")
        running.breaks()
        await pause(AWAY_S)
        await servers.start("nats")

        def told() -> bool:
            return running.subscribers.have_all(set(running.orders.ids))

        drained_s = await done("all events told", told, within_s=60.0)
        await scenario.finish(running, "F14")
    assert drained_s <= allowed_s(DRAINED_WITHIN_S)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F15")
async def test_the_store_of_nats_is_deleted_under_load(scenario: Scenario) -> None:
    """The stream is made anew each time and gets from the outbox what nobody has stored yet."""
    async with scenario.drill("NATS store deleted, busy", late_orders=BUSY_ORDERS) as running:
        await scenario.whole()
        await running.in_flight()
        running.breaks()
        for _ in range(STORES):
            await store_deleted(scenario)
            await pause(1.0)
        await scenario.finish(running, "F15", n=STORES)
    scenario.tally.figure("N7", n=STORES, nats_stores=STORES, lost=0)


@pytest.mark.slow
@pytest.mark.fault("F15")
async def test_the_store_of_nats_is_deleted_while_idle(scenario: Scenario) -> None:
    """Nothing was published meanwhile, so nobody has noticed when the next event comes."""
    async with scenario.drill("NATS store deleted, idle") as running:
        await scenario.whole()
        await running.in_flight()
        await store_deleted(scenario)
        running.breaks()
        await scenario.finish(running, "F15")


async def store_deleted(scenario: Scenario) -> None:
    """NATS starts again with nothing of what it had."""
    servers = scenario.rig.servers
    await servers.stop("nats")
    shutil.rmtree(servers.data_dir.path / "nats" / "jetstream")
    await servers.start("nats")


@pytest.mark.slow
@pytest.mark.fault("F16")
@pytest.mark.parametrize("directions", [(UP, DOWN), (DOWN,)], ids=["two-way", "one-way"])
async def test_nats_is_cut_off(scenario: Scenario, directions: tuple[str, ...]) -> None:
    """Tasks and results do not pass through it: orders end as before, events follow later."""
    bus = scenario.rig.bus
    await scenario.whole()
    async with scenario.drill("no fault", orders=60, late_orders=60) as running:
        await running.in_flight()
        running.breaks()
        usual_s = (await running.finish()).took_s
    async with scenario.drill("NATS cut off", orders=60, late_orders=60) as running:
        await running.in_flight()
        bus.hole(*directions)
        try:
            running.breaks()
            cut_off_s = await running.all_ended()
            await pause(max(CUT_OFF_S - cut_off_s, 0.0))
        finally:
            bus.heal()
        await scenario.finish(running, "F16")
    assert cut_off_s <= allowed_s(usual_s / RATE_KEPT + 1.0)


@pytest.mark.slow
@pytest.mark.fault("F17")
async def test_acknowledgements_of_publishes_are_lost(scenario: Scenario) -> None:
    """Published again under the same id: the stream and the positions drop the second one."""
    bus = scenario.rig.bus
    async with scenario.drill("PubAcks lost", orders=60, late_orders=60) as running:
        await scenario.whole()
        await running.in_flight()
        rule = LostPubAcks(STREAM, LOST_ACKS)
        bus.rules.append(rule)
        try:
            running.breaks()
            await done(
                "acknowledgements lost", lambda: rule.lost >= LOST_ACKS, within_s=HIT_WITHIN_S
            )
            await running.all_ended()
        finally:
            bus.heal()
        await scenario.finish(running, "F17", n=rule.lost)


@pytest.mark.slow
@pytest.mark.fault("F18")
async def test_messages_come_again_and_out_of_order(scenario: Scenario, seed: int) -> None:
    """What is in the stream twice or late is dropped by position; each event is told once."""
    draw = random.Random(seed)
    async with scenario.drill("messages repeated and reordered") as running:
        await scenario.whole()
        client = await nats.connect(scenario.rig.servers.nats)
        stream = client.jetstream()
        await running.in_flight()
        running.breaks()
        for _ in range(REPEATED):
            info = (await stream.stream_info(STREAM)).state
            number = draw.randint(max(info.first_seq, info.last_seq - REPEATED), info.last_seq)
            message = await stream.get_msg(STREAM, number)
            await stream.publish(str(message.subject), message.data or b"")
        await client.close()
        await scenario.finish(running, "F18", n=REPEATED)


@pytest.mark.slow
@pytest.mark.fault("F19")
@pytest.mark.parametrize("fault", ["lost reply", "late request"])
@pytest.mark.parametrize(("what", "note"), [("read", POSITIONS), ("delivered", DELIVERED)])
async def test_what_a_consumer_has_done_is_not_noted(
    scenario: Scenario, what: str, note: bytes, fault: str
) -> None:
    """What is taken in again is there once, and each callback is delivered under one id."""
    database = scenario.rig.database
    async with scenario.drill(f"note of what was {what}, {fault}") as running:
        await scenario.whole()
        await running.in_flight()
        rule = StatementFault(note, fault, times=LOST_NOTES)
        database.rules.append(rule)
        try:
            running.breaks()
            await done("notes lost", lambda: rule.hits >= LOST_NOTES, within_s=HIT_WITHIN_S)
            await running.all_ended()
        finally:
            rule.release.set()
            database.heal()
        await scenario.finish(running, "F19", n=rule.hits)
