"""`library`: the tasks and workflows that come with Flowmesh."""

from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

_HINT = "`flowmesh library list` shows what is there"


def list_library(*, common: Common = COMMON) -> int:
    """List the tasks and workflows that come with Flowmesh."""
    return guarded(common, lambda: _list(common))


def _list(common: Common) -> int:
    from flowmesh.bundled import items

    found = [item for item in items() if item.kind != "WorkflowTemplate"]
    if common.structured:
        output.document(
            [
                {
                    "kind": item.kind,
                    "name": item.name,
                    "description": item.description,
                    "tasks": sorted(item.task_refs),
                }
                for item in found
            ]
        )
        return exit_codes.DONE
    rows = [
        (item.kind, item.name, ", ".join(sorted(item.task_refs)) or "-", item.description)
        for item in found
    ]
    output.columns(("KIND", "NAME", "USES", "WHAT IT IS"), rows)
    return exit_codes.DONE


def show_library(name: str, /, *, common: Common = COMMON) -> int:
    """Show one of them, to be read or changed and applied.

    Parameters
    ----------
    name
        Which one.
    """
    from flowmesh.bundled import items

    def show() -> int:
        found = next((item for item in items() if item.name == name), None)
        if found is None:
            raise Refused(f"the library has no {name!r}", _HINT, USAGE)
        if common.structured:
            output.document(found.document)
        else:
            output.line(found.text.rstrip())
        return exit_codes.DONE

    return guarded(common, show)


def install_library(*names: str, common: Common = COMMON) -> int:
    """Apply tasks and workflows of the library, with the tasks that they need.

    Parameters
    ----------
    names
        Which ones; all of them without any.
    """
    from flowmesh.bundled import needed

    async def work(client: "Client") -> int:
        applied = await client.apply(source)
        if common.structured:
            output.document(
                [
                    {"kind": r.kind, "name": r.name, "version": r.version, "created": r.created}
                    for r in applied.resources
                ]
            )
            return exit_codes.DONE
        for r in applied.resources:
            change = f"version {r.version}" if r.created else f"unchanged (version {r.version})"
            output.line(f"{r.kind} {r.name}: {change}")
        return exit_codes.DONE

    source = ""

    def read_and_run() -> int:
        nonlocal source
        try:
            source = "---\n".join(item.text for item in needed(list(names)))
        except KeyError as error:
            raise Refused(f"the library has no {error.args[0]!r}", _HINT, USAGE) from None
        return run(common, work)

    return guarded(common, read_and_run)
