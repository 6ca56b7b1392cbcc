"""Messages of a queue start executions: each message one, however often it is delivered."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.sdk import Client, Outgoing
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, workflow

from .test_broker import PATIENCE_S, named


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


async def inputs(client: Client, name: str, count: int) -> list[Any]:
    """The inputs of the executions of a workflow, once there are so many."""
    found: list[Any] = []

    async def there() -> bool:
        ids = [each.id async for each in client.list_executions(workflow_id=name)]
        outputs = [await client.handle(each).result(PATIENCE_S) for each in ids]
        found[:] = outputs
        return len(ids) == count

    await until(f"{count} executions of {name}", there, within_s=PATIENCE_S)
    return found


async def empty(client: Client, queue: str) -> None:
    async def is_empty() -> bool:
        return (await client.broker.queue(queue)).depth == 0

    await until(f"the end of {queue}", is_empty, within_s=PATIENCE_S)


@pytest.mark.feature("S3-45")
async def test_each_message_that_passes_the_filter_starts_an_execution(
    suite: Suite, client: Client
) -> None:
    """Its body is the input; other messages are acknowledged, and a repeated id starts nothing."""
    name, queue = named("orders"), named("orders")
    await client.broker.declare_queue(queue)
    trigger = {"id": "in", "queue": {"queue": queue, "filter": "message.body.total > 10.0"}}
    task = {"id": "done", "taskRef": "noop"}
    await applied(suite, workflow(name, task, triggers=[trigger], output="{{input}}"))
    for number, total in enumerate((5, 20, 30)):
        await client.messages.publish({"n": number, "total": total}, queue, id=f"{queue}-{number}")
    await client.messages.publish({"n": 1, "total": 20}, queue, id=f"{queue}-1")
    found = await inputs(client, name, 2)
    assert sorted(each["n"] for each in found) == [1, 2]
    await empty(client, queue)
    (shown,) = [each async for each in client.triggers(name)]
    assert (shown.kind, shown.about) == ("queue", f"{queue} message.body.total > 10.0")


async def test_a_paused_trigger_leaves_its_messages_in_the_queue(
    suite: Suite, client: Client
) -> None:
    """They start executions when it is resumed; a template makes the input of a message."""
    name, queue = named("later"), named("later")
    await client.broker.declare_queue(queue)
    given = {"who": "{{message.body.who}}", "key": "{{message.routingKey}}"}
    trigger = {"id": "in", "queue": {"queue": queue, "input": given}}
    task = {"id": "done", "taskRef": "noop"}
    await applied(suite, workflow(name, task, triggers=[trigger], output="{{input}}"))

    async def paused() -> bool:
        triggers = [each async for each in client.triggers(name)]
        if not triggers:
            return False
        return (await client.pause_trigger(name, "in")).paused

    await until("the trigger", paused, within_s=PATIENCE_S)

    async def left() -> bool:
        return (await client.broker.queue(queue)).consumers == 0

    await until("the end of its consumer", left, within_s=PATIENCE_S)
    await client.messages.publish({"who": "ada"}, queue)
    assert (await client.broker.queue(queue)).ready == 1
    await client.resume_trigger(name, "in")
    assert await inputs(client, name, 1) == [{"who": "ada", "key": queue}]
    await empty(client, queue)


async def test_a_message_that_starts_nothing_becomes_a_dead_letter(
    suite: Suite, client: Client
) -> None:
    """Its error is that of the start."""
    name, queue = named("strict"), named("strict")
    await client.broker.declare_queue(queue, dead_letter_queue=True)
    trigger = {"id": "in", "queue": {"queue": queue}}
    task = {"id": "done", "taskRef": "noop"}
    schema = {"type": "object", "required": ["n"]}
    await applied(suite, workflow(name, task, triggers=[trigger], inputSchema=schema))
    await client.messages.publish({"other": 1}, queue)

    async def buried() -> bool:
        return bool(await client.messages.browse(f"{queue}.dlq"))

    await until("the dead letter", buried, within_s=PATIENCE_S)
    (letter,) = await client.messages.browse(f"{queue}.dlq")
    assert letter.death is not None
    assert letter.death.error.startswith("INPUT_INVALID")


@pytest.mark.feature("S4-93")
async def test_a_batch_of_messages_starts_one_execution(suite: Suite, client: Client) -> None:
    """Full batches at once, the rest after a time; a repeated id is in no other batch."""
    name, queue = named("batches"), named("batches")
    await client.broker.declare_queue(queue)
    source = {"queue": queue, "batch": 3, "batchWithinMs": 300, "filter": "message.body != 99.0"}
    task = {"id": "done", "taskRef": "noop"}
    sent = [Outgoing(n, queue, id=f"{queue}-{n}") for n in (0, 1, 99, 2, 3, 4, 5, 6)]
    await client.messages.publish_many(sent)
    document = workflow(name, task, triggers=[{"id": "in", "queue": source}], output="{{input}}")
    await applied(suite, document)
    found = await inputs(client, name, 3)
    assert sorted(number for each in found for number in each) == [0, 1, 2, 3, 4, 5, 6]
    assert max(len(each) for each in found) == 3
    await empty(client, queue)
    stream = named("again")
    await client.broker.declare_queue(stream, stream=True)
    trigger = {"id": "in", "queue": {**source, "queue": stream, "input": "{{messages}}"}}
    await applied(suite, workflow(stream, task, triggers=[trigger], output="{{input}}"))
    await client.messages.publish(1, stream, id=f"{stream}-1")
    ((message,),) = await inputs(client, stream, 1)
    assert (message["id"], message["body"]) == (f"{stream}-1", 1)


async def test_a_refused_batch_becomes_dead_letters(suite: Suite, client: Client) -> None:
    """Redriven, its messages start an execution of the corrected workflow."""
    name, queue = named("refused"), named("refused")
    await client.broker.declare_queue(queue, dead_letter_queue=True)
    triggers = [{"id": "in", "queue": {"queue": queue, "batch": 2, "batchWithinMs": 100}}]
    task = {"id": "done", "taskRef": "noop"}
    schema = {"type": "array", "items": {"type": "string"}}
    await applied(suite, workflow(name, task, triggers=triggers, inputSchema=schema))
    await client.messages.publish(1, queue)
    dead = f"{queue}.dlq"

    async def buried() -> bool:
        return bool(await client.messages.browse(dead))

    await until("the dead letter", buried, within_s=PATIENCE_S)
    (letter,) = await client.messages.browse(dead)
    assert letter.death is not None
    assert letter.death.error.startswith("INPUT_INVALID")
    await applied(suite, workflow(name, task, triggers=triggers, output="{{input}}"))
    assert (await client.messages.redrive(dead)).moved == 1
    assert await inputs(client, name, 1) == [[1]]


async def test_a_trigger_waits_for_a_queue_that_does_not_exist(
    suite: Suite, client: Client
) -> None:
    """It starts to consume when the queue is declared."""
    name, queue = named("early"), named("early")
    trigger = {"id": "in", "queue": {"queue": queue}}
    task = {"id": "done", "taskRef": "noop"}
    await applied(suite, workflow(name, task, triggers=[trigger], output="{{input}}"))
    await client.broker.declare_queue(queue)
    await client.messages.publish({"n": 1}, queue)
    assert await inputs(client, name, 1) == [{"n": 1}]


@pytest.mark.feature("S3-45")
async def test_a_task_publishes_a_message(suite: Suite, client: Client) -> None:
    """To an exchange, with templates; and a queue that does not exist fails the task."""
    name, queue, exchange = named("sender"), named("mail"), named("x")
    await client.broker.declare_queue(queue)
    await client.broker.declare_exchange(exchange)
    await client.broker.bind(queue, exchange, "order.*")
    message = {
        "exchange": exchange,
        "key": "order.{{input.kind}}",
        "body": {"id": "{{input.id}}"},
        "headers": {"kind": "{{input.kind}}", "pages": 2},
    }
    node = {"id": "send", "taskRef": f"{name}-task", "input": "{{input}}"}
    send = {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": f"{name}-task"},
        "spec": {"type": "message.publish", "message": message},
    }
    await applied(suite, send, workflow(name, node, output="{{tasks.send.output}}"))
    output = await client.run(name, {"kind": "paid", "id": 7})
    assert output["queues"] == 1
    (received,) = await client.messages.receive(queue, wait=5)
    assert (received.body, received.routing_key) == ({"id": 7}, "order.paid")
    assert (received.headers, received.id) == ({"kind": "paid", "pages": 2}, output["id"])
