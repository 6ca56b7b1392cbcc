"""`transform`, `list operations`, `get operation`: pipelines tried at hand, without a suite."""

import asyncio
from difflib import get_close_matches
from typing import Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import JsonText
from flowmesh.cli.common import COMMON, Common, guarded
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.executions.executions import one_only
from flowmesh.cli.refusals import Refused


def transform(pipeline: str, /, *, input: JsonText = "null", common: Common = COMMON) -> int:
    """Run a pipeline of operations over a value and print what it makes.

    Parameters
    ----------
    pipeline
        The array of operations as JSON, @file, or - for standard input.
    input
        The value as JSON, @file, or - for standard input.
    """
    from flowmesh.transforms import TransformError, compile_pipeline

    def work() -> int:
        compiled = compile_pipeline(read_value(pipeline, "the pipeline"))
        value = read_value(input, "--input")
        try:
            output.document(asyncio.run(_transformed(compiled, value)))
        except TransformError as error:
            raise Refused(str(error), "`flowmesh get operation` shows what it takes") from None
        return exit_codes.DONE

    return guarded(common, work)


async def _transformed(pipeline: Any, value: Any) -> Any:
    from flowmesh.sandbox import Sandbox
    from flowmesh.transforms import transformed

    async with Sandbox() as sandbox:
        return await transformed(pipeline, value, sandbox)


def operations(name: str = "", /, *, category: str = "", common: Common = COMMON) -> int:
    """Show an operation, its parameters and an example; without a name list all.

    Parameters
    ----------
    name
        Name of the operation.
    category
        Of a list: only those of this category.
    """

    def work() -> int:
        if name:
            one_only(name, category)
            return _show_operation(common, name)
        return _list_operations(common, category)

    return guarded(common, work)


def _list_operations(common: Common, category: str) -> int:
    from flowmesh.transforms import OPERATIONS

    found = [each for each in OPERATIONS.values() if category in ("", each.category)]
    if common.structured:
        output.document([each.describe() for each in found])
        return exit_codes.DONE
    rows = [(each.name, each.category, each.summary) for each in found]
    output.columns(("NAME", "CATEGORY", "SUMMARY"), rows, none="No operations found.")
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
