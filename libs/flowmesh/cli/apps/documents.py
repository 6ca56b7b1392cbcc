"""`app init`, `openapi`, `diff` and `test`: documents of applications, and their tests."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.apps.common import (
    AppFile,
    Environments,
    Overlays,
    Settings,
    app_paths,
    loading,
    show_checked,
)
from flowmesh.cli.common import WRITTEN, Written, command
from flowmesh.cli.refusals import Refused

Template = Literal["api", "proxy", "static"]


@command
def init(
    template: Annotated[Template, Parameter(help="Kind of application.")] = "api",
    /,
    *,
    name: Annotated[str, Parameter(help="Name of the application.")] = "app",
    folder: Annotated[
        Path, Parameter(name=["--folder", "-d"], help="Folder to write to.")
    ] = Path(),
    common: Written = WRITTEN,
) -> None:
    """Write the file of a new application; a file that exists is not replaced."""
    from flowmesh.apps.offline.templates import rendered

    if not name.replace("-", "").replace("_", "").isalnum():
        text = f"the name {name!r} holds other characters than letters, digits, - and _"
        raise Refused(text, code=exit_codes.USAGE)
    path = folder / f"{name}.yaml"
    if path.exists():
        raise Refused(f"{path} exists already", "choose another --name or --folder")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(rendered(template, name), encoding="utf-8")
    output.result({"file": str(path)}, f"{path} written; run it: flowmesh app run {path}")


@command
def openapi(
    file: AppFile,
    /,
    *,
    set_: Settings = None,
    env: Environments = None,
    with_: Overlays = None,
    common: Written = WRITTEN,
) -> int:
    """Print the OpenAPI 3.1 document of an application's routes."""
    from flowmesh.apps.modules.openapi import describe, served_routes
    from flowmesh.apps.offline.checking import check

    checked = check(app_paths([file])[0], loading(settings=set_, environments=env, overlay=with_))
    if not checked.valid:
        show_checked(checked)
        return exit_codes.FAILED
    built = checked.built
    routes = [route for server in built.table.servers() for route in served_routes(server)]
    output.document(describe(built.document, routes))
    return exit_codes.DONE


@command
def diff(
    old: AppFile, new: AppFile, /, *, env: Environments = None, common: Written = WRITTEN
) -> int:
    """Compare two applications: modules, keys of configurations, and routes."""
    from flowmesh.apps.offline.checking import check
    from flowmesh.apps.offline.comparing import compare

    how = loading(environments=env)
    one, two = (check(app_paths([each])[0], how) for each in (old, new))
    for each in (one, two):
        if not each.valid:
            show_checked(each)
            return exit_codes.FAILED
    found = compare(one.built, two.built)
    output.table(
        found,
        lambda c: {"kind": c.kind, "part": c.part, "name": c.name, "detail": c.detail},
        "CHANGE=kind PART NAME DETAIL",
        none="no differences",
    )
    return exit_codes.DONE


@command
def run_tests(
    files: Annotated[list[Path], Parameter(help="Files of tests.")],
    /,
    *,
    set_: Settings = None,
    env: Environments = None,
    with_: Overlays = None,
    common: Written = WRITTEN,
) -> int:
    """Run tests of applications: requests without a socket, and their expected answers.

    Exit code 1 if a test fails.
    """
    from flowmesh.apps.offline.testing import run_tests as tests_of

    how = loading(settings=set_, environments=env, overlay=with_)
    for file in files:
        if not file.is_file():
            raise Refused(f"there is no file {file}", code=exit_codes.USAGE)
    results = [result for file in files for result in asyncio.run(tests_of(file, how))]
    failed = [each for each in results if each.failure]
    if output.structured():
        output.document(
            [
                {"file": str(r.file), "name": r.name, "passed": not r.failure, "failure": r.failure}
                for r in results
            ]
        )
    else:
        for each in results:
            mark = f"FAILED: {each.failure}" if each.failure else "passed"
            output.line(f"{each.file}: {each.name}: {mark}")
        output.line(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return exit_codes.FAILED if failed else exit_codes.DONE
