"""The blocking face: the same calls from code without an event loop."""

import asyncio
from typing import Any

import pytest

from flowmesh.errors import Invalid
from flowmesh.sdk import Client
from tests.unit.sdk.client.test_events import ALL
from tests.unit.sdk.stand_ins import StandIn


async def in_thread(function: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function)


async def test_blocking_calls_answer(server: StandIn) -> None:
    """Register, run, start and result, list, watch, all without await."""
    server.events.streams = [ALL]

    def script() -> None:
        with Client.sync(server.address) as client:
            client.ready()
            assert client.register({"id": "order"}).id == "order"
            assert client.run("order", {"n": 1}) == {"n": 1}
            handle = client.start("order", {"n": 2})
            assert handle.result() == {"n": 2}
            assert [found.id for found in client.list_executions()] == ["exec-1", "exec-2"]
            assert [event.sequence for event in handle.events()] == [1, 2, 3, 4, 5]

    await in_thread(script)


async def test_async_code_runs_through_the_blocking_client(server: StandIn) -> None:
    """Calls and iterators of the async client; what they raise is raised here."""
    server.events.streams = [ALL]

    def script() -> None:
        with Client.sync(server.address) as client:
            assert client.call(lambda c: c.run("order", {"n": 1})) == {"n": 1}
            seen = client.iterate(lambda c: c.handle("exec-1").events())
            assert [event.sequence for event in seen] == [1, 2, 3, 4, 5]
            with pytest.raises(Invalid):
                client.call(lambda c: c.set_limit("nothing", rate=1))

    await in_thread(script)


async def test_leaving_a_blocking_iterator_early_is_fine(server: StandIn) -> None:
    """The stream behind it is closed, and the client still works."""
    server.events.streams = [ALL]

    def script() -> None:
        with Client.sync(server.address) as client:
            for event in client.handle("exec-1").events():
                assert event.sequence == 1
                break
            assert client.run("order", 1) == 1

    await in_thread(script)


async def test_it_may_be_closed_again(server: StandIn) -> None:
    """By the end of its block, too, and without a call in between."""

    def script() -> None:
        with Client.sync(server.address) as client:
            assert client.run("order", 1) == 1
            client.close()
        client.close()

    await in_thread(script)


async def test_parts_and_sessions_block_too(server: StandIn) -> None:
    """Each part of the client, the nodes of a handle, and a session have blocking calls."""

    def script() -> None:
        with Client.sync(server.address) as client:
            assert client.workflows.register({"id": "order"}).id == "order"
            with client.session() as session:
                call = session.submit("order", {"n": 3})
                assert call.result() == {"n": 3}
                assert call.execution_id == call.started()
                assert session.run("order", {"n": 4}) == {"n": 4}
            handle = client.start("order", {"n": 1})
            assert client.executions.get(handle.id) == client.get_execution(handle.id)
            assert client.get_execution(handle.id) == handle.describe()
            with pytest.raises(Invalid):
                client.set_limit("nothing", rate=1)

    await in_thread(script)
