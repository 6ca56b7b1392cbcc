"""`apply`, `validate`, and workflows and tasks of `get` and `list`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Files, Flag, TaskName, WorkflowId
from flowmesh.cli.common import COMMON, Common, error_json, guarded, run
from flowmesh.cli.definitions.offline import checked
from flowmesh.cli.definitions.offline import show as show_offline
from flowmesh.cli.definitions.problems import as_json, tell
from flowmesh.cli.definitions.sources import Source, read_source
from flowmesh.cli.definitions.versions import chosen
from flowmesh.cli.executions.executions import one_only
from flowmesh.errors import FlowmeshError

if TYPE_CHECKING:
    from flowmesh.sdk import Applied, Client, Problem, Stored, User, Validation

LIMIT = 100


def apply(*, file: Files, strict: Flag = False, common: Common = COMMON) -> int:
    """Register what the files define: all of it, or nothing if anything is wrong.

    Parameters
    ----------
    strict
        Warnings are errors.
    """

    async def work(client: "Client") -> int:
        if strict:
            found = await client.validate(source.text, strict=True)
            if not found.valid:
                return show_checked(common, found, source)
        try:
            applied = await client.apply(source.text)
        except FlowmeshError as error:
            if not error.violations:
                raise
            return _refused(common, error, source)
        if common.structured:
            output.document(
                {
                    "resources": [
                        {
                            "kind": r.kind,
                            "name": r.name,
                            "version": r.version,
                            "digest": r.digest,
                            "created": r.created,
                        }
                        for r in applied.resources
                    ],
                    "warnings": [
                        as_json(problem, problem.severity, problem.path, source)
                        for problem in applied.warnings
                    ],
                    "affected": [_user_json(user) for user in applied.affected],
                    "affectedCount": applied.affected_count,
                }
            )
            return exit_codes.DONE
        for r in applied.resources:
            change = f"version {r.version}" if r.created else f"unchanged (version {r.version})"
            output.line(f"{r.kind} {r.name}: {change}")
        _print_problems(applied.warnings, source)
        _print_affected("affects", applied)
        return exit_codes.DONE

    source = Source()

    def read_and_run() -> int:
        nonlocal source
        source = read_source(file)
        return run(common, work)

    return guarded(common, read_and_run)


def validate(
    *,
    file: Files,
    lint: Flag = False,
    strict: Flag = False,
    watch: Flag = False,
    remote: Flag = False,
    common: Common = COMMON,
) -> int:
    """Check the files as `apply` would, and store nothing. Exit code 1 if anything is wrong.

    No suite is needed: tasks that no file holds are looked up among those that come with Flowmesh,
    and what only a suite knows is named as not checked. With --remote, or an --address, the suite
    checks them with its library and shows which workflows a change would affect.

    Parameters
    ----------
    lint
        Also warn of what is allowed and likely to be regretted.
    strict
        Warnings are errors.
    watch
        Check again whenever a file changes, until Ctrl-C.
    remote
        Check them at the suite.
    """

    def once() -> int:
        source = read_source(file)
        if not (remote or common.address):
            here = checked(source, lint=lint, strict=strict)
            return show_offline(common, here, source, "valid" if here.valid else "invalid")

        async def work(client: "Client") -> int:
            found = await client.validate(source.text, lint=lint, strict=strict)
            return show_checked(common, found, source)

        return run(common, work)

    if watch:
        from flowmesh.cli.definitions.file_watch import whenever_changed

        return guarded(common, lambda: whenever_changed(file, lambda: guarded(common, once)))
    return guarded(common, once)


def show_checked(common: Common, found: "Validation", source: Source) -> int:
    """All problems, whom it would affect, and a verdict, which is the exit code too."""
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


def workflows(
    name: WorkflowId = "",
    /,
    *,
    version: str = "",
    where: str = "",
    limit: int = LIMIT,
    common: Common = COMMON,
) -> int:
    """Show one version of a workflow; without a name list the newest versions of all.

    Parameters
    ----------
    name
        Id of the workflow.
    version
        Which version, by number or label; the newest if left out.
    where
        Of a list: terms `id:prefix*` and `label.key=value`, joined by spaces.
    limit
        Of a list: at most so many; 0 is all.
    """

    async def work(client: "Client") -> int:
        if name:
            one_only(name, where)
            return _show(common, await client.get_workflow(name, version=chosen(version)))
        found = client.list_workflows(where=where)
        return await _list(common, found, limit, "FORMAT", "No workflows found.")

    return run(common, work)


def task_users(name: TaskName, /, *, version: int = 0, common: Common = COMMON) -> int:
    """List the workflows that use a task: their newest versions, and those with a label.

    Parameters
    ----------
    name
        Name of the task.
    version
        Only who is pinned to this version; 0 is everybody.
    """

    async def work(client: "Client") -> int:
        users = [user async for user in client.task_users(name, version=version)]
        if common.structured:
            output.document([_user_json(user) for user in users])
            return exit_codes.DONE
        rows = [
            (
                user.workflow_id,
                str(user.version),
                user.namespace,
                str(user.task_version or "newest"),
                ", ".join(user.labels) or "-",
            )
            for user in users
        ]
        header = ("WORKFLOW", "VERSION", "NAMESPACE", "USES", "LABELS")
        output.columns(header, rows, none="No users found.")
        return exit_codes.DONE

    return run(common, work)


def tasks(
    name: TaskName = "", /, *, version: int = 0, limit: int = LIMIT, common: Common = COMMON
) -> int:
    """Show one version of a reusable task; without a name list the newest versions of all.

    Parameters
    ----------
    name
        Name of the task.
    version
        Which version; 0 is the newest.
    limit
        Of a list: at most so many; 0 is all.
    """

    async def work(client: "Client") -> int:
        if name:
            return _show(common, await client.get_task(name, version=version))
        return await _list(common, client.list_tasks(), limit, "TYPE", "No tasks found.")

    return run(common, work)


async def _list(common: Common, items: Any, limit: int, word: str, none: str) -> int:
    found: list[Stored] = []
    async for item in items:
        found.append(item)
        if len(found) == limit:
            break
    if common.structured:
        output.document([_stored_json(item, definition=False) for item in found])
        return exit_codes.DONE
    rows = [
        (item.id, str(item.version), item.format, output.age(item.created_at), item.digest)
        for item in found
    ]
    header = ("NAME", "VERSION", word, "CREATED", "DIGEST")
    output.columns(header, rows, none=none, only_wide={"DIGEST"})
    return exit_codes.DONE


def _show(common: Common, stored: "Stored") -> int:
    if common.structured:
        output.document(_stored_json(stored))
        return exit_codes.DONE
    import yaml

    output.line(f"# {stored.kind} {stored.id}, version {stored.version}, {stored.format}")
    output.line(f"# created {output.moment(stored.created_at)}, digest {stored.digest}")
    text = yaml.safe_dump(stored.definition, sort_keys=False, allow_unicode=True, width=100)
    output.line(text.rstrip())
    return exit_codes.DONE


def _stored_json(stored: "Stored", *, definition: bool = True) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": stored.id,
        "name": stored.name,
        "version": stored.version,
        "digest": stored.digest,
        "type" if stored.kind == "WorkflowTask" else "format": stored.format,
        "createdAt": output.iso(stored.created_at),
        "labels": stored.labels,
    }
    if definition:
        shown["definition"] = stored.definition
    return shown


def _user_json(user: "User") -> dict[str, Any]:
    return {
        "name": user.workflow_id,
        "version": user.version,
        "namespace": user.namespace,
        "taskVersion": user.task_version or None,
        "labels": list(user.labels),
    }


def _print_affected(word: str, found: "Applied | Validation") -> None:
    if found.affected:
        names = ", ".join(f"{user.workflow_id} v{user.version}" for user in found.affected[:8])
        rest = found.affected_count - min(8, len(found.affected))
        more = f" and {rest} more" if rest else ""
        output.line(f"{word} {names}{more}")


def _refused(common: Common, error: FlowmeshError, source: Source) -> int:
    """Every problem with the file it is in."""
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
        tell(problem, "error", violation.field, source)
    output.problem(f"flowmesh: nothing is registered [{error.reason}]")
    return exit_codes.FAILED


def _print_problems(problems: "Sequence[Problem]", source: Source) -> None:
    for problem in problems:
        tell(problem, problem.severity, problem.path, source)
