"""Values that a schema marks as sealed end to end: nothing in a definition looks into them."""

from typing import Any

import pytest

from flowmesh.plan.schemas import Schema
from tests.unit.definitions.factories import documents, node, refusals, task, workflow

CARD = {"type": "object", "properties": {"number": {"type": "string"}}, "x-encrypted": True}
INPUT = {"type": "object", "properties": {"card": CARD, "user": {"type": "string"}}}
SEALED = '{"type": "object", "properties": {"card": {"type": "string", "x-encrypted": true}}}'


def sealing(*nodes: Any, **spec: Any) -> bytes:
    return documents(workflow(*nodes, inputSchema=INPUT, **spec), task("pay", inputSchema=INPUT))


def test_a_sealed_value_is_passed_on_whole() -> None:
    """By itself, inside another value, with a default, and as the output."""
    source = sealing(
        node("a", input={"card": "{{input.card}}", "user": "{{input.user}}"}),
        {"id": "b", "taskRef": "pay", "input": {"card": "{{input.card}}"}},
        node("c", input={"card": '{{default(input.card, "none")}}'}, condition="has(input.card)"),
        output={"card": "{{input.card}}"},
    )
    assert refusals(source) == []


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"input": {"n": "{{input.card.number}}"}}, "documents[0].tasks[0].input.n"),
        ({"input": {"n": "card {{input.card}}"}}, "documents[0].tasks[0].input.n"),
        ({"input": {"n": "{{upper(input.card)}}"}}, "documents[0].tasks[0].input.n"),
        ({"condition": "input.card.number == '1'"}, "documents[0].tasks[0].condition"),
        ({"condition": "size(input['card']) > 1"}, "documents[0].tasks[0].condition"),
    ],
)
def test_a_template_or_condition_that_looks_inside_is_refused(more: Any, place: str) -> None:
    """With the place and the reason."""
    assert refusals(sealing(node("a", **more))) == [("SEALED_VALUE_READ", place)]


def test_a_sealed_output_of_a_task_is_as_closed() -> None:
    """In later steps and in the output of the workflow."""
    source = documents(
        workflow(node("a", "read"), node("b", input="{{tasks.a.output.card.number}}")),
        task("read", outputSchema=INPUT),
    )
    assert [code for code, _ in refusals(source)] == ["SEALED_VALUE_READ"]


def test_a_task_does_not_read_its_own_sealed_input() -> None:
    """In a text of its configuration."""
    http = {"method": "GET", "url": "http://service/{{input.card}}"}
    source = documents(
        {**task("get", type="http", http=http, inputSchema=INPUT)},
    )
    assert [code for code, _ in refusals(source)] == ["SEALED_VALUE_READ"]


def test_keys_and_search_attributes_are_not_made_of_it() -> None:
    """Not even of the whole value."""
    found = refusals(
        sealing(node("a"), searchAttributes={"card": {"type": "text", "from": "{{input.card}}"}})
    )
    assert [code for code, _ in found] == ["SEALED_VALUE_READ"]


def test_a_plain_value_does_not_flow_to_a_sealed_member() -> None:
    """A constant, and another member."""
    for given in ("4242", "{{input.user}}"):
        source = sealing({"id": "a", "taskRef": "pay", "input": {"card": given}})
        assert [code for code, _ in refusals(source)] == ["TYPE_MISMATCH"]


def test_a_plain_value_is_refused_by_the_schema() -> None:
    """So that a client without a key cannot send one by mistake."""
    schema = Schema(SEALED.encode())
    (problem,) = schema.problems({"card": "4242"})
    assert problem.path == ".card"
    assert schema.problems({"card": {"$sealed": {"kid": "k1", "data": "AAAA"}}}) == ()
