"""Branches, joins, races, loops, tries and signals of native workflows, on the running suite."""

import itertools
from typing import Any

import pytest

from flowmesh.testing.suite import Suite

_numbers = itertools.count(1)
YAML = {"content-type": "application/yaml"}
HEAD = """
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: flow-check}
spec:
  type: function
  retry: {maxAttempts: 1}
  function:
    code: |
      if (input.fail) throw new Error(input.fail)
      return input.give
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: NAME}
spec:
"""


async def apply(suite: Suite, spec: str) -> str:
    """Registers a workflow under a name of its own."""
    name = f"control-{next(_numbers)}"
    source = HEAD.replace("NAME", name) + spec
    applied = await suite.post("/api/v1/workflows", data=source.encode(), headers=YAML)
    assert applied.status in (200, 201), applied.text
    return name


async def run(suite: Suite, spec: str, given: Any = None) -> dict[str, Any]:
    """Applies a workflow, runs it, and answers what `execute` does."""
    name = await apply(suite, spec)
    answer = await suite.post(f"/api/v1/workflows/{name}/execute", {"input": given or {}})
    assert answer.status in (200, 422), answer.text
    found: dict[str, Any] = answer.json
    return found


def statuses(answer: dict[str, Any]) -> dict[str, str]:
    return {name: task["status"] for name, task in answer["tasks"].items()}


BRANCHES = """
  tasks:
    - id: size
      decision:
        conditions:
          - {id: big, expression: "input.total > 100"}
          - {id: small, expression: "input.total > 10"}
        default: [tiny]
    - {id: review, taskRef: flow-check, input: {give: reviewed}, dependsOn: [{task: size, on: big}]}
    - {id: pass, taskRef: flow-check, input: {give: passed}, dependsOn: [{task: size, on: small}]}
    - {id: ship, taskRef: flow-check, input: {give: shipped}, join: all, dependsOn: [review, pass]}
    - {id: wave, taskRef: flow-check, input: {give: waved}, dependsOn: [{task: size, on: tiny}]}
"""


@pytest.mark.feature("S1-46")
@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (500, {"review": "success", "pass": "skipped", "ship": "success", "wave": "skipped"}),
        (50, {"review": "skipped", "pass": "success", "ship": "success", "wave": "skipped"}),
        (5, {"review": "skipped", "pass": "skipped", "ship": "skipped", "wave": "success"}),
    ],
)
async def test_a_decision_chooses_the_edges_that_are_taken(
    suite: Suite, total: int, expected: dict[str, str]
) -> None:
    """The branch that is not taken is skipped, and the join goes on with the other; or neither."""
    answer = await run(suite, BRANCHES, {"total": total})
    assert answer["status"] == "completed"
    assert {name: statuses(answer)[name] for name in expected} == expected


async def test_a_failure_takes_its_edge(suite: Suite) -> None:
    """What hangs on the failure runs, what needed the result does not, and the run completes."""
    spec = """
  tasks:
    - {id: charge, taskRef: flow-check, input: {fail: declined}}
    - {id: ship, taskRef: flow-check, input: {give: 1}, dependsOn: [charge]}
    - {id: tell, taskRef: flow-check, input: {give: told}, dependsOn: [{task: charge, on: failure}]}
"""
    answer = await run(suite, spec)
    assert answer["status"] == "completed"
    assert statuses(answer) == {"charge": "failed", "ship": "skipped", "tell": "success"}


async def test_a_loop_repeats_while_its_condition_holds(suite: Suite) -> None:
    """What its tasks give is the state of the next round; the last state is its output."""
    spec = """
  tasks:
    - id: count
      loop:
        state: {n: 0}
        while: "state.n < input.limit"
        tasks:
          - id: add
            taskRef: flow-add
            input: {n: "{{state.n}}"}
"""
    task = """---
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: flow-add}
spec: {type: function, function: {code: "return {n: input.n + 1}"}}
"""
    answer = await run(suite, spec + task, {"limit": 3})
    assert answer["outputs"]["count"] == {"n": 3}


async def test_a_loop_that_does_not_end_fails_at_its_limit(suite: Suite) -> None:
    """With the class that says so."""
    spec = """
  tasks:
    - id: round
      loop:
        while: "true"
        rounds: 3
        tasks: [{id: again, taskRef: flow-check, input: {give: 1}}]
"""
    answer = await run(suite, spec)
    assert answer["status"] == "failed"
    assert answer["error"]["class"] == "ResourceLimit"


