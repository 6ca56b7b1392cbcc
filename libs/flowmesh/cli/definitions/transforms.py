"""`transform`, `list operations`, `get operation`: pipelines in this process."""

import asyncio
from difflib import get_close_matches
from typing import Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import JsonText
from flowmesh.cli.common import COMMON, Common, command
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.executions.executions import reject_filters
from flowmesh.cli.refusals import Refused

TIMEOUT_MS = 60_000


@command
def transform(pipeline: str, /, *, input: JsonText = "null", common: Common = COMMON) -> None:
    """Run a pipeline of operations on a value and print the result.

    Args:
        pipeline: Array of operations: JSON, @file, or - for standard input.
        input: Value: JSON, @file, or - for standard input.
    """
    from flowmesh.transforms import TransformError

    definition = read_value(pipeline, "the pipeline")
    value = read_value(input, "--input")
    try:
        output.document(asyncio.run(_transformed(definition, value)))
    except TransformError as error:
        raise Refused(str(error), "`flowmesh get operation` shows the parameters") from None


async def _transformed(definition: Any, value: Any) -> Any:
    from flowmesh.sandbox import Sandbox
    from flowmesh.transforms import transformed

    async with Sandbox() as sandbox:
        return await transformed(definition, value, sandbox, TIMEOUT_MS)


@command
def operations(name: str = "", /, *, category: str = "", common: Common = COMMON) -> int:
    """Show an operation with its parameters and an example; without a name, list all.

    Args:
        name: Name of the operation.
        category: List only the operations of this category.
    """

    if name:
        reject_filters(name, category)
        return _show_operation(common, name)
    return _list_operations(category)


def _list_operations(category: str) -> int:
    from flowmesh.transforms import OPERATIONS

    found = [each for each in OPERATIONS.values() if category in ("", each.category)]
    output.table(
        found, lambda each: each.describe(), "NAME CATEGORY SUMMARY", none="No operations found."
    )
    return exit_codes.DONE


def _show_operation(common: Common, name: str) -> int:
    from flowmesh.transforms import OPERATIONS

    operation = OPERATIONS.get(name)
    if operation is None:
        near = get_close_matches(name, OPERATIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else "`flowmesh list operations` shows all"
        raise Refused(f"there is no operation {name!r}", hint)
    if common.structured:
        output.document(operation.describe())
        return exit_codes.DONE
    output.line(f"{operation.name}  {operation.summary}")
    rows = [(each.name, each.usage, each.summary) for each in operation.accepts]
    output.columns(("PARAMETER", "TYPE", "SUMMARY"), rows)
    example = operation.example
    given = {"operation": operation.name, **example.parameters}
    for title, value in (("input", example.input), ("step", given), ("output", example.output)):
        output.line(f"{title:6}  {output.compact(value)}")
    return exit_codes.DONE
