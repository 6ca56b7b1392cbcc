"""`apply`, `validate`, and workflows and tasks of `get` and `list`."""

from collections.abc import AsyncIterable, Sequence
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Files, Flag, Strict, TaskName, WorkflowArgument
from flowmesh.cli.common import (
    COMMON,
    Common,
    collect,
    command,
    connected,
    error_json,
    guarded,
    run,
)
from flowmesh.cli.definitions.offline import check_offline, show_offline
from flowmesh.cli.definitions.problems import as_json, print_problem
from flowmesh.cli.definitions.registered import resource_json, resource_line
from flowmesh.cli.definitions.sources import Source, read_source
from flowmesh.cli.definitions.versions import parse_version
from flowmesh.cli.executions.executions import reject_filters
from flowmesh.errors import FlowmeshError

if TYPE_CHECKING:
    from flowmesh.sdk import Applied, Client, Problem, Stored, User, Validation

LIMIT = 100


@command
def apply(
    *, file: Files, strict: Strict = False, take_over: Flag = False, common: Common = COMMON
) -> int:
    """Register all definitions of the files, or none if there is an error.

    Args:
        take_over: Take definitions from the system that manages them, such as a cluster.
    """

    source = read_source(file)

    async def apply_source(client: "Client") -> int:
        if strict:
            found = await client.validate(source.text, strict=True)
            if not found.valid:
                return _show_validation(common, found, source)
        try:
            applied = await client.apply(source.text, take_over=take_over)
        except FlowmeshError as error:
            if not error.violations:
                raise
            return _show_rejection(common, error, source)
        _show_applied(common, applied, source)
        return exit_codes.DONE

    return run(common, apply_source)


def _show_applied(common: Common, applied: "Applied", source: Source) -> None:
    if common.structured:
        output.document(
            {
                "resources": [
                    resource_json(resource) | {"digest": resource.digest}
                    for resource in applied.resources
                ],
                "warnings": [
                    as_json(problem, problem.severity, problem.path, source)
                    for problem in applied.warnings
                ],
                "affected": [_user_json(user) for user in applied.affected],
                "affectedCount": applied.affected_count,
            }
        )
        return
    for resource in applied.resources:
        output.line(resource_line(resource))
    _print_problems(applied.warnings, source)
    _print_affected("affects", applied)


@command
def validate(
    *,
    file: Files,
    lint: Flag = False,
    strict: Strict = False,
    watch: Flag = False,
    remote: Flag = False,
    common: Common = COMMON,
) -> int:
    """Check the files like `apply`, without storing them. Exit code 1 if there is an error.

    No suite is needed: tasks that are not in the files are resolved from the bundled library, and
    other tasks are reported as not checked. With --remote, or an --address, the suite checks the
    files with its own tasks and reports the workflows that a change affects.

    Args:
        lint: Also report likely mistakes.
        watch: Check again at every change of a file, until Ctrl-C.
        remote: Check at the suite.
    """

    def validate_once() -> int:
        source = read_source(file)
        if not (remote or common.address):
            found = check_offline(source, lint=lint, strict=strict)
            return show_offline(common, found, source, "valid" if found.valid else "invalid")

        async def validate_source(client: "Client") -> int:
            validation = await client.validate(source.text, lint=lint, strict=strict)
            return _show_validation(common, validation, source)

        return run(common, validate_source)

    if not watch:
        return validate_once()
    from flowmesh.cli.definitions.file_watch import repeat_on_change

    return repeat_on_change(file, lambda: guarded(common, validate_once))


def _show_validation(common: Common, found: "Validation", source: Source) -> int:
    """Print problems, affected workflows and the verdict. Return 1 if it is invalid."""
    if common.structured:
        output.document(
            {
                "valid": found.valid,
                "problems": [
                    as_json(problem, problem.severity, problem.path, source)
                    for problem in found.problems
                ],
                "affected": [_user_json(user) for user in found.affected],
                "affectedCount": found.affected_count,
            }
        )
    else:
        _print_problems(found.problems, source)
        _print_affected("would affect", found)
        output.line("valid" if found.valid else "invalid")
    return exit_codes.DONE if found.valid else exit_codes.FAILED