@pytest.mark.parametrize(
    ("fail", "output"), [("", "fine"), ("no money", {"because": "no money", "of": "Error"})]
)
async def test_a_try_handles_what_fails_in_it(suite: Suite, fail: str, output: Any) -> None:
    """Its output is that of its tasks, or of the handler of the failure's class."""
    spec = """
  tasks:
    - id: pay
      try:
        tasks: [{id: charge, taskRef: flow-check, input: {fail: "{{input.fail}}", give: fine}}]
        catch:
          - errors: [Timeout]
            tasks: [{id: late, taskRef: noop}]
          - tasks:
              - id: explain
                taskRef: flow-check
                input: {give: {because: "{{error.message}}", of: "{{error.class}}"}}
"""
    answer = await run(suite, spec, {"fail": fail})
    assert answer["status"] == "completed"
    if fail:
        assert fail in answer["outputs"]["pay"]["because"]
        return
    assert answer["outputs"]["pay"] == output


async def test_a_race_is_won_by_the_first(suite: Suite) -> None:
    """A timer beside the work is a timeout around all of it."""
    spec = """
  tasks:
    - id: first
      race:
        tasks:
          - {id: slow, taskRef: delay, input: {duration: 1h}}
          - {id: quick, taskRef: flow-check, input: {give: quick}}
    - id: both
      group:
        tasks:
          - {id: left, taskRef: flow-check, input: {give: 1}}
          - {id: right, taskRef: flow-check, input: {give: 2}}
"""
    answer = await run(suite, spec)
    assert answer["outputs"]["first"] == "quick"
    assert answer["outputs"]["both"] == [1, 2]


async def test_a_signal_is_waited_for(suite: Suite) -> None:
    """The node completes with what the signal brings."""
    spec = """
  tasks:
    - {id: paid, taskRef: signal, input: {name: paid}}
    - {id: ship, taskRef: flow-check, input: {give: "{{tasks.paid.output.by}}"}}
"""
    name = await apply(suite, spec)
    started = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {}})
    path = f"/api/v1/executions/{started.json['executionId']}"
    sent = await suite.post(f"{path}:signal", {"name": "paid", "payload": {"by": "card"}})
    assert sent.status == 202, sent.text
    ended = await suite.wait(started.json["executionId"])
    assert ended["stepResults"]["ship"]["result"] == "card"


@pytest.mark.parametrize(
    ("task", "place"),
    [
        ("{id: a, race: {tasks: []}}", "tasks[0].race.tasks"),
        ("{id: a, loop: {tasks: [{id: b, taskRef: noop}]}}", "tasks[0].loop.while"),
        ("{id: a, try: {tasks: [{id: b, taskRef: noop}]}}", "tasks[0].try.catch"),
        ("{id: a, taskRef: noop, dependsOn: [{task: a2, on: failure}]}", "tasks[0].dependsOn"),
        ("{id: a, taskRef: noop, dependsOn: [{task: a}]}", "tasks[0].dependsOn[0].on"),
        ("{id: a, taskRef: signal}", "tasks[0].input"),
        (
            "{id: a, decision: {conditions: [{id: x, expression: 'true'}]}}\n"
            "    - {id: b, taskRef: noop, dependsOn: [{task: a, on: y}]}",
            "tasks[1].dependsOn[0].on",
        ),
        (
            "{id: a, loop: {while: 'false', tasks: [{id: b, taskRef: noop}]}}\n"
            "    - {id: c, taskRef: delay, input: {duration: '{{tasks.b.output}}'}}",
            "tasks[1].input.duration",
        ),
        (
            "{id: a, decision: {conditions: [{id: x, expression: '1 +'}]}}",
            "conditions[0].expression",
        ),
        ("{id: a, taskRef: noop, join: most}", "tasks[0].join"),
    ],
)
async def test_an_impossible_definition_is_reported_with_its_place(
    suite: Suite, task: str, place: str
) -> None:
    """Before anything runs."""
    source = HEAD.replace("NAME", "wrong-flow") + f"  tasks:\n    - {task}\n"
    answer = await suite.post("/api/v1/workflows:validate", data=source.encode(), headers=YAML)
    found = answer.json
    assert not found["valid"]
    assert any(place in problem["path"] for problem in found["problems"]), found["problems"]
