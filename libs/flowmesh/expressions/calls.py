"""Expressions in braces: references, literals, and calls over expressions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.expressions.functions import Function, result_schema
from flowmesh.expressions.references import Reference


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Json

    def __str__(self) -> str:
        return orjson.dumps(self.value).decode()


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments; `place` is its path in the compiled value."""

    function: Function
    arguments: tuple["Expression", ...]
    place: str
    # The nesting depth of calls, including this one.
    depth: int = 1

    def __str__(self) -> str:
        return f"{self.function.name}({', '.join(map(str, self.arguments))})"


Expression = Reference | Literal | Call


def references_in(expression: Expression) -> Iterator[Reference]:
    """Yield the references of an expression, from left to right."""
    if isinstance(expression, Reference):
        yield expression
    elif isinstance(expression, Call):
        for argument in expression.arguments:
            yield from references_in(argument)


# Functions that tolerate missing arguments; the last argument of the first two is required.
_FALLBACKS = frozenset({"default", "ifEmpty", "coalesce"})


def needed_in(expression: Expression) -> Iterator[Reference]:
    """Yield the references that are required in spite of all fallbacks."""
    if isinstance(expression, Reference):
        yield expression
    elif isinstance(expression, Call):
        arguments = expression.arguments
        if expression.function.name in _FALLBACKS:
            arguments = () if expression.function.name == "coalesce" else arguments[-1:]
        for argument in arguments:
            yield from needed_in(argument)


def schema_of(expression: Expression, of_reference: Callable[[Reference], Json]) -> Json:
    """Return the JSON Schema of the result; `of_reference` returns the schema of a reference.

    `{}` and None allow any value.
    """
    if isinstance(expression, Reference):
        return of_reference(expression)
    if isinstance(expression, Literal):
        return {"const": expression.value}
    name, arguments = expression.function.name, expression.arguments
    if name in {"default", "ifEmpty", "coalesce", "if"}:
        choices = arguments[1:] if name == "if" else arguments
        schemas = [schema_of(each, of_reference) for each in choices]
        if name == "coalesce":
            schemas.append({"type": "null"})
        return {"anyOf": schemas} if all(schemas) else {}
    if name == "round" and len(arguments) == 1:
        return {"type": "integer"}
    return result_schema(name)
