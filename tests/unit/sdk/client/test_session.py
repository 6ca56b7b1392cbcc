"""The session: batches, matching, and what a broken stream costs (nothing)."""

import asyncio
from collections.abc import Callable

import pytest

from flowmesh import errors
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.sdk import Client, ExecutionFailed
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.values import limits
from tests.unit.sdk.stand_ins import FAILED, StandIn, failure

Answer = Callable[[pb.SessionRequest], pb.SessionResponse | None]


async def test_every_result_reaches_its_caller(client: Client) -> None:
    """A thousand runs at once each get their own output."""
    async with client.session() as session:
        results = await asyncio.gather(*(session.run("order", {"n": n}) for n in range(1_000)))
    assert results == [{"n": n} for n in range(1_000)]


async def test_starts_of_one_pass_share_a_write(client: Client, server: StandIn) -> None:
    """Starts submitted together are sent in few frames, not one each."""
    async with client.session() as session:
        calls = [session.submit("order", n) for n in range(500)]
        assert [await call.result() for call in calls] == list(range(500))
    assert len(server.executions.session_frames) <= 3


def acknowledges_only(server: StandIn) -> None:
    """Starts are acknowledged, and no result comes."""

    def acknowledge(frame: pb.SessionRequest) -> pb.SessionResponse:
        response = server.executions.complete(frame)
        del response.results[:]
        return response

    server.executions.answer = acknowledge


async def test_a_start_is_acknowledged_before_its_result(client: Client, server: StandIn) -> None:
    """`start` returns with the id while the execution still runs."""
    acknowledges_only(server)
    async with client.session() as session:
        call = await session.start("order", want_result=False)
        assert call.execution_id == "exec-1"


