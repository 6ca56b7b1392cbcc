"""Schemas of the resources `Workflow` and `WorkflowTask` of `workflow.io/v1`."""

from itertools import combinations

from flowmesh.definitions import limits
from flowmesh.definitions.editor.bodies import POLICY, TIMEOUT, bodies
from flowmesh.definitions.editor.calls import cache_schema
from flowmesh.definitions.editor.parameters import parameters_schema
from flowmesh.definitions.editor.parts import (
    DURATION,
    ID,
    IDS,
    JSON_SCHEMA,
    LABELS,
    OTHER_PROJECT,
    TASK_REF,
    TEMPLATE,
    Schema,
    anything,
    choice,
    code,
    described,
    document,
    duration,
    flag,
    members,
    optional,
    text,
    whole,
)
from flowmesh.definitions.editor.shared import (
    PERMISSIONS,
    TRANSFORM_MEMBERS,
    of_graphs,
    of_tasks,
    of_workflows,
    outcomes,
)
from flowmesh.definitions.formats.native.approvals import (
    ASSIGNEES_MAX,
    DEADLINES,
    NEEDS,
    REJECTIONS,
)
from flowmesh.definitions.formats.native.blocks import BLOCKS
from flowmesh.definitions.formats.native.links import KINDS, ON_CANCEL, VERSION_MAX
from flowmesh.definitions.formats.native.resources import API_VERSION, FORMS, LANGUAGES
from flowmesh.definitions.model import Join, Priority

_DESCRIPTION = text(limits.DESCRIPTION_CHARACTERS_MAX)
_WAITED_FOR: Schema = {
    "type": ["array", "null"],
    "items": {
        "anyOf": [
            ID,
            members({"task": ID, "on": code("failure, success, or a label.")}, "task", "on"),
        ]
    },
}
_SECRETS = described(
    "Secrets that the input may hand to its workers.",
    {"type": "array", "items": ID, "maxItems": limits.TASK_SECRETS_MAX},
)
_FORM = choice(FORMS, FORMS[0], "The syntax of templates.")
_JOIN = members(
    {
        "mode": choice(("ANY", "ALL"), "ANY"),
        "count": whole(1, limits.NODES_MAX, "Edges that must be taken."),
        "required": described("Nodes whose edges must be among them.", IDS),
    }
)
_NAMES: Schema = {"anyOf": [text(), {"type": "array", "items": text()}, {"type": "null"}]}
_APPROVAL = members(
    {
        "assignees": described("Allowed deciders: names or templates; empty allows all.", _NAMES),
        "needs": {
            "anyOf": [choice(NEEDS, NEEDS[0]), whole(1, ASSIGNEES_MAX)],
            "description": "Number of required approvals.",
        },
        "title": anything("The question."),
        "data": anything("Data shown with the question."),
        "form": described("Schema of the form to fill in.", JSON_SCHEMA),
        "deadline": duration(),
        "escalateTo": described("Additional deciders after the deadline.", _NAMES),
        "onDeadline": choice(DEADLINES, DEADLINES[0]),
        "onReject": choice(REJECTIONS, REJECTIONS[0]),
    },
    text="Waits for approvals by people.",
)
_CONDITION = text(
    limits.CODE_CHARACTERS_MAX, "CEL over input and tasks; must hold for the node to run."
)


def workflow_schema() -> Schema:
    """Return the schema of `kind: Workflow`."""
    spec = members(
        {
            "description": _DESCRIPTION,
            "tasks": {"$ref": "#/$defs/tasks"},
            "inputSchema": JSON_SCHEMA,
            "outputSchema": JSON_SCHEMA,
            "output": anything("The output of the workflow; templates over input and tasks."),
            "parallelism": whole(0, limits.NODES_MAX, "Tasks that may run at once; 0 is no limit."),
            "timeout": duration("Limit of the whole execution."),
            "templates": _FORM,
            **of_workflows(),
            **of_graphs(),
        },
        "tasks",
    )
    schema = _resource("Workflow", spec)
    schema["$defs"] = {
        "undo": _undo(),
        "tasks": {"type": "array", "minItems": 1, "maxItems": limits.NODES_MAX, "items": _either()},
        "task": _node(),
        **{kind: _body(kind, body) for kind, body in bodies().items()},
    }
    return document("Workflow of workflow.io/v1", schema)


