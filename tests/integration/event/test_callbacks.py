"""Delivery of callbacks: once, with retries, across restarts."""

import asyncio

import pytest
from standardwebhooks import Webhook

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.event.delivery import sender as deliver
from flowmesh.event.store import MIGRATIONS, DeliveryStore, Due
from flowmesh.runtime import Settings
from flowmesh.storage import open_database

from .conftest import PATIENCE_S, Events
from .orchestrator import Book, completed, ended, scheduled, started
from .receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def callbacks(receiver: Receiver, **more: str) -> plan_pb2.Callbacks:
    return plan_pb2.Callbacks(
        on_complete_url=receiver.url("complete"),
        on_failure_url=receiver.url("failure"),
        on_step_url=receiver.url("step"),
        **more,
    )


async def deliveries(events: Events, status: "pb.DeliveryStatus.ValueType") -> list[pb.Delivery]:
    """Return all deliveries when all have the status."""
    stub = events.stub()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = list((await stub.ListDeliveries(pb.ListDeliveriesRequest())).deliveries)
            if found and all(each.status == status for each in found):
                return found


async def test_each_finished_step_and_the_end_have_one_callback(
    events: Events, receiver: Receiver
) -> None:
    """With the documented body, including the execution."""
    owner = events.owner(1)
    urls = callbacks(receiver)
    await owner.commit("exec-1", started(), scheduled("a"), callbacks=urls)
    await owner.commit("exec-1", completed("a", '{"n": 1}'), ended('"done"'), callbacks=urls)
    calls = {call.path: call.json for call in await receiver.until(2)}

    step, end = calls["/step"], calls["/complete"]
    assert step | {"timestamp": "", "execution": {}} == {
        "event": "onStep",
        "executionId": "exec-1",
        "workflowId": "orders",
        "status": "success",
        "timestamp": "",
        "stepId": "a",
        "result": {"n": 1},
        "execution": {},
    }
    assert (end["event"], end["status"], end["result"]) == ("onComplete", "completed", "done")
    assert end["execution"]["status"] == "completed"
    assert end["execution"]["context"] == {"amount": 3}
    done = await deliveries(events, pb.DELIVERY_STATUS_DELIVERED)
    assert {(each.kind, each.attempts) for each in done} == {("onStep", 1), ("onComplete", 1)}
    assert len(receiver.calls) == 2


@pytest.mark.long
async def test_a_secret_signs_every_attempt_under_one_id(
    events: Events, receiver: Receiver
) -> None:
    """A receiver can verify each attempt and drop repeats."""
    receiver.answers("complete", 500, 302)
    urls = callbacks(receiver, secret=SECRET)
    await events.owner(1).commit("exec-1", started(), ended(), callbacks=urls)
    calls = await receiver.until(3)

    for call in calls:
        Webhook(SECRET).verify(call.text, call.headers)
    assert len({call.headers["webhook-id"] for call in calls}) == 1
    assert len({call.headers["webhook-timestamp"] for call in calls}) == 3
    (done,) = await deliveries(events, pb.DELIVERY_STATUS_DELIVERED)
    assert done.attempts == 3


@pytest.mark.parametrize("url", ["gone", "", "http://[broken"])
async def test_undeliverable_callbacks_are_dead_at_once(
    events: Events, receiver: Receiver, url: str
) -> None:
    """For a receiver that returns 410 and for malformed URLs, with the reason in the list."""
    receiver.answers("gone", 410)
    target = receiver.url(url) if url == "gone" else url or "ftp://example.org/x"
    urls = plan_pb2.Callbacks(on_complete_url=target)
    await events.owner(1).commit("exec-1", started(), ended(), callbacks=urls)
    (dead,) = await deliveries(events, pb.DELIVERY_STATUS_DEAD)

    assert dead.attempts == 1
    assert dead.last_error


