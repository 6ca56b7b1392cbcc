"""Templates as jq programs with the same results; a missing value is an error in both.

Outputs of tasks are members of `$context` under the ids of their nodes.
"""

from collections.abc import Callable, Collection

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.unsupported import UnsupportedExpression
from flowmesh.expressions import Reference
from flowmesh.expressions.calls import Expression, Literal
from flowmesh.expressions.errors import Problem
from flowmesh.expressions.references import child_path
from flowmesh.expressions.scanner import Part, scan

INPUT = "$workflow.input"
CONTEXT = "$context"
# Access to a required member or item, for which jq alone would return null.
AT = 'def at($k): if has($k) then .[$k] else error("there is no \\($k)") end; '
_CHOOSING = frozenset({"default", "coalesce"})

ProgramOf = Callable[[Reference], str]


def literal(value: Json) -> str:
    return orjson.dumps(value).decode()


def wrapped(program: str) -> str:
    """Return a program as an expression of a document."""
    return f"${{ {AT if 'at(' in program else ''}{program} }}"


def path_program(start: str, path: Collection[str | int]) -> str:
    return "(" + " | ".join([start, *(f"at({literal(key)})" for key in path)]) + ")"


def native_program(reference: Reference) -> str:
    """Return the program of a reference of a native resource."""
    match reference.root, reference.path:
        case "input", path:
            return path_program(INPUT, path)
        case "tasks", (str(task), "output", *path):
            return path_program(CONTEXT, [task, *path])
        case "execution", ("id",):
            return "$workflow.id"
    raise UnsupportedExpression(f"the reference {reference}")


def context_program(has_ended: Callable[[str], bool], ids: Collection[str]) -> ProgramOf:
    """Return the program of step JSON references: outputs of ended nodes, else members of the
    input.

    `ids` are those of all nodes.
    """

    def program(reference: Reference) -> str:
        path = reference.path
        if path and path[0] not in ids:
            return path_program(INPUT, path)
        if not path or not has_ended(str(path[0])):
            raise UnsupportedExpression(
                f"the reference {reference}, which is not known before it runs"
            )
        if path[1:2] == ("result",):
            raise UnsupportedExpression(f"`.result` of a step, as in {reference}")
        return path_program(CONTEXT, path)

    return program


def program_of(expression: Expression, of_reference: ProgramOf) -> str:
    """Return the program of an expression in braces. Raises UnsupportedExpression."""
    if isinstance(expression, Reference):
        return of_reference(expression)
    if isinstance(expression, Literal):
        return literal(expression.value)
    name = expression.function.name
    arguments = [program_of(each, of_reference) for each in expression.arguments]
    known = [f"(try {argument} catch null)" for argument in arguments]
    if name in _CHOOSING:
        return f"([{', '.join(known)}] | map(select(. != null)) | .[0])"
    if name == "exists":
        return f"({known[0]} != null)"
    raise UnsupportedExpression(f"the template function {name}")


def parts_of(text: str, roots: Collection[str]) -> list[Part]:
    """Split a text of a checked definition into literal parts and templates."""
    problems: list[Problem] = []
    return scan(text, roots, "", problems)


def value_of(value: Json, roots: Collection[str], of_reference: ProgramOf, path: str = "") -> Json:
    """Return a value with its templates as expressions. Raises UnsupportedExpression."""
    if isinstance(value, dict):
        return {
            key: value_of(each, roots, of_reference, child_path(path, key))
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [
            value_of(each, roots, of_reference, child_path(path, index))
            for index, each in enumerate(value)
        ]
    if not isinstance(value, str):
        return value
    parts = parts_of(value, roots)
    if all(isinstance(part, str) for part in parts):
        return wrapped(literal(value)) if "${" in value else value
    if len(parts) == 1 and not isinstance(parts[0], str):
        return wrapped(program_of(parts[0].expression, of_reference))
    return wrapped(text_program(parts, of_reference))


def text_program(parts: list[Part], of_reference: ProgramOf, write: str = "tostring") -> str:
    """Return the program of a text with several parts; `write` converts a value to text."""
    return " + ".join(
        literal(part)
        if isinstance(part, str)
        else f"({program_of(part.expression, of_reference)} | {write})"
        for part in parts
    )