def task_schema() -> Schema:
    """Return the schema of `kind: WorkflowTask`."""
    blocks = {each.block: parameters_schema(each) for each in BLOCKS.values()}
    common: dict[str, Schema] = {
        "description": _DESCRIPTION,
        "type": described("The built-in type, or a task type of your workers.", ID),
        "inputSchema": JSON_SCHEMA,
        "outputSchema": JSON_SCHEMA,
        "retry": POLICY,
        "timeout": TIMEOUT,
        "queue": ID,
        "permissions": PERMISSIONS,
        "secrets": _SECRETS,
        "templates": _FORM,
    }
    spec: Schema = {
        "type": "object",
        "required": ["type"],
        "properties": {
            **common,
            "type": {**common["type"], "examples": list(BLOCKS)},
            **{name: {"$ref": f"#/$defs/{name}"} for name in blocks},
            "config": {"type": ["object", "null"]},
        },
        "allOf": [
            {
                "if": {"required": ["type"], "properties": {"type": {"const": name}}},
                "then": members(
                    {**dict.fromkeys(common, True), each.block: True},
                    *([each.block] if each.block_required else []),
                ),
            }
            for name, each in BLOCKS.items()
        ]
        + [
            {
                "if": {"properties": {"type": {"not": {"enum": list(BLOCKS)}}}},
                "then": members({**dict.fromkeys(common, True), "config": True}),
            }
        ],
    }
    schema = _resource("WorkflowTask", spec)
    schema["$defs"] = blocks
    return document("WorkflowTask of workflow.io/v1", schema)


def transform_parameters(more: bool) -> Schema:
    return {
        **optional(TRANSFORM_MEMBERS, more=more),
        "not": {
            "type": "object",
            "anyOf": [{"required": list(each)} for each in combinations(TRANSFORM_MEMBERS, 2)],
        },
    }


def delay_parameters(more: bool) -> Schema:
    duration: Schema = {"anyOf": [DURATION, {"type": "string", "pattern": TEMPLATE}]}
    return members({"duration": duration}, "duration", more=more)


def condition_parameters(more: bool) -> Schema:
    return members({"expression": code("CEL over input.")}, "expression", more=more)


def decision_parameters(more: bool) -> Schema:
    return _decision(*LANGUAGES, more=more)


def template_schema() -> Schema:
    """Return the schema of `kind: WorkflowTemplate`; its resources are checked when they are
    made.
    """
    spec = members(
        {
            "description": _DESCRIPTION,
            "parameters": described("A JSON Schema of its parameters.", JSON_SCHEMA),
            "resources": {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.TEMPLATE_RESOURCES_MAX,
                "items": {"type": "object"},
                "description": 'Resources, with "{{parameters.name}}" in them.',
            },
        },
        "resources",
    )
    return document("WorkflowTemplate of workflow.io/v1", _resource("WorkflowTemplate", spec))


