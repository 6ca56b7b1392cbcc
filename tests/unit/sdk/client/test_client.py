"""The client's calls: what is sent, what comes back, what is tried again."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from flowmesh import errors
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.execution.v1.execution_service_pb2 import GetExecutionRequest
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, ExecutionFailed, Status, StoredValue
from tests.unit.sdk.stand_ins import FAILED, StandIn, execution, failure, payload


async def test_a_start_returns_the_result(client: Client) -> None:
    """`run` returns the output of the execution."""
    assert await client.run("order", {"total": 3}) == {"total": 3}


async def test_a_start_always_carries_a_request_id(client: Client, server: StandIn) -> None:
    """Two starts without one get different ones, so each is safe to send again."""
    await client.start("order")
    await client.start("order")
    first, second = (start.request_id for start in server.executions.starts)
    assert first
    assert second
    assert first != second


async def test_an_unavailable_server_is_asked_again_with_the_same_request_id(
    client: Client, server: StandIn
) -> None:
    """A retry is the same start, and the delay the server named is honoured."""
    server.executions.errors = [
        errors.Unavailable("PARTITION_UNAVAILABLE", "moving", retry_after_ms=5),
        errors.Unavailable("PARTITION_UNAVAILABLE", "moving", retry_after_ms=5),
    ]
    handle = await client.start("order", {"total": 3})
    assert handle.id == "exec-1"
    assert len({start.request_id for start in server.executions.starts}) == 1
    assert len(server.executions.starts) == 3


async def test_the_same_request_id_answers_the_same_execution(client: Client) -> None:
    """The second handle says that it created nothing."""
    first = await client.start("order", request_id="once")
    second = await client.start("order", request_id="once")
    assert first.id == second.id
    assert (first.created, second.created) == (True, False)


async def test_an_error_of_the_service_is_raised_as_its_class(client: Client) -> None:
    """NOT_FOUND with its reason arrives as NotFound with that reason, and is not tried again."""
    with pytest.raises(errors.NotFound) as caught:
        await client.get_execution("exec-9")
    assert caught.value.reason == "EXECUTION_NOT_FOUND"


async def test_problems_of_a_definition_keep_their_places(client: Client, server: StandIn) -> None:
    """Violations arrive with field, code, line and column."""
    violation = errors.Violation("tasks[0].input", "wrong", "TYPE_MISMATCH", 3, 7)
    server.definitions.errors = [
        errors.Invalid("TYPE_MISMATCH", "does not fit", violations=(violation,))
    ]
    with pytest.raises(errors.Invalid) as caught:
        await client.register({"id": "order"})
    assert caught.value.violations == (violation,)


async def test_a_failed_execution_is_an_exception_only_for_its_result(
    client: Client, server: StandIn
) -> None:
    """`wait` returns it as data, `result` raises with class, message and node."""
    server.executions.put(
        execution("bad", FAILED, failure=failure("ClientError", "402", node="charge"))
    )
    ended = await client.handle("bad").wait()
    assert ended.status is Status.FAILED
    with pytest.raises(ExecutionFailed, match="ClientError in charge: 402") as caught:
        await client.handle("bad").result()
    assert caught.value.failure == ended.failure


async def test_waiting_ends_at_the_timeout(client: Client, server: StandIn) -> None:
    """An execution that still runs is a Timeout that names it."""
    server.executions.put(execution("slow", 2))
    with pytest.raises(errors.Timeout, match="slow"):
        await client.handle("slow").result(timeout=0.05)


async def test_large_values_travel_by_reference_both_ways(client: Client, server: StandIn) -> None:
    """An input above 256 KiB is stored first, and such an output is fetched."""
    text = "x" * 300_000
    assert await client.run("order", {"text": text}) == {"text": text}
    assert server.executions.starts[0].input.HasField("reference")
    described = await client.get_execution("exec-1")
    assert isinstance(described.output, StoredValue)
    assert await client.fetch(described.output) == {"text": text}


async def test_a_value_that_is_not_json_is_refused_before_it_is_sent(
    client: Client, server: StandIn
) -> None:
    """The error names the type; nothing reaches the server."""
    with pytest.raises(errors.Invalid, match="object"):
        await client.start("order", {"thing": object()})
    assert server.executions.starts == []


async def test_lists_continue_over_pages(client: Client, server: StandIn) -> None:
    """Every item is returned once and in order, for any page size."""
    for number in range(7):
        server.executions.put(execution(f"exec-{number}"))
    found = [found.id async for found in client.list_executions(page_size=3)]
    assert found == [f"exec-{number}" for number in range(7)]


async def test_lists_are_filtered_by_status(client: Client, server: StandIn) -> None:
    """A status is given by its name; a wrong one is refused here."""
    server.executions.put(execution("good"))
    server.executions.put(execution("bad", FAILED))
    found = [found.id async for found in client.list_executions(statuses=["failed"])]
    assert found == ["bad"]
    with pytest.raises(ValueError, match="wrong"):
        await anext(client.list_executions(statuses=["wrong"]))


async def test_names_that_no_execution_has_are_reported(
    client: Client, server: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """To the caller, or else in the log."""
    server.executions.warnings = ["no execution has `colour`"]
    found: list[str] = []
    assert not [each async for each in client.executions.list(on_warning=found.append)]
    assert (found, caplog.messages) == (server.executions.warnings, [])
    assert not [each async for each in client.executions.list()]
    assert caplog.messages == found


async def test_commands_carry_reason_and_request_id(client: Client, server: StandIn) -> None:
    """Signal, cancel and terminate reach the service with what was given."""
    server.executions.put(execution())
    handle = client.handle("exec-1")
    assert await handle.signal("paid", {"by": "card"}) == 7
    await handle.cancel("changed my mind")
    await handle.terminate("now")
    signal, cancel, terminate = server.executions.commands
    assert signal.payload == payload({"by": "card"})
    assert (cancel.reason, terminate.reason) == ("changed my mind", "now")
    assert len({signal.request_id, cancel.request_id, terminate.request_id}) == 3


async def test_validation_reports_and_raises_nothing(client: Client, server: StandIn) -> None:
    """Problems come as data with severity and place."""
    server.definitions.problems = [
        definition_pb2.Problem(
            code="GRAPH_CYCLE",
            severity=definition_pb2.SEVERITY_ERROR,
            message="Circular dependency: a → b → a",
            path="steps[0]",
            line=2,
            column=4,
        )
    ]
    found = await client.validate("{}")
    assert not found.valid
    assert str(found.problems[0]) == ("2:4: steps[0]: Circular dependency: a → b → a [GRAPH_CYCLE]")


async def test_connecting_to_nothing_says_what_to_do() -> None:
    """An address without a server raises Unavailable with a hint, after the timeout."""
    with pytest.raises(errors.Unavailable, match="flowmesh dev"):
        await Client.connect("127.0.0.1:9", timeout=0.3)


async def test_a_call_to_nothing_names_the_address_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Retries log one warning, then raise an error with the address and a hint."""
    async with Client("127.0.0.1:9") as client:
        stub = ExecutionServiceStub(client.caller.channel)
        with pytest.raises(errors.Unavailable, match=r"127\.0\.0\.1:9; `flowmesh dev`"):
            await client.caller.retried(
                lambda: stub.GetExecution(GetExecutionRequest()), total_s=1.2
            )
    assert [record.getMessage() for record in caplog.records] == [
        "127.0.0.1:9 does not respond; retrying for 1 s"
    ]


