"""Ends of consumers: each costs its messages one attempt, and none is lost or early."""

import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc.aio
import pytest

from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.api.broker.v1 import message_service_pb2_grpc
from flowmesh.sdk import Client, Outgoing
from flowmesh.testing.polling import pause, until
from flowmesh.testing.suite import Suite

PATIENCE_S = 30
MESSAGES = 3
VISIBLE_S = 3.0
RETRY_S = 0.4
# NATS writes the attempts of a consumer to its file a moment after a delivery, not before it.
COUNTED_S = 0.5

CONSUMER = """
import sys
import grpc
from flowmesh.api.broker.v1 import message_service_pb2 as pb, message_service_pb2_grpc

def asked():
    yield pb.ConsumeRequest(hello=pb.ConsumeHello(queue=sys.argv[2], credit=10))
    for line in sys.stdin:
        pass

stub = message_service_pb2_grpc.MessageServiceStub(grpc.insecure_channel(sys.argv[1]))
for response in stub.Consume(asked()):
    for each in response.deliveries:
        print(each.attempt, flush=True)
"""


@pytest.fixture(scope="module")
async def ending(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite that the tests stop and kill."""
    async with Suite(tmp_path_factory.mktemp("ending") / "data") as running:
        yield running


class Call:
    """A consumer in this process that settles nothing."""

    def __init__(self, suite: Suite, queue: str, credit: int = 10) -> None:
        hello = pb.ConsumeHello(queue=queue, credit=credit)
        self._requests: asyncio.Queue[pb.ConsumeRequest | None] = asyncio.Queue()
        self._requests.put_nowait(pb.ConsumeRequest(hello=hello))
        stub = message_service_pb2_grpc.MessageServiceStub(suite.channel)
        self.call: Any = stub.Consume(self._asked())

    async def _asked(self) -> AsyncIterator[pb.ConsumeRequest]:
        while (request := await self._requests.get()) is not None:
            yield request

    async def attempts(self, count: int = MESSAGES) -> list[int]:
        found: list[int] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                response = await self.call.read()
                found += [each.attempt for each in response.deliveries]
        return found

    async def close(self) -> None:
        """End the side of the client; the server ends the other."""
        self._requests.put_nowait(None)
        async with asyncio.timeout(PATIENCE_S):
            assert await self.call.read() is grpc.aio.EOF

    async def cancel(self) -> None:
        self.call.cancel()


class Other:
    """A consumer in a process of its own that settles nothing."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def started(cls, suite: Suite, queue: str) -> "Other":
        pipe = asyncio.subprocess.PIPE
        arguments = (sys.executable, "-c", CONSUMER, suite.grpc_address, queue)
        return cls(await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe))

    async def attempts(self) -> list[int]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            return [int(await self._process.stdout.readline()) for _ in range(MESSAGES)]

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def freeze(self) -> None:
        """Stop it like a broken network: without a word to the server."""
        self._process.send_signal(signal.SIGSTOP)


async def drain(suite: Suite) -> None:
    await suite.stop()
    await suite.start()


async def kill_service(suite: Suite) -> None:
    await suite.kill()
    await suite.start()


async def kill_everything(suite: Suite) -> None:
    await suite.kill_everything()
    await suite.start()


async def declared(suite: Suite, queue: str, **options: Any) -> None:
    async with Client(suite.grpc_address) as client:
        await client.broker.declare_queue(f"{queue}-dead")
        await client.broker.declare_queue(
            queue,
            dead_letter_queue=f"{queue}-dead",
            visibility_timeout=VISIBLE_S,
            retry_delay=RETRY_S,
            retry_factor=1,
            **options,
        )
        await client.messages.publish_many([Outgoing(each, queue) for each in range(MESSAGES)])


async def depth(suite: Suite, queue: str) -> int:
    async with Client(suite.grpc_address) as client:
        return (await client.broker.queue(queue)).depth


def named() -> str:
    return f"ends-{uuid.uuid4().hex[:8]}"


