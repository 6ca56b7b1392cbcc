"""Two executions side by side."""

import random
import tracemalloc
from typing import Any

import orjson
import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import TaskEnded
from flowmesh.insight.comparison import Compared, compare
from flowmesh.insight.differences import differences
from flowmesh.insight.inputs import Stored
from flowmesh.insight.parts import encode
from flowmesh.insight.reports import Comparison
from flowmesh.plan import Plan
from tests.unit.engine.drawn import STEPS_MAX, random_plan, step
from tests.unit.engine.factories import Run, each, node, plan

TEMPLATE = plan_pb2.INPUT_MODE_TEMPLATE


def reads(template: Any) -> dict[str, Any]:
    return {"input_mode": TEMPLATE, "input_template": orjson.dumps(template)}


CHAIN = (
    node("a", **reads("{{input.n}}")),
    node("b", "a", **reads({"got": "{{tasks.a.output}}"}), retry={"max_attempts": 2}),
    node("c", "b"),
)


def ran(made: Plan, start: bytes, **outputs: bytes) -> Run:
    run = Run(made, start)
    for name, output in outputs.items():
        run.complete(name, output)
    return run


def compared(left: Run, right: Run, stored: Stored | None = None) -> Comparison:
    stored = stored or Stored()
    one, other = (
        Compared(name, run.state.plan, run.events, stored, run.now)
        for name, run in (("left", left), ("right", right))
    )
    return compare(one, other)


def test_equal_executions_are_the_same() -> None:
    """With any durations."""
    outputs = {"a": b"1", "b": b"2", "c": b"3"}
    left, right = ran(plan(*CHAIN), b'{"n":1}', **outputs), Run(plan(*CHAIN), b'{"n":1}')
    for name, output in outputs.items():
        right.do(TaskEnded(name, 1, output=payload_pb2.Payload(data=output)), after_us=9_000)
    report = compared(left, right)
    assert report.same
    assert not report.first_divergence
    assert report.left_path == report.right_path == ["a", "b", "c"]


def test_inputs_and_outputs_differ_by_path() -> None:
    """The node that put out something else is where they part; what follows has other inputs."""
    left = ran(plan(*CHAIN), b'{"n":1}', a=b'{"x":[1,2]}', b=b"0", c=b"0")
    right = ran(plan(*CHAIN), b'{"n":1}', a=b'{"x":[1,3],"y":1}', b=b"0", c=b"0")
    report = compared(left, right)
    assert report.first_divergence
    assert (report.first_divergence.what, report.first_divergence.task_id) == ("output", "a")
    a, b, c = report.nodes
    assert [(d.path, d.action) for d in a.output or []] == [("x[1]", "changed"), ("y", "added")]
    assert [d.path for d in b.input or []] == ["got.x[1]", "got.y"]
    assert (b.differs, c.differs) == (["nodeInput"], [])


def test_status_attempts_and_presence_differ() -> None:
    """A failure, a retry, a node that only one of them came to."""
    left, right = Run(plan(*CHAIN)), Run(plan(*CHAIN))
    for run in (left, right):
        run.complete("a", b"1")
    left.complete("b")
    right.fail("b")
    right.do(TaskEnded("b", 1))
    report = compared(left, right)
    b = next(each for each in report.nodes if each.id == "b")
    assert b.differs == ["status", "output"]
    assert [each.differs for each in report.nodes if each.id == "c"] == [["presence"]]
    assert report.first_divergence
    assert report.first_divergence.task_id == "b"


def test_other_versions_and_inputs_come_first() -> None:
    """They explain all that follows."""
    left = ran(plan(*CHAIN), b'{"n":1}')
    other = ran(plan(*CHAIN), b'{"n":2}')
    found = compared(left, other).first_divergence
    assert found
    assert (found.what, found.text) == ("input", "their inputs differ, first in input.n")
    message = plan(*CHAIN).message
    message.digest, message.version = "e", 2
    newer = ran(Plan(message, plan(*CHAIN).nodes, None), b'{"n":2}')
    found = compared(left, newer).first_divergence
    assert found
    assert found.what == "version"


def test_items_of_maps_are_compared_one_by_one() -> None:
    """Their inputs are rendered from the items, which no history has."""
    made = plan(each("m", "{{input.items}}", node("x", **reads("{{item}}")), concurrency=9))

    def run(items: bytes) -> Run:
        one = Run(made, b'{"items":' + items + b"}")
        one.serve()
        for name in list(one.state.at_workers):
            one.complete(name, b"1")
        return one

    report = compared(run(b"[1,2]"), run(b"[1,5]"))
    by_id = {each.id: each.differs for each in report.nodes}
    assert by_id == {"m": ["nodeInput"], "m[0]/x": [], "m[1]/x": ["nodeInput"]}


def test_stored_payloads_are_asked_for_and_compared_by_value() -> None:
    """Without fetched payloads by digest; with them by value."""

    def run(digest: str) -> Run:
        one = Run(plan(*CHAIN), b'{"n":1}')
        reference = payload_pb2.PayloadReference(digest=digest, size_bytes=9)
        one.do(TaskEnded("a", 1, output=payload_pb2.Payload(reference=reference)))
        return one

    stored = Stored()
    report = compared(run("d1"), run("d2"), stored)
    assert report.nodes[0].output
    assert report.nodes[0].output[0].path == "$payload.digest"
    assert list(stored.missing) == ["d1", "d2"]
    again = Stored({"d1": b'{"k":1}', "d2": b'{"k":2}'})
    report = compared(run("d1"), run("d2"), again)
    assert [d.path for d in report.nodes[0].output or []] == ["k"]
    assert [d.path for d in report.nodes[1].input or []] == ["got.k"]


def test_differences_are_by_value_and_place() -> None:
    """`true` is no number, a missing member is not null, lists go by place."""
    found = list(differences({"a": 1, "b": [1, 2], "c": None}, {"a": True, "b": [1], "d": 1.0}))
    assert [(each.path, each.action) for each in found] == [
        ("a", "changed"),
        ("b[1]", "removed"),
        ("c", "removed"),
        ("d", "added"),
    ]
    assert not list(differences({"x": 1}, {"x": 1.0}))


def test_values_below_a_long_key_differ_in_little_memory() -> None:
    """The key is not copied for each of them: 87,000 of them fit an input with it."""
    key, most = "k" * 20_000, 20_000
    tracemalloc.start()
    try:
        found = list(differences({key: [0] * most}, {key: [*[0] * (most - 1), 1]}))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [each.path for each in found] == [f"{key}[{most - 1}]"]
    assert peak_bytes < 50 << 20  # some 6 MiB; it were 400


@pytest.mark.parametrize("seed", range(30))
def test_every_execution_is_the_same_as_itself(seed: int) -> None:
    """With any history; and the report can always be encoded."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    for _ in range(STEPS_MAX):
        run.serve()
        step(run, rng)
    report = compared(run, run)
    assert report.same, report.first_divergence
    encode(report)
