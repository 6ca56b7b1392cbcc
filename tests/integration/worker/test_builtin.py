"""Built-in tasks over a real stream, from dispatch to acknowledged result."""

import orjson

from flowmesh.testing.world import World
from tests.integration.worker.harness import Worker
from tests.integration.worker.orchestrator import Orchestrator, spec_of, task_of


async def test_noop_answers_with_its_input(orchestrator: Orchestrator, worker: Worker) -> None:
    """The cheapest task there is goes out and comes back unchanged."""
    spec = spec_of("builtin.noop")
    result = await orchestrator.run(task_of("t1", spec, {"a": 1}), spec)
    assert orjson.loads(result.output.data) == {"a": 1}
    assert result.worker_id == worker.pool.worker_id


async def test_an_http_task_calls_out_and_answers_with_the_body(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """The output is the parsed body; status and headers are metadata."""
    world.answers("users", json={"name": "Ada"})
    spec = spec_of("http.request", {"url": world.url("users") + "/{{input.id}}"})
    result = await orchestrator.run(task_of("t1", spec, {"id": "7"}), spec)
    assert orjson.loads(result.output.data) == {"name": "Ada"}
    assert orjson.loads(result.metadata)["http"]["status"] == 200
    [call] = world.calls("users")
    assert (call.path, call.key) == ("/users/7", "key-t1")


async def test_credit_comes_back_with_the_result(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """More tasks than slots all run, and in the end all slots are granted again."""
    spec = spec_of("builtin.noop")
    for number in range(100):
        orchestrator.submit(task_of(f"t{number}", spec, number), spec)
    await orchestrator.until(lambda: len(orchestrator.results) == 100)
    await orchestrator.until(lambda: orchestrator.credit("builtin.noop") == 8)
