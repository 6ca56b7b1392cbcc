"""Every bound that a caller can meet, in one table: what, how much, which reason, and who says so.

The values are the named constants of the code that enforces them. `docs/limits.md` is made of
this, and tests go to each limit, one above it, and a hundred times above.
"""

from dataclasses import dataclass

from flowmesh import engine
from flowmesh.definition import limits as definition
from flowmesh.definitions import limits as definitions
from flowmesh.definitions.checks import bodies as checks
from flowmesh.egress import bodies, client, headers
from flowmesh.engine import pages
from flowmesh.executors import limits as executors
from flowmesh.expressions import cel_source, conditions, jsonpath, parser, templates
from flowmesh.filters import terms as filters
from flowmesh.gateway import limits as gateway
from flowmesh.orchestrator import attributes, bulks, lines, payloads, requests
from flowmesh.plan import scope
from flowmesh.registry import instances
from flowmesh.rpc import limits as rpc
from flowmesh.runtime import http
from flowmesh.sandbox import child, pool, syntax
from flowmesh.transforms import limits as transforms
from flowmesh.worker import limits as worker

_CHECKED = "definition, when it is registered"
_STEP = "worker, when the step runs"


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound: `value` is the largest that is accepted.

    `reason` is that of the refusal, empty where a library below answers without one of ours, or a
    failure class where a step fails of it. `note` says what the number alone does not.
    """

    what: str
    value: float
    unit: str
    reason: str
    where: str
    note: str = ""


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
        http.CONNECTIONS_MAX,
        "connections",
        "",
        "gateway",
        "further ones are answered 503",
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
    Limit("nesting of a JSON value", gateway.NESTING_MAX, "levels", "NESTING_TOO_DEEP", "gateway"),
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
        payloads.INLINE_BYTES_MAX,
        "bytes",
        "PAYLOAD_TOO_LARGE",
        "orchestrator",
        "larger ones are stored first and referred to; the gateway does it itself",
    ),
    Limit(
        "media type of a payload",
        payloads.ENCODING_CHARACTERS_MAX,
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
)
DEFINITIONS = (
    Limit("definition", definitions.SOURCE_BYTES_MAX, "bytes", "DEFINITION_TOO_LARGE", _CHECKED),
    Limit(
        "documents of a source",
        definitions.DOCUMENTS_MAX,
        "documents",
        "DEFINITION_TOO_LARGE",
        _CHECKED,
    ),
    Limit(
        "nesting of a definition", definitions.NESTING_MAX, "levels", "NESTING_TOO_DEEP", _CHECKED
    ),
    Limit(
        "nodes of a workflow",
        definitions.NODES_MAX,
        "nodes",
        "GRAPH_TOO_LARGE",
        _CHECKED,
        "with those in maps",
    ),
    Limit(
        "dependencies of a workflow", definitions.EDGES_MAX, "edges", "GRAPH_TOO_LARGE", _CHECKED
    ),
    Limit("bodies in bodies", definitions.BODY_DEPTH_MAX, "levels", "NESTING_TOO_DEEP", _CHECKED),
    Limit(
        "rounds of a loop", definitions.LOOP_ROUNDS_MAX, "rounds", "DEFINITION_INVALID", _CHECKED
    ),
    Limit(
        "concurrency of a map",
        definitions.MAP_CONCURRENCY_MAX,
        "items",
        "DEFINITION_INVALID",
        _CHECKED,
    ),
    Limit(
        "display name",
        definitions.NAME_CHARACTERS_MAX,
        "characters",
        "DEFINITION_INVALID",
        _CHECKED,
    ),
    Limit(
        "description",
        definitions.DESCRIPTION_CHARACTERS_MAX,
        "characters",
        "DEFINITION_INVALID",
        _CHECKED,
    ),
    Limit("URL", definitions.URL_CHARACTERS_MAX, "characters", "DEFINITION_INVALID", _CHECKED),
    Limit("labels", definitions.LABELS_MAX, "labels", "DEFINITION_INVALID", _CHECKED),
    Limit("label", definitions.LABEL_CHARACTERS_MAX, "characters", "DEFINITION_INVALID", _CHECKED),
    Limit("timeout", definitions.TIMEOUT_MS_MAX, "ms", "TIMEOUT_INVALID", _CHECKED),
    Limit("delay", definitions.DELAY_MS_MAX, "ms", "TIMEOUT_INVALID", _CHECKED),
    Limit(
        "attempts of a retry policy",
        definitions.RETRY_ATTEMPTS_MAX,
        "attempts",
        "RETRY_INVALID",
        _CHECKED,
    ),
    Limit(
        "delay of a retry policy", definitions.RETRY_DELAY_MS_MAX, "ms", "RETRY_INVALID", _CHECKED
    ),
    Limit(
        "classes of a retry policy",
        definitions.RETRY_CLASSES_MAX,
        "classes",
        "RETRY_INVALID",
        _CHECKED,
    ),
    Limit("JSON Schema", definitions.SCHEMA_BYTES_MAX, "bytes", "SCHEMA_TOO_COMPLEX", _CHECKED),
    Limit("subschemas", definitions.SCHEMA_NODES_MAX, "schemas", "SCHEMA_TOO_COMPLEX", _CHECKED),
    Limit(
        "regular expression",
        definitions.REGEX_CHARACTERS_MAX,
        "characters",
        "REGEX_UNSUPPORTED",
        _CHECKED,
        "RE2: linear in what it is matched with",
    ),
    Limit(
        "condition",
        conditions.SOURCE_CHARACTERS_MAX,
        "characters",
        "EXPRESSION_TOO_COMPLEX",
        _CHECKED,
    ),
    Limit(
        "parts of a condition", cel_source.NODES_MAX, "parts", "EXPRESSION_TOO_COMPLEX", _CHECKED
    ),
    Limit(
        "comprehensions in comprehensions",
        cel_source.COMPREHENSION_NESTING_MAX,
        "levels",
        "EXPRESSION_TOO_COMPLEX",
        _CHECKED,
    ),
    Limit(
        "parts of a JSONPath",
        jsonpath.TOKENS_MAX,
        "parts",
        "EXPRESSION_TOO_COMPLEX",
        _CHECKED,
        f"an evaluation takes at most {jsonpath.STEPS_MAX:,} steps over its data",
    ),
    Limit(
        "conditions of a decision",
        checks.CONDITIONS_MAX,
        "conditions",
        "EXPRESSION_TOO_COMPLEX",
        _CHECKED,
    ),
    Limit(
        "references of a template",
        templates.REFERENCES_MAX,
        "references",
        "TEMPLATE_INVALID",
        _CHECKED,
    ),
    Limit(
        "calls inside calls of a template",
        parser.CALLS_NESTING_MAX,
        "levels",
        "TEMPLATE_INVALID",
        _CHECKED,
    ),
    Limit(
        "operations of a pipeline",
        transforms.OPERATIONS_MAX,
        "operations",
        "PIPELINE_INVALID",
        _CHECKED,
    ),
    Limit(
        "pattern of a pipeline",
        transforms.PATTERN_CHARACTERS_MAX,
        "characters",
        "PIPELINE_INVALID",
        _CHECKED,
    ),
    Limit(
        "nesting of pipelines",
        transforms.PIPELINE_DEPTH_MAX,
        "levels",
        "PIPELINE_INVALID",
        _CHECKED,
        "those inside count among the operations of the outermost",
    ),
    Limit(
        "jq and JMESPath", syntax.CODE_CHARACTERS_MAX, "characters", "EXPRESSION_INVALID", _CHECKED
    ),
    Limit("JavaScript", syntax.CODE_CHARACTERS_MAX, "characters", "DEFINITION_INVALID", _CHECKED),
)
RUNS = (
    Limit(
        "text that a template writes",
        templates.STRING_BYTES_MAX,
        "bytes",
        "ValidationError",
        "orchestrator, when the step begins",
        "8 MiB over all texts of one value",
    ),
    Limit(
        "values a comprehension looks at",
        conditions.VALUES_MAX,
        "values",
        "ValidationError",
        "worker, when the condition is evaluated",
        "beside a bound on the product of nested ones; so no clock is needed to stop one",
    ),
    Limit(
        "items of a map",
        scope.ITEMS_MAX,
        "items",
        "ValidationError",
        "orchestrator, when the map begins",
    ),
    Limit(
        "pages of a map",
        definitions.MAP_PAGES_MAX,
        "pages",
        "DEFINITION_INVALID",
        _CHECKED,
        "1,000 unless `maxPages` says otherwise; one more fails the map as `ResourceLimit`",
    ),
    Limit(
        "cursor of a page",
        pages.CURSOR_BYTES_MAX,
        "bytes",
        "ResourceLimit",
        "orchestrator, when the page before it has come",
    ),
    Limit(
        "answer of a called service",
        bodies.RESPONSE_BYTES_MAX,
        "bytes",
        "ValidationError",
        _STEP,
        "counted once decompressed; above 1 MiB at most 100 times what was sent",
    ),
    Limit("redirects", client.REDIRECTS_MAX, "hops", "ClientError", _STEP),
    Limit(
        "headers of a call",
        headers.HEADERS_MAX,
        "headers",
        "ValidationError",
        _STEP,
        "with those that the suite adds",
    ),
    Limit("XML answer", executors.XML_BYTES_MAX, "bytes", "ValidationError", _STEP),
    Limit("nesting of XML", executors.XML_DEPTH_MAX, "levels", "ValidationError", _STEP),
    Limit("items of a pipeline", transforms.ITEMS_MAX, "items", "ValidationError", _STEP),
    Limit(
        "items of all operations of a pipeline",
        transforms.WORK_ITEMS_MAX,
        "items",
        "ValidationError",
        _STEP,
    ),
    Limit(
        "text that an operation writes",
        transforms.TEXT_CHARACTERS_MAX,
        "characters",
        "ValidationError",
        _STEP,
    ),
    Limit(
        "result of an operation",
        transforms.VALUE_BYTES_MAX,
        "bytes",
        "ValidationError",
        _STEP,
        "estimated, where a value may stand in it more than once",
    ),
    Limit("time of jq and JMESPath", child.CPU_MS_MAX, "ms", "Timeout", _STEP),
    Limit(
        "process of jq and JMESPath",
        child.ADDRESS_SPACE_BYTES_MAX["jq"],
        "bytes",
        "ResourceLimit",
        _STEP,
        "all of its memory, the interpreter's included; results as those of JavaScript",
    ),
    Limit("CPU of JavaScript", child.CPU_MS_MAX, "ms", "Timeout", _STEP),
    Limit("memory of JavaScript", child.HEAP_BYTES_MAX, "bytes", "ResourceLimit", _STEP),
    Limit("result of JavaScript", child.RESULT_BYTES_MAX, "bytes", "ResourceLimit", _STEP),
    Limit("input of JavaScript", pool.VARIABLES_BYTES_MAX, "bytes", "ResourceLimit", _STEP),
)
EXECUTIONS = (
    Limit(
        "events of a history",
        engine.HISTORY_EVENTS_MAX,
        "events",
        "ResourceLimit",
        "orchestrator, after each command",
        "the execution fails, what runs is canceled; a task that succeeds at once is three events",
    ),
    Limit(
        "signals of an execution",
        engine.SIGNALS_MAX,
        "signals",
        "SIGNALS_FULL",
        "orchestrator",
        "the execution goes on without them",
    ),
    Limit(
        "inline payloads of the signals of an execution",
        engine.SIGNALS_BYTES_MAX,
        "bytes",
        "SIGNALS_FULL",
        "orchestrator",
        "those that are stored and referred to are not counted",
    ),
    Limit(
        "executions of a key that wait to begin",
        lines.WAITING_MAX,
        "executions",
        "START_QUEUE_FULL",
        "orchestrator",
        "by the start policy of their workflow",
    ),
    Limit(
        "executions in lines with a key",
        lines.MEMBERS_MAX,
        "executions",
        "START_QUEUE_FULL",
        "orchestrator, each process",
    ),
    Limit("filter", filters.FILTER_BYTES_MAX, "bytes", "FILTER_INVALID", "orchestrator"),
    Limit("values of a filter", filters.FILTER_TERMS_MAX, "values", "FILTER_INVALID",
          "orchestrator"),
    Limit("nesting of a filter", filters.FILTER_DEPTH_MAX, "levels", "FILTER_INVALID",
          "orchestrator"),
    Limit("labels of an execution", attributes.LABELS_MAX, "labels", "SEARCH_ATTRIBUTE_INVALID",
          "orchestrator"),
    Limit("pace of a bulk", bulks.RATE_MAX, "executions a second", "REQUEST_INVALID",
          "orchestrator"),
)  # fmt: skip
PROCESSES = (
    Limit("slots of a worker", worker.WORKER_SLOTS_MAX, "slots", "HELLO_INVALID", "worker"),
    Limit("task types of a worker", worker.WORKER_NAMES_MAX, "names", "HELLO_INVALID", "worker"),
    Limit("capabilities of an instance", instances.CAPABILITIES_MAX, "names", "INSTANCE_INVALID",
          "registry"),
    Limit("metadata of an instance", instances.METADATA_BYTES_MAX, "bytes", "INSTANCE_INVALID",
          "registry"),
    Limit("endpoint of an instance", instances.ENDPOINT_MAX, "characters", "INSTANCE_INVALID",
          "registry"),
    Limit("heartbeat interval", instances.INTERVAL_MAX_MS, "ms", "INSTANCE_INVALID", "registry"),
)  # fmt: skip

LIMITS = (*CALLS, *DEFINITIONS, *RUNS, *EXECUTIONS, *PROCESSES)
