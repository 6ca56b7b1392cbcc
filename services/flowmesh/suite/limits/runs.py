"""Bounds of steps, and of whole executions."""

from flowmesh.definition import limits as definition
from flowmesh.egress import bodies, client, headers
from flowmesh.engine import variables
from flowmesh.engine.children import begin as children
from flowmesh.engine.children import keys
from flowmesh.engine.decisions import approval_requests as approvals
from flowmesh.engine.decisions import delays
from flowmesh.engine.state import journal, pages, state
from flowmesh.executors import limits as executors
from flowmesh.expressions import conditions, templates
from flowmesh.filters import terms as filters
from flowmesh.orchestrator.bulk import bulks
from flowmesh.orchestrator.limits import ready_queues as ready
from flowmesh.orchestrator.model import concurrency_groups as lines
from flowmesh.orchestrator.model import search_attributes as attributes
from flowmesh.orchestrator.operations import control
from flowmesh.orchestrator.operations import limit_operations as limits
from flowmesh.orchestrator.retention import rules as retention_rules
from flowmesh.orchestrator.storage.stores import kept_signal_store as kept_signals
from flowmesh.plan import scope
from flowmesh.sandbox import child, pool, turns
from flowmesh.suite.limits.limit import Limit
from flowmesh.transforms import limits as transforms