@command
async def workflows(
    name: WorkflowArgument = "",
    /,
    *,
    version: str = "",
    where: str = "",
    limit: int = LIMIT,
    common: Common = COMMON,
) -> int:
    """Show a version of a workflow; without a name, list the newest version of each workflow.

    Args:
        version: Number or label of the version; the newest by default.
        where: Filter of a list: terms `id:prefix*` and `label.key=value`, separated by spaces.
        limit: Maximum length of a list; 0 lists all.
    """
    async with connected(common) as client:
        if name:
            reject_filters(name, where)
            return _show(common, await client.get_workflow(name, version=parse_version(version)))
        found = client.list_workflows(where=where)
        return await _list(found, limit, "FORMAT", "No workflows found.")


@command
async def task_users(name: TaskName, /, *, version: int = 0, common: Common = COMMON) -> None:
    """List the workflows that use a task in their newest version or in a version with a label.

    Args:
        name: Name of the task.
        version: Only workflows pinned to this version; 0 lists all.
    """
    async with connected(common) as client:
        users = [user async for user in client.task_users(name, version=version)]
        output.table(
            users,
            _user_json,
            "WORKFLOW=workflow_id VERSION NAMESPACE USES LABELS",
            none="No users found.",
            USES=lambda user: str(user.task_version or "newest"),
            LABELS=lambda user: ", ".join(user.labels) or "-",
        )


@command
async def tasks(
    name: TaskName = "", /, *, version: int = 0, limit: int = LIMIT, common: Common = COMMON
) -> int:
    """Show a version of a reusable task; without a name, list the newest version of each task.

    Args:
        name: Name of the task.
        version: Number of the version; 0 is the newest.
        limit: Maximum length of a list; 0 lists all.
    """
    async with connected(common) as client:
        if name:
            return _show(common, await client.get_task(name, version=version))
        return await _list(client.list_tasks(), limit, "TYPE", "No tasks found.")


async def _list(items: AsyncIterable["Stored"], limit: int, format_title: str, none: str) -> int:
    found = await collect(items, limit)
    output.table(
        found,
        lambda item: _stored_json(item, definition=False),
        f"NAME=id VERSION {format_title}=format CREATED=created_at DIGEST",
        none=none,
        only_wide={"DIGEST"},
    )
    return exit_codes.DONE


def _show(common: Common, stored: "Stored") -> int:
    if common.structured:
        output.document(_stored_json(stored))
        return exit_codes.DONE
    import yaml

    output.line(f"# {stored.kind} {stored.id}, version {stored.version}, {stored.format}")
    output.line(f"# created {output.moment(stored.created_at)}, digest {stored.digest}")
    text = yaml.safe_dump(stored.definition, sort_keys=False, allow_unicode=True, width=100)
    output.block(text.rstrip())
    return exit_codes.DONE


def _stored_json(stored: "Stored", *, definition: bool = True) -> dict[str, Any]:
    kind = "type" if stored.kind == "WorkflowTask" else "format"
    names = f"id name version digest {kind}=format created_at labels"
    return output.members(stored, f"{names} definition" if definition else names)


def _user_json(user: "User") -> dict[str, Any]:
    return output.members(user, "name=workflow_id version namespace task_version~ *")


def _print_affected(verb: str, found: "Applied | Validation") -> None:
    if found.affected:
        names = ", ".join(f"{user.workflow_id} v{user.version}" for user in found.affected[:8])
        rest = found.affected_count - min(8, len(found.affected))
        more = f" and {rest} more" if rest else ""
        output.line(f"{verb} {names}{more}")


def _show_rejection(common: Common, error: FlowmeshError, source: Source) -> int:
    """Print all problems with their files. Return the exit code."""
    from flowmesh.sdk import Problem

    if common.structured:
        shown = error_json(error)
        for detail, violation in zip(shown["error"]["details"], error.violations, strict=True):
            if place := source.place(violation.line, violation.column):
                detail["place"] = place
        output.document(shown)
    for violation in error.violations:
        problem = Problem(
            code=violation.code,
            severity="error",
            message=violation.description,
            path=violation.field,
            line=violation.line,
            column=violation.column,
        )
        print_problem(problem, "error", violation.field, source)
    output.problem(f"flowmesh: nothing is registered [{error.reason}]")
    return exit_codes.FAILED


def _print_problems(problems: "Sequence[Problem]", source: Source) -> None:
    for problem in problems:
        print_problem(problem, problem.severity, problem.path, source)