async def test_the_environment_names_the_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The given address precedes FLOWMESH_ADDRESS and the port of `flowmesh dev`."""
    monkeypatch.chdir(tmp_path)
    assert Client().address == "127.0.0.1:7450"
    monkeypatch.setenv("FLOWMESH_ADDRESS", "flowmesh:1")
    monkeypatch.setenv("FLOWMESH_NAMESPACE", "shop")
    assert (Client().address, Client().namespace) == ("flowmesh:1", "shop")
    assert (Client("here:2", "own").address, Client("here:2", "own").namespace) == ("here:2", "own")


async def test_services_are_listed(client: Client) -> None:
    """Instances come as plain values."""
    (found,) = [instance async for instance in client.services()]
    assert (found.name, found.status) == ("orchestrator", "HEALTHY")


@pytest.mark.parametrize(
    "wait",
    [
        lambda client: client.handle("exec-1").result(timeout=0.1),
        lambda client: client.run("order", 1, timeout=0.1),
    ],
    ids=["result", "run"],
)
async def test_nothing_is_tried_again_after_the_time_of_its_caller(
    client: Client, server: StandIn, wait: Callable[[Client], Awaitable[Json]]
) -> None:
    """A server that is away is not asked for longer than the caller waits."""
    server.executions.put(execution())
    away = errors.Unavailable("SERVICE_UNAVAILABLE", "away", retry_after_ms=200)
    server.executions.errors = [away, away]
    with pytest.raises(errors.Unavailable, match="away"):
        await wait(client)
    assert len(server.executions.errors) == 1
