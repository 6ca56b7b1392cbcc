"""Sensitive members: found in schemas, and masked in values and payloads."""

import orjson

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.contract.json_value import Json
from flowmesh.plan.schemas import Schema
from flowmesh.schemas.sensitive import sensitive_paths
from flowmesh.views.masking import masked_message, masked_payload, masked_value

SECRET: Json = {"type": "string", "x-sensitive": True}


def paths(schema: Json) -> tuple[str, ...]:
    return sensitive_paths(orjson.dumps(schema))


def test_marks_are_found_behind_references_and_choices() -> None:
    """Local references, `allOf`, items, additional members, and names with slashes."""
    card = {"properties": {"pin": {"writeOnly": True}}}
    schema: Json = {
        "$defs": {"card": card},
        "properties": {
            "a/b": {"type": "array", "items": {"$ref": "#/$defs/card"}},
            "more": {"additionalProperties": SECRET},
        },
        "allOf": [{"properties": {"token": SECRET}}],
    }
    assert paths(schema) == ("/a~1b/*/pin", "/more/*", "/token")
    assert paths({"properties": {"writeOnly": {"type": "string"}}}) == ()
    tree: Json = {"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"s": SECRET}}}}
    tree["$defs"]["t"]["properties"]["next"] = {"$ref": "#/$defs/t"}
    assert "/next/next/s" in paths(tree)


def test_members_are_masked_where_they_are() -> None:
    """Absent ones stay absent, null stays null, and other members as they are."""
    value: Json = {"a": [{"pin": 1}, {"pin": None}, {}], "b": "kept"}
    masked: Json = {"a": [{"pin": "***"}, {"pin": None}, {}], "b": "kept"}
    assert masked_value(value, ("/a/*/pin", "/missing/x")) == masked
    assert masked_value("text", ("",)) == "***"


def test_a_payload_that_cannot_be_opened_is_masked_as_a_whole() -> None:
    """Stored values, other encodings and malformed JSON."""
    reference = payload_pb2.PayloadReference(digest="0" * 64, size_bytes=9)
    for payload in (
        payload_pb2.Payload(reference=reference, sensitive=["/a"]),
        payload_pb2.Payload(encoding="text/plain", data=b"secret", sensitive=[""]),
        payload_pb2.Payload(data=b'{"a": "secret', sensitive=["/a"]),
    ):
        shown = masked_payload(payload)
        assert shown.data == b'"***"'
        assert not shown.HasField("reference")
    plain = payload_pb2.Payload(data=b"1")
    assert masked_payload(plain) is plain


def test_a_message_is_copied_only_if_it_has_sensitive_members() -> None:
    """Nested payloads are found; the message that others share stays as it is."""
    execution = execution_pb2.Execution(nodes=[execution_pb2.Node(id="a")])
    execution.nodes[0].output.data = b'{"token":"secret","n":1}'
    assert masked_message(execution) is execution
    execution.nodes[0].output.sensitive.append("/token")
    shown = masked_message(execution)
    assert shown.nodes[0].output.data == b'{"token":"***","n":1}'
    assert b"secret" in execution.nodes[0].output.data


def test_problems_of_a_schema_with_marks_have_no_values() -> None:
    """The message names the keyword and the place."""
    schema = Schema(orjson.dumps({"properties": {"token": {**SECRET, "maxLength": 3}}}))
    (problem,) = schema.problems({"token": "canary-value"})
    assert problem.path == ".token"
    assert "canary" not in problem.message
