"""The front of a gateway, made from its settings."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from flowmesh.bus import Bus
from flowmesh.cells import FILE, Cell, Directory, DirectoryStore, read_copy
from flowmesh.gateway.cells.following import CopyDirectory, EnterCell, FollowDirectory
from flowmesh.gateway.cells.front import Front
from flowmesh.gateway.cells.grpc_front import GrpcFront
from flowmesh.gateway.cells.http_front import HttpFront
from flowmesh.runtime import Runtime, StartError
from flowmesh.runtime.http.server import ASGI3
from flowmesh.runtime.projects.cell_targets import CellTargets


def read_directory(runtime: Runtime) -> Directory:
    """Return the copy of the directory on disk, or an empty one; the front keeps it up to date."""
    own = runtime.settings.cell
    return read_copy(own, _copy(runtime)) or Directory(own)


def _copy(runtime: Runtime) -> Path:
    return Path(runtime.settings.data_dir) / FILE


@asynccontextmanager
async def front_around(runtime: Runtime, app: ASGI3, directory: Directory) -> AsyncIterator[ASGI3]:
    """Yield the app that serves HTTP: a front of all cells around that of the gateway.

    Calls of gRPC are forwarded too. Raises StartError for a number in use.
    """
    async with AsyncExitStack() as stack:
        yield await _opened(runtime, app, directory, stack)


async def _opened(
    runtime: Runtime, app: ASGI3, directory: Directory, stack: AsyncExitStack
) -> ASGI3:
    settings = runtime.settings
    own = _own_cell(runtime)
    path = _copy(runtime)
    address = settings.cell_directory or settings.nats
    bus = Bus(address, name=f"cell-{own.name}", metrics=runtime.metrics)
    bus.start()
    stack.push_async_callback(bus.close)
    store = DirectoryStore(bus, settings.bus_prefix)
    entering = EnterCell(own, store, bus)
    await entering.at_start()
    following = FollowDirectory(directory, store)
    await following.at_start()
    path.parent.mkdir(parents=True, exist_ok=True)
    copying = CopyDirectory(directory, path)
    for loop in (entering, following, copying):
        runtime.add_loop(loop)
    # What was read since the last round is in the copy of the next process.
    runtime.on_drain(copying.run_once)
    front = Front(directory, own)
    targets = CellTargets(settings.cell_ca)
    stack.push_async_callback(targets.close)
    runtime.surround_calls(GrpcFront(front, targets).around)
    served = HttpFront(app, front, _tls(settings.cell_ca))
    await served.start()
    stack.push_async_callback(served.close)
    return served


def _own_cell(runtime: Runtime) -> Cell:
    settings = runtime.settings
    try:
        return Cell(
            number=settings.cell,
            name=settings.cell_name,
            region=settings.cell_region,
            http=settings.cell_http or runtime.http_url,
            grpc=settings.cell_grpc or runtime.address,
        )
    except ValueError as error:
        raise StartError(f"{error}; see FLOWMESH_CELL_HTTP and FLOWMESH_CELL_GRPC") from error


def _tls(authorities: str) -> ssl.SSLContext | None:
    try:
        return ssl.create_default_context(cafile=authorities) if authorities else None
    except OSError as error:
        raise StartError(f"FLOWMESH_CELL_CA: {authorities}: {error.strerror}") from error
