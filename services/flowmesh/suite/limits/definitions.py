"""Bounds of registered definitions, checked together with all other problems."""

from flowmesh.definition import limits as definition
from flowmesh.definitions import limits as definitions
from flowmesh.definitions import triggers
from flowmesh.definitions.checks import bodies as checks
from flowmesh.definitions.formats.native import approvals
from flowmesh.dryrun import limits as dryrun
from flowmesh.expressions import cel_source, conditions, jsonpath, parser, templates
from flowmesh.sandbox import syntax
from flowmesh.sql import statement
from flowmesh.suite.limits.limit import Limit
from flowmesh.transforms import limits as transforms
from flowmesh.triggers import schedule

_DRY = "definition, when it runs dry"


def _limit(
    what: str, value: float, unit: str, reason: str = "DEFINITION_INVALID", note: str = ""
) -> Limit:
    return Limit(what, value, unit, reason, "definition, when it is registered", note)


DEFINITIONS = (
    _limit("definition", definitions.SOURCE_BYTES_MAX, "bytes", "DEFINITION_TOO_LARGE"),
    _limit("documents of a source", definitions.DOCUMENTS_MAX, "documents", "DEFINITION_TOO_LARGE"),
    _limit("nesting of a definition", definitions.NESTING_MAX, "levels", "NESTING_TOO_DEEP"),
    _limit("key of a definition", definitions.KEY_CHARACTERS_MAX, "characters"),
    _limit(
        "nodes of a workflow",
        definitions.NODES_MAX,
        "nodes",
        "GRAPH_TOO_LARGE",
        "with those in maps",
    ),
    _limit("dependencies of a workflow", definitions.EDGES_MAX, "edges", "GRAPH_TOO_LARGE"),
    _limit("triggers of a workflow", triggers.TRIGGERS_MAX, "triggers", "TRIGGER_INVALID"),
    _limit(
        "missed instants that a trigger catches up",
        triggers.CATCH_UP_MAX,
        "instants",
        "TRIGGER_INVALID",
    ),
    _limit(
        "name of a schema, table or publication of a change trigger",
        triggers.IDENTIFIER_BYTES_MAX,
        "bytes",
        "TRIGGER_INVALID",
    ),
    _limit(
        "log kept for a paused change trigger",
        triggers.RETAIN_BYTES_MAX,
        "bytes",
        "TRIGGER_INVALID",
    ),
    _limit("cron expression", schedule.EXPRESSION_CHARACTERS_MAX, "characters", "TRIGGER_INVALID"),
    _limit("resources of a template of workflows", definitions.TEMPLATE_RESOURCES_MAX, "resources"),
    _limit("bodies in bodies", definitions.BODY_DEPTH_MAX, "levels", "NESTING_TOO_DEEP"),
    _limit("rounds of a loop", definitions.LOOP_ROUNDS_MAX, "rounds"),
    _limit("concurrency of a map", definitions.MAP_CONCURRENCY_MAX, "items"),
    _limit("batch of a map", definitions.MAP_BATCH_MAX, "items"),
    _limit(
        "pages of a map",
        definitions.MAP_PAGES_MAX,
        "pages",
        "DEFINITION_INVALID",
        "1,000 unless `maxPages` says otherwise; one more fails the map as `ResourceLimit`",
    ),
    _limit("display name", definitions.NAME_CHARACTERS_MAX, "characters"),
    _limit("description", definitions.DESCRIPTION_CHARACTERS_MAX, "characters"),
    _limit("URL", definitions.URL_CHARACTERS_MAX, "characters"),
    _limit("labels", definitions.LABELS_MAX, "labels"),
    _limit("label", definitions.LABEL_CHARACTERS_MAX, "characters"),
    _limit(
        "search attributes of a workflow",
        definitions.SEARCH_FIELDS_MAX,
        "attributes",
        "DEFINITION_INVALID",
        "with the searchable parts of its input",
    ),
    _limit("variables of a workflow", definitions.VARIABLES_MAX, "variables"),
    _limit("first value of a variable", definitions.VARIABLE_BYTES_MAX, "bytes"),
    _limit("retention of a workflow", definitions.RETENTION_MS_MAX, "ms"),
    _limit(
        "concurrency of a limit",
        definitions.LIMIT_CONCURRENCY_MAX,
        "tasks",
        "DEFINITION_INVALID",
        "and the burst of its rate; that of the starts of a workflow is START_POLICY_INVALID",
    ),
    _limit("rate of a limit", definitions.LIMIT_RATE_MAX, "tasks a second"),
    _limit("retries of a limit", definitions.LIMIT_RETRIES_MAX, "retries for each task"),
    _limit("labels that a task requires", definitions.REQUIRES_MAX, "labels"),
    _limit("permissions of a task", definitions.PERMISSIONS_MAX, "names"),
    _limit("timeout", definitions.TIMEOUT_MS_MAX, "ms", "TIMEOUT_INVALID"),
    _limit(
        "delay",
        definitions.DELAY_MS_MAX,
        "ms",
        "TIMEOUT_INVALID",
        "an instant is checked when the step begins",
    ),
    _limit(
        "attempts of a retry policy", definitions.RETRY_ATTEMPTS_MAX, "attempts", "RETRY_INVALID"
    ),
    _limit("delay of a retry policy", definitions.RETRY_DELAY_MS_MAX, "ms", "RETRY_INVALID"),
    _limit(
        "multiplier of a retry policy", definitions.RETRY_MULTIPLIER_MAX, "times", "RETRY_INVALID"
    ),
    _limit("classes of a retry policy", definitions.RETRY_CLASSES_MAX, "classes", "RETRY_INVALID"),
    _limit(
        "time for which a result is cached", definitions.CACHE_TTL_MS_MAX, "ms", "TIMEOUT_INVALID"
    ),
    _limit("JSON Schema", definitions.SCHEMA_BYTES_MAX, "bytes", "SCHEMA_TOO_COMPLEX"),
    _limit("subschemas", definitions.SCHEMA_NODES_MAX, "schemas", "SCHEMA_TOO_COMPLEX"),
    _limit(
        "regular expression",
        definitions.REGEX_CHARACTERS_MAX,
        "characters",
        "REGEX_UNSUPPORTED",
        "RE2: linear in what it is matched with",
    ),
    _limit("condition", conditions.SOURCE_CHARACTERS_MAX, "characters", "EXPRESSION_TOO_COMPLEX"),
    _limit("parts of a condition", cel_source.NODES_MAX, "parts", "EXPRESSION_TOO_COMPLEX"),
    _limit(
        "comprehensions in comprehensions",
        cel_source.COMPREHENSION_NESTING_MAX,
        "levels",
        "EXPRESSION_TOO_COMPLEX",
    ),
    _limit(
        "parts of a JSONPath",
        jsonpath.TOKENS_MAX,
        "parts",
        "EXPRESSION_TOO_COMPLEX",
        f"{jsonpath.SOURCE_CHARACTERS_MAX:,} characters, nested {jsonpath.NESTING_MAX} deep;"
        f" an evaluation takes at most {jsonpath.STEPS_MAX:,} steps over its data",
    ),
    _limit(
        "conditions of a decision", checks.CONDITIONS_MAX, "conditions", "EXPRESSION_TOO_COMPLEX"
    ),
    _limit("nesting of a condition", cel_source.NESTING_MAX, "levels", "EXPRESSION_TOO_COMPLEX"),
    _limit("approvals that a task needs", approvals.ASSIGNEES_MAX, "approvals"),
    _limit("references of a template", templates.REFERENCES_MAX, "references", "TEMPLATE_INVALID"),
    _limit(
        "calls inside calls of a template", parser.CALLS_NESTING_MAX, "levels", "TEMPLATE_INVALID"
    ),
    _limit("operations of a pipeline", transforms.OPERATIONS_MAX, "operations", "PIPELINE_INVALID"),
    _limit(
        "pattern of a pipeline", transforms.PATTERN_CHARACTERS_MAX, "characters", "PIPELINE_INVALID"
    ),
    _limit(
        "levels that flatten flattens", transforms.FLATTEN_DEPTH_MAX, "levels", "PIPELINE_INVALID"
    ),
    _limit(
        "length that pad fills up to",
        transforms.PAD_CHARACTERS_MAX,
        "characters",
        "PIPELINE_INVALID",
    ),
    _limit("digits that round keeps", transforms.DIGITS_MAX, "digits", "PIPELINE_INVALID"),
    _limit(
        "nesting of pipelines",
        transforms.PIPELINE_DEPTH_MAX,
        "levels",
        "PIPELINE_INVALID",
        "those inside count among the operations of the outermost",
    ),
    _limit("jq and JMESPath", syntax.CODE_CHARACTERS_MAX, "characters", "EXPRESSION_INVALID"),
    _limit("JavaScript", syntax.CODE_CHARACTERS_MAX, "characters"),
    _limit(
        "code, message or key",
        definitions.CODE_CHARACTERS_MAX,
        "characters",
        "DEFINITION_INVALID",
        "every text of a definition that has no limit of its own here",
    ),
    _limit("SQL statement", statement.STATEMENT_CHARACTERS_MAX, "characters", "SQL_FORBIDDEN"),
    _limit(
        "parameters of a statement",
        definitions.PARAMETERS_MAX,
        "parameters",
        "DEFINITION_INVALID",
        "as many fields a message of the log has",
    ),
    _limit(
        "rows of a query",
        definitions.ROWS_MAX,
        "rows",
        "DEFINITION_INVALID",
        "1,000 unless `maxRows` says otherwise; one more fails the task",
    ),
    _limit(
        "descriptors of a gRPC call",
        definitions.DESCRIPTORS_CHARACTERS_MAX,
        "characters",
        "DEFINITION_INVALID",
        "1 MiB in base64",
    ),
    _limit(
        "memory of a Python task",
        definitions.PYTHON_MEMORY_MIB_MAX,
        "MiB",
        "DEFINITION_INVALID",
        "its worker may give less",
    ),
    _limit(
        "CPU of a Python task",
        definitions.PYTHON_CPU_S_MAX,
        "s",
        "DEFINITION_INVALID",
        "its worker may give less",
    ),
    _limit(
        "output of a Python task",
        definitions.PYTHON_OUTPUT_BYTES_MAX,
        "bytes",
        "DEFINITION_INVALID",
        "its worker may give less",
    ),
    Limit("mocks of a dry run", dryrun.MOCKS_MAX, "mocks", "MOCKS_INVALID", _DRY),
    Limit(
        "attempts of a dry run",
        dryrun.ATTEMPTS_MAX,
        "attempts",
        "MOCKS_INVALID",
        _DRY,
        "stops runs without an end; the report has at most"
        f" {definition.REPORT_BYTES_MAX >> 20} MiB (`PAYLOAD_TOO_LARGE`)",
    ),
)
