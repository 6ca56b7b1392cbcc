"""The definition of an operation: name, parameters, tested example and builder."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.transforms.limits import OPERATIONS_MAX

if TYPE_CHECKING:
    from flowmesh.transforms.run import Request, Run

Parameters = Mapping[str, Json]
Step = Callable[[Json], Json]
# The run of an operation with programs or nested pipelines.
Flow = Generator["Request", list[Json], Json]
FlowStep = Callable[[Json, "Run"], Flow]

Category = Literal[
    "data", "objects", "aggregation", "strings", "math", "random", "control", "programs"
]
# `field` is a path such as `name` or `address.lines[0]`, `fields` a list of them, `mappings`
# an object of them; `text` is a text with fields in it, as in `Dear ${name}`, `texts` an object
# of them; `pipelines` is an object of pipelines.
ParameterKind = Literal[
    "field", "fields", "mappings", "string", "integer", "number", "boolean", "array", "object",
    "any", "text", "texts", "program", "conditions", "pipeline", "pipelines",
]  # fmt: skip

_FIELD_SCHEMA = {"type": "string", "minLength": 1}
_TEXT_SCHEMA = {"type": "string"}
_PIPELINE_SCHEMA: dict[str, Json] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"operation": {"type": "string"}},
        "required": ["operation"],
    },
    "maxItems": OPERATIONS_MAX,
}
_SCHEMAS: dict[ParameterKind, dict[str, Json]] = {
    "field": _FIELD_SCHEMA,
    "fields": {"type": "array", "items": _FIELD_SCHEMA, "minItems": 1},
    "mappings": {"type": "object", "additionalProperties": _FIELD_SCHEMA, "minProperties": 1},
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "array": {"type": "array"},
    "object": {"type": "object"},
    "any": {},
    "text": _TEXT_SCHEMA,
    "texts": {"type": "object", "additionalProperties": _TEXT_SCHEMA, "minProperties": 1},
    "program": {"type": "string", "minLength": 1},
    "conditions": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    "pipeline": _PIPELINE_SCHEMA,
    "pipelines": {
        "type": "object",
        "additionalProperties": _PIPELINE_SCHEMA,
        "minProperties": 1,
    },
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; its default is None unless given.

    `members` are the parameters of each condition in `conditions`.
    """

    name: str
    kind: ParameterKind
    summary: str
    required: bool = False
    default: Json = None
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    members: tuple["Parameter", ...] = ()

    @property
    def usage(self) -> str:
        """Return the kind, choices or default for a table."""
        text = " ".join(self.choices) or self.kind
        if self.required:
            return f"{text}, required"
        return text if self.default is None else f"{text}, {orjson.dumps(self.default).decode()}"

    @property
    def schema(self) -> dict[str, Json]:
        schema = {**_SCHEMAS[self.kind], "description": self.summary}
        if self.members:
            schema["items"] = object_schema(self.members)
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.default is not None:
            schema["default"] = self.default
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.maximum is not None:
            schema["maximum"] = self.maximum
        return schema


def object_schema(parameters: tuple[Parameter, ...]) -> dict[str, Json]:
    """Return the JSON Schema of an object with exactly the parameters."""
    return {
        "type": "object",
        "properties": {parameter.name: parameter.schema for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class Example:
    input: Json
    parameters: Parameters
    output: Json


def _no_cost(_value: Json) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step that is more than a function of its value.

    `grows`: the result can be larger than the value, so its size is measured. `cost` estimates the
    size of the result before the step runs, where the size of the value tells too little.
    """

    step: Step | None = None
    flow: FlowStep | None = None
    grows: bool = False
    cost: Callable[[Json], int] = _no_cost


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the catalog.

    `one_of` names parameters of which exactly one is given. `build` gets checked parameters with
    their defaults, pipelines compiled, and returns the step; it may raise ValueError with a message
    for the user. `language` is that of its `program`.
    """

    name: str
    category: Category
    summary: str
    accepts: tuple[Parameter, ...]
    example: Example
    build: Callable[[Parameters], Step | Prepared]
    one_of: tuple[str, ...] = ()
    language: Literal["jq", "jmespath"] | None = None

    @property
    def parameters(self) -> dict[str, Json]:
        """Return the JSON Schema of the parameters without `operation`."""
        schema = object_schema(self.accepts)
        if self.one_of:
            schema["oneOf"] = [{"required": [name]} for name in self.one_of]
        return schema

    def describe(self) -> dict[str, Json]:
        """Return the operation as an entry of the catalog."""
        return {
            "name": self.name,
            "category": self.category,
            "summary": self.summary,
            "parameters": self.parameters,
            "example": {
                "input": self.example.input,
                "parameters": dict(self.example.parameters),
                "output": self.example.output,
            },
        }
