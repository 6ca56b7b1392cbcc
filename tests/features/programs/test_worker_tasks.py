"""What the tasks of native resources do, on the running suite against a real HTTP world."""

import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.testing.suite import Response, Suite
from flowmesh.testing.world import World

_numbers = itertools.count(1)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


class Tasks:
    """Applies one HTTP task and a workflow that runs it, and executes that."""

    def __init__(self, suite: Suite, world: World) -> None:
        self._suite = suite
        self.world = world

    async def run(
        self,
        http: dict[str, Any],
        value: Any = None,
        *,
        then: dict[str, Any] | None = None,
        **spec: Any,
    ) -> Response:
        """`then` is the input of a second task that posts what the first answered."""
        name = f"worker-task-{next(_numbers)}"
        fields = {key: f"{{{{input.{key}}}}}" for key in value or {}}
        tasks = [{"id": "call", "taskRef": name, "input": fields}]
        await self._apply("tasks", "WorkflowTask", name, {"type": "http", "http": http, **spec})
        if then is not None:
            echo = {"method": "POST", "url": self.world.url("echo"), "body": "{{input.value}}"}
            await self._apply(
                "tasks", "WorkflowTask", f"{name}-then", {"type": "http", "http": echo}
            )
            tasks.append({"id": "then", "taskRef": f"{name}-then", "input": then})
        await self._apply("workflows", "Workflow", name, {"tasks": tasks})
        return await self._suite.post(f"/workflows/{name}/execute", {"input": value or {}})

    async def fails(self, *arguments: Any, **spec: Any) -> Any:
        """The error of the task."""
        answer = await self.run(*arguments, **spec)
        assert answer.status == 422, answer.text
        return answer.json["tasks"]["call"]["error"]

    async def _apply(self, path: str, kind: str, name: str, spec: Any) -> None:
        resource = {
            "apiVersion": "workflow.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        answer = await self._suite.post(f"/api/v1/{path}", resource)
        assert answer.status in (200, 201), answer.text


@pytest.fixture
def tasks(suite: Suite, world: World) -> Tasks:
    return Tasks(suite, world)


@pytest.mark.feature("S0-31", "S0-33", "S0-40", "S0-42")
async def test_the_charge_payment_task_of_the_sample(tasks: Tasks, world: World) -> None:
    """URL, header and body of several lines are filled, numbers stay; the output is the body."""
    world.answers("charges", json={"id": "ch_1", "paid": True})
    http = {
        "method": "POST",
        "url": world.url("{{input.path}}?order={{input.number}}"),
        "headers": {"Authorization": "Bearer {{input.apiKey}}"},
        "body": '{\n  "amount": {{input.amount}},\n  "currency": "{{input.currency}}",\n'
        '  "order": {{input.order}}\n}\n',
    }
    value = {
        "path": "charges", "number": "7&8", "apiKey": "sk_1", "amount": 1250, "currency": "eur",
        "order": {"items": [1, "a"]},
    }  # fmt: skip
    answer = await tasks.run(http, value)
    assert answer.status == 200, answer.text
    assert answer.json["outputs"]["call"] == {"id": "ch_1", "paid": True}
    [call] = world.calls("charges")
    assert call.query == {"order": "7&8"}
    assert call.headers["authorization"] == "Bearer sk_1"
    assert call.text == (
        '{\n  "amount": 1250,\n  "currency": "eur",\n  "order": {"items":[1,"a"]}\n}\n'
    )


@pytest.mark.feature("S0-40", "S0-46")
@pytest.mark.parametrize(
    ("answer", "reference", "wanted"),
    [
        ({"json": {"user": {"email": "a@b"}}}, "{{tasks.call.output.user.email}}", "a@b"),
        ({"xml": "<user><email>a@b</email></user>"}, "{{tasks.call.output.user.email}}", "a@b"),
        ({"text": "a@b"}, "{{tasks.call.output}}", "a@b"),
    ],
)
async def test_json_xml_and_text_answers_are_usable(
    tasks: Tasks, world: World, answer: dict[str, Any], reference: str, wanted: str
) -> None:
    """A later task reaches right into the parsed body."""
    world.answers("user", **answer)
    ran = await tasks.run({"method": "GET", "url": world.url("user")}, then={"value": reference})
    assert ran.status == 200, ran.text
    [call] = world.calls("echo")
    assert call.text.strip('"') == wanted


@pytest.mark.feature("S0-20")
async def test_an_input_of_the_wrong_shape_makes_no_call(tasks: Tasks, world: World) -> None:
    """With a ValidationError that says where in the input, and by which keyword."""
    age = {"type": "object", "properties": {"age": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"user": age}}
    http = {"method": "GET", "url": world.url("user")}
    error = await tasks.fails(http, {"user": {"age": "x"}}, inputSchema=schema)
    assert error["class"] == "ValidationError"
    assert error["message"].startswith("input.user.age: ")
    assert "#/properties/user/properties/age/type" in error["message"]
    assert world.calls("user") == []


@pytest.mark.feature("S0-20", "S0-25")
async def test_an_output_of_the_wrong_shape_fails_the_task(tasks: Tasks, world: World) -> None:
    """With a ValidationError, once: no retry can help."""
    world.answers("user", json={"name": 5})
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    error = await tasks.fails({"method": "GET", "url": world.url("user")}, outputSchema=schema)
    assert error["class"] == "ValidationError"
    assert "output.name" in error["message"]
    assert "#/properties/name/type" in error["message"]
    assert len(world.calls("user")) == 1


@pytest.mark.feature("S0-45")
@pytest.mark.parametrize(
    ("status", "class_"),
    [
        (401, "AuthenticationError"),
        (403, "AuthenticationError"),
        (404, "ClientError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
    ],
)
async def test_a_failure_has_its_class(
    tasks: Tasks, world: World, status: int, class_: str
) -> None:
    """What the service answered decides about the class."""
    world.answers("a", status=status)
    retry = {"maxAttempts": 1}
    error = await tasks.fails({"method": "GET", "url": world.url("a")}, retry=retry)
    assert error["class"] == class_


@pytest.mark.feature("S0-45")
async def test_a_refused_connection_is_a_network_error(tasks: Tasks) -> None:
    """Nobody listens on port 1."""
    http = {"method": "GET", "url": "http://127.0.0.1:1/"}
    error = await tasks.fails(http, retry={"maxAttempts": 1})
    assert error["class"] == "NetworkError"


@pytest.mark.feature("S0-44", "S0-45", "S4-09")
async def test_a_slow_service_runs_into_the_timeout(tasks: Tasks, world: World) -> None:
    """`500ms` against 2 s of silence: Timeout at about half a second."""
    world.answers("slow", delay_ms=2_000)
    started = time.monotonic()
    http = {"method": "GET", "url": world.url("slow")}
    error = await tasks.fails(http, timeout="500ms", retry={"maxAttempts": 1})
    assert error["class"] == "Timeout"
    assert 0.5 <= time.monotonic() - started < 1.5


@pytest.mark.feature("S0-44")
@pytest.mark.parametrize("timeout", ["500ms", "30s", "5m"])
async def test_every_suffix_of_a_timeout_is_read(tasks: Tasks, world: World, timeout: str) -> None:
    """Milliseconds, seconds, minutes."""
    answer = await tasks.run({"method": "GET", "url": world.url("a")}, timeout=timeout)
    assert answer.status == 200, answer.text


@pytest.mark.feature("S0-43")
async def test_retries_double_from_100_ms(tasks: Tasks, world: World) -> None:
    """Four attempts unless said otherwise, 100, 200 and 400 ms apart."""
    world.answers("flaky", status=503)
    await tasks.fails({"method": "GET", "url": world.url("flaky")})
    times = [call.at_ms for call in world.calls("flaky")]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    for gap, wanted in zip(gaps, [100, 200, 400], strict=True):
        assert wanted <= gap < wanted + 150


@pytest.mark.feature("S0-141")
async def test_an_http_task_is_retried_after_its_timeout(tasks: Tasks, world: World) -> None:
    """An attempt that exceeds the timeout is given up, and the next one gets the answer."""
    world.answers("stalls", delay_ms=5_000, times=1)
    world.answers("stalls", json={"paid": True})
    http = {"method": "POST", "url": world.url("stalls"), "body": {}}
    retry = {"maxAttempts": 3, "initialDelay": "50ms"}
    answer = await tasks.run(http, timeout="300ms", retry=retry)
    assert answer.status == 200, answer.text
    assert answer.json["outputs"]["call"] == {"paid": True}
    first, second = world.calls("stalls")
    assert first.key == second.key
    assert 300 <= second.at_ms - first.at_ms < 5_000