@pytest.mark.fault("F19")
async def test_a_callback_with_only_failed_attempts_is_dead(
    events: Events, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last attempt, under one id, with the response of the receiver; counted for
    the alert of `deploy/alerts.yml`.
    """
    monkeypatch.setattr(deliver, "DELAY_FIRST_MS", 1)
    receiver.answers("complete", *[500] * (2 * deliver.ATTEMPTS_MAX))
    await events.owner(1).commit("exec-1", started(), ended(), callbacks=callbacks(receiver))
    (dead,) = await deliveries(events, pb.DELIVERY_STATUS_DEAD)

    assert (dead.attempts, dead.last_error) == (deliver.ATTEMPTS_MAX, "the receiver answered 500")
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    assert len(receiver.calls) == deliver.ATTEMPTS_MAX
    assert events.metric("flowmesh_event_delivery_attempts_total", outcome="dead") == 1


async def test_repeats_of_a_message_deliver_nothing_twice(
    events: Events, receiver: Receiver
) -> None:
    """For a publisher that repeats messages, and a second reader of the commit."""
    owner = events.owner(1)
    first = await owner.commit("exec-1", started(), ended(), callbacks=callbacks(receiver))
    await owner.publish(first)
    await owner.commit("exec-2", started(), ended(), callbacks=callbacks(receiver))
    await receiver.until(2)

    assert len(await deliveries(events, pb.DELIVERY_STATUS_DELIVERED)) == 2
    assert len(receiver.calls) == 2


async def test_stored_positions_are_reported(events: Events) -> None:
    """The orchestrator gets the position up to which it may delete its outbox."""
    owner = events.owner(7)
    for number in range(20):
        await owner.commit(f"exec-{number}", started())
    async with asyncio.timeout(PATIENCE_S):
        while events.book.reported.get(7) != 20:
            await events.stub().ListDeliveries(pb.ListDeliveriesRequest())


@pytest.mark.long
async def test_a_restart_continues_at_the_stored_position(
    settings: Settings, receiver: Receiver
) -> None:
    """Commits during the downtime are delivered, delivered ones are not repeated."""
    book, urls = Book(), callbacks(receiver)
    async with Events(settings, book) as first:
        owner = first.owner(1)
        await owner.commit("exec-1", started(), ended(), callbacks=urls)
        await deliveries(first, pb.DELIVERY_STATUS_DELIVERED)
        await first.stream.bus.jetstream.delete_stream(first.stream.name)
        await owner.commit("exec-2", started(), ended(), callbacks=urls, lose=True)
    async with Events(settings, book) as second:
        again = second.owner(1)
        again.position = 2
        await again.commit("exec-3", started(), ended(), callbacks=urls)
        await receiver.until(3)
        await deliveries(second, pb.DELIVERY_STATUS_DELIVERED)
        await second.stream.bus.jetstream.delete_stream(second.stream.name)

    told = sorted(call.json["executionId"] for call in receiver.calls)
    assert told == ["exec-1", "exec-2", "exec-3"]


async def test_an_interrupted_attempt_is_repeated_with_its_id(
    settings: Settings, events: Events, receiver: Receiver
) -> None:
    """It was claimed and never recorded: due again after the lease."""
    receiver.answers("complete", 503)
    await events.owner(1).commit("exec-1", started(), ended(), callbacks=callbacks(receiver))
    (first,) = await receiver.until(1)
    async with open_database(settings.postgres, schema="event", migrations=MIGRATIONS) as pool:
        dead = DeliveryStore(pool)
        claimed: list[Due] = []
        async with asyncio.timeout(PATIENCE_S):
            while not claimed:
                claimed = await dead.claim(busy_hosts=[], free=1, per_host=1, lease_ms=200)
    _, second = await receiver.until(2)

    assert claimed[0].id == first.headers["webhook-id"] == second.headers["webhook-id"]
    await deliveries(events, pb.DELIVERY_STATUS_DELIVERED)


async def test_two_event_services_deliver_each_callback_once(
    settings: Settings, events: Events, receiver: Receiver
) -> None:
    """Both read the whole stream, one of them delivers."""
    urls = callbacks(receiver)
    async with Events(settings, events.book) as other:
        owner = events.owner(1)
        for number in range(30):
            await owner.commit(f"exec-{number}", started(), ended(), callbacks=urls)
        await receiver.until(30)
        for each in (events, other):
            assert len(await deliveries(each, pb.DELIVERY_STATUS_DELIVERED)) == 30

    assert len(receiver.calls) == 30


async def test_deliveries_are_listed_by_page(events: Events, receiver: Receiver) -> None:
    """Newest first, optionally of one execution."""
    owner, stub = events.owner(1), events.stub()
    for number in range(5):
        urls = callbacks(receiver)
        await owner.commit(f"exec-{number}", started(), ended(), callbacks=urls)
    await receiver.until(5)
    seen, token = [], ""
    while True:
        request = pb.ListDeliveriesRequest(page_size=2, page_token=token)
        page = await stub.ListDeliveries(request)
        seen += [each.execution_id for each in page.deliveries]
        token = page.next_page_token
        if not token:
            break
    assert seen == [f"exec-{number}" for number in reversed(range(5))]
    (one,) = (await stub.ListDeliveries(pb.ListDeliveriesRequest(execution_id="exec-3"))).deliveries
    assert one.execution_id == "exec-3"
    token = (await stub.ListDeliveries(pb.ListDeliveriesRequest(page_size=2))).next_page_token
    for wrong in (
        pb.ListDeliveriesRequest(page_token="x"),
        pb.ListDeliveriesRequest(page_token=token, execution_id="exec-3"),
    ):
        with pytest.raises(FlowmeshError) as refused:
            await stub.ListDeliveries(wrong)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"
