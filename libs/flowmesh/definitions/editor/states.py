"""Schema of the supported part of the Amazon States Language."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    ID,
    Schema,
    choice,
    described,
    document,
    flag,
    members,
    number,
    or_null,
    text,
    whole,
)
from flowmesh.definitions.formats.states.kinds import KINDS, WAITS
from flowmesh.definitions.formats.states.maps import (
    BATCH_BYTES_MAX,
    DELIMITERS,
    INPUT_TYPES,
    PROCESSORS,
    TRANSFORMATIONS,
)
from flowmesh.definitions.formats.states.rules import STATE_NAME_CHARACTERS_MAX
from flowmesh.standards.choices import OPERATORS

_COMMENT = text(limits.DESCRIPTION_CHARACTERS_MAX)
_TEXT: Schema = {"type": "string", "pattern": r"\S"}
_PATH: Schema = {"type": ["string", "null"], "examples": ["$", "$.order"]}
_LANGUAGE: Schema = {"enum": ["JSONPath", "JSONata", ""]}
_EXPRESSION: Schema = {"type": "string", "pattern": r"^\{%"}
# Members of states in JSONata; Assign exists in both languages.
_MADE = {"Output": ANYTHING, "Assign": {"type": "object"}}
_STATE = described("The name of a state.", _TEXT)
_SECONDS = whole(1, limits.TIMEOUT_MS_MAX // 1_000)
_DELAY = whole(1, limits.RETRY_DELAY_MS_MAX // 1_000)
_ERRORS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "minLength": 1},
    "examples": [["States.ALL"], ["States.Timeout"]],
}
_IN_OUT = {"InputPath": _PATH, "OutputPath": _PATH}
_RESULT = {"ResultPath": _PATH, "ResultSelector": ANYTHING}
_HANDLING: dict[str, Schema] = {
    "Retry": {"type": "array", "items": {"$ref": "#/$defs/retrier"}},
    "Catch": {"type": "array", "items": {"$ref": "#/$defs/catcher"}},
}


def states_schema() -> Schema:
    """Return the schema of a state machine."""
    machine = members(
        {
            "Name": described("The id of the workflow.", ID),
            "DefinitionSubstitutions": described("Values of ${placeholders}.", {"type": "object"}),
            "Comment": _COMMENT,
            "Version": {"enum": ["1.0", ""]},
            "TimeoutSeconds": _SECONDS,
            **_machine(),
        },
        "StartAt",
        "States",
    )
    kinds = _kinds()
    machine["$defs"] = {
        "states": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"maxLength": STATE_NAME_CHARACTERS_MAX},
            "additionalProperties": {"$ref": "#/$defs/state"},
        },
        "state": {
            "type": "object",
            "required": ["Type"],
            "properties": {"Type": {"enum": list(KINDS)}},
            "allOf": [
                {
                    "if": {"required": ["Type"], "properties": {"Type": {"const": kind}}},
                    "then": {"$ref": f"#/$defs/{kind}"},
                }
                for kind in KINDS
            ],
        },
        "rule": _rule(),
        "retrier": _retrier(),
        "catcher": members(
            {
                "ErrorEquals": _ERRORS,
                "Next": _STATE,
                "ResultPath": _PATH,
                "Comment": _COMMENT,
                **_MADE,
            },
            "ErrorEquals",
            "Next",
        ),
        **{kind: kinds[kind] for kind in KINDS},
    }
    return document("State machine in the Amazon States Language", machine)


def _machine() -> dict[str, Schema]:
    states: Schema = {"$ref": "#/$defs/states"}
    return {"StartAt": _STATE, "States": states, "QueryLanguage": _LANGUAGE}


def _kinds() -> dict[str, Schema]:
    branch = members({**_machine(), "Comment": _COMMENT}, "StartAt", "States")
    most = limits.DELAY_MS_MAX // 1_000
    waits: dict[str, Schema] = {
        "Seconds": {"anyOf": [whole(0, most), _EXPRESSION]},
        "Timestamp": described("An instant such as 2030-01-31T12:00:00Z.", _TEXT),
        "SecondsPath": _TEXT,
        "TimestampPath": _TEXT,
    }
    fails = dict.fromkeys(("Error", "Cause"), _COMMENT)
    paths = dict.fromkeys(("ErrorPath", "CausePath"), _TEXT)
    choice_: Schema = {"allOf": [{"$ref": "#/$defs/rule"}, {"required": ["Next"]}]}
    choices: Schema = {"type": "array", "minItems": 1, "items": choice_}
    made = {**_IN_OUT, **_MADE, "Parameters": ANYTHING}
    called = {**made, "Arguments": ANYTHING}
    return {
        "Pass": _continuing_state({**made, "Result": ANYTHING, "ResultPath": _PATH}),
        "Task": _continuing_state(
            {
                **called,
                **_RESULT,
                **_HANDLING,
                "Resource": described("A worker's task type, flowmesh:NAME, or an ARN.", _TEXT),
                "TimeoutSeconds": _SECONDS,
                "HeartbeatSeconds": _SECONDS,
            },
            "Resource",
        ),
        "Choice": _state({**_IN_OUT, **_MADE, "Choices": choices, "Default": _STATE}, "Choices"),
        "Wait": {
            **_continuing_state({**_IN_OUT, **_MADE, **{key: waits[key] for key in WAITS}}),
            "oneOf": [{"required": [key]} for key in WAITS],
        },
        "Succeed": _state({**_IN_OUT, "Output": ANYTHING}),
        "Fail": {
            **_state({**fails, **paths}),
            "not": {"anyOf": [{"required": [name, f"{name}Path"]} for name in fails]},
        },
        "Parallel": _continuing_state(
            {
                **called,
                **_RESULT,
                **_HANDLING,
                "Branches": {"type": "array", "minItems": 1, "items": branch},
            },
            "Branches",
        ),
        "Map": _map({**made, **_RESULT, **_HANDLING}),
    }


def _map(usual: dict[str, Schema]) -> Schema:
    configuration = members(
        {"Mode": {"enum": ["INLINE", "DISTRIBUTED", ""]}, "ExecutionType": text()}
    )
    processor = members(
        {**_machine(), "Comment": _COMMENT, "ProcessorConfig": or_null(configuration)},
        "StartAt",
        "States",
    )
    return {
        **_continuing_state(
            {
                **usual,
                **dict.fromkeys(PROCESSORS, processor),
                "ItemsPath": _TEXT,
                "Items": ANYTHING,
                "ItemSelector": ANYTHING,
                "MaxConcurrency": whole(0, limits.MAP_CONCURRENCY_MAX),
                **_distributed(),
            }
        ),
        "oneOf": [{"required": [key]} for key in PROCESSORS],
    }


def _distributed() -> dict[str, Schema]:
    """Return the members of a distributed Map."""
    given: dict[str, Schema] = {"Resource": _TEXT, "Parameters": ANYTHING, "Arguments": ANYTHING}
    size = whole(1, limits.MAP_ITEMS_MAX)
    reading = {
        "InputType": choice(INPUT_TYPES, ""),
        "ItemsPointer": _TEXT,
        "CSVDelimiter": choice(tuple(DELIMITERS), "COMMA"),
        "CSVHeaderLocation": choice(("FIRST_ROW", "GIVEN"), ""),
        "CSVHeaders": {"type": "array", "items": _TEXT},
        "MaxItems": size,
        "MaxItemsPath": _PATH,
    }
    writing = {
        "Transformation": choice(TRANSFORMATIONS, "NONE"),
        "OutputType": choice(("JSON", "JSONL"), "JSON"),
    }
    batches = {
        "BatchInput": ANYTHING,
        "MaxItemsPerBatch": whole(1, limits.MAP_BATCH_MAX),
        "MaxItemsPerBatchPath": _PATH,
        "MaxInputBytesPerBatch": whole(1, BATCH_BYTES_MAX),
        "MaxInputBytesPerBatchPath": _PATH,
    }
    return {
        "ItemReader": members({**given, "ReaderConfig": members(reading)}, "Resource"),
        "ItemBatcher": members(batches),
        "ResultWriter": members({**given, "WriterConfig": members(writing)}),
        "ToleratedFailureCount": whole(0, limits.MAP_ITEMS_MAX),
        "ToleratedFailurePercentage": number(0, 100),
        "Label": _TEXT,
    }


def _state(known: dict[str, Schema], *required: str) -> Schema:
    return members(
        {"Type": True, "Comment": _COMMENT, "QueryLanguage": _LANGUAGE, **known}, *required
    )


def _continuing_state(known: dict[str, Schema], *required: str) -> Schema:
    """Return the schema of a state with Next or End."""
    schema = _state({**known, "Next": _STATE, "End": flag(False)}, *required)
    ends = {"required": ["End"], "properties": {"End": {"const": True}}}
    return {**schema, "allOf": [{"oneOf": [{"required": ["Next"]}, ends]}]}


def _rule() -> Schema:
    """Return the schema of a rule: a comparison, or combined rules."""
    rules: Schema = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}}
    known: dict[str, Schema] = {
        **dict.fromkeys(sorted(OPERATORS), ANYTHING),
        "And": rules,
        "Or": rules,
        "Not": {"$ref": "#/$defs/rule"},
        "Condition": {"anyOf": [{"type": "boolean"}, _EXPRESSION]},
    }
    names = list(known)
    rule = members({**known, **_MADE, "Variable": _TEXT, "Next": _STATE, "Comment": ANYTHING})
    return {**rule, "oneOf": [{"required": [name]} for name in names]}


def _retrier() -> Schema:
    return members(
        {
            "ErrorEquals": _ERRORS,
            "IntervalSeconds": _DELAY,
            "MaxAttempts": whole(0, limits.RETRY_ATTEMPTS_MAX),
            "BackoffRate": number(1, limits.RETRY_MULTIPLIER_MAX),
            "MaxDelaySeconds": _DELAY,
            "JitterStrategy": choice(("FULL", "NONE"), "NONE"),
            "Comment": _COMMENT,
        },
        "ErrorEquals",
    )
