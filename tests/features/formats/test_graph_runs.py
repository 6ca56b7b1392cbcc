"""Runs of graph JSON: the graph that a run keeps to, and how long its delays last."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import store
from tests.features.executions.test_control import reached
from tests.features.graphs import edge, graph, node, ran
from tests.features.steps import sequence_of, tasks_of

WAIT_MS = 300
CRASH_MS = 3_000


@pytest.mark.feature("S3-20")
async def test_a_run_keeps_to_the_graph_that_was_stored(suite: Suite, world: World) -> None:
    """Its roots begin, then what they lead to; another version meanwhile changes nothing of it."""

    def called(*edges: str) -> Json:
        names = {name for each in edges for name in each.split(">")}
        nodes = [node(name, "http", url=world.url(name), method="POST") for name in sorted(names)]
        return graph(*nodes, edges=[edge(each) for each in edges])

    world.hold("a")
    world.answers("c", delay_ms=WAIT_MS)
    document = called("a>b", "a>c", "b>d", "c>d")
    name = await suite.define(document)
    async with store.database(suite, "definition") as database:
        query = "select analysis from analyses where id = $1 and version = 1"
        kept = definition_pb2.Analysis.FromString(await database.fetchval(query, name))
    execution_id = await suite.begin(name)
    await world.called("a")
    other = {**called("a>d", "d>c", "c>e"), "id": name}
    for each in other["nodes"]:
        each["workflowId"] = name
    assert (await suite.put(f"/api/v1/workflows/{name}", other)).json["version"] == 2
    state = (await suite.get(f"/api/v1/executions/{execution_id}/state")).json
    assert [path["nodes"] for path in state["paths"]] == [list(path.nodes) for path in kept.paths]
    assert list(kept.roots) == ["a"]
    world.release("a")
    await suite.wait(execution_id)
    events = await suite.events(execution_id)
    followers = {each.id: list(each.successors) for each in kept.nodes}
    assert followers == {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}
    assert tasks_of(events, "TaskScheduled") == ["a", "b", "c", "d"]
    assert sequence_of(events, "TaskScheduled", "d") > sequence_of(events, "TaskCompleted", "c")
    assert world.calls("e") == []


def delays(ms: int, until_s: float) -> tuple[Json, str]:
    """A delay of each type, and the instant that the second waits for."""
    until = (datetime.now(UTC) + timedelta(seconds=until_s)).isoformat().replace("+00:00", "Z")
    document = graph(
        node("fixed", "delay", delayType="fixed", delayValue=ms),
        node("until", "delay", delayType="until", delayValue=until),
        node("computed", "delay", delayType="expression", delayValue="context.base * 3"),
    )
    return document, until


@pytest.mark.feature("S3-73")
async def test_delays_are_fixed_until_an_instant_or_computed(suite: Suite) -> None:
    """Each waits at least so long."""
    document, until = delays(WAIT_MS, until_s=1)
    execution, ended = await ran(suite, document, {"base": WAIT_MS / 3})
    assert execution["status"] == "completed", execution
    assert set(ended.values()) == {"success"}
    execution_id = execution["executionId"]
    shown = (await suite.get(f"/api/v1/executions/{execution_id}/trace")).json
    ran_ms = {task["id"]: task["runMs"] for task in shown["tasks"]}
    assert ran_ms["fixed"] >= WAIT_MS
    assert ran_ms["computed"] >= WAIT_MS
    waited = (await suite.get(f"/api/v1/executions/{execution_id}/nodes/until")).json
    assert waited["endTime"] >= until


@pytest.mark.long
@pytest.mark.feature("S3-73")
async def test_delays_survive_the_crash_of_everything(tmp_path: Path) -> None:
    """Each ends once its time has come, however much of it nobody was there for; not before."""
    async with Suite(tmp_path / "data") as own:
        # What computes the third has been started when it is asked for one that matters.
        await ran(own, delays(1, until_s=0)[0], {"base": 0})
        document, until = delays(CRASH_MS, until_s=CRASH_MS / 1_000)
        execution_id = await own.begin(await own.define(document), {"base": CRASH_MS / 3})
        await reached(own, execution_id, fixed="running", until="running", computed="running")
        await own.kill()
        await own.start()
        assert (await own.wait(execution_id))["status"] == "completed"
        shown = (await own.get(f"/api/v1/executions/{execution_id}/nodes")).json["nodes"]
        events = await own.events(execution_id)
    ends = {each["nodeId"]: datetime.fromisoformat(each["endTime"]) for each in shown}
    began = datetime.fromisoformat(events[0]["timestamp"])
    assert ends["until"] >= datetime.fromisoformat(until)
    for name in ("fixed", "computed"):
        assert ends[name] - began >= timedelta(milliseconds=CRASH_MS), name
