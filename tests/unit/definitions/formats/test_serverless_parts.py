"""Rare parts of Serverless Workflow: accepted ones, and the problem of each wrong one."""

import json
from typing import Any

import pytest

from flowmesh.definitions import errors_in
from tests.unit.definitions.factories import documents as resources
from tests.unit.definitions.factories import node, problems, task, workflow

NOOP = {"set": {"n": 1}}


def errors(do: dict[str, Any], **more: Any) -> list[str]:
    head = {"dsl": "1.0.3", "namespace": "default", "name": "w", "version": "1.0.0"}
    source = {"document": head, "do": [{"a": do}, {"b": NOOP}], **more}
    return [each.message for each in errors_in(problems(json.dumps(source).encode()))]


def listen(**to: Any) -> dict[str, Any]:
    return {"listen": {"to": to}}


def caught(**catch: Any) -> dict[str, Any]:
    return {"try": [{"c": NOOP}], "catch": {"do": [{"d": NOOP}], **catch}}


def retried(**retry: Any) -> dict[str, Any]:
    return caught(retry={"delay": {"seconds": 1}, **retry})


def script(**run: Any) -> dict[str, Any]:
    content = {"language": "js", "code": "return 1", **run.pop("script", {})}
    return {"run": {"script": content, **run}}


PAID = {"with": {"type": "paid"}}
MINUTE = {"after": {"minutes": 1}}
CASE = {"paid": {"when": "${ .paid }", "then": "b"}}


@pytest.mark.parametrize(
    ("do", "more"),
    [
        ({"wait": "${ .delay }"}, {}),
        ({"wait": {"seconds": 1}, "timeout": "short"}, {"use": {"timeouts": {"short": MINUTE}}}),
        (
            {"switch": [CASE, {"else": {"then": "exit"}}], "input": {"from": "${ . }"}},
            {},
        ),
        (
            {"switch": [CASE, {"else": {"then": "end"}}], "export": {"as": "${ . }"}},
            {},
        ),
        (
            {"raise": {"error": "lost"}},
            {"use": {"errors": {"lost": {"type": "https://a.example/lost", "status": 500}}}},
        ),
        (script(script={"environment": {"A": "1"}, "arguments": {"n": 1}}), {}),
        (
            {"for": {"in": "${ .items }"}, "while": "${ .n < 5 }", "do": [{"c": NOOP}]},
            {},
        ),
        (retried(jitter={"from": {"seconds": 1}, "to": {"seconds": 2}}), {}),
        (retried(backoff={"constant": {}}, limit={"attempt": {"count": 2}}), {}),
        (caught(errors={"with": {"status": 503, "details": "busy"}}), {}),
        (listen(any=[PAID], until={"one": {"with": {"type": "closed"}}}), {}),
        (listen(any=[PAID], until="${ . > 1 }"), {}),
        (listen(all=[PAID, {"with": {"type": "sent", "source": "shop"}}]), {}),
    ],
)
def test_a_rare_part_is_accepted(do: dict[str, Any], more: dict[str, Any]) -> None:
    """It compiles without an error."""
    assert errors(do, **more) == []