async def test_results_beyond_the_watched_ones_are_requested_once_awaited(
    client: Client, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Executions that sleep take no place of the session from further starts."""
    monkeypatch.setattr(limits, "SESSION_WATCHED_MAX", 5)
    acknowledges_only(server)
    async with client.session() as session:
        calls = [await session.start("order", n) for n in range(20)]
        wanted = [
            start.want_result
            for frame in server.executions.session_frames
            for start in frame.starts
        ]
        assert wanted == [True] * 5 + [False] * 15
        server.executions.answer = server.executions.complete
        assert await asyncio.gather(*(call.result() for call in calls[5:])) == list(range(5, 20))
        watched = [
            watch.execution_id
            for frame in server.executions.session_frames
            for watch in frame.watches
        ]
        assert watched == [call.execution_id for call in calls[5:]]


async def test_unacknowledged_starts_are_sent_again_under_their_request_ids(
    client: Client, server: StandIn
) -> None:
    """A stream that breaks before the answer starts nothing twice."""

    def commit_and_break(frame: pb.SessionRequest) -> None:
        server.executions.complete(frame)
        server.executions.answer = server.executions.complete

    server.executions.answer = commit_and_break
    async with client.session() as session:
        assert await session.run("order", {"n": 1}) == {"n": 1}
    assert len(server.executions.starts) == 2
    assert len({start.request_id for start in server.executions.starts}) == 1
    assert len(server.executions.known) == 1


async def test_pending_results_are_watched_after_a_break(client: Client, server: StandIn) -> None:
    """An acknowledged start is not sent again; its result comes on the next stream."""
    frames = 0

    def acknowledge_then_break(frame: pb.SessionRequest) -> pb.SessionResponse | None:
        nonlocal frames
        frames += 1
        if frames == 2:
            server.executions.answer = server.executions.complete
            return None
        response = server.executions.complete(frame)
        del response.results[:]
        return response

    server.executions.answer = acknowledge_then_break
    async with client.session() as session:
        call = await session.start("order", {"n": 1})
        session.submit("other", {"n": 2})
        assert await call.result() == {"n": 1}
    assert [start.workflow_id for start in server.executions.starts] == ["order", "other"]
    assert [w.execution_id for f in server.executions.session_frames for w in f.watches] == [
        "exec-1"
    ]


async def test_a_refusal_is_the_error_of_the_call(client: Client, server: StandIn) -> None:
    """Only the refused caller sees it, as the class its reason belongs to."""

    def refuse(frame: pb.SessionRequest) -> pb.SessionResponse:
        response = pb.SessionResponse()
        for start in frame.starts:
            response.refused.add(
                call_id=start.call_id, code=5, reason="WORKFLOW_NOT_FOUND", message="no such"
            )
        return response

    server.executions.answer = refuse
    async with client.session() as session:
        with pytest.raises(errors.NotFound, match="no such"):
            await session.run("nothing")


async def test_an_overloaded_server_is_asked_again(client: Client, server: StandIn) -> None:
    """A refusal that names a delay is retried with the same request id."""
    tries: list[str] = []

    def overloaded_once(frame: pb.SessionRequest) -> pb.SessionResponse:
        tries.extend(start.start.request_id for start in frame.starts)
        if len(tries) > 1:
            return server.executions.complete(frame)
        response = pb.SessionResponse()
        response.refused.add(
            call_id=frame.starts[0].call_id, code=8, reason="OVERLOADED", retry_after_ms=5
        )
        return response

    server.executions.answer = overloaded_once
    async with client.session() as session:
        assert await session.run("order", 1) == 1
    assert len(tries) == 2
    assert len(set(tries)) == 1


async def test_a_failed_execution_is_raised(client: Client, server: StandIn) -> None:
    """The failure comes with class, message and node."""

    def fail(frame: pb.SessionRequest) -> pb.SessionResponse:
        response = pb.SessionResponse()
        for start in frame.starts:
            response.results.add(
                call_id=start.call_id,
                execution_id="exec-1",
                status=FAILED,
                failure=failure("Boom", "no", "a"),
            )
        return response

    server.executions.answer = fail
    async with client.session() as session:
        with pytest.raises(ExecutionFailed, match="Boom in a: no"):
            await session.run("order")


async def test_what_waits_is_bounded(client: Client, server: StandIn) -> None:
    """`submit` refuses the start above the bound instead of keeping it."""
    server.executions.answer = lambda frame: pb.SessionResponse()
    async with client.session() as session:
        for _ in range(limits.SESSION_UNACKNOWLEDGED_MAX):
            session.submit("order")
        with pytest.raises(errors.Overloaded):
            session.submit("order")
        await session.close(flush=False)


async def test_closing_ends_waiting_calls(client: Client, server: StandIn) -> None:
    """A call that never got its result ends with Unavailable, not never."""
    server.executions.answer = lambda frame: pb.SessionResponse()
    async with client.session() as session:
        waiting = asyncio.create_task(session.run("order"))
        await asyncio.sleep(0)
        await session.close(flush=False)
    with pytest.raises(errors.Unavailable, match="closed"):
        await waiting


async def test_large_inputs_go_by_reference(client: Client) -> None:
    """A start above 256 KiB works as any other."""
    async with client.session() as session:
        assert await session.run("order", "x" * 300_000) == "x" * 300_000


def _too_many(frame: pb.SessionRequest, room: int, complete: Answer) -> pb.SessionResponse:
    """Takes on the first `room` starts of a frame, and refuses the rest with a delay."""
    first = pb.SessionRequest(starts=frame.starts[:room], watches=frame.watches)
    response = complete(first)
    assert response is not None
    for start in frame.starts[room:]:
        response.refused.add(call_id=start.call_id, code=8, reason="OVERLOADED", retry_after_ms=5)
    return response


async def test_what_is_too_much_comes_again_in_its_order_and_less_at_a_time(
    client: Client, server: StandIn
) -> None:
    """Each is started once, in the order of their calls, and less is sent in vain each time."""
    complete = server.executions.complete
    server.executions.answer = lambda frame: _too_many(frame, 20, complete)
    async with client.session() as session:
        calls = [session.submit("order", n) for n in range(1_000)]
        assert [await call.result() for call in calls] == list(range(1_000))
    frames = [len(frame.starts) for frame in server.executions.session_frames]
    inputs = [int(start.input.data) for start in server.executions.starts]
    assert inputs == list(range(1_000))
    assert frames[0] == 1_000
    assert max(frames[-20:]) < 60


async def test_a_call_that_is_refused_for_too_long_fails(
    client: Client, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that stays overloaded is not asked for ever."""
    monkeypatch.setattr(limits, "RETRY_TOTAL_S", 0.05)
    complete = server.executions.complete
    server.executions.answer = lambda frame: _too_many(frame, 0, complete)
    async with client.session() as session:
        with pytest.raises(errors.Overloaded):
            await session.run("order", 1)


async def test_a_break_while_starts_are_held_back_sends_each_once(
    client: Client, server: StandIn
) -> None:
    """Refused starts and unsent starts are sent on the next stream."""
    complete = server.executions.complete

    def refuse(frame: pb.SessionRequest) -> pb.SessionResponse:
        server.executions.answer = lambda frame: None
        return _too_many(frame, 10, complete)

    server.executions.answer = refuse
    async with client.session() as session:
        calls = [session.submit("order", n) for n in range(100)]
        await calls[9].result()
        server.executions.answer = complete
        calls += [session.submit("order", n) for n in range(100, 120)]
        assert [await call.result() for call in calls] == list(range(120))
    assert [int(start.input.data) for start in server.executions.starts] == list(range(120))


async def test_waiting_calls_fail_when_the_client_closes(server: StandIn) -> None:
    """No caller is left to receive the result."""
    acknowledges_only(server)
    client = await Client.connect(server.address)
    session = await client.session().__aenter__()
    call = await session.start("order", {"n": 1})
    waiting = asyncio.create_task(call.result())
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(errors.Unavailable, match="the client was closed"):
        await waiting


async def test_waiting_calls_fail_when_the_client_closes_without_a_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stream that cannot be opened again is not waited for."""
    away, goes_on = asyncio.Event(), asyncio.Event()

    async def pause(_: Reconnect) -> None:
        away.set()
        await goes_on.wait()

    monkeypatch.setattr(Reconnect, "pause", pause)
    client = Client("127.0.0.1:1")
    session = await client.session().__aenter__()
    call = session.submit("order")
    await away.wait()
    await client.close()
    goes_on.set()
    async with asyncio.timeout(10):
        with pytest.raises(errors.Unavailable, match="the client was closed"):
            await call.result()
    with pytest.raises(errors.Unavailable):
        session.submit("order")


async def test_a_start_that_was_acknowledged_has_its_id_after_the_session(
    client: Client, server: StandIn
) -> None:
    """The start succeeds although the wait for its result fails."""
    acknowledges_only(server)
    async with client.session() as session:
        calls = [session.submit("order", n) for n in range(3)]
    assert [await call.started() for call in calls] == ["exec-1", "exec-2", "exec-3"]
    with pytest.raises(errors.Unavailable, match="the session was closed"):
        await calls[0].result()


async def test_a_session_whose_closing_is_canceled_ends(client: Client, server: StandIn) -> None:
    """The stream ends, and its waiting callers get an error."""
    server.executions.answer = lambda frame: pb.SessionResponse()
    session = await client.session().__aenter__()
    call = session.submit("order")
    closing = asyncio.create_task(session.close())
    await asyncio.sleep(0)
    closing.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(errors.Unavailable, match="the session was closed"):
            await call.started()
