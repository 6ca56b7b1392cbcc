"""What the steps of step-JSON workflows do, on the running suite against a real HTTP world."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.sdk import Worker
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World

_numbers = itertools.count(1)
USERS = [{"id": 1, "name": "Ada", "age": 36}, {"id": 2, "name": "Bob", "age": 40}]
ORDERS = [{"id": 1, "status": "active"}, {"id": 2, "status": "closed"}]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


def step(step_id: str, action: str, params: dict[str, Any], *after: str, **more: Any) -> Any:
    """One step that runs after others."""
    return {
        "id": step_id,
        "name": step_id,
        "type": "task",
        "action": action,
        "params": params,
        "dependencies": list(after),
        **more,
    }


def http(world: World, route: str, *after: str, **more: Any) -> Any:
    return step(route, "http.request", {"url": world.url(route), "method": "POST"}, *after, **more)


def workflow(*steps: Any) -> Any:
    number = next(_numbers)
    return {"id": f"worker-steps-{number}", "name": "steps", "steps": list(steps)}


def result(execution: Any, step_id: str) -> Any:
    return execution["stepResults"][step_id].get("result")


@pytest.mark.feature("S2-11", "S2-12", "S2-13", "S2-30", "S2-31")
async def test_the_etl_pipeline_of_the_sample(suite: Suite, world: World) -> None:
    """Extract answers, both transforms run as written, load gets what they made."""
    world.answers("extract", json={"users": USERS, "orders": ORDERS})
    users = "return input.users.map(u => ({ id: u.id, name: u.name }))"
    orders = "return input.orders.filter(o => o.status === 'active')"
    execution = await suite.run(
        workflow(
            step("extract", "http.request", {"url": world.url("extract"), "method": "GET"}),
            step("users", "transform", {"inputKey": "extract", "code": users}, "extract"),
            step("orders", "transform", {"inputKey": "extract", "code": orders}, "extract"),
            http(world, "load", "users", "orders"),
        ),
        {"batch": 7},
    )
    assert execution["status"] == "completed", execution
    assert result(execution, "extract") == {"users": USERS, "orders": ORDERS}
    assert [call.method for call in world.calls()] == ["GET", "POST"]
    [call] = world.calls("load")
    assert call.headers["content-type"] == "application/json"
    assert call.json["batch"] == 7
    assert call.json["users"] == [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}]
    assert call.json["orders"] == [{"id": 1, "status": "active"}]


@pytest.mark.feature("S2-28")
async def test_an_http_step_sends_headers_and_body(suite: Suite, world: World) -> None:
    """As they are in `params`, the body as JSON."""
    params = {
        "url": world.url("endpoint"),
        "method": "POST",
        "headers": {"Authorization": "Bearer token"},
        "body": {"key": "value"},
    }
    execution = await suite.run(workflow(step("call", "http.request", params)))
    assert execution["status"] == "completed", execution
    [call] = world.calls("endpoint")
    assert call.headers["authorization"] == "Bearer token"
    assert call.json == {"key": "value"}


@pytest.mark.feature("S2-30")
async def test_transform_runs_the_code_of_the_sample(suite: Suite, world: World) -> None:
    """`input` is what the input key names."""
    world.answers("previous-step", json=[{"a": 1}, {"a": 2}])
    code = "return input.map(item => ({ ...item, processed: true }))"
    execution = await suite.run(
        workflow(
            http(world, "previous-step"),
            step("t", "transform", {"inputKey": "previous-step", "code": code}, "previous-step"),
        )
    )
    assert result(execution, "t") == [{"a": 1, "processed": True}, {"a": 2, "processed": True}]


@pytest.mark.feature("S2-32")
@pytest.mark.parametrize(("amount", "shipped"), [(150, 1), (100, 0)])
async def test_condition_decides_about_its_dependents(
    suite: Suite, world: World, amount: int, shipped: int
) -> None:
    """True runs them; false skips them and the run still completes."""
    execution = await suite.run(
        workflow(
            step("check", "condition", {"expression": "context.amount > 100"}),
            http(world, "ship", "check"),
        ),
        {"amount": amount},
    )
    assert execution["status"] == "completed", execution
    assert len(world.calls("ship")) == shipped
    assert execution["skippedSteps"] == ([] if shipped else ["ship"])


@pytest.mark.feature("S2-33")
async def test_webhook_sends_its_payload(suite: Suite, world: World) -> None:
    """A POST of the payload as JSON."""
    params = {"url": world.url("notify"), "payload": {"event": "step-complete"}}
    execution = await suite.run(workflow(step("notify", "webhook", params)))
    assert execution["status"] == "completed", execution
    [call] = world.calls("notify")
    assert (call.method, call.json) == ("POST", {"event": "step-complete"})


def gaps_ms(world: World, route: str) -> list[float]:
    times = [call.at_ms for call in world.calls(route)]
    return [after - before for before, after in itertools.pairwise(times)]


@pytest.mark.feature("S2-34", "S4-08")
async def test_retries_back_off_and_are_capped(suite: Suite, world: World) -> None:
    """Five attempts, the first included, each wait twice the last, none over the longest."""
    world.answers("flaky", status=503)
    policy = {"maxAttempts": 5, "backoffMultiplier": 2, "initialDelay": 100, "maxDelay": 300}
    execution = await suite.run(workflow(http(world, "flaky", retryPolicy=policy)))
    assert execution["status"] == "failed"
    assert execution["stepResults"]["flaky"]["attempts"] == 5
    for gap, wanted in zip(gaps_ms(world, "flaky"), [100, 200, 300, 300], strict=True):
        assert wanted <= gap < wanted + 150


@pytest.mark.slow
@pytest.mark.feature("S2-34")
async def test_the_retry_policy_of_the_sample(suite: Suite, world: World) -> None:
    """5 / 2 / 1000 / 30000: attempts after 1, 2, 4 and 8 s."""
    world.answers("flaky", status=503)
    policy = {"maxAttempts": 5, "backoffMultiplier": 2, "initialDelay": 1000, "maxDelay": 30000}
    await suite.run(workflow(http(world, "flaky", retryPolicy=policy)))
    for gap, wanted in zip(gaps_ms(world, "flaky"), [1_000, 2_000, 4_000, 8_000], strict=True):
        assert wanted <= gap < wanted * 1.1 + 150


@pytest.mark.feature("S2-35")
async def test_without_a_policy_there_is_one_attempt(suite: Suite, world: World) -> None:
    """A failure is final."""
    world.answers("fulfill", status=503)
    execution = await suite.run(workflow(http(world, "fulfill")))
    assert execution["stepResults"]["fulfill"]["attempts"] == 1
    assert execution["stepResults"]["fulfill"]["error"]["class"] == "ServerError"
    assert len(world.calls("fulfill")) == 1


@pytest.mark.feature("S4-53")
async def test_all_attempts_carry_the_same_key(suite: Suite, world: World) -> None:
    """The called service can see that it is the same work; other steps have other keys."""
    world.answers("charge", status=503, times=2)
    policy = {"maxAttempts": 3, "initialDelay": 10, "backoffMultiplier": 1, "maxDelay": 10}
    execution = await suite.run(
        workflow(http(world, "charge", retryPolicy=policy), http(world, "ship", "charge"))
    )
    assert execution["status"] == "completed", execution
    assert len(world.calls("charge")) == 3
    keys = {call.key for call in world.calls("charge")}
    assert len(keys) == 1
    assert {call.key for call in world.calls("ship")}.isdisjoint(keys)
    assert all(call.headers["traceparent"] for call in world.calls())


@pytest.mark.feature("S2-34")
async def test_retry_after_of_a_service_is_honoured(suite: Suite, world: World) -> None:
    """429 with Retry-After: the next attempt comes no earlier than asked for."""
    world.answers("limited", status=429, headers={"Retry-After": "1"}, times=1)
    world.answers("limited")
    policy = {"maxAttempts": 2, "initialDelay": 10, "backoffMultiplier": 1, "maxDelay": 10}
    execution = await suite.run(workflow(http(world, "limited", retryPolicy=policy)))
    assert execution["status"] == "completed", execution
    [gap] = gaps_ms(world, "limited")
    assert gap >= 950


@pytest.mark.feature("S2-47")
async def test_an_own_executor_runs_a_step(suite: Suite) -> None:
    """A worker registers the action; the step gets its params."""

    async def custom(value: Any) -> Any:
        return {"got": value["region"]}

    async with Worker(suite.grpc_address, {"custom-action": custom}):
        execution = await suite.run(workflow(step("own", "custom-action", {"region": "eu"})))
    assert execution["status"] == "completed", execution
    assert result(execution, "own") == {"got": "eu"}
