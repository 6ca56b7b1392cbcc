"""`listen` of Serverless Workflow: events that are published reach the executions that wait."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.formats.test_serverless import answer_of, document, emits, ended_with, run


async def listening(suite: Suite, listen: Json, *, name: str, given: Json = None) -> str:
    """An execution whose first task listens, once it does."""
    definition = document({"hear": listen}, name=name, output={"as": "${ {heard: .} }"})
    execution_id = await suite.begin(await suite.define(definition), given)

    async def listens() -> bool:
        history = (await suite.get(f"/api/v1/executions/{execution_id}/history")).json
        return any(event["type"] == "WaitKeyed" for event in history["events"])

    await until(f"{name} listens", listens, within_s=20)
    return execution_id


async def publish(suite: Suite, type_: str, data: Json = None, **more: Json) -> None:
    answer = await suite.post("/api/v1/events", {"type": type_, "data": data, **more})
    assert answer.status in (200, 201, 202), answer.text


async def heard(suite: Suite, execution_id: str) -> Json:
    return ended_with(await answer_of(suite, execution_id))["heard"]


async def test_a_published_event_reaches_a_listen(suite: Suite) -> None:
    """One of the type ends the wait with its data; one of another type does not."""
    listen = {"listen": {"to": {"one": {"with": {"type": "pay.done"}}}}}
    execution_id = await listening(suite, listen, name="hears-one")
    await publish(suite, "pay.begun", {"sum": 1})
    await publish(suite, "pay.done", {"sum": 2})
    assert await heard(suite, execution_id) == [{"sum": 2}]


async def test_an_emitted_event_reaches_a_listen(suite: Suite) -> None:
    """Of every execution that listens, once each, and all that it waits for."""
    to = {"all": [{"with": {"type": "order.told"}}, {"with": {"type": "order.more"}}]}
    ids = [await listening(suite, {"listen": {"to": to}}, name=f"hears-{n}") for n in range(2)]
    await run(suite, document({"tell": emits(data={"n": 7})}, name="tells-listeners"))
    await publish(suite, "order.more", {"n": 8})
    assert [await heard(suite, each) for each in ids] == [[{"n": 7}, {"n": 8}]] * 2


async def test_an_event_is_filtered_by_its_data(suite: Suite) -> None:
    """Expressions over an attribute decide, or are compared with it; others are passed over."""
    wanted = {
        "type": "room.read",
        "source": "${ $input.source }",
        "data": "${ .temperature > $workflow.input.limit }",
    }
    listen = {"listen": {"to": {"any": [{"with": wanted}]}}}
    given = {"source": "/roof", "limit": 38}
    execution_id = await listening(suite, listen, name="hears-hot", given=given)
    await publish(suite, "room.read", {"temperature": 30}, source="/roof")
    await publish(suite, "room.read", {"temperature": 40}, source="/cellar")
    await publish(suite, "room.read", {"temperature": 39}, source="/roof")
    assert await heard(suite, execution_id) == [{"temperature": 39}]


ODD = {"with": {"type": "odd", "data": "${ .a + 1 > 0 }"}}
UNFIT_LISTENS = {
    "one": {"one": ODD},
    "any": {"any": [{"with": {"type": "odd", "data": "${ .b | keys | length > 3 }"}}, ODD]},
    "all": {"all": [ODD, {"with": {"type": "odd", "data": "${ .a == 1 }"}}]},
    "correlate": {
        "one": {
            "with": {"type": "odd"},
            "correlate": {"k": {"from": ".data.a + 1", "expect": "${ 2 }"}},
        }
    },
    "nothing": {"one": {"with": {"type": "odd", "data": "${ .a | numbers | . == 1 }"}}},
    "until": {"any": [{"with": {"type": "odd"}}], "until": "${ .[-1].a + 1 > 0 }"},
    "until events": {
        "any": [{"with": {"type": "other"}}],
        "until": {"one": ODD},
    },
}


@pytest.mark.long
@pytest.mark.parametrize("to", UNFIT_LISTENS.values(), ids=UNFIT_LISTENS.keys())
async def test_an_event_that_a_filter_does_not_fit_does_not_end_a_listen(
    suite: Suite, request: pytest.FixtureRequest, to: Json
) -> None:
    """The next one that fits does; the failure of the filter is in the history of the node."""
    name = f"hears-{request.node.callspec.id.replace(' ', '-')}"
    execution_id = await listening(suite, {"listen": {"to": to}}, name=name)
    await publish(suite, "odd", {"a": "x"})
    await publish(suite, "odd", {"a": 1})
    if "all" in to:
        await publish(suite, "odd", {"a": 1})
    found = await heard(suite, execution_id)
    assert {"a": 1} in found or "until events" in name.replace("-", " ")
    if "nothing" not in name:
        history = (await suite.get(f"/api/v1/executions/{execution_id}/history")).text
        assert '"problem"' in history


async def test_events_are_correlated(suite: Suite) -> None:
    """By a value that is expected, or by that of the first event; the envelope is read."""
    room = {"roomId": {"from": ".roomid"}}
    to = {
        "all": [
            {"with": {"type": "sensor.heat"}, "correlate": room},
            {"with": {"type": "sensor.wet"}, "correlate": room},
            {"with": {"type": "sensor.end"},
             "correlate": {"order": {"from": ".data.order", "expect": "${ .order }"}}},
        ],
    }  # fmt: skip
    listen = {"listen": {"to": to, "read": "envelope"}, "output": {"as": "map([.type, .roomid])"}}
    execution_id = await listening(suite, listen, name="correlates", given={"order": 4})
    for type_, data, room_id in (
        ("sensor.heat", 1, 7), ("sensor.wet", 2, 8), ("sensor.end", {"order": 3}, 7),
        ("sensor.heat", 3, 8), ("sensor.wet", 4, 7), ("sensor.end", {"order": 4}, 7),
    ):  # fmt: skip
        await publish(suite, type_, data, extensions={"roomid": room_id})
    found = await heard(suite, execution_id)
    assert found == [["sensor.heat", 7], ["sensor.wet", 7], ["sensor.end", 7]]


@pytest.mark.parametrize(
    ("stop", "data"),
    [("( . | length ) > 2", [1, 2, 3]), ({"one": {"with": {"type": "count.stop"}}}, [1, 2, 3, 4])],
)
async def test_a_listen_takes_events_until_it_is_enough(
    suite: Suite, stop: Json, data: list[int]
) -> None:
    """A condition over what was taken, or an event that is not taken itself."""
    to = {"any": [{"with": {"type": "count.up"}}], "until": stop}
    execution_id = await listening(suite, {"listen": {"to": to}}, name="counts")
    for number in range(1, 5):
        await publish(suite, "count.up", number)
    await publish(suite, "count.stop")
    assert await heard(suite, execution_id) == data


async def test_a_listen_to_any_takes_every_event(suite: Suite) -> None:
    """Without a filter the first event of the namespace ends it."""
    execution_id = await listening(suite, {"listen": {"to": {"any": []}}}, name="hears-all")
    await publish(suite, "whatever it is", {"n": 1})
    assert await heard(suite, execution_id) == [{"n": 1}]


async def test_a_listen_ends_with_its_timeout(suite: Suite) -> None:
    """What was taken until then is gone, and the registration with it."""
    to = {"any": [{"with": {"type": "late"}}], "until": ". | length > 1"}
    listen = {"listen": {"to": to}, "timeout": {"after": {"milliseconds": 800}}}
    execution_id = await listening(suite, listen, name="hears-late")
    error = ended_with(await answer_of(suite, execution_id))
    assert error["class"].endswith("/errors/timeout"), error
