"""CloudEvents over HTTP, written and read by the SDK of CloudEvents, and the AsyncAPI document."""

import json
import uuid
from typing import Any

import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_http_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

from flowmesh.gateway.asyncapi import document
from flowmesh.sdk import Client
from flowmesh.sdk.client.parts.subscriptions import Webhook
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from flowmesh.views import EVENT_TYPES, SIGNAL_FLOW
from tests.clients.programs import parse_asyncapi
from tests.features.events.test_subscriptions import client, name

__all__ = ["client", "name"]
EVENTS = "/api/v1/events"
BATCH = "application/cloudevents-batch+json"


def made(kind: str, **more: Any) -> CloudEvent:
    attributes = {"id": uuid.uuid4().hex, "source": "/sdk", "type": kind, "specversion": "1.0"}
    attributes["datacontenttype"] = "application/json"
    return CloudEvent(attributes | more, {"total": 9})


async def send(suite: Suite, message: HTTPMessage) -> Any:
    assert isinstance(message.body, bytes)
    return await suite.request("POST", EVENTS, data=message.body, headers=dict(message.headers))


@pytest.mark.feature("S3-48")
@pytest.mark.parametrize("mode", ["structured", "binary"])
async def test_events_of_the_sdk_come_out_as_they_went_in(
    suite: Suite, client: Client, world: World, name: str, mode: Any
) -> None:
    """Over HTTP in, and a webhook out, in the same mode; all attributes and the data are equal."""
    kind = f"sdk.{mode}"
    await client.subscriptions.put(name, Webhook(world.url("hook"), mode=mode), types=[kind])
    event = made(kind, subject="Straße 7", shop="north")
    write = to_structured_event if mode == "structured" else to_binary_event
    answer = await send(suite, write(event))
    assert (answer.status, answer.json["created"]) == (202, True), answer.text
    assert (await send(suite, write(event))).status == 200
    (call,) = await world.called("hook")

    got = from_http_event(HTTPMessage(call.headers, call.body))
    assert (got.get_id(), got.get_source(), got.get_type()) == (event.get_id(), "/sdk", kind)
    assert got.get_subject() == "Straße 7"
    assert (got.get_extension("shop"), got.get_data()) == ("north", {"total": 9})


async def test_a_batch_is_published_event_by_event(suite: Suite) -> None:
    """With the outcome of each; one that is malformed refuses the whole batch."""
    headers = {"Content-Type": BATCH}
    events = [
        {"specversion": "1.0", "id": uuid.uuid4().hex, "source": "/b", "type": kind}
        for kind in ("batch.one", "flowmesh.mine", "batch.two")
    ]
    answer = await suite.request("POST", EVENTS, data=json.dumps(events).encode(), headers=headers)
    outcomes = answer.json["events"]
    assert [each["created"] for each in outcomes] == [True, False, True]
    assert outcomes[1]["error"]["reason"] == "EVENT_INVALID"
    for batch, place in (
        ([*events, [events[0]]], "[3]"),
        ([{**events[0], "specversion": "0.3"}], "[0].specversion"),
        ({}, "array"),
    ):
        answer = await suite.request(
            "POST", EVENTS, data=json.dumps(batch).encode(), headers=headers
        )
        assert (answer.status, place in answer.json["error"]["message"]) == (400, True)
    most = [events[0]] * 101
    answer = await suite.request("POST", EVENTS, data=json.dumps(most).encode(), headers=headers)
    assert (answer.status, answer.json["error"]["reason"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("headers", "body", "status", "place"),
    [
        ({"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "t"}, b"{}", 400, "id"),
        ({"ce-specversion": "0.3", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}, b"", 400, "s"),
        ({"ce-id": "%0d%0ax", "ce-specversion": "1.0", "ce-source": "/", "ce-type": "t"}, b"",
         400, "id"),
        ({"ce-id": "%ff", "ce-specversion": "1.0", "ce-source": "/", "ce-type": "t"}, b"",
         400, "ce-id"),
        ({"ce-id": "1", "ce-specversion": "1.0", "ce-source": "/", "ce-type": "t",
          "Content-Type": "text/plain"}, b"x", 415, "JSON"),
        ({"ce-id": "1", "ce-specversion": "1.0", "ce-source": "/", "ce-type": "t",
          "Content-Type": "application/json"}, b"{", 400, ""),
        ({"Content-Type": "application/cloudevents+json"},
         b'{"specversion":"1.0","source":"/","type":"t"}', 400, "id"),
        ({"Content-Type": "application/cloudevents+json"},
         b'{"specversion":"1.0","id":"1","source":"/","type":"t","data_base64":"eA=="}', 400,
         "data_base64"),
        ({"Content-Type": "application/cloudevents+json"}, b"[]", 400, "event"),
    ],
)  # fmt: skip
async def test_events_that_are_none_are_refused(
    suite: Suite, headers: dict[str, str], body: bytes, status: int, place: str
) -> None:
    """With the attribute that is missing or wrong."""
    headers = {"Content-Type": "application/json"} | headers
    answer = await suite.request("POST", EVENTS, data=body, headers=headers)
    assert answer.status == status, answer.text
    assert place in answer.json["error"]["message"], answer.text


def test_asyncapi_has_every_type_of_event() -> None:
    """Of the contract, each as a message of the streams and as a CloudEvent of webhooks."""
    described = document()
    messages = described["components"]["messages"]
    assert {*EVENT_TYPES.values(), SIGNAL_FLOW} <= set(messages)
    clouds = described["channels"]["notifications"]["messages"]
    assert {f"Cloud{each}" for each in EVENT_TYPES.values()} <= set(clouds)


@pytest.mark.long
async def test_asyncapi_is_valid(suite: Suite) -> None:
    """The parser of AsyncAPI finds all channels, and no error; it finds a dangling reference."""
    answer = await suite.get("/asyncapi.json")
    parsed = await parse_asyncapi(json.dumps(answer.json).encode())
    errors = [each for each in parsed["problems"] if each["severity"] == 0]
    assert (errors, set(parsed["channels"])) == ([], set(answer.json["channels"]))
    described = answer.json
    del described["components"]["messages"]["TaskCompleted"]
    parsed = await parse_asyncapi(json.dumps(described).encode())
    assert any(each["severity"] == 0 for each in parsed["problems"])
