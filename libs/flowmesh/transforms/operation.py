"""What an operation is: its name, its parameters, a tested example, and how to build it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = Any
Parameters = Mapping[str, Json]
Step = Callable[[Json], Json]

ITEMS_MAX = 1_000_000
TEXT_CHARACTERS_MAX = 16 * 1024 * 1024

Category = Literal["data", "aggregation", "strings", "math"]
# `field` is a path such as `name` or `address.lines[0]`, `fields` a list of them, `mappings`
# an object of them.
ParameterKind = Literal[
    "field", "fields", "mappings", "string", "integer", "number", "boolean", "array", "any"
]

_FIELD_SCHEMA = {"type": "string", "minLength": 1}
_SCHEMAS: dict[ParameterKind, dict[str, Json]] = {
    "field": _FIELD_SCHEMA,
    "fields": {"type": "array", "items": _FIELD_SCHEMA, "minItems": 1},
    "mappings": {"type": "object", "additionalProperties": _FIELD_SCHEMA, "minProperties": 1},
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "array": {"type": "array"},
    "any": {},
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; without a default it is None where it is not given."""

    name: str
    kind: ParameterKind
    summary: str
    required: bool = False
    default: Json = None
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    @property
    def schema(self) -> dict[str, Json]:
        schema = {**_SCHEMAS[self.kind], "description": self.summary}
        if self.choices:
            schema["enum"] = list(self.choices)
        if self.default is not None:
            schema["default"] = self.default
        if self.minimum is not None:
            schema["minimum"] = self.minimum
        if self.maximum is not None:
            schema["maximum"] = self.maximum
        return schema


@dataclass(frozen=True, slots=True)
class Example:
    input: Json
    parameters: Parameters
    output: Json


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the catalogue.

    `one_of` names parameters of which exactly one is given. `build` gets checked parameters with
    their defaults and returns the step; it may raise ValueError with a message for the user.
    """

    name: str
    category: Category
    summary: str
    accepts: tuple[Parameter, ...]
    example: Example
    build: Callable[[Parameters], Step]
    one_of: tuple[str, ...] = ()

    @property
    def parameters(self) -> dict[str, Json]:
        """The JSON Schema of the parameters, `operation` itself aside."""
        schema: dict[str, Json] = {
            "type": "object",
            "properties": {parameter.name: parameter.schema for parameter in self.accepts},
            "required": [parameter.name for parameter in self.accepts if parameter.required],
            "additionalProperties": False,
        }
        if self.one_of:
            schema["oneOf"] = [{"required": [name]} for name in self.one_of]
        return schema

    def describe(self) -> dict[str, Json]:
        """The operation as the catalogue answers it."""
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