@pytest.mark.parametrize(
    ("do", "problem"),
    [
        ({"raise": {}}, "type and status of an error, or its name in use.errors"),
        ({"raise": {"error": "lost"}}, "use.errors has no 'lost'"),
        ({"switch": []}, "a switch needs a case"),
        ({"switch": ["paid"]}, "a case is an object with one member"),
        ({"switch": [{"paid": "b"}]}, "a case is an object, not a string"),
        ({"call": "tell", "with": [1]}, "an object"),
        ({"run": {}}, "run has one of container, script, shell, workflow"),
        (script(**{"await": False}), "run.await false"),
        (script(**{"return": "code"}), "run.return"),
        (script(script={"stdin": "x"}), "run.script.stdin"),
        (script(script={"arguments": {"a-b": 1}}), "'a-b' is no name that JavaScript has"),
        (
            {"run": {"workflow": {"namespace": "d", "name": "x", "version": "1"}, "return": "all"}},
            "run.return",
        ),
        (listen(), "to has one of one, any, all"),
        (listen(all=[]), "all needs an event"),
        (listen(one={}), "the attributes of the event, such as its type"),
        (listen(one={"with": {"type": "paid", "No-Name": "x"}}), "an attribute of an event has"),
        (listen(one={"with": {"type": "a b"}}), "the type 'a b' cannot be the name of a signal"),
        (listen(one=PAID, until="${ . }"), "until belongs to `any`"),
        ({"set": {"n": "${ " + "1+" * 40_000 + "1 }"}}, "an expression has at most"),
        ({"wait": "soon"}, "soon"),
        ({"wait": 5}, "a duration such as {seconds: 15}"),
        ({"wait": {}}, "the duration is empty"),
        ({"wait": {"days": 10**7}}, "a duration is at most"),
        ({**NOOP, "timeout": {}}, "a duration"),
        ({**NOOP, "timeout": "short"}, "use.timeouts has no 'short'"),
        ({**NOOP, "timeout": {"after": "${ .limit }"}}, "an expression as timeout"),
        ({**NOOP, "timeout": {"after": {"days": 4_000}}}, "is at most"),
        ({**NOOP, "input": {"schema": {"format": "avro"}}}, "schema format 'avro'"),
        ({**NOOP, "input": {"schema": {"resource": {"endpoint": "x"}}}}, "schema.resource"),
        ({"for": {}, "do": [{"c": NOOP}]}, "an expression that gives the list of items"),
        ({"fork": {"branches": []}}, "a fork needs at least one branch"),
        ({"fork": {"branches": ["c"]}}, "a branch is an object with one member"),
        (caught(**{"as": "a b"}), "the name of a variable"),
        (caught(errors={"with": {"type": "${ .type }"}}), "an expression in an error filter"),
        (retried(backoff={"exponential": {"factor": 3}}), "parameters of exponential backoff"),
        (
            retried(limit={"attempt": {"count": 2, "duration": {"seconds": 1}}}),
            "retry.limit.attempt.duration",
        ),
        (retried(delay="${ .delay }"), "an expression as duration"),
    ],
)
def test_a_wrong_part_is_named(do: dict[str, Any], problem: str) -> None:
    """The message says what would be right, or what to use instead."""
    found = errors(do)
    assert any(problem in each for each in found), found


def test_a_function_is_a_task() -> None:
    """One of `use.functions` is checked where it is called."""
    found = errors({"call": "tell"}, use={"functions": {"tell": 5}})
    assert any("a function is a task, not a number" in each for each in found), found


CONDITION = {"id": "paid", "expression": "input.paid"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"type": "function", "handlerId": "own.task"}, ""),
        (
            {"type": "function", "handlerId": "own.task", "code": "return 1"},
            "either code or handlerId, not both",
        ),
        (
            {"type": "function", "handlerId": "http.request"},
            "http.request is built in; a handler is the task type of a worker",
        ),
        ({"type": "delay"}, "how long to wait"),
        ({"type": "delay", "duration": "{{input.delay}}"}, ""),
        ({"type": "decision", "conditions": [CONDITION]}, ""),
        ({"type": "decision"}, "a list of {id, expression, language}"),
        ({"type": "decision", "conditions": ["paid"]}, "a condition is an object, not a string"),
        (
            {"type": "decision", "conditions": [CONDITION, {**CONDITION}]},
            "the id 'paid' is taken by another",
        ),
    ],
)
def test_a_task_resource_has_the_members_of_its_type(body: dict[str, Any], problem: str) -> None:
    """An empty problem is none."""
    kind = body.pop("type")
    source = resources(task("t", type=kind, **{kind: body}), workflow(node("a", "t")))
    found = [each.message for each in errors_in(problems(source))]
    assert any(problem in each for each in found) if problem else found == [], found
