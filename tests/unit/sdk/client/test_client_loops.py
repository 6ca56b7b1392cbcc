"""A client that is created before any event loop runs, and event loops one after the other."""

import asyncio
from collections.abc import Iterator

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sdk import Client, Worker
from flowmesh.sdk.client.background_loop import BackgroundLoop
from tests.unit.sdk.stand_ins import StandIn


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    """An event loop in a thread."""
    running = BackgroundLoop()
    yield running
    running.close()


@pytest.fixture
def server(loop: BackgroundLoop) -> Iterator[StandIn]:
    """A server in that event loop."""
    with loop.enter(StandIn().serving()) as stand_in:
        yield stand_in


async def output(client: Client, given: Json) -> Json:
    """Return the output of an execution whose workflow returns its input."""
    return await client.run("order", given)


def test_a_client_of_a_module_works_in_each_event_loop(server: StandIn) -> None:
    """`client = Client()` at the top of a program, and `asyncio.run` more than once."""
    client = Client(server.address)

    async def served(given: Json) -> Json:
        worker = Worker(client)
        worker.task(served)
        async with worker:
            return await output(client, given)

    assert [asyncio.run(served(given)) for given in (1, 2)] == [1, 2]
    asyncio.run(client.close())


def test_a_client_is_not_shared_by_event_loops_that_run(
    server: StandIn, loop: BackgroundLoop
) -> None:
    """The second one gets an error that tells what to do, instead of one of asyncio."""
    client = Client(server.address)
    loop.call(output(client, 1))
    with pytest.raises(Invalid, match="create a client per event loop"):
        asyncio.run(output(client, 2))
    loop.call(client.close())
