"""`label`, `rollback`, `diff`, `compat` and `changes`: versions of definitions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ChangeReason, ListLimit, WorkflowArgument, WorkflowId
from flowmesh.cli.common import COMMON, Common, collect, command, connected, run
from flowmesh.cli.definitions.sources import PYTHON, SUFFIXES, definition_text, read_source
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowmesh.definitions import Workflow
    from flowmesh.sdk import Change, Client, Compatibility, Difference, Label

LIMIT = 100
_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def parse_version(version: str) -> int | str:
    """Return the number or label of a version; "" is 0, the newest."""
    return int(version) if version.isdecimal() else version or 0


@command
async def set_label(
    workflow: WorkflowArgument,
    label: str,
    version: str,
    /,
    *,
    reason: ChangeReason = "",
    common: Common = COMMON,
) -> int:
    """Point a label to a version.

    Args:
        label: Label, such as production.
        version: Version, by number or by another label.
    """
    async with connected(common) as client:
        moved = await client.set_label(workflow, label, parse_version(version), reason=reason)
        return _show_move(common, workflow, moved)


@command
async def rollback(
    workflow: WorkflowArgument,
    label: str = "production",
    /,
    *,
    to: str = "",
    reason: ChangeReason = "",
    common: Common = COMMON,
) -> int:
    """Point a label to its previous version; a repeated call goes one version further back.

    Args:
        label: Label to move.
        to: Version to point to instead, by number or label.
    """
    async with connected(common) as client:
        if to:
            moved = await client.set_label(workflow, label, parse_version(to), reason=reason)
        else:
            moved = await client.rollback(workflow, label, reason=reason)
        return _show_move(common, workflow, moved)


@command
async def list_labels(workflow: WorkflowArgument, /, *, common: Common = COMMON) -> None:
    """List the labels of a workflow."""
    async with connected(common) as client:
        labels = await client.labels(workflow)
        output.table(
            labels,
            _label_json,
            "LABEL=name VERSION MOVED=moved_at BY=moved_by",
            none="No labels found.",
        )


@command
async def remove_label(
    workflow: WorkflowArgument, label: str, /, *, reason: ChangeReason = "", common: Common = COMMON
) -> None:
    """Remove a label, but not its version.

    Args:
        label: Label to remove.
    """
    async with connected(common) as client:
        await client.delete_label(workflow, label, reason=reason)


@command
async def changes(
    name: WorkflowId,
    /,
    *,
    task: bool = False,
    label: str = "",
    limit: ListLimit = LIMIT,
    common: Common = COMMON,
) -> None:
    """List the changes of a workflow or task with actor, time and reason, newest first.

    Args:
        name: Id of the workflow, or name of the task.
        task: Treat the name as that of a reusable task.
        label: Only changes of this label.
    """
    async with connected(common) as client:
        kind = "WorkflowTask" if task else "Workflow"
        found = await collect(client.changes(name, kind=kind, label=label), limit)
        if common.structured:
            output.document([_change_json(change) for change in found])
            return
        if not found:
            output.nothing("No changes found.")
        for change in found:
            output.line(_change_line(change))
            _print_differences(change.differences)


@command
def diff(
    first: WorkflowId, second: str = "", third: str = "", /, *, common: Common = COMMON
) -> int:
    """Show the differences between two versions of a workflow, or between two files.

    Args:
        first: Id of the workflow, or a file.
        second: Older version, by number or label, or the other file.
        third: Newer version, by number or label; the newest by default.
    """

    if Path(first).suffix in (*SUFFIXES, PYTHON) and not third:
        from flowmesh.definitions.versions import diff_workflows

        return _show_diff(common, diff_workflows(_workflow_in(first), _workflow_in(second)))

    async def diff_versions(client: "Client") -> int:
        found = await client.diff(first, parse_version(second), parse_version(third))
        return _show_diff(common, found.differences)

    return run(common, diff_versions)


@command
def compat(
    workflow: WorkflowArgument,
    before: str = "",
    after: str = "",
    /,
    *,
    file: Annotated[
        str,
        Parameter(
            name=["--file", "-f"], help="File with the new definition, instead of the new version."
        ),
    ] = "",
    common: Common = COMMON,
) -> int:
    """Check whether a version is compatible with an older one. Exit code 1 if it breaks callers.

    Args:
        before: Version in use, by number or label; by default the one before the new version, or
            the newest with a file.
        after: New version, by number or label; the newest by default.
    """

    source = read_source([file]).text.encode() if file else b""

    async def check(client: "Client") -> int:
        found = await client.compatibility(
            workflow, parse_version(before), parse_version(after), source=source
        )
        if common.structured:
            output.document(_compatibility_json(found))
        else:
            _show_compatibility(found)
        return exit_codes.FAILED if found.verdict == "breaking" else exit_codes.DONE

    return run(common, check)


def _show_compatibility(found: "Compatibility") -> None:
    to = f"version {found.to_version}" if found.to_version else "the file"
    output.line(f"version {found.from_version} -> {to}: {found.verdict}")
    for reason in found.reasons:
        place = f"{reason.side} {reason.path}".rstrip()
        output.line(f"  {reason.verdict}  {place}: {reason.message}")
    for move in found.executions:
        verdict = "can move" if move.movable else f"cannot move: {'; '.join(move.reasons)}"
        output.line(f"  {move.execution_id} (version {move.version}) {verdict}")


def _compatibility_json(found: "Compatibility") -> dict[str, Any]:
    return output.members(found, "from=from_version to=to_version *")


def _workflow_in(name: str) -> "Workflow":
    """Return the only workflow of a valid file."""
    from flowmesh.definitions import Workflow, read_source, refuse

    if not name:
        raise Refused("a second file is needed to compare with", code=USAGE)
    reading = read_source(definition_text(Path(name)).encode())
    refuse(reading.problems)
    found = [each.resource for each in reading.resources if isinstance(each.resource, Workflow)]
    if len(found) != 1:
        raise Refused(f"{name} must contain one workflow; it contains {len(found)}", code=USAGE)
    return found[0]


def _show_diff(common: Common, differences: "Iterable[Any]") -> int:
    if common.structured:
        output.document([difference_json(difference) for difference in differences])
    elif not _print_differences(differences, indent=""):
        output.line("no difference")
    return exit_codes.DONE


def _print_differences(differences: "Iterable[Any]", indent: str = "    ") -> int:
    count = 0
    for each in differences:
        count += 1
        subject = f"{each.area} {each.subject}".rstrip()
        field = f" {each.field}" if each.field else ""
        values = f": {_short(each.before)} -> {_short(each.after)}"
        shown = values if each.action == "changed" else ""
        output.line(f"{indent}{_MARKS[each.action]} {subject}{field}{shown}")
    return count


def _short(value: Any) -> str:
    text = "nothing" if value is None else orjson.dumps(value).decode()
    return text if len(text) <= 120 else f"{text[:117]}..."


def difference_json(difference: "Difference | Any") -> dict[str, Any]:
    return output.members(difference, "area action subject field? before after")


def _change_line(change: "Change") -> str:
    action = change.action.replace("_", " ")
    if change.label:
        action += f" {change.label}: {change.previous_version or '-'} -> {change.version or '-'}"
    elif change.version:
        action += f", version {change.version}"
    actor = f"  by {change.actor}" if change.actor else ""
    reason = f"  ({change.reason})" if change.reason else ""
    return f"{output.moment(change.changed_at)}  {action}{actor}{reason}"


def _change_json(change: "Change") -> dict[str, Any]:
    shown = output.members(change, "number action version~ previous_version~ label~ *")
    return shown | {"differences": [difference_json(each) for each in change.differences]}


def _show_move(common: Common, workflow: str, label: "Label") -> int:
    if common.structured:
        output.document(_label_json(label) | {"previousVersion": label.previous_version or None})
    elif label.previous_version == label.version:
        output.line(f"{workflow} {label.name}: already version {label.version}")
    else:
        before = label.previous_version or "-"
        output.line(f"{workflow} {label.name}: {before} -> {label.version}")
    return exit_codes.DONE


def _label_json(label: "Label") -> dict[str, Any]:
    return output.members(label, "label=name * -previous_version")
