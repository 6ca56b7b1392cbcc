"""`schedule` of Serverless Workflow as triggers, and what of it is refused."""

import json

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions import errors_in
from flowmesh.definitions.sources import load_workflow
from flowmesh.definitions.trigger_messages import trigger_message
from flowmesh.definitions.triggers import Cron, Events
from flowmesh.sandbox import Sandbox
from flowmesh.triggers import Filter, wants
from tests.unit.definitions.factories import problems, refusals
from tests.unit.definitions.formats.test_serverless import SET, source


def scheduled(schedule: Json) -> bytes:
    return source({"t": SET}, schedule=schedule)


def wanted(**attributes: str) -> Json:
    return {"with": attributes}


@pytest.mark.parametrize(
    ("schedule", "expression"),
    [
        ({"cron": "0 2 * * 1"}, "0 2 * * 1"),
        ({"every": {"seconds": 10}}, "*/10 * * * * *"),
        ({"every": {"seconds": 120}}, "*/2 * * * *"),
        ({"every": {"minutes": 60}}, "0 */1 * * *"),
        ({"every": "PT6H"}, "0 */6 * * *"),
        ({"every": {"hours": 24}}, "0 0 * * *"),
    ],
)
def test_a_clock_starts_executions(schedule: Json, expression: str) -> None:
    """By its expression, or by that of an interval which a clock has; the input is empty."""
    assert refusals(scheduled(schedule)) == []
    [trigger] = load_workflow(json.loads(scheduled(schedule))).triggers
    assert (trigger.id, trigger.source) == ("schedule", Cron(expression))
    assert (trigger.has_input, trigger.input) == (True, {})


def test_each_part_of_a_schedule_is_a_trigger() -> None:
    """They are numbered in the order of clock, interval and events."""
    given = {"on": {"one": wanted(type="a")}, "every": {"hours": 1}, "cron": "0 0 * * *"}
    found = load_workflow(json.loads(scheduled(given))).triggers
    assert [each.id for each in found] == ["schedule", "schedule-2", "schedule-3"]
    assert found[2].source == Events(type="a")


@pytest.mark.parametrize(
    ("filters", "event", "starts"),
    [
        ([wanted(type="a"), wanted(type="b")], ("a", "s"), 1),
        ([wanted(type="a"), wanted(type="b")], ("c", "s"), 0),
        ([wanted(type="a"), wanted(source="s")], ("a", "s"), 1),
        ([wanted(type="a"), wanted(source="s")], ("b", "s"), 1),
        ([wanted(type="a", source="s"), wanted(type="a")], ("a", "t"), 1),
        ([wanted(type="a"), wanted(type="a")], ("a", "s"), 1),
        ([wanted(source='"'), wanted(type="a"), wanted(source="s")], ("a", '"'), 1),
        ([wanted(source="ü😀"), wanted(type="a")], ("a", "ü😀"), 1),
        ([], ("a", "s"), 1),
    ],
)
async def test_an_event_starts_one_execution(
    filters: list[Json], event: tuple[str, str], starts: int
) -> None:
    """However many of the filters it matches."""
    given = scheduled({"on": {"any": filters}})
    assert refusals(given) == []
    triggers = [trigger_message(each) for each in load_workflow(json.loads(given)).triggers]
    value = {"type": event[0], "source": event[1]}
    filters_of = [(each, Filter(each.event.filter, "event", "a", Sandbox())) for each in triggers]
    matching = [
        each for each, one in filters_of if wants(each.event, value) and await one.holds(value)
    ]
    assert len(matching) == starts


@pytest.mark.parametrize(
    ("schedule", "feature"),
    [
        ({"after": {"minutes": 1}}, "schedule.after"),
        ({"every": {"minutes": 7}}, "schedule.every of 420000 ms"),
        ({"every": {"days": 2}}, "schedule.every of 172800000 ms"),
        ({"every": {"milliseconds": 500}}, "schedule.every of 500 ms"),
        ({"every": "${ .often }"}, "an expression as interval"),
        ({"on": {"all": [wanted(type="a")]}}, "schedule.on.all"),
        ({"on": {"any": [wanted(type="a")], "until": ".done"}}, "schedule.on.until"),
        ({"on": {"one": wanted(type="a", subject="b")}}, "an event filter by subject"),
        ({"on": {"one": wanted(type="orders.*")}}, "a pattern in an event filter"),
        ({"on": {"one": wanted(source="http://a/{b}")}}, "a pattern in an event filter"),
        ({"on": {"one": wanted(type="${ .a }")}}, "an expression in an event filter"),
        ({"on": {"one": {**wanted(type="a"), "correlate": {}}}}, "event correlation"),
    ],
)
def test_inexact_schedules_are_refused_by_name(schedule: Json, feature: str) -> None:
    """Nothing is taken for something like it."""
    [problem] = errors_in(problems(scheduled(schedule)))
    assert problem.code == "FEATURE_UNSUPPORTED"
    assert problem.message.startswith(f"{feature} is not supported")


@pytest.mark.parametrize(
    ("schedule", "code", "place"),
    [
        ({}, "DEFINITION_INVALID", "schedule"),
        (7, "DEFINITION_INVALID", "schedule"),
        ({"often": True}, "DEFINITION_INVALID", "schedule.often"),
        ({"cron": "0 0 0"}, "TRIGGER_INVALID", "schedule.cron"),
        ({"cron": "0 0 31 2 *"}, "TRIGGER_INVALID", "schedule.cron"),
        ({"cron": None}, "DEFINITION_INVALID", "schedule.cron"),
        ({"every": "soon"}, "TIMEOUT_INVALID", "schedule.every"),
        ({"every": {"seconds": 0}}, "TIMEOUT_INVALID", "schedule.every"),
        ({"on": {}}, "DEFINITION_INVALID", "schedule.on"),
        ({"on": {"one": {}}}, "DEFINITION_INVALID", "schedule.on.one.with"),
        ({"on": {"one": {"with": {}}}}, "DEFINITION_INVALID", "schedule.on.one.with"),
        ({"on": {"one": wanted(type=" ")}}, "DEFINITION_INVALID", "schedule.on.one.with.type"),
        ({"on": {"any": [7]}}, "DEFINITION_INVALID", "schedule.on.any[0]"),
        ({"on": {"any": [wanted(type="a")] * 101}}, "TRIGGER_INVALID", "schedule"),
    ],
)
def test_wrong_schedules_are_refused_with_code_and_place(
    schedule: Json, code: str, place: str
) -> None:
    """Each rule has a code and points at the member that breaks it."""
    assert refusals(scheduled(schedule)) == [(code, place)]
