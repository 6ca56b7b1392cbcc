"""Resource definitions of Kubernetes for the resources of `workflow.io/v1`.

They are derived from the schemas of the editors, as structural schemas. What those cannot express
is left open: the admission webhook asks the definition service about every resource anyway. So
every object keeps members that it does not know, and the webhook names them instead of the API
server dropping them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from flowmesh.definitions.editor.agents import AGENT_SPEC, AGENT_SPEC_STATUS, SCALING_POLICY
from flowmesh.definitions.editor.applications import (
    APP,
    APP_STATUS,
    INFRASTRUCTURE,
    INFRASTRUCTURE_STATUS,
)
from flowmesh.definitions.editor.native import task_schema, template_schema, workflow_schema
from flowmesh.definitions.editor.parts import Schema
from flowmesh.definitions.editor.sentences import SENTENCES, sentence_key
from flowmesh.definitions.formats.native.resources import API_VERSION

GROUP, VERSION = API_VERSION.split("/")
WARNINGS_MAX: Final = 20
AGENT_LABEL: Final = f"{GROUP}/agent-spec"
"""The label by which the pods of an AgentSpec are found."""
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"
_KEPT: Final = (
    *("description", "enum", "pattern", "minimum", "maximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
)

_LINK: Final = re.compile(r"\[(.+?)\]\(.+?\)")
_GENERATION: Final[Schema] = {
    "type": "integer",
    "format": "int64",
    "minimum": 0,
    "description": "The generation of the object that this is about.",
}
_CONDITION: Final[Schema] = {
    "type": "object",
    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
    "properties": {
        "type": {"type": "string", "maxLength": 316, "description": "Ready."},
        "status": {
            "type": "string",
            "enum": ["True", "False", "Unknown"],
            "description": "Whether it holds.",
        },
        "observedGeneration": _GENERATION,
        "lastTransitionTime": {
            "type": "string",
            "format": "date-time",
            "description": "The last change of the status.",
        },
        "reason": {
            "type": "string",
            "minLength": 1,
            "maxLength": 1024,
            "description": "A word for the cause, such as Registered or Invalid.",
        },
        "message": {
            "type": "string",
            "maxLength": 32768,
            "description": "The cause in a sentence.",
        },
    },
}
_REGISTERED: Final[Schema] = {
    "version": {"type": "integer", "description": "Its version in the suite."},
    "digest": {"type": "string", "description": "The digest of that version."},
    "nodes": {"type": "integer", "description": "Number of nodes of a workflow."},
    "usedBy": {"type": "integer", "description": "Number of workflows that use a task."},
}
STATUS: Final[Schema] = {
    "type": "object",
    "description": "What the operator has seen.",
    "properties": {
        "observedGeneration": _GENERATION,
        "warnings": {
            "type": "array",
            "maxItems": WARNINGS_MAX,
            "items": {"type": "string"},
            "description": "Findings of the check that refuse nothing.",
        },
        "conditions": {
            "type": "array",
            "description": "Whether the object is ready, and why not.",
            "items": _CONDITION,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of resource: its names, its schema, and the columns of `kubectl get`."""

    kind: str
    plural: str
    short: str
    schema: Schema
    # The JSON path of each column; a name with `*` is shown by `-o wide` only.
    columns: Mapping[str, str]
    # Members of the status beside the conditions.
    status: Schema = field(default_factory=dict)


_READY: Final = '.status.conditions[?(@.type=="Ready")].status'
_REASON: Final = '.status.conditions[?(@.type=="Ready")].reason'
_NUMBERS: Final = frozenset({"Version", "Nodes", "Used-By", "Wanted", "Running", "Min", "Max"})
# Subresource by which `kubectl scale` and autoscalers change a count.
_SCALE: Final[Schema] = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def resources() -> tuple[Resource, ...]:
    """Return the kinds that a cluster learns."""
    return (*definitions(), *applications(), *agents())