async def end_twice(
    suite: Suite, opened: Callable[[str], Awaitable[Any]], end: Callable[[Any], Awaitable[None]]
) -> float:
    """Let two consumers end, one after the other; return the time to the second attempt."""
    queue = named()
    await declared(suite, queue, max_attempts=2)
    first = await opened(queue)
    assert await first.attempts() == [1] * MESSAGES
    await end(first)
    ended = time.monotonic()
    second = await opened(queue)
    assert await second.attempts() == [2] * MESSAGES
    waited = time.monotonic() - ended
    await end(second)

    async def dead() -> bool:
        # The letter of a silent consumer is written when the next consumer would get its message.
        third = Call(suite, queue)
        try:
            return [await depth(suite, each) for each in (queue, f"{queue}-dead")] == [0, MESSAGES]
        finally:
            await third.cancel()

    await until("the dead letters", dead, within_s=PATIENCE_S)
    return waited


@pytest.mark.long
@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_a_closed_stream_costs_one_attempt(ending: Suite, how: str) -> None:
    """Another consumer gets the messages after the retry delay, not before."""

    async def opened(queue: str) -> Call:
        return Call(ending, queue)

    waited = await end_twice(ending, opened, lambda call: getattr(call, how)())
    assert RETRY_S * 0.9 <= waited < VISIBLE_S


@pytest.mark.long
async def test_a_killed_consumer_costs_one_attempt(ending: Suite) -> None:
    """As the end of its stream does, because the network reports it."""
    waited = await end_twice(ending, lambda queue: Other.started(ending, queue), Other.kill)
    assert RETRY_S * 0.9 <= waited < VISIBLE_S


@pytest.mark.long
async def test_a_silent_consumer_costs_one_attempt(ending: Suite) -> None:
    """Its messages come again after the visibility timeout, although its stream is open."""
    opened: list[Other] = []

    async def start(queue: str) -> Other:
        opened.append(await Other.started(ending, queue))
        return opened[-1]

    try:
        assert await end_twice(ending, start, Other.freeze) >= VISIBLE_S * 0.8
    finally:
        for each in opened:
            await each.kill()


@pytest.mark.long
@pytest.mark.parametrize("end", [drain, kill_service, kill_everything])
async def test_an_end_of_the_service_costs_one_attempt(
    ending: Suite, end: Callable[[Suite], Awaitable[None]]
) -> None:
    """After a drain, a kill of the service, and a kill of everything with its servers."""

    async def opened(queue: str) -> Call:
        return Call(ending, queue)

    await end_twice(ending, opened, lambda _: end(ending))


@pytest.mark.long
async def test_messages_on_their_way_to_a_consumer_are_in_flight(ending: Suite) -> None:
    """Messages delivered before a kill of all processes are delivered again as attempt 2."""
    for _ in range(3):
        queue = named()
        await declared(ending, queue, max_attempts=5)
        assert await Call(ending, queue).attempts() == [1] * MESSAGES
        await pause(COUNTED_S)
        os.kill(ending.pids["nats"], signal.SIGKILL)
        await kill_everything(ending)
        assert await Call(ending, queue).attempts() == [2] * MESSAGES


async def test_messages_that_wait_pay_nothing_for_the_end_of_a_consumer(ending: Suite) -> None:
    """Beyond its credit nothing is in flight."""
    queue = named()
    await declared(ending, queue, max_attempts=2)
    consumer = Call(ending, queue, credit=1)
    assert await consumer.attempts(1) == [1]
    await consumer.cancel()
    async with Client(ending.grpc_address) as client:
        found: list[int] = []

        async def all_came() -> bool:
            more = await client.messages.receive(queue, MESSAGES, wait=1)
            await client.messages.ack(*more)
            found.extend(each.attempt for each in more)
            return len(found) == MESSAGES

        await until("all messages", all_came, within_s=PATIENCE_S)
    assert sorted(found) == [1, 1, 2]
