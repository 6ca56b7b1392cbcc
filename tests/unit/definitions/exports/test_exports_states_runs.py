"""Workflows and their Amazon States Language documents run to equal results."""

import random
import re
from collections.abc import AsyncIterator

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definitions import compile_source
from flowmesh.definitions.exports import export_source, write_yaml
from flowmesh.dryrun.mocks import Mock, Mocks
from flowmesh.dryrun.report import Report
from flowmesh.dryrun.run import dry_run
from flowmesh.dryrun.source import stand_ins
from flowmesh.engine import NodeState
from flowmesh.sandbox import Sandbox
from tests.draws import draws
from tests.unit.definitions.factories import http, steps, task, workflow

SEEDS = range(draws(120))
INPUT = {"n": 3, "text": "it's {a} \\ 'b'", "list": [{"k": 1}, {"k": 2}], "a b": [None, 1.5]}
CONDITIONS = [
    "input.missing == 1",
    "input.n > 2",
    "input.n < 2",
    "input.missing > 1 || input.n == 3",
    'input.text > 1 || input["a b"][1] < 2.5',
    '!(input.text == "x") && input.n != null',
    "input.n >= 3 && (2 < input.n || input.list == 1)",
]
LEAVES = [
    "input.n",
    "input.text",
    'input["a b"]',
    "input.list[1].k",
    "toJson(input.list)",
    "execution.id",
]


