"""JSON Schemas of module types and of whole applications, from the descriptors."""

from flowmesh.apps.catalog.descriptor import Descriptor, Field
from flowmesh.apps.catalog.table import DESCRIPTORS, STEPS
from flowmesh.contract.json_value import Json
from flowmesh.contract.plugin_functions import PATTERN

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: dict[str, Json] = {"type": "string"}
_DURATION: dict[str, Json] = {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}]}
_EXPANSION: dict[str, Json] = {"type": "string", "pattern": r"\$\{"}


def field_schema(field: Field) -> dict[str, Json]:
    """Return the JSON Schema of one key."""
    schema = _kind_schema(field)
    schema = {**schema, "description": field.text}
    if field.default is not None:
        schema["default"] = field.default
    if field.sensitive:
        schema["writeOnly"] = True
    return schema


def _kind_schema(field: Field) -> dict[str, Json]:
    match field.kind:
        case "number":
            number: dict[str, Json] = {"type": "number"}
            if field.least is not None:
                number["minimum"] = field.least
            if field.most is not None:
                number["maximum"] = field.most
            return {"anyOf": [number, _EXPANSION]}
        case "boolean":
            return {"anyOf": [{"type": "boolean"}, _EXPANSION]}
        case "select":
            return {"anyOf": [{"enum": list(field.options)}, _EXPANSION]}
        case "duration":
            return dict(_DURATION)
        case "bytes":
            return {"type": ["string", "integer"]}
        case "array":
            item = {"string": _TEXT, "object": {"type": "object"}}.get(field.item, {})
            return {"type": "array", "items": item}
        case "map":
            return {"type": "object"}
        case "json":
            return {}
    return dict(_TEXT)


def config_schema(descriptor: Descriptor) -> dict[str, Json]:
    """Return the JSON Schema of the `config` of a type; spellings of keys are listed once."""
    properties: dict[str, Json] = {"description": _TEXT}
    for field in descriptor.fields:
        schema = field_schema(field)
        for name in _spellings(field):
            properties.setdefault(name, schema)
    # A required key may be written in any of its spellings.
    required = [
        {"anyOf": [{"required": [name]} for name in _spellings(field)]}
        for field in descriptor.fields
        if field.required
    ]
    schema = {
        "type": "object",
        "description": descriptor.text,
        "properties": properties,
        "additionalProperties": descriptor.open,
    }
    return schema | ({"allOf": required} if required else {})


def _spellings(field: Field) -> list[str]:
    return list(dict.fromkeys((field.key, *field.aliases, _other_spelling(field.key))))


def _other_spelling(key: str) -> str:
    if "_" in key:
        first, *rest = key.split("_")
        return first + "".join(each[:1].upper() + each[1:] for each in rest)
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in key)


def _typed(descriptors: dict[str, Descriptor]) -> list[Json]:
    return [
        {
            "if": {"properties": {"type": {"const": each.type}}},
            "then": _configured(each),
        }
        for each in descriptors.values()
    ]


def _configured(descriptor: Descriptor) -> dict[str, Json]:
    config = config_schema(descriptor)
    needs = {"required": ["config"]} if "allOf" in config else {}
    return {"properties": {"config": config}, **needs}


def app_schema() -> dict[str, Json]:
    """Return the JSON Schema of an application document, for editors."""
    names = {"type": "array", "items": _TEXT}
    step = {
        "type": "object",
        "required": ["type"],
        "properties": {
            "name": _TEXT,
            "type": {"enum": list(STEPS)},
            "config": {"type": "object"},
            "if": _TEXT,
            "skip_if": _TEXT,
            "on_error": _TEXT,
            "timeout": _DURATION,
            "retry": {"type": "object"},
            "ignore_error": {"type": "boolean"},
        },
        "allOf": _typed(STEPS),
    }
    module = {
        "type": "object",
        "required": ["name", "type"],
        "properties": {
            "name": {"type": "string", "maxLength": 128},
            "type": {"anyOf": [{"enum": list(DESCRIPTORS)}, {"pattern": PATTERN}]},
            "config": {"type": ["object", "null"]},
            "dependsOn": names,
            "branches": {"type": "object"},
            "ui": {},
        },
        "additionalProperties": False,
        "allOf": _typed(DESCRIPTORS),
    }
    either = [{"type": "object"}, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]
    return {
        "$schema": DRAFT,
        "title": "Application",
        "type": "object",
        "properties": {
            "name": _TEXT,
            "description": _TEXT,
            "modules": {"type": "array", "items": {"$ref": "#/$defs/module"}},
            "workflows": {"anyOf": either},
            "triggers": {"anyOf": either},
            "pipelines": {
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/pipeline"},
            },
            "imports": names,
            "requires": {"type": "object"},
        },
        "$defs": {
            "module": module,
            "step": step,
            "pipeline": {
                "type": "object",
                "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/step"}}},
            },
        },
    }


def module_form(descriptor: Descriptor) -> dict[str, Json]:
    """Return a type in the form that builders read."""
    kinds = {"select": "select", "bytes": "string"}
    return {
        "type": descriptor.type,
        "label": descriptor.label,
        "category": descriptor.category,
        "description": descriptor.text,
        "inputs": [
            {"name": each.kind, "type": each.kind, "key": each.key, "optional": each.optional}
            for each in descriptor.needs
        ],
        "outputs": [
            {"name": kind, "type": kind, "key": "", "optional": False} for kind in descriptor.offers
        ],
        "configFields": [
            {
                "key": each.key,
                "label": each.key,
                "type": kinds.get(each.kind, each.kind),
                "description": each.text,
                "required": each.required,
                "defaultValue": each.default,
                "options": list(each.options),
                "sensitive": each.sensitive,
                "refers": each.refers,
            }
            for each in descriptor.fields
        ],
        "defaultConfig": descriptor.defaults,
        "jsonSchema": config_schema(descriptor),
    }
