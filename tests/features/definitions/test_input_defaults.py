"""Defaults in the input schema of a workflow are part of the input of an execution."""

from flowmesh.sdk import Client
from flowmesh.sdk.testing import LocalEnvironment
from flowmesh.testing.suite import Suite
from tests.features import commands

SHIPPED = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: shipped-by-default}
spec:
  inputSchema:
    type: object
    required: [region]
    properties:
      region: {type: string, default: eu}
      options: {type: object, default: {}, properties: {express: {type: boolean, default: false}}}
  tasks:
    - {id: ship, taskRef: noop, input: {region: "{{ input.region }}"}}
  searchAttributes:
    region: {type: text, from: "{{ input.region }}"}
  searchable: [input.options.express]
  output: {region: "{{ input.region }}", express: "{{ input.options.express }}"}
"""
PARENT = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: shipping-parent}
spec:
  tasks:
    - id: child
      subworkflow: {workflow: shipped-by-default, input: {}}
  output: "{{ tasks.child.output }}"
"""
WHOLE = {"region": "eu", "options": {"express": False}}
OUTPUT = {"region": "eu", "express": False}


async def test_every_start_has_the_defaults(suite: Suite) -> None:
    """Over gRPC, REST, the command line and a parent; they are stored, and found by searches."""
    async with Client(suite.grpc_address) as client:
        await client.register(SHIPPED)
        started = [(await client.start("shipped-by-default", {})).id]
        started.append(await suite.begin("shipped-by-default", {"options": {}}))
        told = await commands.command(
            suite, "start", "shipped-by-default", "--input", "{}", "--wait", "--json"
        )
        assert told.json["output"] == OUTPUT
        started.append(told.json["executionId"])
        for each in started:
            await client.handle(each).result()
            assert (await client.get_execution(each)).input == WHOLE
        text = "workflow = shipped-by-default AND attr.region = eu AND input.options.express=false"
        assert (await client.count_executions(text)).count == len(started)
        await client.register(PARENT)
        parent = await client.start("shipping-parent")
        assert await parent.result() == OUTPUT


async def test_a_repeated_start_is_known_by_what_was_given(suite: Suite) -> None:
    """In other bytes, too, and after the defaults changed."""
    async with Client(suite.grpc_address) as client:
        await client.register(SHIPPED)
        first = await client.start("shipped-by-default", {}, request_id="defaults-once")
        await client.register(SHIPPED.replace("default: eu", "default: us"))
        again = await client.start("shipped-by-default", {}, request_id="defaults-once")
        assert again.id == first.id
        other = await client.start("shipped-by-default", {})
        assert (await other.result())["region"] == "us"
        run = await client.handle(first.id).rerun()
        assert (await run.result())["region"] == "eu"


async def test_a_local_run_has_the_defaults() -> None:
    """As in a suite."""
    assert (await LocalEnvironment().run(SHIPPED, {})).output == OUTPUT