_STEP = "worker, when the step runs"

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
        "nested ones take "
        f"{conditions.COMPREHENSION_COST_MAX:,} steps at most; so no clock is needed to stop one; "
        f"above {conditions.PROMPT_VALUES_MAX:,} values, or {conditions.PROMPT_COST_MAX:,} steps, "
        "it is evaluated in a process of the sandbox",
    ),
    Limit(
        "delay that is computed",
        delays.DELAY_MS_MAX,
        "ms",
        "ValidationError",
        "orchestrator, when the step begins",
        "as far off is the instant that a delay ends at, and what a durable handler waits for",
    ),
    Limit(
        "items of a map",
        scope.ITEMS_MAX,
        "items",
        "ValidationError",
        "orchestrator, when the map begins",
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
        f"counted once decompressed; above 1 MiB at most {bodies.RATIO_MAX} times what was sent",
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
    Limit(
        "CPU of a pipeline in a process of the sandbox",
        child.PIPELINE_CPU_MS_MAX,
        "ms",
        "ResourceLimit",
        _STEP,
        "with the reason CPU_LIMIT",
    ),
    Limit(
        "input and result of such a pipeline",
        child.PIPELINE_BYTES_MAX,
        "bytes",
        "ResourceLimit",
        _STEP,
    ),
    Limit(
        "calls of one namespace that wait for the sandbox",
        turns.WAITING_OF_ONE_MAX,
        "calls",
        "RateLimitError",
        _STEP,
        f"of all namespaces {turns.WAITING_MAX:,}; tried again by itself",
    ),
    Limit(
        "CPU of jq, JMESPath and JSONata",
        child.CPU_MS_MAX,
        "ms",
        "ResourceLimit",
        _STEP,
        "with the reason CPU_LIMIT",
    ),
    Limit(
        "process of jq and JMESPath",
        child.ADDRESS_SPACE_BYTES_MAX["jq"],
        "bytes",
        "ResourceLimit",
        _STEP,
        "all of its memory, the interpreter's included; results as those of JavaScript",
    ),
    Limit(
        "CPU of JavaScript",
        child.CPU_MS_MAX,
        "ms",
        "ResourceLimit",
        _STEP,
        "with the reason CPU_LIMIT",
    ),
    Limit("memory of JavaScript", child.HEAP_BYTES_MAX, "bytes", "ResourceLimit", _STEP),
    Limit("result of JavaScript", child.RESULT_BYTES_MAX, "bytes", "ResourceLimit", _STEP),
    Limit("input of JavaScript", pool.VARIABLES_BYTES_MAX, "bytes", "ResourceLimit", _STEP),
    Limit(
        "headers of a call in bytes", headers.HEADER_BYTES_MAX, "bytes", "ValidationError", _STEP
    ),
    Limit("nesting of an answer", executors.NESTING_MAX, "levels", "ValidationError", _STEP),
    Limit(
        "people that an approval asks",
        approvals.ASSIGNEES_MAX,
        "names",
        "ValidationError",
        "orchestrator, when the step begins",
    ),
    Limit(
        "name of a person that an approval asks",
        approvals.NAME_CHARACTERS_MAX,
        "characters",
        "ValidationError",
        "orchestrator, when the step begins",
    ),
    Limit(
        "executions below one another",
        children.DEPTH_MAX,
        "levels",
        "DepthLimit",
        "orchestrator, when the step begins",
    ),
    Limit(
        "key of a signal, a child or its id",
        keys.KEY_CHARACTERS_MAX,
        "characters",
        "ValidationError",
        "orchestrator, when the step begins",
    ),
    Limit(
        "records of the journal of a durable handler",
        journal.JOURNAL_RECORDS_MAX,
        "records",
        "ResourceLimit",
        "orchestrator",
    ),
    Limit(
        "values in the journal of a durable handler",
        journal.JOURNAL_BYTES_MAX,
        "bytes",
        "ResourceLimit",
        "orchestrator",
    ),
)
EXECUTIONS = (
    Limit(
        "events of a history",
        state.HISTORY_EVENTS_MAX,
        "events",
        "ResourceLimit",
        "orchestrator, after each command",
        "the execution fails, what runs is canceled; a task that succeeds at once is three events",
    ),
    Limit(
        "signals of an execution",
        state.SIGNALS_MAX,
        "signals",
        "SIGNALS_FULL",
        "orchestrator",
        "the execution continues without them",
    ),
    Limit(
        "inline payloads of the signals of an execution",
        state.SIGNALS_BYTES_MAX,
        "bytes",
        "SIGNALS_FULL",
        "orchestrator",
        "those that are stored and referred to are not counted",
    ),
    Limit(
        "signals with a key that a namespace keeps",
        kept_signals.KEPT_SIGNALS_MAX,
        "signals",
        "KEPT_SIGNALS_FULL",
        "orchestrator",
        "those with a time to live that no execution waits for yet",
    ),
    Limit(
        "values of the signals that a namespace keeps",
        kept_signals.KEPT_BYTES_MAX,
        "bytes",
        "KEPT_SIGNALS_FULL",
        "orchestrator",
        "inline and stored",
    ),
    Limit(
        "time to live of a signal with a key",
        kept_signals.TTL_MS_MAX,
        "ms",
        "REQUEST_INVALID",
        "orchestrator",
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
        "executions with a concurrency key",
        lines.MEMBERS_MAX,
        "executions",
        "START_QUEUE_FULL",
        "orchestrator, each process",
    ),
    Limit("filter", filters.FILTER_BYTES_MAX, "bytes", "FILTER_INVALID", "orchestrator"),
    Limit(
        "values of a filter", filters.FILTER_TERMS_MAX, "values", "FILTER_INVALID", "orchestrator"
    ),
    Limit(
        "nesting of a filter", filters.FILTER_DEPTH_MAX, "levels", "FILTER_INVALID", "orchestrator"
    ),
    Limit(
        "labels of an execution",
        attributes.LABELS_MAX,
        "labels",
        "SEARCH_ATTRIBUTE_INVALID",
        "orchestrator",
    ),
    Limit(
        "pace of a bulk", bulks.RATE_MAX, "executions a second", "REQUEST_INVALID", "orchestrator"
    ),
    Limit(
        "text of a label or search attribute",
        attributes.VALUE_CHARACTERS_MAX,
        "characters",
        "SEARCH_ATTRIBUTE_INVALID",
        "orchestrator",
    ),
    Limit(
        "value of a variable",
        control.VARIABLE_BYTES_MAX,
        "bytes",
        "PAYLOAD_TOO_LARGE",
        "orchestrator",
    ),
    Limit(
        "changes of the variables of an execution",
        variables.CHANGES_MAX,
        "changes",
        "VARIABLES_FULL",
        "orchestrator",
    ),
    Limit(
        "labels of the versions of a workflow",
        definition.LABELS_MAX,
        "labels",
        "LABELS_FULL",
        "definition",
    ),
    Limit(
        "retention of a namespace",
        retention_rules.RETENTION_MS_MAX,
        "ms",
        "RETENTION_INVALID",
        "orchestrator",
    ),
    Limit(
        "size of a queue",
        ready.READY_MAX,
        "tasks",
        "LIMIT_INVALID",
        "orchestrator",
        "as many wait in the memory of an orchestrator, further ones in the database",
    ),
    Limit(
        "concurrency of a limit at run time",
        limits.CONCURRENCY_MAX,
        "tasks",
        "LIMIT_INVALID",
        "orchestrator",
        "and the burst of its rate",
    ),
    Limit(
        "rate of a limit at run time",
        limits.RATE_MAX,
        "tasks a second",
        "LIMIT_INVALID",
        "orchestrator",
    ),
    Limit("weight of a namespace", limits.WEIGHT_MAX, "shares", "LIMIT_INVALID", "orchestrator"),
    Limit(
        "budget of retries at run time",
        limits.RETRIES_MAX,
        "retries per task that began",
        "LIMIT_INVALID",
        "orchestrator",
    ),
    Limit("subject of a limit", limits.SUBJECT_MAX, "characters", "LIMIT_INVALID", "orchestrator"),
    Limit("reason of a limit", limits.TEXT_MAX, "characters", "LIMIT_INVALID", "orchestrator"),
)
