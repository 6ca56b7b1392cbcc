"""`label`, `rollback`, `diff` and `changes`: what is done with versions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import WorkflowId
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.sources import PYTHON, SUFFIXES, definition_text, read_source
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowmesh.definitions import Workflow
    from flowmesh.sdk import Change, Client, Compatibility, Difference, Label

LIMIT = 100
_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def chosen(version: str) -> int | str:
    """A version given as number or label; empty is the newest."""
    return int(version) if version.isdecimal() else version or 0


def set_label(
    workflow: WorkflowId, label: str, version: str, /, *, reason: str = "", common: Common = COMMON
) -> int:
    """Point a label to a version, given by its number or by another label.

    Parameters
    ----------
    workflow
        Id of the workflow.
    label
        The label, such as production.
    version
        Where to: a number or a label.
    reason
        Why; kept with the change.
    """

    async def work(client: "Client") -> int:
        moved = await client.set_label(workflow, label, chosen(version), reason=reason)
        return _show_move(common, workflow, moved)

    return run(common, work)


def rollback(
    workflow: WorkflowId,
    label: str = "production",
    /,
    *,
    to: str = "",
    reason: str = "",
    common: Common = COMMON,
) -> int:
    """Point a label to the version it pointed to before; again, to the one before that.

    Parameters
    ----------
    workflow
        Id of the workflow.
    label
        Which label.
    to
        This version instead, by number or label.
    reason
        Why; kept with the change.
    """

    async def work(client: "Client") -> int:
        if to:
            moved = await client.set_label(workflow, label, chosen(to), reason=reason)
        else:
            moved = await client.rollback(workflow, label, reason=reason)
        return _show_move(common, workflow, moved)

    return run(common, work)


def list_labels(workflow: WorkflowId, /, *, common: Common = COMMON) -> int:
    """List the labels of a workflow.

    Parameters
    ----------
    workflow
        Id of the workflow.
    """

    async def work(client: "Client") -> int:
        labels = await client.labels(workflow)
        if common.structured:
            output.document([_label_json(label) for label in labels])
        else:
            rows = [
                (each.name, str(each.version), output.age(each.moved_at), each.moved_by)
                for each in labels
            ]
            header = ("LABEL", "VERSION", "MOVED", "BY")
            output.columns(header, rows, none="No labels found.")
        return exit_codes.DONE

    return run(common, work)


def remove_label(
    workflow: WorkflowId, label: str, /, *, reason: str = "", common: Common = COMMON
) -> int:
    """Remove a label; the version it points to stays.

    Parameters
    ----------
    workflow
        Id of the workflow.
    label
        Which label.
    reason
        Why; kept with the change.
    """

    async def work(client: "Client") -> int:
        await client.delete_label(workflow, label, reason=reason)
        return exit_codes.DONE

    return run(common, work)


def changes(
    name: WorkflowId,
    /,
    *,
    task: bool = False,
    label: str = "",
    limit: int = LIMIT,
    common: Common = COMMON,
) -> int:
    """Show who changed a workflow, when and how, newest first.

    Parameters
    ----------
    name
        Id of the workflow, or name of the task.
    task
        It is a reusable task.
    label
        Only moves of this label.
    limit
        At most so many; 0 is all.
    """

    async def work(client: "Client") -> int:
        kind = "WorkflowTask" if task else "Workflow"
        found: list[Change] = []
        async for change in client.changes(name, kind=kind, label=label):
            found.append(change)
            if len(found) == limit:
                break
        if common.structured:
            output.document([_change_json(change) for change in found])
            return exit_codes.DONE
        if not found:
            output.nothing("No changes found.")
        for change in found:
            output.line(_change_line(change))
            _print_differences(change.differences)
        return exit_codes.DONE

    return run(common, work)


def diff(
    first: WorkflowId, second: str = "", third: str = "", /, *, common: Common = COMMON
) -> int:
    """Show what differs between two versions of a workflow, or between two files.

    Parameters
    ----------
    first
        Id of the workflow, or a file.
    second
        The version to compare from, by number or label; or the other file.
    third
        The version to compare with; the newest if left out.
    """

    async def work(client: "Client") -> int:
        found = await client.diff(first, chosen(second), chosen(third))
        return _show_diff(common, found.differences)

    def files() -> int:
        from flowmesh.definitions.versions import diff_workflows

        found = diff_workflows(_workflow_in(first), _workflow_in(second))
        return _show_diff(common, found)

    if Path(first).suffix in (*SUFFIXES, PYTHON) and not third:
        return guarded(common, files)
    return run(common, work)


def compat(
    workflow: WorkflowId,
    before: str = "",
    after: str = "",
    /,
    *,
    file: Annotated[
        str, Parameter(name=["--file", "-f"], help="A definition that is not registered yet.")
    ] = "",
    common: Common = COMMON,
) -> int:
    """Say whether a version can take another's place. Exit code 1 if it breaks callers.

    Parameters
    ----------
    workflow
        Id of the workflow.
    before
        The version that callers use, by number or label; the newest if left out.
    after
        The version that is to take its place; the newest if left out.
    """

    async def work(client: "Client") -> int:
        found = await client.compatibility(workflow, chosen(before), chosen(after), source=source)
        code = exit_codes.FAILED if found.verdict == "breaking" else exit_codes.DONE
        if common.structured:
            output.document(_compatibility_json(found))
            return code
        to = f"version {found.to_version}" if found.to_version else "the file"
        output.line(f"version {found.from_version} -> {to}: {found.verdict}")
        for reason in found.reasons:
            place = f"{reason.side} {reason.path}".rstrip()
            output.line(f"  {reason.verdict}  {place}: {reason.message}")
        for move in found.executions:
            why = "could move" if move.movable else f"could not move: {'; '.join(move.reasons)}"
            output.line(f"  {move.execution_id} (version {move.version}) {why}")
        return code

    source = b""

    def read_and_run() -> int:
        nonlocal source
        source = read_source([file]).text.encode() if file else b""
        return run(common, work)

    return guarded(common, read_and_run)


def _compatibility_json(found: "Compatibility") -> dict[str, Any]:
    return {
        "from": found.from_version,
        "to": found.to_version,
        "verdict": found.verdict,
        "input": found.input,
        "output": found.output,
        "reasons": [
            {
                "side": each.side,
                "verdict": each.verdict,
                "path": each.path,
                "message": each.message,
            }
            for each in found.reasons
        ],
        "executions": [
            {
                "executionId": each.execution_id,
                "version": each.version,
                "movable": each.movable,
                "reasons": list(each.reasons),
            }
            for each in found.executions
        ],
        "truncated": found.truncated,
    }


def _workflow_in(name: str) -> "Workflow":
    """The one workflow of a file that has nothing wrong in itself."""
    from flowmesh.definitions import Workflow, read_source, refuse

    if not name:
        raise Refused("the other file is not named", code=USAGE)
    reading = read_source(definition_text(Path(name)).encode())
    refuse(reading.problems)
    found = [each.resource for each in reading.resources if isinstance(each.resource, Workflow)]
    if len(found) != 1:
        raise Refused(f"{name} holds {len(found)} workflows; it must be one", code=USAGE)
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
    shown: dict[str, Any] = {
        "area": difference.area,
        "action": difference.action,
        "subject": difference.subject,
    }
    if difference.field:
        shown["field"] = difference.field
    return shown | {"before": difference.before, "after": difference.after}


def _change_line(change: "Change") -> str:
    what = change.action.replace("_", " ")
    if change.label:
        what += f" {change.label}: {change.previous_version or '-'} -> {change.version or '-'}"
    elif change.version:
        what += f", version {change.version}"
    who = f"  by {change.actor}" if change.actor else ""
    why = f"  ({change.reason})" if change.reason else ""
    return f"{output.moment(change.changed_at)}  {what}{who}{why}"


def _change_json(change: "Change") -> dict[str, Any]:
    return {
        "number": change.number,
        "action": change.action,
        "version": change.version or None,
        "previousVersion": change.previous_version or None,
        "label": change.label or None,
        "actor": change.actor,
        "reason": change.reason,
        "changedAt": output.iso(change.changed_at),
        "differences": [difference_json(each) for each in change.differences],
        "truncated": change.truncated,
    }


def _show_move(common: Common, workflow: str, label: "Label") -> int:
    if common.structured:
        output.document(_label_json(label) | {"previousVersion": label.previous_version or None})
    elif label.previous_version == label.version:
        output.line(f"{workflow} {label.name}: version {label.version} already")
    else:
        before = label.previous_version or "-"
        output.line(f"{workflow} {label.name}: {before} -> {label.version}")
    return exit_codes.DONE


def _label_json(label: "Label") -> dict[str, Any]:
    return {
        "label": label.name,
        "version": label.version,
        "movedAt": output.iso(label.moved_at),
        "movedBy": label.moved_by,
    }