class Writer:
    """Generator of a workflow with sequences and branches, and of mocks for its tasks."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.count = 0
        self.groups = 0
        self.mocks: dict[str, Json] = {}
        # True if a failure cancels parallel nodes, so that none may fail at its start.
        self.cancels = self.draw.random() < 0.3

    def new(self) -> str:
        self.count += 1
        return self.draw.choice(["t{}", "t-{}", "t.{}"]).format(self.count)

    def graph(self, size: int, depth: int, around: list[str]) -> tuple[list[Json], list[str]]:
        """Generate nodes; return them with the ids that a successor waits for."""
        nodes: list[Json] = []
        waits: list[str] = []
        done = list(around)
        for _ in range(self.draw.randint(1, size)):
            if self.draw.random() < 0.35 and size > 1:
                ends: list[str] = []
                inner: list[str] = []
                for _ in range(self.draw.randint(2, 3)):
                    branch, leaves = self.branch(size - 1, depth, done, waits)
                    nodes += branch
                    inner += [each["id"] for each in branch]
                    ends += leaves
                waits = ends
                done += inner
            elif self.draw.random() < 0.25:
                made_of, waits = self.decision(depth, done, waits)
                nodes += made_of
            else:
                made = self.node(depth, done)
                nodes.append(made | ({"dependsOn": waits} if waits else {}))
                waits = [made["id"]]
                done.append(made["id"])
        return nodes, waits

    def decision(
        self, depth: int, done: list[str], waits: list[str]
    ) -> tuple[list[Json], list[str]]:
        """Generate a decision between branches, and a join that reads only them."""
        name = self.new()
        labels = self.draw.sample(["x", "y", "z"], self.draw.randint(1, 3))
        least = 1 if self.cancels else 0
        conditions = [
            {"id": label, "expression": self.draw.choice(CONDITIONS[least:])} for label in labels
        ]
        usual = self.draw.choice([labels[0], "usual"])
        said = {"conditions": conditions, "default": [usual]}
        nodes: list[Json] = [{"id": name, "decision": said}]
        if waits:
            nodes[0]["dependsOn"] = waits
        if self.draw.random() < 0.2:
            nodes[0]["condition"] = self.draw.choice(CONDITIONS[least:])
        ends: list[str] = []
        known = sorted({*labels, usual})
        for label in self.draw.sample(known, self.draw.randint(1, len(known))):
            branch, leaves = self.branch(2, depth, done, [])
            branch[0]["dependsOn"] = [{"task": name, "on": label}]
            nodes += branch
            ends += leaves
        join = self.node(depth, [])
        nodes.append(join | {"dependsOn": ends, "join": self.draw.choice(["ALL", "ANY"])})
        return nodes, [join["id"]]

    def branch(
        self, size: int, depth: int, done: list[str], waits: list[str]
    ) -> tuple[list[Json], list[str]]:
        nodes: list[Json] = []
        before, seen = waits, list(done)
        for _ in range(self.draw.randint(1, max(1, size))):
            made = self.node(depth, seen)
            nodes.append(made | ({"dependsOn": before} if before else {}))
            before = [made["id"]]
            seen.append(made["id"])
        return nodes, before

    def reference(self, done: list[str], depth: int) -> str:
        known = [*LEAVES, *(["item", "index"] if depth else [])]
        for name in done:
            known.append(f'tasks["{name}"].output')
            if name in self.mocks:
                known.append(f'tasks["{name}"].output.v')
        if self.draw.random() < 0.04 and not self.cancels:
            return "input.nowhere"
        return self.draw.choice(known)

    def node(self, depth: int, done: list[str]) -> Json:
        name = self.new()
        kind = self.draw.choice(["task"] * 7 + ["noop", "delay", "map", "group"])
        said: Json = {"id": name}
        if self.draw.random() < 0.2 and kind != "group":
            least = 1 if self.cancels else 0
            said["condition"] = self.draw.choice(CONDITIONS[least:])
        if kind == "map" and depth < 2:
            lists = ["{{input.list}}", '{{ input["a b"] }}', [1, {"k": "v"}], "{{input.text}}"]
            items = self.draw.choice(lists[: 3 if self.cancels else 4])
            body, _ = self.graph(2, depth + 1, done)
            return said | {"map": {"items": items, "concurrency": 2, "tasks": body}}
        if kind == "group" and self.groups < 2:
            self.groups += 1
            before, self.cancels = self.cancels, True
            body, _ = self.branch(2, depth, done, [])
            other, _ = self.branch(2, depth, done, [])
            self.cancels = before
            for each in (*body, *other):
                each.pop("condition", None)
            return said | {"group": {"tasks": body + other}}
        if kind == "noop":
            return said | {"taskRef": "noop"}
        if kind == "delay":
            return said | {"taskRef": "delay", "input": {"duration": "2s"}}
        first = {"v": self.draw.randint(0, 9), "of": "{{input}}"}
        self.mocks[name] = [{"output": first, "after": self.draw.randint(1, 250_000)}]
        if self.draw.random() < 0.2:
            class_ = self.draw.choice(["Mine", "ServerError", "Timeout"])
            failed = {"failure": {"class": class_}, "after": self.draw.randint(1, 250_000)}
            self.mocks[name] = [failed] * self.draw.randint(1, 2) + self.mocks[name]
            if self.draw.random() < 0.5:
                said |= {"onFailure": "CONTINUE", "fallback": {"v": "fallen"}}
        retry: Json = {"maxAttempts": self.draw.randint(1, 3), "initialDelay": "2s"}
        if self.draw.random() < 0.3:
            retry |= {"retryOn": [self.draw.choice(["*", "Mine"])], "maxDelay": "3s"}
        return said | {"taskRef": "work", "retry": retry, **self.given(done, depth)}

    def given(self, done: list[str], depth: int) -> Json:
        def one() -> str:
            return "{{" + self.reference(done, depth) + "}}"

        if self.draw.random() < 0.1 and done:
            return {"input": "{{input}}"}
        return {
            "input": {
                "whole": one(),
                "text": f"'{one()}' is {{b}} and \\ {one()}{{{{ 'q' }}}}",
                "list": [one(), 1, "x'", [one()], {"deep": [1]}],
                "nested": {"a.b": one(), "objects": [{"c": one()}, 2]},
            }
        }

    def document(self) -> Json:
        nodes, waits = self.graph(3, 0, [])
        said: Json = {}
        if self.draw.random() < 0.5:
            said["output"] = {name: f'{{{{tasks["{name}"].output}}}}' for name in waits}
        if self.cancels:
            said["onFailure"] = "CANCEL"
        return workflow(*nodes, **said)


class StatesMocks(Mocks):
    """Mocks for states: a retried state is another node, so answers follow the items."""

    def of(self, node: NodeState) -> Mock | None:
        name = node.planned.id
        if name not in self.answers:
            return None
        at = name + repr(re.findall(r":items\[\d+\]", node.id))
        count = self._given.get((name, at), 0)
        self._given[name, at] = count + 1
        return self.answers[name][min(count, len(self.answers[name]) - 1)]


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


async def dry_run_of(source: bytes, mocks: Json, sandbox: Sandbox) -> Report:
    plan = compile_source(source)
    found, _ = stand_ins(mocks, None, plan)
    if plan.dialect == plan_pb2.DIALECT_STATES:
        found = StatesMocks(found.answers)
    return await dry_run(plan, INPUT, sandbox=sandbox, mocks=found)


def written(*resources: Json) -> tuple[bytes, bytes]:
    """Return the source, and the source with its workflow as states."""
    source = write_yaml(resources).encode()
    return source, write_yaml(export_source(source, "", "states")).encode()


def story(report: Report) -> Json:
    """Return the comparable part of an execution: its end, and the inputs of tasks with times."""
    calls = sorted(
        (call.node.rpartition("/")[2].removesuffix(":task"), call.at_ms, repr(call.input))
        for call in report.calls
    )
    return report.status, report.output, calls


async def test_written_documents_run_to_the_same_result(sandbox: Sandbox) -> None:
    """Seeded workflows with failing tasks, conditions, maps: status, output, times and inputs."""
    seen: dict[str, int] = {}
    for seed in SEEDS:
        writer = Writer(seed)
        source, states = written(task("work", type="mine"), writer.document())
        first = await dry_run_of(source, writer.mocks, sandbox)
        mocks = {f"{name}:task": mock for name, mock in writer.mocks.items()}
        again = await dry_run_of(states, mocks, sandbox)
        assert story(again) == story(first), f"seed {seed}\n{states.decode()}"
        seen[first.status] = seen.get(first.status, 0) + 1
    assert min(seen["completed"], seen["failed"]) > len(SEEDS) / 10


def sent_in(report: Report) -> Json:
    """Return the requests without the key that holds the name of the node."""
    sent = []
    for call in report.calls:
        if call.method:
            assert isinstance(call.headers, dict)
            headers = call.headers | {"Idempotency-Key": ""}
            sent.append((call.method, call.url, call.body, headers))
    return sent


async def test_step_json_runs_to_the_same(sandbox: Sandbox) -> None:
    """Requests with the same body, and a worker's task with the same input."""
    document = steps(
        http("a", params={"method": "PUT", "body": {"n": "{{context.n}}"},
                          "headers": {"x-a": "b"}}),
        {"id": "b", "action": "mine", "dependencies": ["a"],
         "params": {"of": "{{context.a.v}}", "all": "{{context.a}} of {{context.text}}"}},
        http("c", "b", params={"method": "DELETE"}),
        {"id": "d", "dependencies": ["c"]},
    )  # fmt: skip
    states = write_yaml(export_source(document, "", "states")).encode()
    answer = {"output": {"v": [1]}}
    first = await dry_run_of(document, {"a": answer, "b": answer}, sandbox)
    again = await dry_run_of(states, {"a": answer, "b:task": answer}, sandbox)
    assert first.status == again.status == "completed"
    assert len(sent_in(first)) == 2
    assert sent_in(again) == sent_in(first)
    assert [c.input for c in first.calls if not c.method] == [
        c.input for c in again.calls if not c.method
    ]


@pytest.mark.parametrize("answer", [{"output": {"v": 2}}, {"failure": {"class": "Mine"}}])
async def test_another_workflow_is_started_alike(sandbox: Sandbox, answer: Json) -> None:
    """With the same input, and its output or its failure is that of the task."""
    started = {"workflow": "other", "input": {"x": "{{input.n}}"}}
    source, states = written(
        workflow(
            {"id": "s", "subworkflow": started},
            output={"v": "{{tasks.s.output.v}}"},
        )
    )
    first = await dry_run_of(source, {"s": answer}, sandbox)
    again = await dry_run_of(states, {"s:task": answer}, sandbox)
    assert (first.status, first.output) == (again.status, again.output)
    assert first.status == ("completed" if "output" in answer else "failed")
