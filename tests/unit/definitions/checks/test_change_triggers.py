"""Change triggers of documents: as messages, as written, and their mistakes with the place."""

import orjson
import pytest

from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.definitions import errors_in, read_source, trigger_message
from flowmesh.definitions.checks.everything import check
from flowmesh.definitions.exports.export import export_source
from tests.unit.definitions.checks.test_triggers import loaded, native

CHANGE: Json = {
    "database": "shop",
    "table": "sales.orders",
    "operations": ["INSERT", "delete"],
    "filter": "event.data.after.total > 100.0",
    "publication": "orders",
    "signal": "row",
    "retainBytesMax": 1 << 30,
    "input": {"id": "{{event.data.after.id}}"},
}


def problems(**given: Json) -> dict[str, str]:
    """The places and messages of the errors of a trigger."""
    document = native({"id": "rows", "change": {"database": "shop", "table": "t", **given}})
    reading = read_source(orjson.dumps(document))
    found = errors_in([*reading.problems, *check(reading, lambda _: None)])
    return {each.place.removeprefix("triggers[0].change"): each.message for each in found}


def test_a_change_trigger_says_everything_that_reading_needs() -> None:
    """The message has each member, in the form that the event service reads."""
    message = trigger_message(loaded(native({"id": "rows", "change": CHANGE})).triggers[0])
    assert message.change == pb.ChangeTrigger(
        database="shop",
        table="sales.orders",
        operations=[pb.CHANGE_OPERATION_INSERT, pb.CHANGE_OPERATION_DELETE],
        filter="event.data.after.total > 100.0",
        publication="orders",
        signal="row",
        retain_bytes_max=1 << 30,
    )
    assert orjson.loads(message.input_template) == {"id": "{{event.data.after.id}}"}


def test_a_change_trigger_is_exported_as_it_was() -> None:
    """Through another format and back, the native one has every member again."""
    document = native({"id": "rows", "change": CHANGE | {"retainBytesMax": 1 << 31}})
    (steps,) = export_source(orjson.dumps(document), "", "steps")
    (written,) = export_source(orjson.dumps(steps), "", "native")
    operations = ["INSERT", "DELETE"]
    expected = CHANGE | {"retainBytesMax": 1 << 31, "operations": operations}
    assert written["spec"]["triggers"] == [{"id": "rows", "change": expected}]


@pytest.mark.parametrize(
    ("given", "place", "text"),
    [
        ({"database": None}, ".database", "must be a string"),
        ({"database": "a b"}, ".database", "a b"),
        ({"table": ""}, ".table", "is empty"),
        ({"table": "a.b.c"}, ".table", "write table or schema.table"),
        ({"table": "a."}, ".table", "write table or schema.table"),
        ({"table": "t\0"}, ".table", "NUL character"),
        ({"table": "t\n"}, ".table", "write table or schema.table"),
        ({"table": "é" * 32}, ".table", "at most 63 bytes"),
        ({"table": "t" * 64}, ".table", "at most 63 bytes"),
        ({"publication": "p" * 64}, ".publication", "at most 63 bytes"),
        ({"operations": []}, ".operations", "is empty"),
        ({"operations": ["INSERT", "TRUNCATE"]}, ".operations[1]", "INSERT, UPDATE, DELETE"),
        ({"operations": ["INSERT", "insert"]}, ".operations[1]", "there twice"),
        ({"operations": "INSERT"}, ".operations", "an array"),
        ({"filter": "event.data.after.total >"}, ".filter", ""),
        ({"filter": "message.body == 1"}, ".filter", "message"),
        ({"input": "{{payload.id}}"}, ".input", "payload"),
        ({"signal": "a b"}, ".signal", "a b"),
        ({"retainBytesMax": 16 * 1024**2 - 1}, ".retainBytesMax", "16777216"),
        ({"retainBytesMax": 1024**4 + 1}, ".retainBytesMax", "1099511627776"),
        ({"tables": "t"}, ".tables", "tables"),
    ],
)
def test_a_wrong_change_trigger_has_a_place(given: Json, place: str, text: str) -> None:
    """Each mistake is found by `validate`, at its member; the limits are accepted."""
    found = problems(**given)
    assert set(found) == {place}, found
    assert text in found[place]


def test_the_limits_of_a_change_trigger_are_accepted() -> None:
    """Names of 63 bytes, and the least and the most log."""
    for retained in (16 * 1024**2, 1024**4):
        long = "t" * 63
        assert problems(table=f"{long}.{long}", publication=long, retainBytesMax=retained) == {}
