"""The one table of reasons: what each means and what the caller can do about it."""

from dataclasses import dataclass

from flowmesh.errors import tree


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable reason, the class of errors it belongs to, and what it means to a user."""

    name: str
    error: type[tree.FlowmeshError]
    meaning: str


def _table(*reasons: Reason) -> dict[str, Reason]:
    return {reason.name: reason for reason in reasons}


# fmt: off
REASONS = _table(
    # requests
    Reason("REQUEST_INVALID", tree.Invalid, "A field of the request is missing, unknown or of the wrong type."),
    Reason("MESSAGE_MALFORMED", tree.Invalid, "The bytes are not a message of this method."),
    Reason("ENUM_UNKNOWN", tree.Invalid, "An enum field holds a value this version does not know."),
    Reason("JSON_INVALID", tree.Invalid, "The text is not JSON, or a number in it cannot be kept exactly."),
    Reason("YAML_INVALID", tree.Invalid, "The text is not YAML."),
    Reason("YAML_FORBIDDEN", tree.Invalid, "YAML aliases, tags and duplicate keys are not accepted."),
    Reason("NESTING_TOO_DEEP", tree.Invalid, "Values may be nested 64 levels deep, maps and other bodies 8."),
    Reason("INVALID_UTF8", tree.Invalid, "Text must be UTF-8 without lone surrogates."),
    Reason("STRING_HAS_NUL", tree.Invalid, "Text must not hold NUL characters."),
    Reason("ID_INVALID", tree.Invalid, "Ids match [A-Za-z0-9._:-]{1,128}."),
    Reason("PAGE_TOKEN_INVALID", tree.Invalid, "The page token is not one this list gave out."),
    Reason("FILTER_INVALID", tree.Invalid, "The filter does not follow the list's grammar."),
    Reason("CURSOR_INVALID", tree.Invalid, "The cursor is not one this stream gave out."),
    Reason("CURSOR_EXPIRED", tree.Gone, "The stream no longer holds what follows the cursor."),
    Reason("ROUTE_NOT_FOUND", tree.NotFound, "No such path; /openapi.json lists all of them."),
    Reason("METHOD_NOT_ALLOWED", tree.MethodNotAllowed, "The path is there, but not for this method; Allow lists those it has."),
    Reason("UPGRADE_REQUIRED", tree.UpgradeRequired, "The path is a WebSocket; open it as one."),
    Reason("CONTENT_TYPE_UNSUPPORTED", tree.UnsupportedMediaType, "The body's content type or encoding is not accepted here."),
    Reason("BODY_TOO_LARGE", tree.TooLarge, "Request bodies are limited to 8 MiB."),
    # definitions
    Reason("WORKFLOW_INVALID", tree.Invalid, "Several things are wrong with the definition; each has its own code."),
    Reason("DEFINITION_INVALID", tree.Invalid, "The document has a missing, unknown or wrongly typed field."),
    Reason("DEFINITION_TOO_LARGE", tree.TooLarge, "A definition is limited to 8 MiB, a source to 1,000 of them."),
    Reason("GRAPH_CYCLE", tree.Invalid, "Nodes depend on each other in a circle; the message shows it."),
    Reason("GRAPH_UNKNOWN_NODE", tree.Invalid, "A dependency names a node that does not exist."),
    Reason("GRAPH_DUPLICATE_NODE", tree.Invalid, "Two nodes have the same id."),
    Reason("GRAPH_UNREACHABLE_NODE", tree.Invalid, "No way leads from the graph's triggers to the node, so it would never run."),
    Reason("GRAPH_EMPTY", tree.Invalid, "A workflow needs at least one node."),
    Reason("GRAPH_TOO_LARGE", tree.TooLarge, "A workflow is limited to 10,000 nodes."),
    Reason("SCHEMA_INVALID", tree.Invalid, "A JSON Schema is not well-formed."),
    Reason("SCHEMA_REMOTE_REF", tree.Invalid, "A $ref must point into its own schema."),
    Reason("SCHEMA_TOO_COMPLEX", tree.Invalid, "A schema is over its limits of size or nesting."),
    Reason("REGEX_UNSUPPORTED", tree.Invalid, "Patterns are RE2: no look-around, no back-references."),
    Reason("TYPE_MISMATCH", tree.Invalid, "An output does not fit the input it flows to."),
    Reason("TYPE_UNKNOWN", tree.Invalid, "A warning: whether an output always fits the input it flows to cannot be told."),
    Reason("OUTPUT_MAY_BE_MISSING", tree.Invalid, "A warning: a value that is used may not be there."),
    Reason("TEMPLATE_INVALID", tree.Invalid, "A {{ }} template does not parse."),
    Reason("TEMPLATE_UNKNOWN_REFERENCE", tree.Invalid, "A template refers to a task or field that does not exist."),
    Reason("TEMPLATE_UNKNOWN_FUNCTION", tree.Invalid, "A template calls a function that does not exist."),
    Reason("TEMPLATE_ARGUMENTS_INVALID", tree.Invalid, "A function in a template gets too few, too many or the wrong arguments."),
    Reason("EXPRESSION_INVALID", tree.Invalid, "An expression does not parse."),
    Reason("EXPRESSION_TOO_COMPLEX", tree.Invalid, "An expression is over its limits."),
    Reason("EXPRESSION_FORBIDDEN", tree.Invalid, "An expression uses something that is not allowed."),
    Reason("SQL_FORBIDDEN", tree.Invalid, "A statement of a database task is not one that may be run."),
    Reason("RETRY_INVALID", tree.Invalid, "A retry policy is out of range."),
    Reason("TIMEOUT_INVALID", tree.Invalid, "A timeout is out of range or has no unit."),
    Reason("OPERATION_UNKNOWN", tree.Invalid, "A transform pipeline names an operation that does not exist."),
    Reason("PIPELINE_INVALID", tree.Invalid, "An operation of a transform pipeline has a missing, unknown or wrongly typed parameter."),
    Reason("LINT_TIMEOUT", tree.Invalid, "A task that calls somebody has no timeout of its own."),
    Reason("LINT_RETRY", tree.Invalid, "A task is tried very often, or for more than a day."),
    Reason("LINT_COMPENSATION", tree.Invalid, "A critical step changes something, a later one may fail, and nothing undoes the first."),
    Reason("LINT_SECRET", tree.Invalid, "A secret stands in the definition in plain text."),
    Reason("LINT_UNUSED_OUTPUT", tree.Invalid, "Nobody reads the output of a task that is there for its output."),
    Reason("LINT_DEAD_NODE", tree.Invalid, "A node can never run."),
    Reason("LINT_SHADOWED_NAME", tree.Invalid, "A name hides another one."),
    Reason("FEATURE_UNSUPPORTED", tree.Invalid, "The document asks for a feature that this version cannot run, or that has no place in the format asked for; the message names it."),
    Reason("WORKFLOW_NOT_FOUND", tree.NotFound, "No such workflow, or not in that version."),
    Reason("LABEL_NOT_FOUND", tree.NotFound, "The workflow has no such label."),
    Reason("LABEL_INVALID", tree.Invalid, "A label is an id that is no number."),
    Reason("LABEL_NOT_MOVED", tree.WrongState, "The label never pointed to another version, so there is nothing to go back to."),
    Reason("LABELS_FULL", tree.WrongState, "A workflow is limited to 100 labels."),
    Reason("TEMPLATE_NOT_FOUND", tree.NotFound, "No such template."),
    Reason("PARAMETERS_INVALID", tree.Invalid, "The parameters do not fit the template."),
    Reason("TASK_NOT_FOUND", tree.NotFound, "No such task in the library."),
    Reason("TASK_IN_USE", tree.WrongState, "Workflows still refer to the task."),
    Reason("TRIGGER_INVALID", tree.Invalid, "A trigger can never fire, or not be told from another one."),
    Reason("HOOK_TAKEN", tree.Conflict, "Another workflow of the namespace has the URL of a webhook."),
    Reason("MOCKS_INVALID", tree.Invalid, "A mock is not of the right shape, or names nothing of the workflow."),
    # executions
    Reason("INPUT_INVALID", tree.Invalid, "The input does not fit the workflow's input schema."),
    Reason("EXECUTION_NOT_FOUND", tree.NotFound, "No such execution."),
    Reason("NODE_NOT_FOUND", tree.NotFound, "The execution has no such node."),
    Reason("REPORT_TOO_LARGE", tree.TooLarge, "A report on an execution is limited to 8 MiB."),
    Reason("EXECUTION_UNREADABLE", tree.Unavailable, "This version cannot read the stored execution."),
    Reason("EXECUTION_ENDED", tree.WrongState, "The execution has ended already."),
    Reason("EXECUTION_PAUSED", tree.WrongState, "The execution is paused already."),
    Reason("EXECUTION_NOT_PAUSED", tree.WrongState, "The execution is not paused."),
    Reason("EXECUTION_COMPENSATING", tree.WrongState, "What the execution did is being undone."),
    Reason("EXECUTION_RUNNING", tree.WrongState, "The execution has not ended."),
    Reason("NODE_NOT_FOUND", tree.NotFound, "The execution has no such node."),
    Reason("FORM_INVALID", tree.Invalid, "What was filled in does not fit the form of the approval."),
    Reason("NODE_STATE_WRONG", tree.WrongState, "The state of the node does not allow it."),
    Reason("SEARCH_ATTRIBUTE_INVALID", tree.Invalid, "A label or search attribute is not declared, too long, or of another type."),
    Reason("SEARCH_TOO_BROAD", tree.Timeout, "A search took too long; a narrower filter does not."),
    Reason("RETENTION_INVALID", tree.Invalid, "Executions are kept from a minute to 3,650 days."),
    Reason("PAYLOAD_ERASED", tree.WrongState, "The values of the execution were erased on request."),
    Reason("ARCHIVE_OFF", tree.WrongState, "Nothing is archived here; FLOWMESH_ARCHIVE_DIR says where to."),
    Reason("BULK_NOT_FOUND", tree.NotFound, "No such bulk."),
    Reason("BULK_ENDED", tree.WrongState, "The bulk has ended already."),
    Reason("LIMIT_INVALID", tree.Invalid, "A limit has an unknown kind, a wrong subject or a number out of range."),
    Reason("DISPATCH_STOPPED", tree.WrongState, "Dispatch of the workflow or namespace is stopped already."),
    Reason("DISPATCH_NOT_STOPPED", tree.WrongState, "Dispatch of the workflow or namespace is not stopped."),
    Reason("NOT_HOME", tree.WrongState, "Another orchestrator gives the permits of this namespace; between orchestrators only."),
    Reason("WAIT_NOT_FOUND", tree.NotFound, "Nobody waits for a signal of this name with this key."),
    Reason("SIGNALS_FULL", tree.WrongState, "An execution is limited to 10,000 signals, and to 16 MiB of their inline values."),
    Reason("REQUEST_ID_REUSED", tree.Conflict, "The request id was used with other content."),
    Reason("PAYLOAD_TOO_LARGE", tree.TooLarge, "Inline values are limited to 256 KiB, stored ones to 64 MiB."),
    Reason("PAYLOAD_MISSING", tree.WrongState, "The referenced payload is not stored; put it again."),
    Reason("PAYLOAD_NOT_FOUND", tree.NotFound, "No such payload."),
    Reason("SYNC_TIMEOUT", tree.Timeout, "The execution still runs; ask for it by its id."),
    # triggers
    Reason("TRIGGER_NOT_FOUND", tree.NotFound, "The workflow has no such trigger in its newest version."),
    Reason("TRIGGER_PAUSED", tree.WrongState, "The trigger is paused."),
    Reason("TRIGGER_NOT_PAUSED", tree.WrongState, "The trigger is not paused."),
    Reason("TRIGGER_KEEPS_NOTHING", tree.WrongState, "Nothing is kept of what the trigger fired for."),
    Reason("RANGE_INVALID", tree.Invalid, "The range of time is empty, or holds too much."),
    Reason("EVENT_INVALID", tree.Invalid, "An attribute of the event is missing or wrong."),
    Reason("HOOK_NOT_FOUND", tree.NotFound, "Nothing waits for calls of this URL."),
    Reason("HOOK_CLOSED", tree.WrongState, "The node has had its call, or its execution does not wait for it now."),
    Reason("WEBHOOK_UNAUTHENTICATED", tree.Unauthenticated, "The call of a webhook is not signed as it must be, or too old."),
    Reason("PAYLOAD_INVALID", tree.Invalid, "The body of a webhook does not fit its schema."),
    # workers and egress
    Reason("HELLO_INVALID", tree.Invalid, "A worker's hello lacks task types or slots."),
    Reason("EGRESS_BLOCKED", tree.Forbidden, "The address is not one that steps may call."),
    Reason("RESPONSE_TOO_LARGE", tree.TooLarge, "The answer of a called service is over the limit of size or compression."),
    Reason("XML_FORBIDDEN", tree.Invalid, "XML with a document type, entities or too many levels is not accepted."),
    Reason("HEADER_INVALID", tree.Invalid, "A header name or value holds characters that are not allowed."),
    Reason("HANDLER_MISSING", tree.Invalid, "A task names a handler that is not registered."),
    # registry
    Reason("INSTANCE_INVALID", tree.Invalid, "A field of the instance is missing or out of range."),
    Reason("INSTANCE_NOT_FOUND", tree.NotFound, "No such instance."),
    # load and availability
    Reason("OVERLOADED", tree.Overloaded, "Too much at once; come back after the delay named."),
    Reason("STORAGE_FULL", tree.Overloaded, "The database has no room left; what is written already can be read."),
    Reason("SLOW_CONSUMER", tree.Overloaded, "The stream was not read fast enough; resume from the last sequence."),
    Reason("PARTITION_UNAVAILABLE", tree.Unavailable, "The owner of the execution is changing."),
    Reason("STORAGE_UNAVAILABLE", tree.Unavailable, "The database did not answer in time."),
    Reason("DEFINITION_UNAVAILABLE", tree.Unavailable, "The definition service is away."),
    Reason("SERVICE_UNAVAILABLE", tree.Unavailable, "A service that is needed for this is away."),
    Reason("DRAINING", tree.Unavailable, "The process is about to stop."),
    Reason("DEADLINE_EXCEEDED", tree.Timeout, "The call's deadline passed."),
    Reason("UNIMPLEMENTED", tree.Unimplemented, "The service has no such method."),
    Reason("INTERNAL", tree.FlowmeshError, "A fault of ours; the service's log has it."),
)
# fmt: on
