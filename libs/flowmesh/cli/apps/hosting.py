"""`app deploy|list|status|releases|rollback|logs|stop|start|delete`: applications of the host."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.api.apphost.v1 import app_pb2
from flowmesh.api.apphost.v1 import app_service_pb2 as pb
from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import age_of, document_of
from flowmesh.cli.apps.common import AppFile, Environments
from flowmesh.cli.arguments import Flag
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.records import moment

if TYPE_CHECKING:
    from flowmesh.sdk import Client

# A deployment takes files beside the document up to these bounds.
FILES_MAX = 200
BYTES_MAX = 6 * 1024 * 1024
# A release is given up after so long, in addition to the time of the call.
PENDING_S = 60.0
POLL_S = 0.5
CALL_S = 20.0

AppName = Annotated[str, Parameter(help="Name of the application.")]
Level = Literal["", "debug", "info", "warn", "error"]
Role = Literal["viewer", "editor", "admin"]


@command
async def deploy(
    file: AppFile,
    /,
    *,
    name: str = "",
    env: Environments = None,
    variable: Annotated[list[str] | None, Parameter(name=["--variable", "-v"], negative="")] = None,
    alone: Flag = False,
    role: Role = "editor",
    common: Common = COMMON,
) -> int:
    """Deploy an application with the files of its folder; it takes over once it is ready.

    Exit code 1 if the release is refused; the release before it serves on.

    Args:
        name: Name of the application; by default that of its document or its file.
        variable: Value of the environment: NAME=value. The environment of this command is not
            taken.
        alone: Deploy the document without the files beside it.
        role: Role of the key that the application gets, at most yours.
    """
    document = _text(file)
    request = pb.DeployAppRequest(
        app=name or _name(file, document),
        document=document,
        files=[] if alone else _beside(file),
        environment=_environment(env, variable),
        role=role,
    )
    async with connected(common) as client:
        request.namespace = client.namespace
        answer = await client.caller.call(_stub(client).DeployApp, request, timeout_s=CALL_S)
        release = await _settled(client, request.app, answer.release)
        app = await _app(client, request.app)
    verb = "serves" if answer.created else "serves already"
    return _released(release, app, verb)


@command
async def list_apps(*, common: Common = COMMON) -> None:
    """List the hosted applications of the namespace."""
    async with connected(common) as client:
        request = pb.ListAppsRequest(namespace=client.namespace)
        found = (await client.caller.call(_stub(client).ListApps, request)).apps
    output.table(
        found,
        document_of,
        "APP STATE RELEASE ADDRESSES SINCE=changed_at_us",
        none="There are no applications.",
        STATE=_state,
        ADDRESSES=_addresses,
    )


@command
async def status(app: AppName, /, *, common: Common = COMMON) -> int:
    """Show a hosted application: state, release, addresses, memory."""
    async with connected(common) as client:
        found = await _app(client, app)
    _show(found)
    return exit_codes.DONE if found.state == app_pb2.APP_STATE_RUNNING else exit_codes.FAILED


@command
async def releases(app: AppName, /, *, common: Common = COMMON) -> None:
    """List the releases of an application, newest first."""
    async with connected(common) as client:
        request = pb.ListReleasesRequest(namespace=client.namespace, app=app)
        found = (await client.caller.call(_stub(client).ListReleases, request)).releases
    output.table(
        found,
        document_of,
        "RELEASE STATE DIGEST BY=created_by AGE=created_at_us PROBLEM",
        none="No releases.",
        STATE=_release_state,
        DIGEST=lambda each: each.digest[:12],
        PROBLEM=lambda each: each.problem[:80],
    )


@command
async def rollback(
    app: AppName,
    release: Annotated[int, Parameter(help="Release; the one that served before without it.")] = 0,
    /,
    *,
    common: Common = COMMON,
) -> int:
    """Return to a release that served before; it takes over once it is ready."""
    async with connected(common) as client:
        request = pb.RollbackAppRequest(namespace=client.namespace, app=app, release=release)
        answer = await client.caller.call(_stub(client).RollbackApp, request, timeout_s=CALL_S)
        found = await _settled(client, app, answer.release)
        row = await _app(client, app)
    return _released(found, row, "serves")


@command
async def logs(
    app: AppName,
    /,
    *,
    limit: int = 100,
    level: Level = "",
    text: str = "",
    module: str = "",
    common: Common = COMMON,
) -> None:
    """Print the last records of the log of an application.

    Args:
        limit: Number of records, at most 1,000.
        level: Only records of at least this level.
        text: Only records that contain this text.
        module: Only records of modules with this prefix.
    """
    if not 0 < limit <= 1_000:
        raise Refused("--limit is 1 to 1000", code=exit_codes.USAGE)
    async with connected(common) as client:
        request = pb.ReadAppLogRequest(
            namespace=client.namespace, app=app, limit=limit, level=level, text=text, module=module
        )
        found = (await client.caller.call(_stub(client).ReadAppLog, request)).records
    if common.structured:
        output.document([_record(each) for each in found])
        return
    for each in found:
        at = output.iso(moment(each.at_us)) if each.at_us else ""
        fields = each.fields.decode() if each.fields != b"{}" else ""
        line = f"{at} {each.level:5} {each.release} {each.module}: {each.message} {fields}"
        output.line(line.strip())


@command
async def stop(app: AppName, /, *, common: Common = COMMON) -> None:
    """Stop an application after its running requests; its data stays."""
    async with connected(common) as client:
        request = pb.StopAppRequest(namespace=client.namespace, app=app)
        found = (await client.caller.call(_stub(client).StopApp, request, timeout_s=CALL_S)).app
    output.result(document_of(found), f"{found.app}: {_state(found)}")


@command
async def start(app: AppName, /, *, common: Common = COMMON) -> int:
    """Start a stopped application with its last release."""
    async with connected(common) as client:
        request = pb.StartAppRequest(namespace=client.namespace, app=app)
        found = (await client.caller.call(_stub(client).StartApp, request, timeout_s=CALL_S)).app
    output.result(document_of(found), f"{found.app}: {_state(found)} {_addresses(found)}".rstrip())
    return exit_codes.DONE if found.state == app_pb2.APP_STATE_RUNNING else exit_codes.FAILED


@command
async def delete(app: AppName, /, *, common: Common = COMMON) -> None:
    """Delete an application with its releases, its log and its data."""
    async with connected(common) as client:
        request = pb.DeleteAppRequest(namespace=client.namespace, app=app)
        await client.caller.call(_stub(client).DeleteApp, request, timeout_s=CALL_S)
    output.result({"app": app, "deleted": True}, f"{app} is deleted")


def _stub(client: "Client") -> Any:
    return AppServiceStub(client.caller.channel)


async def _app(client: "Client", app: str) -> app_pb2.App:
    request = pb.GetAppRequest(namespace=client.namespace, app=app)
    found: app_pb2.App = (await client.caller.call(_stub(client).GetApp, request)).app
    return found


async def _settled(client: "Client", app: str, release: app_pb2.Release) -> app_pb2.Release:
    """Return the release once it is not pending any more."""
    request = pb.ListReleasesRequest(namespace=client.namespace, app=app)
    try:
        async with asyncio.timeout(PENDING_S):
            while release.state == app_pb2.RELEASE_STATE_PENDING:
                await asyncio.sleep(POLL_S)
                listed = (await client.caller.call(_stub(client).ListReleases, request)).releases
                release = next(each for each in listed if each.release == release.release)
    except TimeoutError:
        pass
    return release


def _released(release: app_pb2.Release, app: app_pb2.App, verb: str) -> int:
    serves = release.state == app_pb2.RELEASE_STATE_SERVING
    for warning in release.warnings:
        output.warning(warning)
    if output.structured():
        output.document({"release": document_of(release), "app": document_of(app)})
    elif serves:
        output.line(f"{app.app}: release {release.release} {verb}")
        for each in app.addresses:
            output.line(f"  {each.server} listens on http://{each.address}")
    else:
        state = _release_state(release)
        output.problem(f"{app.app}: release {release.release} is {state}: {release.problem}")
    return exit_codes.DONE if serves else exit_codes.FAILED


def _show(app: app_pb2.App) -> None:
    if output.structured():
        output.document(document_of(app))
        return
    output.line(f"{app.app}: {_state(app)} since {age_of(app.changed_at_us)}")
    newest = f", newest {app.newest_release}" if app.newest_release != app.release else ""
    output.line(f"  release {app.release}{newest}")
    if app.pid:
        mib = app.memory_bytes / 1024**2
        output.line(f"  process {app.pid}, {mib:.0f} MiB, {app.restarts} restarts")
    for each in app.addresses:
        output.line(f"  {each.server} listens on http://{each.address}")
    if app.problem:
        output.line(f"  {app.problem}")


def _state(app: app_pb2.App) -> str:
    return app_pb2.AppState.Name(app.state).removeprefix("APP_STATE_").lower()


def _release_state(release: app_pb2.Release) -> str:
    name = app_pb2.ReleaseState.Name(release.state)
    return name.removeprefix("RELEASE_STATE_").lower()


def _addresses(app: app_pb2.App) -> str:
    return ", ".join(f"{each.server} http://{each.address}" for each in app.addresses)


def _record(record: app_pb2.LogRecord) -> dict[str, Any]:
    import json

    return document_of(record) | {"fields": json.loads(record.fields)}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"cannot read {file}: {error.strerror}", code=exit_codes.USAGE) from None
    except UnicodeDecodeError:
        raise Refused(f"{file} is not UTF-8 text", code=exit_codes.USAGE) from None


def _name(file: Path, document: str) -> str:
    """Return the name of the document, or of its file or folder."""
    for line in document.splitlines():
        key, colon, value = line.partition(":")
        if key == "name" and colon and value.strip():
            return value.strip().strip("'\"").lower()
    return (file.resolve().parent.name if file.stem in ("app", "config") else file.stem).lower()


def _beside(file: Path) -> list[app_pb2.AppFile]:
    """Return the files of the folder of a document; hidden ones, tests and data stay."""
    folder, size = file.resolve().parent, 0
    found: list[app_pb2.AppFile] = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith((".", "__")) for part in relative.parts)
        left = path == file.resolve() or relative.parts[0] == "data" or _is_other(path)
        if hidden or left or not path.is_file():
            continue
        size += path.stat().st_size
        if len(found) == FILES_MAX or size > BYTES_MAX:
            hint = "keep the application in a folder of its own, or deploy it with --alone"
            text = f"{folder} holds more than {FILES_MAX} files or {BYTES_MAX >> 20} MiB"
            raise Refused(text, hint, exit_codes.USAGE)
        found.append(app_pb2.AppFile(path=relative.as_posix(), content=path.read_bytes()))
    return found


def _is_other(path: Path) -> bool:
    """Return whether a file beside a document is no part of the application."""
    database = path.suffix in (".db", ".db-wal", ".db-shm", ".sqlite")
    return database or path.name.endswith((".test.yaml", ".test.yml"))


def _environment(files: list[Path] | None, given: list[str] | None) -> dict[str, str]:
    from flowmesh.apps.document.expansion import environment_of

    for file in files or ():
        if not file.is_file():
            raise Refused(f"there is no file {file}", code=exit_codes.USAGE)
    found = environment_of(files or [], {})
    for each in given or ():
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise Refused(f"--variable {each!r} must be NAME=value", code=exit_codes.USAGE)
        found[name] = value
    return found
