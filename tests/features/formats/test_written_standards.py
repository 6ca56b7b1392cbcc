"""Workflows written in a standard, applied as that, do on the running suite what they did."""

from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions.reading.yaml_text import read_yaml
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import applied, execute, http_task, resource, text, workflow


def order(name: str, world: World) -> list[Json]:
    """A chain with a fork, a condition, a fallback and retries."""
    once = {"retry": {"maxAttempts": 1}}
    nodes = [
        {"id": "fetch", "taskRef": f"{name}-fetch", "input": {"id": "{{input.id}}"}},
        {"id": "rate", "taskRef": f"{name}-rate", "input": {"of": "{{tasks.fetch.output}}"},
         "retry": {"maxAttempts": 3, "initialDelay": "10ms"}},
        {"id": "mail", "taskRef": f"{name}-mail", "dependsOn": ["fetch"], **once,
         "input": {"text": "order {{input.id}} of {{tasks.fetch.output.items}}"},
         "onFailure": "CONTINUE", "fallback": {"sent": False}},
        {"id": "bonus", "taskRef": f"{name}-bonus", "dependsOn": ["rate", "mail"],
         "condition": "tasks.rate.output.rate > 3 && size(tasks.fetch.output.items) > 1"},
    ]  # fmt: skip
    output = {"rate": "{{tasks.rate.output.rate}}", "mail": "{{tasks.mail.output}}",
              "bonus": "{{default(tasks.bonus.output, 'none')}}"}  # fmt: skip
    tasks = [http_task(f"{name}-{each}", world.url(each)) for each in ("fetch", "rate", "mail")]
    bonus = resource("WorkflowTask", f"{name}-bonus", type="http",
                     http={"method": "GET", "url": world.url("bonus")})  # fmt: skip
    return [*tasks, bonus, workflow(name, *nodes, output=output)]


@pytest.mark.long
@pytest.mark.feature("S3-16")
@pytest.mark.parametrize("rate", [1, 4])
async def test_a_serverless_document_that_is_written_does_the_same(
    suite: Suite, tmp_path: Path, rate: int
) -> None:
    """By the command and by REST; the services are asked the same, failures included."""
    name = f"written-{rate}"
    async with World() as world:
        resources = order(name, world)
        file, out = tmp_path / "order.yaml", tmp_path / "out.yaml"
        file.write_text(text(*resources))
        done = await command(suite, "convert", "-f", str(file), "-t", "serverless", "-o", str(out))
        assert done.code == 0, done.err
        await applied(suite, *resources)
        answer = await suite.get(f"/api/v1/workflows/{name}:export?format=serverless")
        assert answer.status == 200, answer.text
        (document,) = [each for each in read_yaml(out.read_text()) if "document" in each]
        assert answer.json == document
        ends = [await ended(suite, world, name, rate)]
        assert (await suite.put(f"/api/v1/workflows/{name}", document)).status == 201
        ends.append(await ended(suite, world, name, rate))
        assert ends[0] == ends[1]
        output = {"rate": rate, "mail": {"sent": False}, "bonus": "more" if rate > 3 else "none"}
        assert ends[0][:2] == (200, output)


async def ended(suite: Suite, world: World, name: str, rate: int) -> tuple[Json, ...]:
    """Status and output of a run, and what the services were asked."""
    before = len(world.calls())
    world.answers("fetch", json={"items": ["a", "b"]})
    world.answers("rate", status=503, times=1)
    world.answers("rate", json={"rate": rate})
    world.answers("mail", status=400)
    world.answers("bonus", json="more")
    ran = await execute(suite, name, {"id": 7})
    asked = sorted((call.method, call.path, call.text) for call in world.calls()[before:])
    return ran.status, ran.json.get("output"), asked
