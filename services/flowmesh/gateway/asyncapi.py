"""The AsyncAPI 3.0 document, generated from the contract of events, the routes and the hub."""

from typing import Any

import msgspec

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.operation_docs import Route, SocketRoute
from flowmesh.gateway.http.requests import JSON
from flowmesh.gateway.hub import methods
from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.gateway.routes.executions import hub
from flowmesh.gateway.routes.subscriptions.published import publish_event
from flowmesh.telemetry.export import VERSION
from flowmesh.views import CLOUD_TYPES, EVENT_TYPES, SIGNAL_FLOW, cloud_type

_SCHEMA = "#/components/schemas/{name}"
_MESSAGE = "#/components/messages/{name}"
_CLOUD = "CloudEvent"
_CLOUD_JSON = "application/cloudevents+json"
# Operation ids of routes that stream events; channels have the same names.
_STREAMS = (
    "executionEvents",
    "executionEventsSocket",
    "namespaceEvents",
    "namespaceEventsSocket",
)
_HUB = "executionHub"
_PUBLISHED = "publishedEvents"
_NOTIFICATIONS = "notifications"
_TYPES = (*EVENT_TYPES.items(), ("signal_flow", SIGNAL_FLOW))
_Json = dict[str, Any]


def document() -> _Json:
    """Return the document, which is the same for every process of a version."""
    channels = _channels()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Flowmesh events",
            "version": VERSION,
            "description": "Events of Flowmesh: streams, the SignalR hub, webhooks, publications.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": channels,
        "operations": _operations(channels),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channels() -> _Json:
    lifecycle = [name for _, name in _TYPES]
    channels: _Json = {}
    streams: tuple[Route | SocketRoute, ...] = (*ROUTES, *SOCKETS)
    for route in streams:
        name = route.operation_id
        if name not in _STREAMS:
            continue
        channels[name] = _channel(route.path, route.operation.summary, lifecycle)
        parameters = {each: {"description": "An id."} for each in route.rules().paths}
        if parameters:
            channels[name]["parameters"] = parameters
        if isinstance(route, SocketRoute):
            channels[name]["bindings"] = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}
    channels[_HUB] = _channel(
        hub.HUB,
        "SignalR hub, JSON protocol 1",
        [f"Hub{name}" for name in (*methods.TARGETS, methods.OTHER, *methods.METHODS)],
    )
    channels[_HUB]["bindings"] = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}
    path = next(route.path for route in ROUTES if route.endpoint is publish_event)
    channels[_PUBLISHED] = _channel(path, "Events of clients", [_CLOUD])
    clouds = [f"Cloud{name}" for _, name in _TYPES if name != SIGNAL_FLOW]
    channels[_NOTIFICATIONS] = _channel(
        None, "Webhooks of durable subscriptions", [*clouds, _CLOUD]
    )
    return channels


def _channel(address: str | None, title: str, messages: list[str]) -> _Json:
    return {
        "address": address,
        "title": title,
        "messages": {name: {"$ref": _MESSAGE.format(name=name)} for name in messages},
    }


def _operations(channels: _Json) -> _Json:
    """Return the operations; `send` is what Flowmesh does."""
    operations: _Json = {}
    for name, channel in channels.items():
        own = list(channel["messages"])
        if name == _PUBLISHED:
            operations["publishEvent"] = _operation("receive", name, own)
            continue
        calls = [f"Hub{each}" for each in methods.METHODS]
        if name == _HUB:
            operations["callHub"] = _operation("receive", name, calls)
            own = [each for each in own if each not in calls]
        operations[f"send{name[0].upper()}{name[1:]}"] = _operation("send", name, own)
    return operations


def _operation(action: str, channel: str, messages: list[str]) -> _Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _messages() -> _Json:
    messages: _Json = {}
    for field, name in _TYPES:
        messages[name] = {"name": name, "title": name, "payload": _reference(name)}
        if name != SIGNAL_FLOW:
            messages[f"Cloud{name}"] = {
                "name": cloud_type(field),
                "contentType": _CLOUD_JSON,
                "payload": _cloud(cloud_type(field), _reference(name)),
            }
    for target in (*methods.TARGETS, methods.OTHER):
        event = _reference("Event" if target == methods.OTHER else target)
        messages[f"Hub{target}"] = {"name": target, "payload": _invocation(target, [event])}
    for method in methods.METHODS:
        messages[f"Hub{method}"] = {"name": method, "payload": _invocation(method, [])}
    messages[_CLOUD] = {
        "name": _CLOUD,
        "summary": f"An event of a client, or one of {CLOUD_TYPES}alert.*.",
        "contentType": _CLOUD_JSON,
        "payload": _reference(_CLOUD),
    }
    return messages


def _invocation(target: str, arguments: list[_Json]) -> _Json:
    return {
        "type": "object",
        "required": ["type", "target", "arguments"],
        "properties": {
            "type": {"const": 1},
            "target": {"const": target},
            "arguments": {"type": "array", **({"items": arguments[0]} if arguments else {})},
            "invocationId": {"type": "string"},
        },
    }


def _schemas() -> _Json:
    _, components = msgspec.json.schema_components((answers.Event,), ref_template=_SCHEMA)
    schemas: _Json = dict(components)
    messages = history_event_pb2.HistoryEvent.DESCRIPTOR.fields_by_name
    for field, name in _TYPES:
        kind = messages[field].message_type if field in messages else None
        known = kind.fields_by_name if kind is not None else {}
        required = ["type"]
        required += ["taskId"] if "node" in known or field == "signal_flow" else []
        required += ["attempt"] if "attempt" in known else []
        schemas[name] = {
            "allOf": [
                _reference("Event"),
                {"type": "object", "required": required, "properties": {"type": {"const": name}}},
            ]
        }
    schemas[_CLOUD] = _cloud(None, {})
    return schemas


def _cloud(kind: str | None, data: _Json) -> _Json:
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text,
            "source": text,
            "type": text if kind is None else {"const": kind},
            "subject": text,
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": JSON},
            "data": data,
        },
    }


def _reference(name: str) -> _Json:
    return {"$ref": _SCHEMA.format(name=name)}