def agents() -> tuple[Resource, ...]:
    """Return the kinds of the fleet."""
    return (
        Resource(
            "AgentSpec",
            "agentspecs",
            "agent",
            {"properties": {"spec": AGENT_SPEC}},
            {
                "Ready": _READY,
                "Wanted": ".status.replicas",
                "Running": ".status.readyReplicas",
                "Version": ".status.version",
                "Reason*": _REASON,
            },
            AGENT_SPEC_STATUS,
        ),
        Resource(
            "ScalingPolicy",
            "scalingpolicies",
            "scp",
            {"properties": {"spec": SCALING_POLICY}},
            {
                "Agents": ".spec.agentSpec",
                "Strategy": ".spec.strategy",
                "Min": ".spec.min",
                "Max": ".spec.max",
                "Ready": _READY,
                "Reason*": _REASON,
            },
        ),
    )


def applications() -> tuple[Resource, ...]:
    """Return the kinds that the operator runs in the cluster itself."""
    return (
        Resource(
            "App",
            "apps",
            "fapp",
            {"properties": {"spec": APP}},
            {"Ready": _READY, "Colour": ".status.colour", "Reason": _REASON},
            APP_STATUS,
        ),
        Resource(
            "Infrastructure",
            "infrastructures",
            "infra",
            {"properties": {"spec": INFRASTRUCTURE}},
            {"Kind": ".spec.kind", "Ready": _READY, "Reason*": _REASON},
            INFRASTRUCTURE_STATUS,
        ),
    )


def definitions() -> tuple[Resource, ...]:
    """Return the kinds of definitions, which the suite stores."""
    return (
        Resource(
            "Workflow",
            "workflows",
            "wf",
            workflow_schema(),
            {
                "Ready": _READY,
                "Version": ".status.version",
                "Nodes": ".status.nodes",
                "Reason*": _REASON,
            },
            _REGISTERED,
        ),
        Resource(
            "WorkflowTask",
            "workflowtasks",
            "wft",
            task_schema(),
            {
                "Ready": _READY,
                "Type": ".spec.type",
                "Version": ".status.version",
                "Used-By": ".status.usedBy",
                "Reason*": _REASON,
            },
            _REGISTERED,
        ),
        Resource(
            "WorkflowTemplate",
            "workflowtemplates",
            "wftp",
            template_schema(),
            {"Ready": _READY, "Version": ".status.version", "Reason*": _REASON},
            _REGISTERED,
        ),
    )


def resource_definition(resource: Resource) -> Schema:
    """Return the CustomResourceDefinition of a kind."""
    columns = [
        {
            "name": name.removesuffix("*"),
            "type": "integer" if name in _NUMBERS else "string",
            "jsonPath": path,
            **({"priority": 1} if name.endswith("*") else {}),
        }
        for name, path in resource.columns.items()
    ]
    columns.append({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
    spec = resource.schema["properties"]["spec"]
    if resource in definitions():
        spec = _structural(spec, resource.schema.get("$defs", {}), ())
        spec = _explained(spec, f"{resource.kind}.spec")
    spec = {"description": SENTENCES["spec"], **spec}
    status = {**STATUS, "properties": {**resource.status, **STATUS["properties"]}}
    subresources: Schema = {"status": {}}
    if "replicas" in resource.status:
        subresources["scale"] = _SCALE
    if tasks := spec["properties"].get("tasks"):
        # A repeated id is refused, and server-side apply merges task by task.
        tasks |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{GROUP}",
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": [resource.short],
                "categories": ["flowmesh"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": subresources,
                    "additionalPrinterColumns": columns,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": f"A {resource.kind} of Flowmesh.",
                            "required": ["spec"],
                            "properties": {"spec": spec, "status": status},
                        }
                    },
                }
            ],
        },
    }


