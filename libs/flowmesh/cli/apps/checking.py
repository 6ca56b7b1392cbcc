"""`app validate`, `inspect`, `modules` and `schema`: reports on applications, without a start."""

from typing import Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.apps.common import (
    AppFile,
    AppFiles,
    Environments,
    Overlays,
    Settings,
    app_paths,
    loading,
    problem_json,
    show_checked,
    show_problem,
)
from flowmesh.cli.arguments import Strict
from flowmesh.cli.common import WRITTEN, Written, command
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted


@command
def validate(
    files: AppFiles,
    /,
    *,
    strict: Strict = False,
    set_: Settings = None,
    env: Environments = None,
    with_: Overlays = None,
    common: Written = WRITTEN,
) -> int:
    """Check applications: every finding with file, line and column. Nothing is started.

    Exit code 1 for errors.
    """
    from flowmesh.apps.offline.checking import check, peers_of
    from flowmesh.apps.runtime.links import ALONE

    how = loading(settings=set_, environments=env, overlay=with_)
    paths = app_paths(files)
    peers = peers_of(paths, how) if len(paths) > 1 else ALONE
    checked = [check(path, how, strict=strict, peers=peers) for path in paths]
    problems = [(each, p) for each in checked for p in each.problems]
    errors = sum(not p.warning for _, p in problems)
    if output.structured():
        listed = [problem_json(p, each.document.files) for each, p in problems]
        output.document({"valid": not errors, "problems": listed})
    else:
        for each in checked:
            show_checked(each)
        for each in checked:
            word = "valid" if each.valid else "not valid"
            warnings = sum(p.warning for p in each.problems)
            count = len(each.document.modules)
            name = each.document.files[0].path
            output.line(
                f"{name}: {word}, {counted(count, 'module')}, {counted(warnings, 'warning')}"
            )
    return exit_codes.FAILED if errors else exit_codes.DONE


View = Literal["modules", "deps", "routes", "order"]


@command
def lint(
    files: AppFiles,
    /,
    *,
    set_: Settings = None,
    env: Environments = None,
    with_: Overlays = None,
    common: Written = WRITTEN,
) -> int:
    """Report likely mistakes: unused modules, secrets in files, unchecked writes, lost state.

    Exit code 1 for errors of the check; advice alone changes nothing.
    """
    from flowmesh.apps.offline.checking import check
    from flowmesh.apps.offline.linting import advice

    how = loading(settings=set_, environments=env, overlay=with_)
    checked = [check(path, how) for path in app_paths(files)]
    found = [(each, p) for each in checked for p in (*each.problems, *advice(each))]
    if output.structured():
        listed = [problem_json(p, each.document.files) for each, p in found]
        output.document({"problems": listed})
    else:
        for each, problem in found:
            show_problem(problem, each.document.files)
        output.line(counted(len(found), "finding"))
    return exit_codes.DONE if all(p.warning for _, p in found) else exit_codes.FAILED


@command
def inspect(
    file: AppFile,
    /,
    *,
    view: Annotated[View, Parameter(help="Part of the application to show.")] = "modules",
    graph: Annotated[Literal["", "mermaid"], Parameter(help="Form of a drawing.")] = "",
    set_: Settings = None,
    env: Environments = None,
    with_: Overlays = None,
    common: Written = WRITTEN,
) -> int:
    """Show the modules of an application, their partners, its routes, or the order of starts."""
    from flowmesh.apps.offline.checking import check
    from flowmesh.apps.offline.inspecting import inspected, mermaid, table_of

    checked = check(app_paths([file])[0], loading(settings=set_, environments=env, overlay=with_))
    if not output.structured():
        show_checked(checked)
    if graph:
        output.block(mermaid(checked.built))
    elif output.structured():
        output.document(inspected(checked.built))
    else:
        header, rows = table_of(checked.built, view)
        output.columns(header, rows, none="nothing")
    return exit_codes.DONE if checked.valid else exit_codes.FAILED


@command
def modules(
    kind: Annotated[str, Parameter(help="Type to show; all without one.")] = "",
    /,
    *,
    common: Written = WRITTEN,
) -> None:
    """List the module types, or show one with its keys."""
    from flowmesh.apps.catalog import DESCRIPTORS, STEPS, nearest_names
    from flowmesh.apps.catalog.schema import module_form

    known = {**DESCRIPTORS, **STEPS}
    if not kind:
        output.table(
            list(DESCRIPTORS.values()),
            lambda each: module_form(each) | {"runs": True},
            "TYPE CATEGORY PURPOSE=text",
            none="no types",
        )
        return
    if kind not in known:
        raise Refused(f"there is no type {kind!r}{nearest_names(kind, known)}")
    found = known[kind]
    if output.structured():
        output.document(module_form(found))
        return
    output.line(f"{found.type}: {found.text}")
    rows = [
        (
            each.key + ("!" if each.required else ""),
            each.kind,
            "" if each.default is None else str(each.default),
            each.text + (f" One of {', '.join(each.options)}." if each.options else ""),
        )
        for each in found.fields
    ]
    output.columns(("KEY", "KIND", "DEFAULT", "MEANING"), rows, none="no keys")


@command
def schema(
    kind: Annotated[str, Parameter(help="Module type; the whole document without one.")] = "",
    /,
    *,
    common: Written = WRITTEN,
) -> None:
    """Print the JSON Schema of applications or of one module type, for editors."""
    from flowmesh.apps.catalog import DESCRIPTORS, STEPS, nearest_names
    from flowmesh.apps.catalog.schema import app_schema, config_schema

    known = {**DESCRIPTORS, **STEPS}
    if kind and kind not in known:
        raise Refused(f"there is no type {kind!r}{nearest_names(kind, known)}")
    output.document(config_schema(known[kind]) if kind else app_schema())
