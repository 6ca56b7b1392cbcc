"""`app run` and `app call`: applications in this process."""

import asyncio
import functools
import gc
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.apps.runtime.links import LINK_INBOX
from flowmesh.cli import exit_codes, output
from flowmesh.cli.apps.common import (
    Addresses,
    AppFiles,
    Environments,
    Overlays,
    Settings,
    app_paths,
    loading,
    show_problem,
)
from flowmesh.cli.apps.declared import declared_in, started
from flowmesh.cli.arguments import Flag, Texts
from flowmesh.cli.common import WRITTEN, Written, command
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowmesh.apps.document.loading import Loading
    from flowmesh.apps.runtime.application import Application
    from flowmesh.apps.runtime.links import Peers

Level = Annotated[str, Parameter(help="Level of the log: debug, info, warn or error.")]


@command
def run(
    files: AppFiles,
    /,
    *,
    address: Addresses = None,
    set_: Settings = None,
    env: Environments = None,
    with_: Overlays = None,
    public: Flag = False,
    watch: Flag = False,
    log_level: Level = "info",
    data_dir: Path = Path(".flowmesh/infrastructure"),
    common: Written = WRITTEN,
) -> int:
    """Run applications until SIGTERM or SIGINT; running requests end first.

    A file may have the resources App and Infrastructure of a cluster: embedded servers stand in for
    its servers.

    Args:
        public: Listen on all interfaces where an address names no host.
        watch: Load files again when they change; a file with errors changes nothing.
        data_dir: Folder of the data of embedded servers.
    """
    how = loading(addresses=address, settings=set_, environments=env, overlay=with_, required=True)
    declared = declared_in(files)
    if declared is not None and watch:
        raise Refused(
            "--watch follows documents of applications, not resources", code=exit_codes.USAGE
        )
    paths = {} if declared is not None else dict.fromkeys(app_paths(files), how)

    async def serve() -> int:
        async with started(declared, how, data_dir) as found:
            loadings = {**paths, **found}
            return await _serve(loadings, public=public, level=log_level, watch=watch)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serve())


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(paths: "Mapping[Path, Loading]", *, public: bool, level: str, watch: bool) -> int:
    from flowmesh.apps.document.loading import load
    from flowmesh.apps.runtime.links import LinkInbox, Peers, stop_levels
    from flowmesh.apps.runtime.reloading import Reloading

    running: list[Reloading] = []

    def inbox(name: str) -> LinkInbox | None:
        found = [each.application for each in running if each.application.name == name]
        return found[0].built.registry.get(LINK_INBOX) if found else None

    documents = [load(path, how) for path, how in paths.items()] if len(paths) > 1 else []
    peers = Peers.of(documents, inbox) if documents else Peers()

    def make(path: Path) -> "Application":
        return _made(path, paths[path], public=public, level=level, peers=peers)

    applications = [make(path) for path in paths]
    running += [
        Reloading(each, functools.partial(make, path), output.problem)
        for path, each in zip(paths, applications, strict=True)
    ]
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    started: list[Application] = []
    try:
        for each in applications:
            started.append(each)
            await each.start()
        # What is loaded now lives as long as the process; collections need not visit it.
        gc.collect()
        gc.freeze()
        _announce(applications)
        watching = [asyncio.create_task(each.watch()) for each in running if watch]
        await stopping.wait()
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        started = [each.application for each in running]
    finally:
        for together in stop_levels({each.name for each in started}, peers.links):
            await asyncio.gather(*(each.stop() for each in started if each.name in together))
    return exit_codes.DONE


def _made(path: Path, how: "Loading", *, public: bool, level: str, peers: "Peers") -> "Application":
    from flowmesh.apps.document.loading import load
    from flowmesh.apps.observing.logs import LEVELS, LogHub
    from flowmesh.apps.runtime.application import Application

    if level not in LEVELS:
        raise Refused(f"--log-level is one of {', '.join(LEVELS)}", code=exit_codes.USAGE)
    document = load(path, how)
    log = LogHub(app=document.name, level=level)
    made = Application(document, log=log, public=public, peers=peers)
    for each in made.findings:
        show_problem(each, document.files)
    return made


def _announce(applications: "list[Application]") -> None:
    """Write the addresses, one line each, for people and for tests that use port 0."""
    for each in applications:
        for name, address in each.addresses.items():
            output.line(f"{each.name}: {name} listens on http://{address}")
        if not each.addresses:
            output.line(f"{each.name}: running, without a server")
    sys.stdout.flush()


@command
def call(
    method: Annotated[str, Parameter(help="Method of the request.")],
    path: Annotated[str, Parameter(help="Path and query of the request.")],
    /,
    *,
    file: Annotated[Path, Parameter(name=["--file", "-f"], help="File of the application.")],
    header: Texts = None,
    data: Annotated[str, Parameter(name=["--data", "-d"], help="Body of the request.")] = "",
    server: Annotated[str, Parameter(help="Server of the application; the first without.")] = "",
    set_: Settings = None,
    env: Environments = None,
    with_: Overlays = None,
    common: Written = WRITTEN,
) -> int:
    """Send a request to an application without a socket; it starts and stops for it.

    Exit code 1 for a status of 400 or more.

    Args:
        header: Header `Name: value`; may be repeated.
    """
    how = loading(settings=set_, environments=env, overlay=with_, required=True)
    return asyncio.run(_call(file, how, method, path, header or [], data, server))


async def _call(
    file: Path, how: "Loading", method: str, path: str, headers: list[str], data: str, server: str
) -> int:
    from flowmesh.apps.offline.calling import called

    response = await called(
        file, how, method=method, target=path, headers=headers, body=data.encode(), server=server
    )
    if output.structured():
        output.document(
            {
                "status": response.status,
                "headers": {str(k, "latin-1"): str(v, "latin-1") for k, v in response.headers},
                "body": response.body.decode("utf-8", "replace"),
            }
        )
    else:
        output.line(f"{response.status}")
        output.block(response.body.decode("utf-8", "replace"))
    return exit_codes.DONE if response.status < 400 else exit_codes.FAILED


@command
def run_pipeline(
    name: Annotated[str, Parameter(help="Name of the pipeline.")],
    /,
    *,
    file: Annotated[Path, Parameter(name=["--file", "-f"], help="File of the application.")],
    input_: Annotated[
        str, Parameter(name=["--input", "-i"], help="Data of the trigger, a JSON object.")
    ] = "{}",
    set_: Settings = None,
    env: Environments = None,
    with_: Overlays = None,
    common: Written = WRITTEN,
) -> int:
    """Run a pipeline of an application once, without its servers, and print the result.

    Exit code 1 if the pipeline fails.
    """
    import orjson

    from flowmesh.apps.http.problems import HttpProblem
    from flowmesh.apps.offline.calling import pipeline_run

    try:
        data = orjson.loads(input_)
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise Refused("--input must be a JSON object", code=exit_codes.USAGE)
    how = loading(settings=set_, environments=env, overlay=with_, required=True)
    try:
        result = asyncio.run(pipeline_run(file, how, name=name, data=data))
    except HttpProblem as error:
        output.problem(f"{error.code}: {error.detail} (step {error.step or '-'})")
        return exit_codes.FAILED
    with output.styled("json"):
        output.document(result)
    return exit_codes.DONE
