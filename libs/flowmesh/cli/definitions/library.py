"""`library`: the tasks and workflows that are bundled with Flowmesh."""

from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.definitions.registered import resource_json, resource_line
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

_HINT = "`flowmesh library list` lists them"


@command
def list_library(*, common: Common = COMMON) -> int:
    """List the tasks and workflows that are bundled with Flowmesh."""
    from flowmesh.bundled import items

    found = [item for item in items() if item.kind != "WorkflowTemplate"]
    documents = [
        {
            "kind": item.kind,
            "name": item.name,
            "description": item.description,
            "tasks": sorted(item.task_refs),
        }
        for item in found
    ]
    rows = [
        (item.kind, item.name, ", ".join(sorted(item.task_refs)) or "-", item.description)
        for item in found
    ]
    header = ("KIND", "NAME", "USES", "DESCRIPTION")
    output.listing(documents, header, rows, none="The library is empty.")
    return exit_codes.DONE


@command
def show_library(name: str, /, *, common: Common = COMMON) -> int:
    """Show a bundled task, workflow or template, as a basis for a definition of your own.

    Parameters
    ----------
    name
        Name of the task, workflow or template.
    """
    from flowmesh.bundled import items

    found = next((item for item in items() if item.name == name), None)
    if found is None:
        raise _unknown(name)
    output.source(found.document, found.text)
    return exit_codes.DONE


@command
async def install_library(*names: str, common: Common = COMMON) -> int:
    """Register tasks and workflows of the library, with the tasks that they use.

    Parameters
    ----------
    names
        Names of tasks and workflows; all by default.
    """
    source = _source_of(names)
    async with connected(common) as client:
        applied = await client.apply(source)
    if common.structured:
        output.document([resource_json(resource) for resource in applied.resources])
    else:
        for resource in applied.resources:
            output.line(resource_line(resource))
    return exit_codes.DONE


def _source_of(names: "Sequence[str]") -> str:
    from flowmesh.bundled import needed

    try:
        return "---\n".join(item.text for item in needed(list(names)))
    except KeyError as error:
        raise _unknown(error.args[0]) from None


def _unknown(name: str) -> Refused:
    return Refused(f"the library does not contain {name!r}", _HINT, USAGE)