def _resource(kind: str, spec: Schema) -> Schema:
    metadata = members(
        {
            "name": ID,
            "labels": LABELS,
            "annotations": {"type": ["object", "null"]},
            "namespace": text(),
        },
        "name",
    )
    return members(
        {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": metadata,
            "spec": spec,
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    )


def _shared() -> dict[str, Schema]:
    return {
        "id": ID,
        "name": text(),
        "condition": _CONDITION,
        "dependsOn": described(
            "Nodes that must have ended before, with the required outcome.", _WAITED_FOR
        ),
        "join": {"anyOf": [choice([join.name for join in Join], Join.STRICT.name), _JOIN]},
        **outcomes(),
        "undo": {"$ref": "#/$defs/undo"},
        "critical": flag(True, "True if its failure fails the workflow."),
    }


def _undo() -> Schema:
    return members(
        {
            "taskRef": TASK_REF,
            "input": anything("Templates; undo.input and undo.output are available."),
            "retry": POLICY,
            "timeout": TIMEOUT,
            "queue": ID,
        },
        "taskRef",
        text="The task that compensates this one after it has completed.",
    )


def _node() -> Schema:
    schema = members(
        {
            **_shared(),
            "taskRef": described(
                "A WorkflowTask (name, name@3, namespace/name), or transform, delay, noop, signal.",
                TASK_REF,
            ),
            "decision": _decision(),
            **_links(),
            "approval": _APPROVAL,
            "input": anything("Templates at any depth, over input and tasks."),
            "cache": cache_schema(DURATION),
            "retry": POLICY,
            "timeout": TIMEOUT,
            "priority": choice([priority.name for priority in Priority], Priority.NORMAL.name),
            "queue": ID,
            **of_tasks(),
        },
        "id",
    )
    schema["anyOf"] = [{"required": [kind]} for kind in ("taskRef", *KINDS)]
    return schema


def _links() -> dict[str, Schema]:
    """Return the schemas of links: another workflow, the next run, an awaited event."""
    version: Schema = {
        "description": "A number, a label, or latest: the newest when it starts.",
        "anyOf": [ID, whole(1, VERSION_MAX)],
    }
    given = anything("Its input; templates over input and tasks.")
    return {
        "subworkflow": members(
            {
                "workflow": described(
                    "The workflow to start: its name, or a template of it.",
                    {"anyOf": [ID, {"type": "string", "pattern": r"\{\{"}]},
                ),
                "version": version,
                "input": given,
                "id": code("Idempotency id of the started execution; needs wait: false."),
                "wait": flag(
                    True, "True: the task ends with the workflow; false: once it has started."
                ),
                "onCancel": choice(
                    ON_CANCEL, ON_CANCEL[0], "Handling of the workflow if the task is canceled."
                ),
                **OTHER_PROJECT,
            },
            "workflow",
            text="Starts another workflow; its output is that of the task.",
        ),
        "continueAsNew": members(
            {"input": given, "version": version},
            text="Ends the execution and continues it as a new one.",
        ),
        "wait": members(
            {
                "event": described("The signal to wait for.", ID),
                "correlate": anything("The required key of the signal, as a template."),
                "onTimeout": anything("The output after a timeout; without it the task fails."),
            },
            "event",
            text="Waits for a signal, optionally with a key.",
        ),
    }


def _decision(*languages: str, more: bool = False) -> Schema:
    """Return the schema of a decision's conditions, in CEL if no language can be chosen."""
    known: dict[str, Schema] = {
        "id": {"type": "string", "pattern": r"\S"} if languages else ID,
        "expression": code("A condition, by default in CEL."),
    }
    if languages:
        known |= {"language": choice(languages, languages[0]), "description": _DESCRIPTION}
    return members(
        {
            "conditions": {"type": "array", "items": members(known, "id", "expression")},
            "default": described("Ids returned if no condition holds.", IDS),
            "match": choice(("FIRST", "ALL"), "FIRST"),
        },
        "conditions",
        more=more,
        text="Its output is the ids of the conditions that hold.",
    )


def _either() -> Schema:
    """Return the schema of a node: a body if one of its members is present, else a task."""
    schema: Schema = {"$ref": "#/$defs/task"}
    for kind in reversed(bodies()):
        body = {"$ref": f"#/$defs/{kind}"}
        schema = {"if": {"required": [kind]}, "then": body, "else": schema}
    return schema


def _body(kind: str, body: Schema) -> Schema:
    return members({**_shared(), kind: body}, "id", kind)
