"""The process of a hosted application: builds it, serves it on sockets of the host, drains.

    python -m flowmesh.apps.release_process.process FD

FD is this end of the socket pair. Log lines go to standard output.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from flowmesh.apps.document.findings import refuse, where
from flowmesh.apps.document.loading import load
from flowmesh.apps.document.model import plugins_in
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.release_process.checking import (
    attach,
    check_suite,
    checked,
    key_of,
    loading_of,
    mask_of,
    policy_of,
)
from flowmesh.apps.release_process.confinement import leaves_bounds
from flowmesh.apps.release_process.conversation import (
    LINE_BYTES_MAX,
    SOCKETS_MAX,
    Begin,
    Built,
    Drain,
    Finding,
    Message,
    Ready,
    Refused,
    Start,
    WantedServer,
    read,
    written,
)
from flowmesh.apps.release_process.served import ServedRequests
from flowmesh.apps.runtime.application import Application
from flowmesh.egress.errors import EgressBlocked
from flowmesh.egress.wall import Wall
from flowmesh.errors import FlowmeshError

HEALTH_S = 5.0
SERVED_S = 10.0
REFUSED = 1


class Connection:
    """This end of the socket pair; blocking until the application runs."""

    def __init__(self, given: socket.socket) -> None:
        self._socket = given
        self._buffer = b""

    def send(self, message: Message) -> None:
        self._socket.sendall(written(message))

    def receive(self) -> tuple[Message, list[socket.socket]]:
        """Return the next message with its sockets. Raises EOFError when the host has ended."""
        fds: list[int] = []
        while b"\n" not in self._buffer:
            data, received, _, _ = socket.recv_fds(self._socket, 65_536, SOCKETS_MAX)
            fds += received
            if not data or len(self._buffer) > LINE_BYTES_MAX:
                raise EOFError
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return read(line), [socket.socket(fileno=each) for each in fds]

    async def report(self, served: ServedRequests) -> None:
        """Send what was served each ten seconds, until canceled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SERVED_S)
            found = served.taken()
            if found.routes:
                await loop.sock_sendall(self._socket, written(found))

    async def next(self) -> Message | None:
        """Return the next message while the application runs; None when the host has ended."""
        loop = asyncio.get_running_loop()
        self._socket.setblocking(False)
        while b"\n" not in self._buffer:
            data = await loop.sock_recv(self._socket, 65_536)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return read(line)


def main() -> int:
    connection = Connection(socket.socket(fileno=int(sys.argv[1])))
    # The host ends this process by a message; a signal of the terminal is meant for the host.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        begin, _ = connection.receive()
    except EOFError:
        return 0
    assert isinstance(begin, Begin)
    mask = mask_of(begin)
    wall = Wall(policy_of(begin))
    try:
        _limit(begin)
        wall.build()
        if begin.check:
            connection.send(checked(begin))
            return 0
        app = built(begin, _write)
        connection.send(_about(app, mask))
        start, sockets = connection.receive()
    except EOFError:
        return 0
    except FlowmeshError as error:
        connection.send(_refusal(cause_of(error, wall), mask))
        return REFUSED
    assert isinstance(start, Start)
    with asyncio.Runner(loop_factory=wall.loop_factory()) as runner:
        given = dict(zip(start.servers, sockets, strict=True))
        return runner.run(_serve(connection, app, given, mask, wall))


async def _serve(
    connection: Connection,
    app: Application,
    sockets: Mapping[str, socket.socket],
    mask: Callable[[str], str],
    wall: Wall,
) -> int:
    try:
        await app.start(sockets=sockets)
        await check_health(app)
    except FlowmeshError as error:
        await app.stop()
        connection.send(_refusal(cause_of(error, wall), mask))
        return REFUSED
    gc.collect()
    gc.freeze()
    served = ServedRequests()
    app.built.hub.add(served)
    connection.send(Ready())
    reporting = asyncio.ensure_future(connection.report(served))
    message = await connection.next()
    reporting.cancel()
    drain = message if isinstance(message, Drain) else Drain(linger_s=0.0)
    await app.stop(linger_s=drain.linger_s, runs_s=drain.runs_s)
    return 0


async def check_health(app: Application) -> None:
    """Raise Unavailable for the first module that is not healthy."""
    from flowmesh.errors import Unavailable

    for name, module in app.built.modules.items():
        if module.health is None:
            continue
        problem = ""
        try:
            async with asyncio.timeout(HEALTH_S):
                problem = await module.health()
        except TimeoutError:
            problem = f"no answer within {HEALTH_S:g} s"
        if problem:
            raise Unavailable("MODULE_START_FAILED", f"the module {name} is not healthy: {problem}")


def built(begin: Begin, write: Callable[[bytes], None]) -> Application:
    """Build the application of a release, which writes its log. Raises FlowmeshError."""
    attach(begin)
    check_suite(begin)
    document = load(Path(begin.document), loading_of(begin, required=True))
    if leaves_bounds(document):
        refuse(document.findings.placed(document.files), document.files)
    log = LogHub(app=begin.app, write=write)
    log.mask((*begin.environment.values(), key_of(begin)))
    return Application(
        document,
        log=log,
        policy=policy_of(begin),
        closed=begin.closed,
        plugins=begin.plugins,
    )


def _write(lines: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()


def _about(app: Application, mask: Callable[[str], str]) -> Built:
    servers = [
        WantedServer(server=name, port=int(address.rpartition(":")[2]))
        for name, address in app.addresses.items()
    ]
    files = app.built.document.files
    warnings = [f"{where(each, files)}: {each.message}" for each in app.findings if each.warning]
    return Built(
        servers=servers,
        warnings=[mask(_short(each, app)) for each in warnings],
        plugins=plugins_in(app.built.document),
    )


def _short(text: str, app: Application) -> str:
    """Return a text without the folder of the release."""
    return text.replace(f"{app.built.document.folder}{os.sep}", "")


def cause_of(error: FlowmeshError, wall: Wall) -> FlowmeshError:
    """Return the error, or EGRESS_BLOCKED where a driver hid that the wall refused it."""
    if not wall.blocked or error.reason == EgressBlocked().reason:
        return error
    return EgressBlocked(error.message)


def _refusal(error: FlowmeshError, mask: Callable[[str], str]) -> Refused:
    folder = f"{Path.cwd()}{os.sep}"
    findings = [
        Finding(
            place=mask(each.field.replace(folder, "")),
            message=mask(each.description),
            code=each.code,
        )
        for each in error.violations
    ]
    text = mask(error.message.replace(folder, ""))
    return Refused(reason=error.reason, message=text, findings=findings)


def _limit(begin: Begin) -> None:
    """Bound the memory and the files of this process."""
    bounds = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, begin.files_max),
        # Private memory; shared libraries and mapped files are not counted.
        (resource.RLIMIT_DATA, begin.memory_bytes),
    ]
    for kind, bound in bounds:
        _, most = resource.getrlimit(kind)
        value = bound if most == resource.RLIM_INFINITY else min(bound, most)
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    sys.exit(main())
