"""`library`: the tasks and workflows that are bundled with Flowmesh."""

from typing import TYPE_CHECKING

from flowmesh.cli import output
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.definitions.registered import resource_json, resource_line
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

_HINT = "`flowmesh library list` lists them"


@command
def list_library(*, common: Common = COMMON) -> None:
    """List the tasks and workflows that are bundled with Flowmesh."""
    from flowmesh.definitions.bundled import items

    found = [item for item in items() if item.kind != "WorkflowTemplate"]
    output.table(
        found,
        lambda item: (
            output.members(item, "kind name description") | {"tasks": sorted(item.task_refs)}
        ),
        "KIND NAME USES DESCRIPTION",
        none="The library is empty.",
        USES=lambda item: ", ".join(sorted(item.task_refs)) or "-",
    )


@command
def show_library(name: str, /, *, common: Common = COMMON) -> None:
    """Show a bundled task, workflow or template, as a basis for a definition of your own.

    Args:
        name: Name of the task, workflow or template.
    """
    from flowmesh.definitions.bundled import items

    found = next((item for item in items() if item.name == name), None)
    if found is None:
        raise _unknown(name)
    output.source(found.document, found.text)


@command
async def install_library(*names: str, common: Common = COMMON) -> None:
    """Register tasks and workflows of the library, with the tasks that they use.

    Args:
        names: Names of tasks and workflows; all by default.
    """
    source = _source_of(names)
    async with connected(common) as client:
        applied = await client.apply(source)
    if common.structured:
        output.document([resource_json(resource) for resource in applied.resources])
    else:
        for resource in applied.resources:
            output.line(resource_line(resource))


def _source_of(names: "Sequence[str]") -> str:
    from flowmesh.definitions.bundled import needed

    try:
        return "---\n".join(item.text for item in needed(list(names)))
    except KeyError as error:
        raise _unknown(error.args[0]) from None


def _unknown(name: str) -> Refused:
    return Refused(f"the library does not contain {name!r}", _HINT, USAGE)
