"""Bounds of calls, and of reports by processes about themselves."""

from flowmesh import jsontext
from flowmesh.contract import limits as contract
from flowmesh.definition import limits as definition
from flowmesh.definitions import limits as definitions
from flowmesh.event.triggers import published
from flowmesh.gateway.http import limits as gateway
from flowmesh.gateway.routes import limits as routes
from flowmesh.jsontext import integers
from flowmesh.orchestrator.links import keys as link_keys
from flowmesh.orchestrator.model import payload_checks, plans
from flowmesh.orchestrator.model import request_checks as requests
from flowmesh.orchestrator.operations import control
from flowmesh.orchestrator.storage import payloads
from flowmesh.registry import instances
from flowmesh.rpc import limits as rpc
from flowmesh.runtime.http import server
from flowmesh.sdk import limits as sdk
from flowmesh.suite.limits.limit import Limit
from flowmesh.worker import limits as worker

CALLS = (
    Limit(
        "gRPC message",
        rpc.MESSAGE_BYTES_MAX,
        "bytes",
        "",
        "every gRPC server",
        "RESOURCE_EXHAUSTED of gRPC itself; holds the largest definition and what is around it",
    ),
    Limit(
        "gRPC metadata",
        rpc.REQUEST_METADATA_BYTES_MAX,
        "bytes",
        "",
        "every gRPC server",
        "RESOURCE_EXHAUSTED of gRPC itself: never below, sometimes above, always above twice this",
    ),
    Limit(
        "calls of a connection",
        rpc.PUBLIC_STREAMS_MAX,
        "calls",
        "",
        "the gRPC server of a gateway",
        "further ones wait in the client, or go by a connection of their own, as the SDK's do",
    ),
    Limit(
        "calls of a connection between services",
        rpc.SUITE_STREAMS_MAX,
        "calls",
        "",
        "the gRPC server of every other service",
        "further ones wait in the calling service",
    ),
    Limit(
        "HTTP connections",
        server.CONNECTIONS_MAX,
        "connections",
        "",
        "gateway",
        "further ones are refused with 503",
    ),
    Limit("REST body", gateway.BODY_BYTES_MAX, "bytes", "BODY_TOO_LARGE", "gateway"),
    Limit(
        "REST text",
        gateway.TEXT_CHARACTERS_MAX,
        "characters",
        "REQUEST_INVALID",
        "gateway",
        "such as the reason of a cancel",
    ),
    Limit("step of a series of counts", gateway.STEP_S_MAX, "s", "REQUEST_INVALID", "gateway"),
    Limit("nesting of a JSON value", jsontext.NESTING_MAX, "levels", "NESTING_TOO_DEEP", "gateway"),
    Limit(
        "integer of a JSON value",
        integers.INTEGER_MAX,
        "(2^64-1)",
        "JSON_INVALID",
        "everyone",
        "and at least -2^63; write larger ones as strings; a task that returns one, or an HTTP"
        " answer with one, fails as ValidationError",
    ),
    Limit(
        "id",
        definitions.ID_CHARACTERS_MAX,
        "characters",
        "ID_INVALID",
        "everyone",
        "of A-Z a-z 0-9 . _ : -",
    ),
    Limit("request id", requests.REQUEST_ID_MAX, "characters", "REQUEST_INVALID", "orchestrator"),
    Limit(
        "filter of a list",
        definition.FILTER_CHARACTERS_MAX,
        "characters",
        "FILTER_INVALID",
        "definition",
    ),
    Limit(
        "terms of a filter", definition.FILTER_TERMS_MAX, "terms", "FILTER_INVALID", "definition"
    ),
    Limit(
        "payload inside a message",
        contract.INLINE_BYTES_MAX,
        "bytes",
        "PAYLOAD_TOO_LARGE",
        "orchestrator",
        "larger ones are stored first and referred to; the gateway does it itself",
    ),
    Limit(
        "media type of a payload",
        payload_checks.ENCODING_CHARACTERS_MAX,
        "characters",
        "REQUEST_INVALID",
        "orchestrator",
    ),
    Limit(
        "stored payload",
        payloads.STORED_BYTES_MAX,
        "bytes",
        "PAYLOAD_TOO_LARGE",
        "gateway, orchestrator",
    ),
    Limit(
        "page of a list",
        gateway.PAGE_SIZE_MAX,
        "items",
        "REQUEST_INVALID",
        "gateway",
        f"of dead letters {routes.DEAD_LETTERS_MAX}",
    ),
    Limit(
        "duration of a node in an analysis",
        definition.DURATION_MS_MAX,
        "ms",
        "REQUEST_INVALID",
        "definition, when an analysis is asked for",
    ),
    Limit(
        "paths of an analysis",
        definitions.PATHS_MAX,
        "paths",
        "REQUEST_INVALID",
        "gateway",
        f"of {definitions.PATH_NODES_MAX:,} nodes in all; what is left out is counted",
    ),
    Limit(
        "page of a history", gateway.HISTORY_PAGE_SIZE_MAX, "events", "REQUEST_INVALID", "gateway"
    ),
    Limit(
        "wait for an end",
        gateway.SYNC_WAIT_MS_MAX,
        "ms",
        "REQUEST_INVALID",
        "gateway",
        "of one call; a client that waits longer calls again",
    ),
    Limit("body of a webhook", gateway.WEBHOOK_BYTES_MAX, "bytes", "PAYLOAD_TOO_LARGE", "gateway"),
    Limit("form of an approval link", gateway.FORM_BYTES_MAX, "bytes", "BODY_TOO_LARGE", "gateway"),
    Limit(
        "fields of the form of an approval link",
        gateway.FORM_FIELDS_MAX,
        "fields",
        "REQUEST_INVALID",
        "gateway",
    ),
    Limit(
        "validity of an approval link",
        link_keys.VALID_MS_MAX,
        "ms",
        "REQUEST_INVALID",
        "orchestrator",
        "and never longer than the deadline",
    ),
    Limit(
        "name of the person who decides",
        control.NAME_MAX,
        "characters",
        "REQUEST_INVALID",
        "orchestrator",
    ),
    Limit(
        "permissions of a start",
        requests.PERMISSIONS_MAX,
        "names",
        "REQUEST_INVALID",
        "orchestrator",
    ),
    Limit("breakpoints", plans.BREAKPOINTS_MAX, "nodes", "REQUEST_INVALID", "orchestrator"),
    Limit(
        "actor and reason of a change of definitions",
        definition.TEXT_CHARACTERS_MAX,
        "characters",
        "REQUEST_INVALID",
        "definition",
    ),
    Limit(
        "id of a published event",
        published.ID_CHARACTERS_MAX,
        "characters",
        "EVENT_INVALID",
        "event",
    ),
    Limit(
        "source, type or subject of a published event",
        published.ATTRIBUTE_CHARACTERS_MAX,
        "characters",
        "EVENT_INVALID",
        "event",
        f"source and id together at most {published.NAMES_BYTES_MAX:,} bytes",
    ),
    Limit(
        "data of a published event", published.DATA_BYTES_MAX, "bytes", "PAYLOAD_TOO_LARGE", "event"
    ),
)
PROCESSES = (
    Limit("slots of a worker", worker.WORKER_SLOTS_MAX, "slots", "HELLO_INVALID", "worker"),
    Limit("task types of a worker", worker.WORKER_NAMES_MAX, "names", "HELLO_INVALID", "worker"),
    Limit(
        "capabilities of an instance",
        instances.CAPABILITIES_MAX,
        "names",
        "INSTANCE_INVALID",
        "registry",
    ),
    Limit(
        "metadata of an instance",
        instances.METADATA_BYTES_MAX,
        "bytes",
        "INSTANCE_INVALID",
        "registry",
    ),
    Limit(
        "endpoint of an instance",
        instances.ENDPOINT_MAX,
        "characters",
        "INSTANCE_INVALID",
        "registry",
    ),
    Limit(
        "timeout of a health check",
        instances.CHECK_TIMEOUT_MAX_MS,
        "ms",
        "INSTANCE_INVALID",
        "registry",
    ),
    Limit(
        "threshold of a health check",
        instances.CHECK_THRESHOLD_MAX,
        "checks",
        "INSTANCE_INVALID",
        "registry",
    ),
    Limit(
        "path of a health check",
        instances.PATH_MAX,
        "characters",
        "INSTANCE_INVALID",
        "registry",
    ),
    Limit("heartbeat interval", instances.INTERVAL_MAX_MS, "ms", "INSTANCE_INVALID", "registry"),
    Limit("labels of a worker", worker.WORKER_LABELS_MAX, "labels", "HELLO_INVALID", "worker"),
    Limit(
        "tasks that a worker says it still has",
        worker.HELD_TOKENS_MAX,
        "tasks",
        "HELLO_INVALID",
        "worker",
    ),
    Limit(
        "results that a worker sends ahead",
        worker.WORKER_RESULTS_MAX,
        "results",
        "OVERLOADED",
        "worker",
    ),
    Limit("name of an instance", instances.NAME_MAX, "characters", "INSTANCE_INVALID", "registry"),
    Limit(
        "credential of a client",
        sdk.CREDENTIAL_BYTES_MAX,
        "bytes",
        "CREDENTIAL_MALFORMED",
        "Python SDK",
    ),
    Limit("details of a heartbeat", sdk.HEARTBEAT_BYTES_MAX, "bytes", "ValueError", "Python SDK"),
    Limit(
        "processes of a worker",
        sdk.WORKER_PROCESSES_MAX,
        "processes",
        "REQUEST_INVALID",
        "Python SDK",
    ),
)
