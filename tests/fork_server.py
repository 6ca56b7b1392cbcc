"""A process that has imported the suite and forks into the command `flowmesh`.

A start of the command spends most of its CPU seconds on imports; a fork has none. The program of
`tests.forks.py`, which stops it by closing the socket.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

REQUEST_BYTES_MAX: Final = 1 << 20
# The channel of the process, its standard input, output and error.
DESCRIPTORS: Final = 4


def load() -> None:
    """Import what servers and commands import first."""
    from flowmesh.rpc.environment import GRPC_ENVIRONMENT
    from flowmesh.suite.import_filter import hide_optional_parts

    os.environ.update(GRPC_ENVIRONMENT)
    hide_optional_parts()

    import flowmesh.cli
    import flowmesh.suite.dev
    from flowmesh.suite.services import CORE
    from flowmesh.suite.services import load as load_services

    load_services(CORE)
    for module in pkgutil.walk_packages(flowmesh.cli.__path__, "flowmesh.cli."):
        importlib.import_module(module.name)
    # Pages of objects that no collection visits stay shared.
    gc.freeze()


def serve(connection: socket.socket) -> bool:
    """Fork for each request and report each end; return True in a fork, False at the end."""
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    channels: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                woken.recv(4_096)
                report(channels)
            if connection in ready:
                message, descriptors, _, _ = socket.recv_fds(
                    connection, REQUEST_BYTES_MAX, DESCRIPTORS
                )
                if not message:
                    return False
                channel, *streams = descriptors
                pid = os.fork()
                if not pid:
                    for end in (connection, woken, wake):
                        end.close()
                    for each in (channel, *channels.values()):
                        os.close(each)
                    become(json.loads(message), streams)
                    return True
                channels[pid] = channel
                for each in streams:
                    os.close(each)
                os.write(channel, b"%d\n" % pid)


def report(channels: dict[int, int]) -> None:
    """Write the exit code of each process that has ended into its channel."""
    while channels:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        channel = channels.pop(pid)
        # The test may be gone.
        with suppress(BrokenPipeError):
            os.write(channel, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(channel)


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Take over what a process of its own would have been started with."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    sys.argv = ["flowmesh", *request["words"]]


def main() -> None:
    """Serve until the socket is closed; a fork runs the command."""
    load()
    if serve(socket.socket(fileno=int(sys.argv[1]))):
        code: object = 0
        try:
            from flowmesh.suite.main import main as run

            run()
        except SystemExit as end:
            code = end.code or 0
        end_at_once(code)


def end_at_once(code: object) -> None:
    """Exit as the interpreter does, but free no module: that copies every shared page."""
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # joins threads, as the interpreter does
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