def _explained(schema: Schema, path: str) -> Schema:
    """Return a schema of the native format with a description of each member, for kubectl."""
    result = dict(schema)
    for part, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(part), dict):
            result[part] = _explained(schema[part], f"{path}{suffix}")
    if "properties" in schema:
        result["properties"] = {
            name: _explained(_with_sentence(member, path, name), f"{path}.{name}")
            for name, member in schema["properties"].items()
        }
    return result


def _with_sentence(member: Schema, path: str, name: str) -> Schema:
    if "description" in member:
        return member
    return {"description": _LINK.sub(r"\1", SENTENCES[sentence_key(path, name)]), **member}


def _structural(schema: Schema, defs: Mapping[str, Schema], expanded: tuple[str, ...]) -> Schema:
    """Return the structural form of a schema; what has none accepts everything.

    `expanded` are the definitions around this part: a part in itself is left open.
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in expanded:
            return {_OPEN: True}
        return _structural(defs[name], defs, (*expanded, name))
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if "if" in schema:
        alternatives = [schema["then"], schema["else"]]
    if alternatives is not None and "type" not in schema:
        return _described(schema, _alternative(alternatives, defs, expanded))
    kinds = schema.get("type")
    if isinstance(kinds, list):
        named = [kind for kind in kinds if kind != "null"]
        if len(named) != 1:
            return _described(schema, {_OPEN: True})
        kinds = named[0]
    if kinds is None:
        return _described(schema, {_OPEN: True})
    result: Schema = {"type": kinds}
    result |= {key: schema[key] for key in _KEPT if key in schema}
    if "(?" in result.get("pattern", ""):
        # The API server has no look-ahead.
        del result["pattern"]
    if kinds != schema["type"] and "null" in schema["type"]:
        result["nullable"] = True
        result.pop("enum", None)
    if kinds == "array":
        result["items"] = _structural(schema.get("items", {}), defs, expanded)
    if kinds == "object":
        result |= _members(schema, defs, expanded)
    return result


def _members(schema: Schema, defs: Mapping[str, Schema], expanded: tuple[str, ...]) -> Schema:
    known = {
        name: _structural(member, defs, expanded)
        for name, member in schema.get("properties", {}).items()
        if isinstance(member, dict)
    }
    values = schema.get("additionalProperties")
    if not known and isinstance(values, dict):
        return {"additionalProperties": _structural(values, defs, expanded)}
    result: Schema = {_OPEN: True}
    if known:
        result["properties"] = known
    if schema.get("required"):
        result["required"] = schema["required"]
    return result


def _alternative(
    alternatives: list[Schema], defs: Mapping[str, Schema], expanded: tuple[str, ...]
) -> Schema:
    """Return one schema that accepts what any of the alternatives does."""
    forms = [_structural(each, defs, expanded) for each in alternatives if each != {"type": "null"}]
    nullable = {"type": "null"} in alternatives or any(form.get("nullable") for form in forms)
    words = [form for form in forms if form.get("type") == "string"]
    listed = [each for each in alternatives if "enum" in each]
    if len(words) == 1 and len(words) + len(listed) == len(forms) and "pattern" in words[0]:
        # Words in any case; the list of them is for editors.
        merged = words[0]
    elif forms and all(form.get("type") == "object" for form in forms):
        merged = _merged(forms)
    else:
        return {_OPEN: True}
    return {**merged, "nullable": True} if nullable else merged


def _merged(forms: list[Schema]) -> Schema:
    """Return an object with the members of all, of which those are required that all require."""
    members: dict[str, Schema] = {}
    for form in forms:
        for name, member in form.get("properties", {}).items():
            known = members.setdefault(name, member)
            if known != member:
                members[name] = _described(known, {_OPEN: True})
    shared = set.intersection(*(set(form.get("required", ())) for form in forms))
    result: Schema = {"type": "object", _OPEN: True}
    if members:
        result["properties"] = members
    if shared:
        result["required"] = sorted(shared)
    return result


def _described(source: Schema, result: Schema) -> Schema:
    text = source.get("description")
    return {"description": text, **result} if text and "description" not in result else result
