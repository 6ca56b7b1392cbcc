"""Events that do not fit a consumer: its filter or template fails, which is its problem alone."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.sdk import Client, Outgoing
from flowmesh.sdk.client.parts.subscriptions import Webhook
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.events.test_triggers import known, started, triggered
from tests.features.natives import applied

PATIENCE_S = 30
FAILING_FILTER = "event.data.total.deep > 100"
FAILING_INPUT = {"total": "{{event.data.total.deep}}"}


def named(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


async def problem_of(suite: Suite, name: str, *texts: str, refused: int = 0) -> None:
    """Wait until the list of triggers shows the problem of the only trigger of a workflow."""

    async def shown() -> bool:
        (state,) = await known(suite, name)
        told = all(text in state.get("lastError", "") for text in texts)
        return told and state.get("refused", 0) == refused

    await until(f"the problem of {name}", shown, within_s=PATIENCE_S)


@pytest.mark.parametrize(
    ("trigger", "told", "refused"),
    [
        ({"filter": FAILING_FILTER}, "FILTER_INVALID", 0),
        ({"input": FAILING_INPUT}, "INPUT_INVALID", 1),
    ],
    ids=["filter", "input"],
)
async def test_a_published_event_reaches_the_triggers_that_it_fits(
    suite: Suite, trigger: Any, told: str, refused: int
) -> None:
    """One that it does not fit has a problem, and the publisher gets the usual answer."""
    unfit, fit, kind = named("a-unfit"), named("z-fit"), named("order")
    await applied(
        suite,
        triggered(unfit, {"id": "t", "event": {"type": kind} | trigger}),
        triggered(fit, {"id": "t", "event": {"type": kind}}),
    )
    answer = await suite.post("/api/v1/events", {"type": kind, "data": {"total": 1}})
    assert (answer.status, answer.json["triggers"]) == (202, 1), answer.text
    await started(suite, fit)
    await problem_of(suite, unfit, told, refused=refused)
    right = {"type": kind, "data": {"total": {"deep": 101}}}
    answer = await suite.post("/api/v1/events", right)
    assert (answer.status, answer.json["triggers"]) == (202, 2), answer.text
    await started(suite, unfit)


@pytest.mark.parametrize(
    ("trigger", "told", "refused"),
    [
        ({"filter": "event.data.data.output.deep.er > 1"}, "FILTER_INVALID", 0),
        ({"input": {"n": "{{event.data.data.output.deep.er}}"}}, "INPUT_INVALID", 1),
    ],
    ids=["filter", "input"],
)
async def test_an_event_of_an_execution_reaches_the_triggers_that_it_fits(
    suite: Suite, trigger: Any, told: str, refused: int
) -> None:
    """As a published event does."""
    first, unfit, fit = named("first"), named("a-unfit"), named("z-fit")
    only = f"event.source.endsWith('/{first}')"
    await applied(
        suite,
        triggered(first),
        triggered(
            unfit,
            {
                "id": "t",
                "event": {"type": "flowmesh.workflow.completed"}
                | trigger
                | {"filter": f"{only} && {trigger.get('filter', 'true')}"},
            },
        ),
        triggered(
            fit,
            {"id": "t", "event": {"type": "flowmesh.workflow.completed", "filter": only}},
        ),
    )
    await known(suite, unfit)
    await known(suite, fit)
    await suite.begin(first, {"n": 7})
    await started(suite, fit)
    await problem_of(suite, unfit, told, refused=refused)


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
async def test_a_message_that_does_not_fit_a_queue_trigger_is_a_dead_letter(
    suite: Suite, client: Client, batch: bool
) -> None:
    """Alone, also in a batch with others that start an execution."""
    name, queue = named("of-queue"), named("q")
    await client.broker.declare_queue(f"{queue}-dead")
    await client.broker.declare_queue(queue, dead_letter_queue=f"{queue}-dead")
    given: dict[str, Any] = {"queue": queue, "input": {"n": "{{message.body.n.deep}}"}}
    if batch:
        template = {"n": "{{bodies[0].n.deep}}"}
        given |= {"batch": 3, "batchWithinMs": 500, "input": template}
    await client.messages.publish_many(
        [Outgoing({"n": n}, queue) for n in ("x", {"deep": 1}, {"deep": 2})]
    )
    await applied(suite, triggered(name, {"id": "t", "queue": given}))
    await started(suite, name, 2)
    await problem_of(suite, name, refused=1)
    (letter,) = [each async for each in client.messages.browse_all(f"{queue}-dead")]
    assert letter.body == {"n": "x"}


async def test_a_filter_of_a_queue_trigger_that_fails_is_seen(suite: Suite, client: Client) -> None:
    """The message starts nothing, as one that the filter excludes."""
    name, queue = named("of-queue"), named("q")
    await client.broker.declare_queue(queue)
    trigger = {"id": "t", "queue": {"queue": queue, "filter": "message.body.n.deep > 0"}}
    await applied(suite, triggered(name, trigger))
    await client.messages.publish_many([Outgoing({"n": n}, queue) for n in (1, {"deep": 1})])
    await started(suite, name)
    await known(suite, name)

    async def empty() -> bool:
        return (await client.broker.queue(queue)).depth == 0

    await until("an empty queue", empty, within_s=PATIENCE_S)


async def test_a_subscription_whose_filter_fails_is_seen(
    suite: Suite, client: Client, world: World
) -> None:
    """For published events and those of executions; others get the event."""
    kind, unfit, fit = named("order"), named("a-unfit"), named("z-fit")
    sink = Webhook(world.url("hook"))
    try:
        await client.subscriptions.put(unfit, sink, types=[kind], filter=FAILING_FILTER)
        await client.subscriptions.put(fit, sink, types=[kind])
        await client.triggers.publish(kind, {"total": 1})
        (call,) = await world.called("hook")
        assert call.json["type"] == kind
        assert "FILTER_INVALID" in (await client.subscriptions.get(unfit)).last_error
        name = named("first")
        await applied(suite, triggered(name))
        only = f"event.source.endsWith('/{name}') && event.data.total.deep > 1"
        await client.subscriptions.put(
            unfit, sink, types=["flowmesh.workflow.completed"], filter=only
        )
        await suite.begin(name, {})

        async def seen() -> bool:
            return "total" in (await client.subscriptions.get(unfit)).last_error

        await until("the problem", seen, within_s=PATIENCE_S)
    finally:
        for each in (unfit, fit):
            await client.subscriptions.delete(each)
