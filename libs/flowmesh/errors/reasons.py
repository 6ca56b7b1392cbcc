"""The table of reasons: the meaning of each and the remedy."""

from dataclasses import dataclass

from flowmesh.errors import tree


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable reason, its error class, and its meaning for users."""

    name: str
    error: type[tree.FlowmeshError]
    meaning: str


def table_of(*reasons: Reason) -> dict[str, Reason]:
    """Return the reasons by name. Raise ValueError for a duplicate name."""
    table: dict[str, Reason] = {}
    for reason in reasons:
        if reason.name in table:
            raise ValueError(f"the reason {reason.name} is listed twice")
        table[reason.name] = reason
    return table


# fmt: off
REASONS = table_of(
    # requests
    Reason("REQUEST_INVALID", tree.Invalid, "A field of the request is missing, unknown or of the wrong type."),
    Reason("MESSAGE_MALFORMED", tree.Invalid, "The bytes are not a message of this method."),
    Reason("ENUM_UNKNOWN", tree.Invalid, "An enum field holds a value this version does not know."),
    Reason("JSON_INVALID", tree.Invalid, "The text is not JSON, or a number in it cannot be represented exactly."),
    Reason("YAML_INVALID", tree.Invalid, "The text is not YAML."),
    Reason("YAML_FORBIDDEN", tree.Invalid, "YAML aliases, tags and duplicate keys are not accepted."),
    Reason("NESTING_TOO_DEEP", tree.Invalid, "Values may be nested 64 levels deep, maps and other bodies 8."),
    Reason("INVALID_UTF8", tree.Invalid, "Text must be UTF-8 without lone surrogates."),
    Reason("STRING_HAS_NUL", tree.Invalid, "Text must not hold NUL characters."),
    Reason("ID_INVALID", tree.Invalid, "Ids match [A-Za-z0-9._:-]{1,128}."),
    Reason("PAGE_TOKEN_INVALID", tree.Invalid, "The page token was not issued by this list."),
    Reason("FILTER_INVALID", tree.Invalid, "The filter does not follow the list's grammar."),
    Reason("CURSOR_INVALID", tree.Invalid, "The cursor was not issued by this stream."),
    Reason("CURSOR_EXPIRED", tree.Gone, "The stream no longer holds the events after the cursor."),
    Reason("ROUTE_NOT_FOUND", tree.NotFound, "No such path; /openapi.json lists all paths."),
    Reason("METHOD_NOT_ALLOWED", tree.MethodNotAllowed, "The path does not support this method; the Allow header lists those that it does."),
    Reason("UPGRADE_REQUIRED", tree.UpgradeRequired, "The path is a WebSocket endpoint; send an upgrade request."),
    Reason("HOST_NOT_ALLOWED", tree.Forbidden, "The server is not served under this host name; FLOWMESH_HTTP_HOSTS lists further ones."),
    Reason("ORIGIN_NOT_ALLOWED", tree.Forbidden, "A web page of a foreign origin sent the request; FLOWMESH_HTTP_ORIGINS lists the allowed ones."),
    Reason("CONTENT_TYPE_UNSUPPORTED", tree.UnsupportedMediaType, "The body's content type or encoding is not accepted here."),
    Reason("BODY_TOO_LARGE", tree.TooLarge, "Request bodies are limited to 8 MiB."),
    # definitions
    Reason("WORKFLOW_INVALID", tree.Invalid, "The definition has several problems; each has its own code."),
    Reason("DEFINITION_INVALID", tree.Invalid, "The document has a missing, unknown or wrongly typed field."),
    Reason("DEFINITION_TOO_LARGE", tree.TooLarge, "A definition is limited to 8 MiB, a source to 1,000 of them."),
    Reason("GRAPH_CYCLE", tree.Invalid, "Nodes depend on each other in a cycle; the message shows it."),
    Reason("GRAPH_UNKNOWN_NODE", tree.Invalid, "A dependency names a node that does not exist."),
    Reason("GRAPH_DUPLICATE_NODE", tree.Invalid, "Two nodes have the same id."),
    Reason("GRAPH_UNREACHABLE_NODE", tree.Invalid, "No path leads from the triggers of the graph to the node, so the node would never run."),
    Reason("GRAPH_EMPTY", tree.Invalid, "A workflow needs at least one node."),
    Reason("GRAPH_TOO_LARGE", tree.TooLarge, "A workflow is limited to 10,000 nodes."),
    Reason("SCHEMA_INVALID", tree.Invalid, "A JSON Schema is not well-formed."),
    Reason("SCHEMA_REMOTE_REF", tree.Invalid, "A $ref must point into its own schema."),
    Reason("SCHEMA_TOO_COMPLEX", tree.Invalid, "A schema is over its limits of size or nesting."),
    Reason("REGEX_UNSUPPORTED", tree.Invalid, "Patterns are RE2: no look-around, no back-references."),
    Reason("TYPE_MISMATCH", tree.Invalid, "An output does not fit the input that it flows to."),
    Reason("TYPE_UNKNOWN", tree.Invalid, "A warning: it cannot be checked whether an output always fits the input that it flows to."),
    Reason("OUTPUT_MAY_BE_MISSING", tree.Invalid, "A warning: a referenced value may be missing."),
    Reason("TASK_TYPE_UNKNOWN", tree.Invalid, "A warning: the task type is not a built-in one, but its name is very close to one."),
    Reason("TEMPLATE_INVALID", tree.Invalid, "A {{ }} template does not parse."),
    Reason("TEMPLATE_UNKNOWN_REFERENCE", tree.Invalid, "A template refers to a task or field that does not exist."),
    Reason("TEMPLATE_UNKNOWN_FUNCTION", tree.Invalid, "A template calls a function that does not exist."),
    Reason("TEMPLATE_ARGUMENTS_INVALID", tree.Invalid, "A function in a template gets too few, too many or the wrong arguments."),
    Reason("EXPRESSION_INVALID", tree.Invalid, "An expression does not parse."),
    Reason("EXPRESSION_TOO_COMPLEX", tree.Invalid, "An expression is over its limits."),
    Reason("EXPRESSION_FORBIDDEN", tree.Invalid, "An expression uses something that is not allowed."),
    Reason("SQL_FORBIDDEN", tree.Invalid, "A database task holds a statement that is not allowed."),
    Reason("RETRY_INVALID", tree.Invalid, "A retry policy is out of range."),
    Reason("START_POLICY_INVALID", tree.Invalid, "The start policy is out of range or contradicts itself."),
    Reason("TIMEOUT_INVALID", tree.Invalid, "A timeout is out of range or has no unit."),
    Reason("OPERATION_UNKNOWN", tree.Invalid, "A transform pipeline names an operation that does not exist."),
    Reason("PIPELINE_INVALID", tree.Invalid, "An operation of a transform pipeline has a missing, unknown or wrongly typed parameter."),
    Reason("LINT_TIMEOUT", tree.Invalid, "A task that calls another service has no timeout of its own."),
    Reason("LINT_RETRY", tree.Invalid, "A task is retried more than 20 times, or for more than a day."),
    Reason("LINT_COMPENSATION", tree.Invalid, "A critical step has side effects, a later step may fail, and the critical step has no compensation."),
    Reason("LINT_SECRET", tree.Invalid, "The definition holds a secret in plain text."),
    Reason("LINT_UNUSED_OUTPUT", tree.Invalid, "The output of a task that only computes an output is never read."),
    Reason("LINT_DEAD_NODE", tree.Invalid, "A node can never run."),
    Reason("LINT_SHADOWED_NAME", tree.Invalid, "A name hides another name of an outer scope."),
    Reason("FEATURE_UNSUPPORTED", tree.Invalid, "The document uses a feature that this version cannot run, or that the requested format cannot express; the message names it."),
    Reason("WORKFLOW_NOT_FOUND", tree.NotFound, "No such workflow, or no such version of it."),
    Reason("LABEL_NOT_FOUND", tree.NotFound, "The workflow has no such label."),
    Reason("LABEL_INVALID", tree.Invalid, "A label is an id that is not a number."),
    Reason("LABEL_NOT_MOVED", tree.WrongState, "The label never pointed to another version, so it cannot be rolled back."),
    Reason("LABELS_FULL", tree.WrongState, "A workflow is limited to 100 labels."),
    Reason("TEMPLATE_NOT_FOUND", tree.NotFound, "No such template."),
    Reason("PARAMETERS_INVALID", tree.Invalid, "The parameters do not fit the template."),
    Reason("TASK_NOT_FOUND", tree.NotFound, "No such task in the library."),
    Reason("TASK_IN_USE", tree.WrongState, "Workflows still refer to the task."),
    Reason("TRIGGER_INVALID", tree.Invalid, "A trigger can never fire, or has the id of another trigger."),
    Reason("HOOK_TAKEN", tree.Conflict, "Another workflow of the namespace uses the URL of the webhook."),
    Reason("MOCKS_INVALID", tree.Invalid, "A mock has the wrong shape, or names a task that the workflow does not have."),
    # executions
    Reason("INPUT_INVALID", tree.Invalid, "The input does not fit the workflow's input schema."),
    Reason("EXECUTION_NOT_FOUND", tree.NotFound, "No such execution."),
    Reason("NODE_NOT_FOUND", tree.NotFound, "The execution has no such node."),
    Reason("REPORT_TOO_LARGE", tree.TooLarge, "A report on an execution is limited to 8 MiB."),
    Reason("EXECUTION_UNREADABLE", tree.Unavailable, "This version cannot read the stored execution."),
    Reason("EXECUTION_ENDED", tree.WrongState, "The execution has already ended."),
    Reason("EXECUTION_PAUSED", tree.WrongState, "The execution is already paused."),
    Reason("EXECUTION_NOT_PAUSED", tree.WrongState, "The execution is not paused."),
    Reason("EXECUTION_PENDING", tree.WrongState, "The execution is still queued; its nodes can be changed after it has started."),
    Reason("START_REJECTED", tree.WrongState, "The start policy of the workflow allows no further running execution; the message names the running ones."),
    Reason("START_QUEUE_FULL", tree.Overloaded, "10,000 executions with this concurrency key are already queued."),
    Reason("EXECUTION_COMPENSATING", tree.WrongState, "The execution is being compensated."),
    Reason("EXECUTION_RUNNING", tree.WrongState, "The execution has not ended."),
    Reason("FORM_INVALID", tree.Invalid, "The submitted values do not fit the form of the approval."),
    Reason("LINK_INVALID", tree.Forbidden, "The link was not made by this installation, or does not allow this decision."),
    Reason("LINK_EXPIRED", tree.Gone, "The link has expired; request a new one."),
    Reason("LINK_USED", tree.WrongState, "The approval of the link has already been decided, or is no longer pending."),
    Reason("NOTHING_FAILED", tree.WrongState, "The execution completed, or none of its nodes failed."),
    Reason("NODE_STATE_WRONG", tree.WrongState, "The state of the node does not allow the action."),
    Reason("VARIABLE_NOT_FOUND", tree.NotFound, "The workflow declares no such variable."),
    Reason("VARIABLE_INVALID", tree.Invalid, "The value of a variable does not fit its schema."),
    Reason("VARIABLES_FULL", tree.WrongState, "The variables of an execution are limited to 1,000 changes."),
    Reason("SEARCH_ATTRIBUTE_INVALID", tree.Invalid, "A label or search attribute is undeclared, too long, or of the wrong type."),
    Reason("SEARCH_TOO_BROAD", tree.Timeout, "The search took too long; use a narrower filter."),
    Reason("RETENTION_INVALID", tree.Invalid, "A retention period is from one minute to 3,650 days."),
    Reason("PAYLOAD_ERASED", tree.WrongState, "The values of the execution were erased on request."),
    Reason("ARCHIVE_OFF", tree.WrongState, "Archiving is off; set FLOWMESH_ARCHIVE_DIR to the folder of the archive."),
    Reason("BULK_NOT_FOUND", tree.NotFound, "No such bulk."),
    Reason("BULK_ENDED", tree.WrongState, "The bulk has already ended."),
    Reason("LIMIT_INVALID", tree.Invalid, "A limit has an unknown kind, a wrong subject or a number out of range."),
    Reason("DISPATCH_STOPPED", tree.WrongState, "Dispatch of the workflow or namespace is already stopped."),
    Reason("DISPATCH_NOT_STOPPED", tree.WrongState, "Dispatch of the workflow or namespace is not stopped."),
    Reason("NOT_HOME", tree.WrongState, "Another orchestrator grants the permits of this namespace; between orchestrators only."),
    Reason("WAIT_NOT_FOUND", tree.NotFound, "No execution waits for a signal with this name and key."),
    Reason("SIGNALS_FULL", tree.WrongState, "An execution is limited to 10,000 signals, and to 16 MiB of their inline values."),
    Reason("REQUEST_ID_REUSED", tree.Conflict, "The request id was used with other content."),
    Reason("PAYLOAD_TOO_LARGE", tree.TooLarge, "Inline values are limited to 256 KiB, stored ones to 64 MiB."),
    Reason("PAYLOAD_MISSING", tree.WrongState, "The referenced payload is not stored; upload it again."),
    Reason("PAYLOAD_NOT_FOUND", tree.NotFound, "No such payload."),
    Reason("SYNC_TIMEOUT", tree.Timeout, "The execution is still running; read its result later by its id."),
    # triggers
    Reason("TRIGGER_NOT_FOUND", tree.NotFound, "The newest version of the workflow has no such trigger."),
    Reason("TRIGGER_PAUSED", tree.WrongState, "The trigger is paused."),
    Reason("TRIGGER_NOT_PAUSED", tree.WrongState, "The trigger is not paused."),
    Reason("TRIGGER_KEEPS_NOTHING", tree.WrongState, "The trigger keeps no history of its calls, so it cannot be replayed."),
    Reason("RANGE_INVALID", tree.Invalid, "The time range is empty, or holds too many entries."),
    Reason("EVENT_INVALID", tree.Invalid, "An attribute of the event is missing or wrong."),
    Reason("HOOK_NOT_FOUND", tree.NotFound, "No webhook trigger and no waiting node has this URL."),
    Reason("HOOK_CLOSED", tree.WrongState, "The node has already received its call, or its execution is not waiting for it now."),
    Reason("WEBHOOK_UNAUTHENTICATED", tree.Unauthenticated, "The signature of the webhook call is missing, wrong or too old."),
    Reason("PAYLOAD_INVALID", tree.Invalid, "The body of a webhook does not fit its schema."),
    # workers and egress
    Reason("HELLO_INVALID", tree.Invalid, "The hello of a worker lacks task types or slots."),
    Reason("EGRESS_BLOCKED", tree.Forbidden, "The egress policy does not allow tasks to call the address."),
    Reason("RESPONSE_TOO_LARGE", tree.TooLarge, "The response of a called service is over the limit of size or compression."),
    Reason("XML_FORBIDDEN", tree.Invalid, "XML with a document type, entities or too many levels is not accepted."),
    Reason("HEADER_INVALID", tree.Invalid, "A header name or value holds characters that are not allowed."),
    Reason("HANDLER_MISSING", tree.Invalid, "A task names a handler that is not registered."),
    # registry
    Reason("INSTANCE_INVALID", tree.Invalid, "A field of the instance is missing or out of range."),
    Reason("INSTANCE_NOT_FOUND", tree.NotFound, "No such instance."),
    # foreign servers: a gRPC status without a reason of ours
    Reason("UNAUTHENTICATED", tree.Unauthenticated, "The server requires credentials, or refused those of the call."),
    Reason("FORBIDDEN", tree.Forbidden, "The server does not permit the call."),
    Reason("NOT_FOUND", tree.NotFound, "The server has no such object."),
    Reason("ALREADY_EXISTS", tree.Conflict, "The server already has such an object."),
    Reason("FAILED_PRECONDITION", tree.WrongState, "The state of the object does not allow the call."),
    Reason("OUT_OF_RANGE", tree.Gone, "The server no longer holds the requested range."),
    # load and availability
    Reason("OVERLOADED", tree.Overloaded, "Too many requests at once; retry after the given delay."),
    Reason("QUEUE_FULL", tree.Overloaded, "A queue holds its maximum of tasks; workflows that use it can be started again when it has room."),
    Reason("STORAGE_FULL", tree.Overloaded, "The database has no space left; existing data can still be read."),
    Reason("SLOW_CONSUMER", tree.Overloaded, "The client read the stream too slowly; resume from the last sequence."),
    Reason("PARTITION_UNAVAILABLE", tree.Unavailable, "The partition of the execution is changing its owner."),
    Reason("STORAGE_UNAVAILABLE", tree.Unavailable, "The database did not answer in time."),
    Reason("DEFINITION_UNAVAILABLE", tree.Unavailable, "The definition service is unavailable."),
    Reason("SERVICE_UNAVAILABLE", tree.Unavailable, "A service that the request needs is unavailable."),
    Reason("DRAINING", tree.Unavailable, "The process is shutting down."),
    Reason("DEADLINE_EXCEEDED", tree.Timeout, "The deadline of the call passed."),
    Reason("UNIMPLEMENTED", tree.Unimplemented, "The service has no such method."),
    Reason("INTERNAL", tree.FlowmeshError, "An internal error of the server; its log has the details."),
)
# fmt: on
